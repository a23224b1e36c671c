"""What a command may do to its process, one tenant a fault: each is judged truthfully, and the next one notices nothing.

One project on PostgreSQL with a schema a tenant, warm, on this machine and over a real sshd. It is not easy to fork: its settings print, and
its set-up starts a thread, connects to a database over TLS, and keeps a TLS connection of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import servers

from e2e import operator

ALL = 5  # migrations of a tenant
LAST = "products.0003_fault"
SETTINGS = """
import os
import time

print("settings are read")
time.sleep(float(os.environ.get("SLOW", "0")))
if "ODD" in os.environ:
    odd = BASE_DIR / "odd"
    if not odd.exists():
        odd.touch()
        raise RuntimeError("not this time")
    odd.unlink()
DATABASES["default"] = {master}
DATABASES["reports"] = {{**DATABASES["default"], "PORT": {port}, "OPTIONS": {{"sslmode": "require"}}}}
INSTALLED_APPS += ["faulty"]
OPSKIT_TENANTS = {{"SHARED_APPS": ["faulty"]}}
WITNESS = {witness!r}
"""
APPS = """
import os
import sys
import threading
import time

import psycopg
from django.apps import AppConfig

KEPT = []


class Faulty(AppConfig):
    name = "faulty"

    def ready(self):
        from django.core import checks
        from django.db import connections
        checks.register(hang)
        connections["reports"].cursor().execute("SELECT 1")
        params = connections["reports"].get_connection_params()
        KEPT.append(psycopg.connect(**{**params, "application_name": "kept", "cursor_factory": None}))
        KEPT[0].execute("SELECT 1")
        threading.Thread(target=threading.Event().wait, daemon=True, name="exporter").start()



def hang(loaded=os.getpid(), **_):
    if os.getpid() != loaded and any(arg.startswith("--tenant-id=7") for arg in sys.argv):
        time.sleep(600)
    return []
"""
HASTY = """
import sys
from opskit.transport import agent
agent.USUAL = agent.Timing(still=4.0)  # before the fleet takes it for its own
from opskit import __main__
sys.argv[0] = "opskit"
__main__.main()
"""
MIGRATION = """
from django.db import migrations

from faulty import acts


class Migration(migrations.Migration):
    dependencies = [("products", "0002_category")]
    operations = [migrations.RunPython(acts.act)]
"""
# The end of a tenant's id says what its migration does, once it has written down what it found.
ACTS = """
import ctypes
import json
import os
import signal
import struct
import sys
import threading
import time
from pathlib import Path

from django.conf import settings
from django.db import connections

WITNESS = Path(settings.WITNESS)


def act(apps, schema_editor):
    name = schema_editor.connection.alias.partition(":")[2]
    with WITNESS.open("a") as witness:
        print(json.dumps({"tenant": name, "parent": os.getppid(), **found(schema_editor.connection)}), file=witness)
    globals().get(name.partition("_")[2], quiet)()


def found(connection):
    umask = os.umask(0o22)
    os.umask(umask)
    with connection.cursor() as cursor, connections["reports"].cursor() as reports:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kept'")
        (kept,) = cursor.fetchone()
        reports.execute("SELECT 1")
    return {
        "folder": os.getcwd(),
        "left": os.environ.get("LEFT"),
        "umask": umask,
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)],
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "modules": "latecomer" in sys.modules,
        "group": os.getpid() == os.getpgid(0) == os.getsid(0),
        "kept": kept,
    }


def quiet():
    pass


def segfault():
    ctypes.string_at(0)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def exits():
    os._exit(0)


def daemon():
    if os.fork() == 0:
        os.setsid()
        WITNESS.with_name("daemon").write_text(str(os.getpid()))
        time.sleep(600)


def prints():
    for _ in range(200):
        sys.stdout.write((999 * "-" + "\\n") * 1000)


FRAMES = b"".join(kind + struct.pack(">I", 3) + b"abc" for kind in (b"J", b"O", b"P", b"E", b"B"))


def frames():
    os.write(1, FRAMES)
    os.write(1, b'{"type": "ended", "id": 1, "exit": 1}\\n{"type": "lost"}\\n' + FRAMES + b"\\n")


def lies():
    outcome = {"tenant": "07_lies", "status": "migrated", "applied": ["products.0003_fault"], "error": ""}
    event = {"v": 1, "seq": 1, "event": "TenantFinished", "outcome": outcome}
    os.write(1, b"\\n" + json.dumps(event).encode() + b"\\n")
    os._exit(0)


def closes():
    os.close(1)
    os.close(2)


def changes():
    os.chdir("/")
    os.environ["LEFT"] = "something"
    os.umask(0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin = sys.path = None


def thread():
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def deploys():
    current = Path(settings.WITNESS).with_name("current")
    new = current.with_name("new")
    new.symlink_to("release2")
    new.rename(current)


def late():
    Path(settings.BASE_DIR, "latecomer.py").write_text("")
    import latecomer


def sleeps():
    time.sleep(600)


def stays():
    threading.Thread(target=threading.Event().wait).start()


def orphans():
    os.kill(int(Path("/proc/%d/stat" % os.getppid()).read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)


def bereaves():
    os.kill(os.getppid(), signal.SIGKILL)
"""
FAULTS = {
    "01_segfault": ("failed", "ended by signal 11"),
    "02_killed": ("failed", "ended by signal 9"),
    "03_exits": ("failed", "it exited 0 without saying that it finished"),
    "04_daemon": ("migrated", ""),
    "05_prints": ("migrated", ""),
    "06_frames": ("migrated", ""),
    "07_lies": ("failed", f"it said OK, and 1 migration is still pending: {LAST}"),
    "08_closes": ("failed", ""),
    "09_changes": ("migrated", ""),
    "10_thread": ("migrated", ""),
    "11_deploys": ("migrated", ""),
    "12_late": ("migrated", ""),
    "13_quiet": ("migrated", ""),
}


@dataclass(frozen=True)
class World:
    desk: operator.Desk
    postgres: servers.Postgres
    database: str
    sshd: servers.Sshd | None  # over which the project is reached; None is this machine

    def has_environment(self, **env: str) -> None:
        app = {"path": str(self.desk.folder / "current"), "env": env}
        if self.sshd is None:
            self.desk.inventory(framework="opskit", app=app)
        else:
            self.desk.over_ssh(self.sshd, known_hosts=self.sshd.known_hosts, framework="opskit", app=app)

    def create(self, *names: str) -> None:
        for name in names:
            self.sql(f'CREATE SCHEMA "public_{name}"')
            self.sql(
                "INSERT INTO opskit_tenants_tenant (tenant_id, name, isolation_type, database, schema, alias, url_variable) "
                f"VALUES ('{name}', '{name}', 'schema', '', 'public_{name}', '', '')"
            )

    def sql(self, statement: str) -> list[tuple]:
        return self.postgres.execute(statement, database=self.database)

    def has(self, name: str) -> int:
        """How many migrations its history has."""
        if self.sql(f"SELECT to_regclass('\"public_{name}\".django_migrations')") == [(None,)]:
            return 0
        return self.sql(f'SELECT count(*) FROM "public_{name}".django_migrations')[0][0]

    def migrate(self, *flags: str, program: tuple[str, ...] = ("invoke",)) -> Told:
        """Roll out to those who were made and are not home."""
        self.witness.unlink(missing_ok=True)
        words = (*program[1:], "migrate-all", "--runner=warm", "--format=json", *flags)
        done = self.desk.run(*words, program=program[0], patience=300)
        assert "Traceback" not in done.err, done.err
        outcomes = {each["tenant_id"]: each for each in json.loads(done.out)["outcomes"]}
        seen = [json.loads(line) for line in self.witness.read_text().splitlines()]
        return Told(done.code, outcomes, {each.pop("tenant"): each for each in seen}, self.desk.log())

    @property
    def witness(self) -> Path:
        return self.desk.folder / "witness"


@dataclass(frozen=True)
class Told:
    code: int
    outcomes: dict[str, dict]
    seen: dict[str, dict]  # what each tenant's process found when it began
    log: str

    def word(self, name: str) -> tuple[str, str]:
        return self.outcomes[name]["status"], self.outcomes[name]["error"]


@pytest.fixture(scope="module")
def tls(postgres):
    """The port of a PgBouncer that takes TLS and nothing else, and does not mind PGOPTIONS."""
    with servers.pgbouncer(postgres, mode="session", tls=True, ignore_startup_parameters="options") as port:
        yield port


@pytest.fixture(scope="module", params=["local", "ssh"])
def world(request, demo_template, postgres, tls, tmp_path_factory):
    desk = operator.Desk(tmp_path_factory.mktemp("warm"))
    release = desk.folder / "release1"
    shutil.copytree(demo_template, release)
    (desk.folder / "release2").mkdir()  # a deploy that went wrong: there is no manage.py in it
    (desk.folder / "current").symlink_to("release1")
    database = postgres.new_database("master")
    master = {"ENGINE": "django.db.backends.postgresql", **postgres.django(database)}
    with (release / "shop" / "settings.py").open("a") as settings:
        settings.write(SETTINGS.format(master=master, port=tls, witness=str(desk.folder / "witness")))
    (release / "faulty").mkdir()
    for name, text in {"__init__": "", "apps": APPS, "acts": ACTS}.items():
        (release / "faulty" / f"{name}.py").write_text(text)
    (release / "products" / "migrations" / "0003_fault.py").write_text(MIGRATION)
    made = World(desk, postgres, database, request.getfixturevalue("sshd") if request.param == "ssh" else None)
    made.has_environment()
    migrated = subprocess.run([desk_python(), "manage.py", "migrate"], cwd=release, capture_output=True, check=False)
    assert migrated.returncode == 0, migrated.stderr
    return made


def desk_python() -> str:
    return str(operator.BIN / "python")


@pytest.fixture(scope="module")
def told(world):
    """All faults but those that take a time limit, or the agent, in one run."""
    world.create(*FAULTS)
    found = world.migrate()
    os.kill(int((world.desk.folder / "daemon").read_text()), signal.SIGKILL)
    current = world.desk.folder / "current"
    assert "release2" == str(current.readlink())  # where one of them deployed to
    current.unlink()
    current.symlink_to("release1")
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_the_tenant_at_hand_is_judged_truthfully(told, world, name):
    status, why = FAULTS[name]
    assert (status, True) == (told.outcomes[name]["status"], told.outcomes[name]["verified"])
    assert why in told.outcomes[name]["error"]
    home = status == "migrated" or name == "08_closes"
    assert (ALL if home else ALL - 1) == world.has(name)


def test_the_next_one_runs_as_if_nothing_had_been(told):
    first = told.seen["01_segfault"]
    assert dict.fromkeys(FAULTS, first) == told.seen
    assert (None, 0o22, 1, False, True, 1) == tuple(
        first[what] for what in ("left", "umask", "threads", "modules", "group", "kept")
    )


def test_the_operator_is_told_of_the_set_up_and_of_late_imports(told):
    for said in (
        "the project's set-up started threads, which a forked command does not have: exporter",
        "the project's set-up connected to reports: closed before the first command",
        "a command imported code that is newer than this run: latecomer",
    ):
        assert 1 == told.log.count(said)
    assert "given up" not in told.log


def test_a_deploy_in_mid_run_changes_nothing(told, world):
    assert {str(world.desk.folder / "release1")} == {seen["folder"] for seen in told.seen.values()}


def test_a_tenant_that_sleeps_past_its_time_is_ended_and_judged_by_its_database(world):
    world.create("21_sleeps", "22_stays", "23_quiet")
    told = world.migrate("--tenants=2*", "--timeout=3s")
    status, why = told.word("21_sleeps")
    assert ("failed", ALL - 1) == (status, world.has("21_sleeps"))
    assert why.startswith("timed out after 3")
    # a thread keeps the process, though the migration is done
    assert (("migrated", ""), ALL) == (told.word("22_stays"), world.has("22_stays"))
    assert "`22_stays`: timed out after 3" in told.log
    assert (("migrated", ""), ALL) == (told.word("23_quiet"), world.has("23_quiet"))
    assert told.seen["21_sleeps"] == told.seen["22_stays"] == told.seen["23_quiet"]


def test_a_runner_that_a_tenant_kills_is_replaced_for_the_next(world):
    world.create("31_bereaves", "32_quiet", "33_quiet")
    told = world.migrate("--tenants=3*")
    assert {("migrated", "")} == {told.word(name) for name in told.outcomes}
    assert [ALL] * 3 == [world.has(name) for name in told.outcomes]
    assert "the warm runner was given up: it ended by itself" in told.log
    assert told.seen["31_bereaves"].pop("parent") != told.seen["32_quiet"]["parent"]
    assert told.seen["32_quiet"] == told.seen["33_quiet"]


def test_an_agent_that_the_kernel_kills_is_replaced_and_its_command_followed(world):
    world.create("41_orphans", "42_quiet")
    told = world.migrate("--tenants=4*")
    assert {("migrated", "")} == {told.word(name) for name in told.outcomes}
    assert [ALL] * 2 == [world.has(name) for name in told.outcomes]
    assert "41_orphans" in told.log
    assert told.seen["41_orphans"].pop("parent") != told.seen["42_quiet"]["parent"]


@pytest.mark.parametrize("world", ["local"], indirect=True, scope="module")  # long, and no matter of the line
def test_three_forks_that_are_silent_are_run_cold_and_so_is_everything_after_them(world):
    """They hang before their first statement, as a fork can whose set-up left a lock held."""
    names = ["71_quiet", "72_quiet", "73_quiet", "74_quiet"]
    world.create(*names)
    told = world.migrate("--tenants=7*", program=("python", "-c", HASTY))
    assert {("migrated", "")} == {told.word(name) for name in names}
    assert [ALL] * 4 == [world.has(name) for name in names]
    assert names[:3] == re.findall(
        "`(.*)`: its fork hung before it reached a database. it is run once more, cold", told.log
    )
    assert 1 == told.log.count("; from here on every command starts by itself")
    assert 1 == len({seen["parent"] for seen in told.seen.values()})  # the agent


def test_a_project_whose_import_takes_longer_than_two_heartbeats_is_waited_for_once(world):
    world.create("51_quiet", "52_quiet")
    world.has_environment(SLOW="12")
    told = world.migrate("--tenants=5*")
    assert {("migrated", "")} == {told.word(name) for name in told.outcomes}
    assert told.seen["51_quiet"] == told.seen["52_quiet"]
    assert "given up" not in told.log


def test_a_project_whose_import_fails_every_second_time_is_judged_by_what_each_command_met(world):
    """Three times the loading fails, and the command runs cold; then every second command fails of itself."""
    names = ["61_quiet", "62_quiet", "63_quiet"]
    world.create(*names)
    world.has_environment(ODD="1")
    told = world.migrate("--tenants=6*")
    said = {name: told.word(name)[0] for name in names}  # unknown, where it was the verification that met it
    assert {"migrated"} <= set(said.values()) <= {"migrated", "failed", "unknown"}
    assert all(ALL == world.has(name) for name in names if said[name] == "migrated")
    failed = [name for name in names if said[name] == "failed"]
    assert [("RuntimeError: not this time", 0)] * len(failed) == [
        (told.word(name)[1], world.has(name)) for name in failed
    ]
    assert "given up: the project could not be loaded for it: RuntimeError: not this time" in told.log
