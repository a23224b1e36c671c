"""All that a rollout needs, made for one seed and thrown away with it: PostgreSQL, hosts with sshd, an operator."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import processes
import servers

from faults import namespaces, proxy

PROJECT = Path(__file__).parents[1] / "projects" / "faults"
TENANTS = tuple(f"s{number:02}" for number in range(1, 21))
MIGRATIONS = ("members.0002_bonus", "members.0003_index")
"""What is pending for whoever is not home when the run begins."""

MASTERS = {"omnitenant": "master", "opskit": "shared"}
GATE = 4711  # as the witness knows it
MEMORY = Path("/dev/shm")
FILES = 2 * 1024**3  # bytes that the seeds of a machine may need there, at 200 MB each
ROOM = 16  # connections that a seed's PostgreSQL takes; three more are the superuser's own

# Runs in the project once a framework: the seeds get copies.
_PREPARE = """
import json, sys
import django
django.setup()
from django.core.management import call_command
from django.conf import settings
call_command("migrate", verbosity=0)
if settings.OMNITENANT:
    from companies.models import Company
    from django_omnitenant.tenant_context import TenantContext
    for name in json.loads(sys.argv[1]):
        made = Company.objects.create(tenant_id=name, name=name, isolation_type=0, config={})
        with TenantContext.use_tenant(made):
            for target in (["contenttypes"], ["auth"], ["companies"], ["members", "0001"]):
                call_command("migrate", *target, database="default", verbosity=0)
else:
    from opskit.tenants import creating
    for name in json.loads(sys.argv[1]):
        creating.create(name, name, isolation_type="schema" if name < "s11" else "database")
        call_command("migratetenant", "members", "0001", tenant_id=name)
"""


# ---------------------------------------------------------------- the databases


@dataclass(frozen=True)
class Template:
    """A PostgreSQL's files with twenty tenants of a framework, of which everybody has the first migration."""

    framework: str
    cluster: servers.Cluster


def templates(folder: Path, frameworks=tuple(MASTERS)) -> dict[str, Template]:
    """A template a framework, in a folder that is the caller's to remove."""
    return {name: _template(folder / name, name) for name in frameworks}


def _template(folder: Path, framework: str) -> Template:
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)  # for who PostgreSQL runs as
    cluster = servers.new_cluster(folder)
    port = servers.free_port()
    server = cluster.start(port)
    running = cluster.as_server(port, server)
    # of each connection's time a half went into the hashing of the password, which is nothing that is tried here
    running.execute(f"SET scram_iterations = 1; ALTER ROLE {running.user} PASSWORD '{running.password}'")
    running.new_database(name="audit")
    running.execute(
        "CREATE TABLE started (at timestamptz DEFAULT clock_timestamp(), tenant text, migration text, pid int)",
        database="audit",
    )
    running.new_database(name=MASTERS[framework])
    witness = folder / "witness"
    _new_witness(witness, {})
    done = subprocess.run(
        [sys.executable, "-c", _PREPARE, json.dumps(TENANTS)],
        cwd=PROJECT,
        env={**os.environ, **_settings(framework, running, witness), "DJANGO_SETTINGS_MODULE": "shopfloor.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    server.stop(signal.SIGINT)
    assert done.returncode == 0, done.stdout + done.stderr
    return Template(framework, cluster)


def _settings(framework: str, database: servers.Postgres, witness: Path) -> dict[str, str]:
    return {**database.env(MASTERS[framework]), "WITNESS_FRAMEWORK": framework, "WITNESS": str(witness)}


def _new_witness(folder: Path, orders: dict) -> None:
    (folder / "locks").mkdir(parents=True)
    (folder / "commands").touch()
    nobody = dict.fromkeys(("broken", "liars", "noisy", "held", "held_inside"), ())
    (folder / "orders").write_text(json.dumps({"seed": 0, "slow": {}, "noise": 0, **nobody, **orders}))


class Database:
    """One seed's PostgreSQL, which may be ended and started."""

    def __init__(self, template: Template, folder: Path) -> None:
        self.framework = template.framework
        shutil.chown(folder, template.cluster.account.get("user"), template.cluster.account.get("group")) if (
            template.cluster.account
        ) else None
        # `cp` keeps the owner, and takes a tenth of the time
        subprocess.run(["cp", "-a", template.cluster.folder / "data", folder / "data"], check=True)
        self._cluster = servers.Cluster(
            folder, template.cluster.bin, template.cluster.account, template.cluster.password
        )
        self._port = servers.free_port()
        self.start()

    def start(self) -> None:
        self._running = self._cluster.start(
            self._port,
            max_connections=str(ROOM),
            synchronous_commit="on",  # what was committed is there after a crash
            client_connection_check_interval="0",  # a backend goes on without its client, as most servers' do
            unix_socket_directories=str(self._cluster.folder),
            log_min_messages="log",
        )
        self.server = self._cluster.as_server(self._port, self._running)
        self.by_socket = replace(self.server, host=str(self._cluster.folder))

    def stop(self, how: int = signal.SIGINT) -> None:
        self._running.stop(how)

    def home_of(self, tenant: str) -> tuple[str, str]:
        """Database and schema of a tenant: with `opskit` the first ten have a schema, the others a database."""
        if self.framework == "omnitenant":
            return "master", tenant
        return ("shared", f"public_{tenant}") if tenant < "s11" else (f"{tenant}_db", "public")

    def of_each(self, sql: str, tenants=TENANTS) -> dict[str, list[tuple]]:
        """{tenant: rows} of a statement whose `{schema}` is each tenant's. One connection a database: they are dear."""
        found: dict[str, list[tuple]] = {}
        homes = sorted((self.home_of(tenant), tenant) for tenant in tenants)
        for database, group in itertools.groupby(homes, lambda each: each[0][0]):
            with self.server.connect(database) as connection:
                for (_, schema), tenant in group:
                    cursor = connection.execute(sql.format(schema=schema))
                    found[tenant] = cursor.fetchall() if cursor.description else []
        return found

    def histories(self) -> dict[str, dict[str, datetime]]:
        """{tenant: {app.name: when}} of their django_migrations."""
        rows = self.of_each("SELECT app || '.' || name, applied FROM \"{schema}\".django_migrations")
        return {tenant: dict(pairs) for tenant, pairs in rows.items()}

    def columns(self) -> dict[str, set[str]]:
        """{tenant: columns} of the table that the migrations change."""
        rows = self.of_each(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = '{schema}' AND table_name = 'members_member'"
        )
        return {tenant: {name for (name,) in names} for tenant, names in rows.items()}

    def committed(self) -> dict[str, list[str]]:
        """{tenant: the migrations that were committed}, each as often as it was."""
        rows = self.of_each('SELECT migration FROM "{schema}".members_audit ORDER BY id')
        return {tenant: [name for (name,) in names] for tenant, names in rows.items()}

    def started(self) -> list[tuple[str, str, datetime]]:
        """(tenant, migration, when) of every migration that ever started."""
        return self.server.execute("SELECT tenant, migration, at FROM started ORDER BY at", database="audit")

    def backends(self) -> list[str]:
        """The names of the connections that opskit's commands have."""
        rows = self.server.execute(
            "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%'"
        )
        return [name for (name,) in rows]


# ---------------------------------------------------------------- the hosts


class Host:
    """An app host: an sshd behind a line that may fail, and a HOME of its own, where its lock and records are.

    The line is a proxy on this machine's loopback, or a cable to a network namespace.
    """

    def __init__(self, folder: Path, identity: Path, cable: namespaces.Cable | None = None) -> None:
        servers._make_separation_folder()
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(_WRONG_CLOCK)
        (self.home / "clock").write_text("0")
        self._folder = folder
        self._program = servers._sshd_program()
        key = servers._keygen(folder / "host")
        self._port = servers.free_port()
        self._config = servers._configuration(
            folder,
            self._program,
            host_key=key,
            identity=identity,
            port=self._port,
            options=(
                *([f"ListenAddress {cable.address}"] if cable else []),
                f"SetEnv HOME={self.home} PYTHONPATH={folder / 'site'}",
            ),
        )
        self.key = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        self.line = cable or proxy.Proxy(self._port)
        self.address, self.port = (cable.address, self._port) if cable else (servers.LOOPBACK, self.line.port)
        self._entered = cable.host.entered if cable else ()
        self.start()

    def start(self) -> None:
        self._listener = servers.Server(
            [*self._entered, self._program, "-D", "-e", "-f", str(self._config)],
            ready="Server listening on",
            log=self._folder / "sshd.log",
            start_new_session=True,
        )
        self._listener.wait_until_ready()

    def stop(self) -> None:
        """End the listener and every session; what they started goes on by itself."""
        sessions = self.sessions()
        self._listener.stop(signal.SIGKILL)
        send(sessions, signal.SIGKILL)

    def sessions(self) -> list[int]:
        """The sshd processes that serve a connection."""
        return [pid for pid in descendants(self._listener.process.pid) if _comm(pid).startswith("sshd")]

    def sshd(self) -> list[int]:
        return [self._listener.process.pid, *self.sessions()]

    def processes(self) -> list[int]:
        """All that runs there: agent, commands."""
        return of_environment(f"HOME={self.home}")

    def agents(self) -> list[int]:
        return [pid for pid in self.processes() if "opskit-agent" in _cmdline(pid)]

    def runners(self) -> list[int]:
        """The warm runners. A fork of one has its command line, too, and it for a parent."""
        warm = {pid for pid in self.processes() if "The warm runner" in _cmdline(pid)}
        return [pid for pid in warm if processes.parent(pid) not in warm]

    def records(self) -> list[Path]:
        return list((self.home / ".opskit").glob("*.json"))

    def close(self) -> None:
        send(self.sshd(), signal.SIGCONT)
        self.stop()
        send(self.processes(), signal.SIGKILL)
        self.line.close()


_WRONG_CLOCK = """\
import os, time
def wrong(right=time.time, path=os.path.join(os.environ["HOME"], "clock")):
    with open(path) as file:
        return right() + float(file.read() or 0)
time.time = wrong
"""


# ---------------------------------------------------------------- processes, by their ids


def send(pids, number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().replace(b"\0", b"\n").decode(errors="replace")
    except OSError:
        return ""


def _comm(pid: int) -> str:
    return _read(f"/proc/{pid}/comm").strip()


def _cmdline(pid: int) -> str:
    return _read(f"/proc/{pid}/cmdline")


def shown(pid: int) -> str:
    """What kind of process it is, in a line: its state, and the end of its command."""
    state = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1]
    return f"{_comm(pid)} {''.join(state)} …{' '.join(_cmdline(pid).split())[-80:]}"


def _everybody() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for each in _everybody():
        fields = _read(f"/proc/{each}/stat").rpartition(")")[2].split()
        if fields:
            parents.setdefault(int(fields[1]), []).append(each)
    found, left = [], [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def of_environment(setting: str) -> list[int]:
    """The processes that were started with this in their environment, the ssh daemon's own apart."""
    return [pid for pid in _everybody() if setting in _read(f"/proc/{pid}/environ").split("\n")]


# ---------------------------------------------------------------- the operator


@dataclass
class Sitting:
    """One time that the operator typed a command."""

    argv: tuple[str, ...]
    process: subprocess.Popen
    out: Path
    err: Path
    began: int  # commands that there had been before
    code: int | None = None  # None: it did not end in time
    taken: bool = False  # it was killed by the machine

    @property
    def said(self) -> str:
        return self.err.read_text(errors="replace")

    @property
    def report(self) -> dict | None:
        try:
            return json.loads(self.out.read_text())
        except ValueError:
            return None


@dataclass
class World:
    """Everything of one seed."""

    folder: Path
    database: Database
    hosts: list[Host]
    package: Path | None = None  # another opskit than the one that is installed: a copy with a fault of its own
    network: namespaces.Namespace | None = None  # the operator's, where it is not this machine's
    sittings: list[Sitting] = field(default_factory=list)
    _gate: object = None
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def operator(self) -> Path:
        return self.folder / "operator"

    @property
    def _entered(self) -> tuple[str, ...]:
        return self.network.entered if self.network else ()

    @property
    def runs(self) -> list[Path]:
        """The folders of the runs, oldest first."""
        return sorted((self.operator / ".opskit" / "runs").glob("*"))

    def _journals(self) -> list[Path]:
        return [file for run in self.runs if (file := run / "journal.jsonl").exists()]

    # -- what the operator types

    def type(self, *argv: str) -> Sitting:
        """Start opskit."""
        with self._writing:
            number = len(self.sittings)
            out, err = (self.folder / f"{number}.{name}" for name in ("out", "err"))
            env = {
                "PATH": os.environ["PATH"],
                "HOME": str(self.operator),
                "LANG": "C.UTF-8",
                "FAULTS_FOLDER": str(self.folder),
                **({"PYTHONPATH": str(self.package)} if self.package else {}),
            }
            with out.open("wb") as o, err.open("wb") as e:
                process = subprocess.Popen(
                    [*self._entered, sys.executable, Path(__file__).with_name("driver.py"), *argv],
                    cwd=self.operator,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=o,
                    stderr=e,
                    start_new_session=True,
                )
            sitting = Sitting(argv, process, out, err, self.begun())
            self.sittings.append(sitting)
            return sitting

    # -- what was seen

    def commands(self, *whats: str) -> list[dict]:
        """What the witness saw: {what, tenant, at, pid, parent}, oldest first."""
        lines = (self.folder / "witness" / "commands").read_text().splitlines()
        return [each for each in map(json.loads, lines) if not whats or each["what"] in whats]

    def begun(self) -> int:
        """How many commands have begun."""
        return (self.folder / "witness" / "commands").read_bytes().count(b'"what": "began"')

    def synced(self) -> list[dict]:
        file = self.folder / "synced"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def followed(self) -> bool:
        """Whether a resumed run has said that it follows what it left at work."""
        return any(b'"TenantFollowed"' in file.read_bytes() for file in self._journals())

    def at_work(self) -> dict | None:
        """The command that began last and has not ended; its process may have been killed."""
        ended = {each["pid"] for each in self.commands("ended")}
        open_ = [each for each in self.commands("began") if each["pid"] not in ended]
        return open_[-1] if open_ else None

    # -- what is held, and let go

    @property
    def gone(self) -> bool:
        """Whether what was held has been let go."""
        return (self.folder / "witness" / "go").exists()

    def hold(self) -> None:
        """Keep the gate that a held statement waits at."""
        self._gate = self.database.server.connect(MASTERS[self.database.framework])
        self._gate.execute("SELECT pg_advisory_lock(%s)", [GATE])

    def let_go(self) -> None:
        (self.folder / "witness" / "go").touch()
        if self._gate is not None:
            self._gate.close()

    def close(self) -> None:
        for sitting in self.sittings:
            send([sitting.process.pid], signal.SIGKILL)
            sitting.process.wait()
        for host in self.hosts:
            host.close()
        if self.network:
            self.network.close()
        self.database.stop(signal.SIGQUIT)


@contextlib.contextmanager
def new(
    template: Template,
    *,
    hosts: int = 1,
    home=(),
    orders=None,
    package: Path | None = None,
    networks: bool = False,
    **inventory,
):
    """A World. `home` are the tenants with nothing pending; `inventory` is what stands in it besides the usual.

    With `networks` the operator and each host have a network namespace of their own.
    """
    folder = Path(tempfile.mkdtemp(prefix="opskit-faults-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "operator" / "inventories").mkdir(parents=True)
        (folder / "clock").write_text("0")
        _new_witness(folder / "witness", orders or {})
        disk = Path(tempfile.mkdtemp(prefix="opskit-postgresql-", dir=_memory()))
        stack.callback(shutil.rmtree, disk, ignore_errors=True)
        database = Database(template, disk)
        identity = servers._keygen(folder / "user")
        network = namespaces.Namespace() if networks else None
        world = World(folder, database, [], package, network)
        stack.callback(world.close)
        for number in range(1, hosts + 1):
            cable = namespaces.Cable(network, number) if network else None
            world.hosts.append(Host(folder / f"host{number}", identity, cable))
        _bring_home(world, home)
        _write_inventory(world, identity, inventory)
        yield world


def _memory() -> str | None:
    """A folder in memory, where one has room: a disk takes a second for a PostgreSQL's thousands of small files."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > FILES
    return str(MEMORY) if roomy else None


def _bring_home(world: World, tenants) -> None:
    """Give these tenants what the migrations would: Django's rows and the columns, without running anything."""
    rows = ", ".join(f"('members', '{name.partition('.')[2]}', now())" for name in MIGRATIONS)
    world.database.of_each(
        'ALTER TABLE "{schema}".members_member '
        "ADD COLUMN bonus integer NOT NULL DEFAULT 0, ADD COLUMN rank integer; "
        f'INSERT INTO "{{schema}}".django_migrations (app, name, applied) VALUES {rows}',
        tenants,
    )


def _write_inventory(world: World, identity: Path, more: dict) -> None:
    known = world.folder / "known_hosts"
    known.write_text("".join(f"[{host.address}]:{host.port} {host.key}\n" for host in world.hosts))
    hosts = {
        f"app{number}": {
            "address": host.address,
            "port": str(host.port),
            "user": servers.getpass.getuser(),
            "identity_file": str(identity),
        }
        for number, host in enumerate(world.hosts, 1)
    }
    framework = world.database.framework
    database = world.database.by_socket if world.network else world.database.server
    ssh = {"known_hosts": str(known), "connect_timeout": "4s", **more.pop("ssh", {})}
    content = {
        "app": {
            "path": str(PROJECT),
            "python": sys.executable,
            "env": {**_settings(framework, database, world.folder / "witness"), **more.pop("env", {})},
        },
        "framework": framework,
        "hosts": hosts,
        "ssh": ssh,
        **more,
    }
    (world.operator / "inventories" / "prod.yaml").write_text(json.dumps(content))  # JSON is YAML


def now() -> datetime:
    return datetime.now(UTC)


def until(condition, patience: float, look: float = 0.05) -> bool:
    """Wait for something that others do, looking each `look` seconds; whether it came."""
    limit = time.monotonic() + patience
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(look)
    return True
