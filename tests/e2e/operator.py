"""An operator at a terminal: the real programs as subprocesses, in a folder and a HOME of their own.

The project that is migrated is a manage.py of a few lines (`framework: custom`), reached as `local`
unless a test says otherwise: what is tested here is what opskit says and does, not Django.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

BIN = Path(sys.executable).parent
PATIENCE = 60.0  # seconds for anything that ought to happen at once
TENANTS = ("acme", "globex", "initech")
TASKS = "from opskit.tasks import namespace\n"

LISTING = f"""\
print(json.dumps([{{"tenant_id": name, "name": name.title()}} for name in {TENANTS}]))
"""
SHARED = """\
print("  Applying auth.0001_initial... OK")
"""
MIGRATE = """\
print("  Applying members.0001_initial... OK")
print(f"Migrated {tenant}")
"""
HELD = """\
(here / "begun").touch()
while not (here / "go").exists():
    time.sleep(0.01)
"""
STUBBORN = """\
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
FRAMEWORK = {
    "name": "custom",
    "list": ["tenants", "--json"],
    "migrate": ["migrate_one", "--tenant={tenant}"],
    "success": r"^Migrated \S+",
}

_MANAGE = '''\
import json
import os
import sys
import time
from pathlib import Path

here = Path(__file__).resolve().parent


def tenants():
{listing}

def pending():
    """Everyone who was not migrated has one migration to apply."""
    done = (here / "migrated").read_text().split() if (here / "migrated").exists() else []
    print(json.dumps({{name: [] if name in done else ["members.0001_initial"] for name in {names}}}))


def migrate_one(tenant):
{migrate}

def migrate_shared():
{shared}

command, *words = sys.argv[1:]
if command == "migrate_one":
    tenant = words[0].removeprefix("--tenant=")
    with (here / "asked").open("a") as witness:
        print(tenant, file=witness)
    migrate_one(tenant)
    with (here / "migrated").open("a") as witness:
        print(tenant, file=witness)
elif command == "migrate_shared":
    with (here / "asked").open("a") as witness:
        print("(shared)", file=witness)
    migrate_shared()
else:
    {{"tenants": tenants, "pending": pending}}[command]()
'''


@dataclass(frozen=True)
class Result:
    """What a program left: its exit code, and all that it printed."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What stands on stderr besides the lines of progress, which begin with the time of day."""
        lines = self.err.splitlines()
        return "\n".join(line for line in lines if not re.match(r"\d\d:\d\d:\d\d ", line))


UNTOUCHED = "nothing was migrated."


def refuses(result: Result, code: int, what: str, hint: str = "") -> None:
    """Assert that a program did nothing but say one message: what failed, the state of the world, what to type next.

    A mistake in what was typed (2) need not say that nothing happened.
    """
    state = rf"(?: {re.escape(UNTOUCHED)})" + ("?" if code == 2 else "")
    sentences = [re.escape(what), r"[.?]?", state, re.escape(f" {hint}") if hint else "", r"\.?"]
    assert (result.code, result.out) == (code, "")
    assert re.fullmatch("".join(sentences), result.message), f"{result.message!r} is not: {what} | {hint}"


class Desk:
    """The folder of an operator: tasks.py, inventories/, a HOME, and the project in `app/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = folder / "app"
        self.home = folder / "home"
        self.home.mkdir()
        (folder / "inventories").mkdir()
        (folder / "tasks.py").write_text(TASKS)

    # -- what stands there

    def project(self, listing: str = LISTING, migrate: str = MIGRATE, shared: str = SHARED) -> None:
        """Write the project. `listing`, `migrate` and `shared` are bodies of functions; `migrate` knows `tenant`."""
        self.app.mkdir(exist_ok=True)
        bodies = {"listing": listing, "migrate": migrate, "shared": shared}
        indented = {name: textwrap.indent(body, "    ") for name, body in bodies.items()}
        (self.app / "manage.py").write_text(_MANAGE.format(**indented, names=TENANTS))

    def inventory(self, name: str = "prod", *, app=None, framework=None, **more) -> Path:
        """Write inventories/<name>.yaml: the project on this machine, and what the test adds, changes or takes out."""
        usual = {"path": "app", "python": sys.executable, "state_dir": str(self.folder / "state")}
        content = {
            "app": {key: value for key, value in {**usual, **(app or {})}.items() if value is not None},
            "framework": framework or FRAMEWORK,
            "hosts": ["local"],
            **more,
        }
        file = self.folder / "inventories" / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return file

    def over_ssh(self, *servers, known_hosts: Path, app=None, ssh=None, name: str = "prod", **more) -> Path:
        """Write an inventory whose hosts are `servers`: each an Sshd, or a host's mapping."""
        hosts = {
            f"app{number}": server
            if isinstance(server, dict)
            else {
                "address": server.host,
                "port": server.port,
                "user": server.user,
                "identity_file": str(server.identity_file),
            }
            for number, server in enumerate(servers, 1)
        }
        return self.inventory(
            name,
            app={"path": str(self.app), **(app or {})},
            hosts=hosts,
            ssh={"known_hosts": str(known_hosts), "connect_timeout": "2s", **(ssh or {})},
            **more,
        )

    # -- what the operator types

    def run(
        self, *argv: str, program: str = "invoke", env=None, cwd: Path | None = None, patience=PATIENCE, **popen
    ) -> Result:
        """Type a command, and wait for its end. `env` is added to an environment that holds almost nothing."""
        popen.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            [BIN / program, *argv],
            cwd=cwd or self.folder,
            env=self.environ(env),
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
            **popen,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def running(self, *argv: str, program: str = "invoke", env=None, stdin=subprocess.DEVNULL, into: str = ""):
        """Type a command and do something else meanwhile: gives a Running, which is ended in the end."""
        said = [self.folder / f"{into}{name}" for name in ("out", "err")]
        with said[0].open("wb") as out, said[1].open("wb") as err:
            process = subprocess.Popen(
                [BIN / program, *argv],
                cwd=self.folder,
                env=self.environ(env),
                stdin=stdin,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        try:
            yield Running(process, *said)
        finally:
            process.kill()
            process.wait()

    def at_a_terminal(self, *argv: str, columns: int = 80, program: str = "invoke", env=None, meanwhile=None) -> Result:
        """Type a command at a terminal of so many columns: what it is sent stands in `out`.

        `meanwhile(said, resize)` is called with all that was said so far after each piece of it; `resize(columns)` is
        what a hand at a window's corner does.
        """
        ours, theirs = pty.openpty()

        def resize(columns: int) -> None:
            fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        resize(columns)
        said = b""
        with subprocess.Popen(
            [BIN / program, *argv], cwd=self.folder, env=self.environ(env), stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            with contextlib.suppress(OSError):  # Linux says so when the last writer is gone
                while piece := os.read(ours, 65536):
                    said += piece
                    if meanwhile:
                        meanwhile(said.decode(errors="replace"), resize)
        os.close(ours)
        return Result(process.returncode, said.decode(errors="replace"), "")

    def environ(self, more=None) -> dict[str, str]:
        """What is set where the programs run; None in `more` takes a variable away."""
        usual = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm"}
        return {name: value for name, value in {**usual, **(more or {})}.items() if value is not None}

    @contextlib.contextmanager
    def held(self, *argv: str, listing: bool = False, stubborn: bool = False, migrate: str = "", **run):
        """Type a command, and wait until the first tenant (or the listing) is at work: until `let_go` it stays so.

        `migrate` is what the project does before.
        """
        before = migrate + STUBBORN * stubborn
        self.project(listing=HELD + LISTING) if listing else self.project(migrate=before + HELD + MIGRATE)
        with self.running(*argv, **run) as running:
            until((self.app / "begun").exists, "a beginning of what the project does", running)
            try:
                yield running
            finally:
                self.let_go()  # what runs on the host goes on to its end, whatever became of the test

    def let_go(self) -> None:
        (self.app / "go").touch()

    # -- what came of it

    @property
    def asked(self) -> list[str]:
        """The tenants whose command was started, in that order."""
        return _lines(self.app / "asked")

    @property
    def migrated(self) -> list[str]:
        """The tenants whose command came to its end."""
        return _lines(self.app / "migrated")

    @property
    def runs(self) -> list[Path]:
        """The folders of the runs, oldest first."""
        return sorted((self.folder / ".opskit" / "runs").glob("*"))

    def journal(self) -> list[dict]:
        """The events of the newest run."""
        return [json.loads(line) for line in (self.runs[-1] / "journal.jsonl").read_text().splitlines()]

    def log(self) -> str:
        return (self.runs[-1] / "run.log").read_text()

    def kept(self) -> str:
        """All that any run has left in .opskit: journals, logs, the tenants' output."""
        files = [each for each in (self.folder / ".opskit").rglob("*") if each.is_file()]
        return "\n".join(f"{each.name}\n{each.read_text(errors='replace')}" for each in files)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@dataclass(frozen=True)
class Running:
    """A program that has not ended yet."""

    process: subprocess.Popen
    out: Path
    err: Path

    def says(self, words: str) -> None:
        """Wait until it has said that on stderr."""
        until(lambda: words in self.err.read_text(), f"`{words}` on stderr", self)

    def press_ctrl_c(self) -> None:
        """A terminal sends it to the whole group of processes in front."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> Result:
        code = self.process.wait(PATIENCE)
        return Result(code, self.out.read_text(), self.err.read_text())


def until(condition, what: str, running: Running | None = None) -> None:
    """Wait for something that others do."""
    patience = time.monotonic() + PATIENCE
    while not condition():
        ended = running is not None and running.process.poll() is not None and not condition()
        if ended or time.monotonic() > patience:
            said = f": {running.out.read_text()}{running.err.read_text()}" if running else ""
            raise AssertionError(f"there never was {what}{said}")
        time.sleep(0.01)


class Terminal:
    """A terminal for a program's stdin, at which somebody sits."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()

    def answers(self, running: Running, question: str, *answers: str) -> None:
        """Wait for the question, as often as there are answers, and type them."""
        for number, answer in enumerate(answers, 1):
            until(lambda n=number: running.err.read_text().count(question) >= n, f"question {number}", running)
            os.write(self.ours, (answer if answer == "\x04" else f"{answer}\n").encode())

    def close(self) -> None:
        os.close(self.ours)
        os.close(self.theirs)
