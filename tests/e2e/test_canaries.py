"""Secrets: canaries are planted wherever one may be, and then looked for wherever one must not be."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from receiver import receiver

from e2e import operator

# What the operator's environment holds, and the host's env_file.
GIVEN = {
    "ACME_DB_PASSWORD": "canary-database-1f9a",
    "ACME_DSN": "postgres://acme:canary-inside-2b8c@db/acme",
    "ACME_PEM": "-----BEGIN KEY-----\ncanary-first-line-3c7d\ncanary-last-line-4d6e\n-----END KEY-----",
    "ACME_HOOK_TOKEN": "canary-hook-5e5f",
    "ACME_SPLIT": "canary-cut-in-two-6f40",
    "ACME_PART": "canary-part-of-a-value-b0e8",
}
IN_FILE = "canary-env-file-7a31"
# What only the project knows: it has the form of a credential.
PRINTED = {"url": "canary-url-8b22", "settings": "canary-settings-9c13"}
WEBHOOK = "canary-webhook-ad04"

TALKATIVE = f"""\
import sys
secret = os.environ
print("dsn", secret["DSN"], secret["DB_PASSWORD"], secret["FILE_TOKEN"])
print(secret["PEM"], secret["OPTIONS"].split(";")[1])
print(repr(secret["PEM"]), json.dumps(dict(secret)))
print("connecting to postgres://acme:{PRINTED["url"]}@db/acme")
sys.stdout.write("cut: " + secret["SPLIT"][:9])
sys.stdout.flush()
time.sleep(0.3)
sys.stdout.write(secret["SPLIT"][9:] + " and postgres://acme:{PRINTED["url"][:5]}")
sys.stdout.flush()
time.sleep(0.3)
print("{PRINTED["url"][5:]}@db/acme")
if tenant == "acme":
    DATABASES = {{"default": {{"NAME": "acme", "PASSWORD": "{PRINTED["settings"]}"}}}}
    raise RuntimeError(f"no login with {{secret['DB_PASSWORD']}} and {{DATABASES}} at {{secret['DSN']}}")
if tenant == "globex":
    raise RuntimeError(f"no login with {{secret['DB_PASSWORD']}} and {{secret['SPLIT']}} at {{secret['DSN']}}")
""" + operator.MIGRATE  # fmt: skip

HOOK = """\
#!/bin/sh
env
cat >> told
echo >> told
"""


@pytest.fixture
def planted(empty, sshd):
    """A desk whose `prod` holds every canary, over a real SSH connection."""
    empty.project(migrate=TALKATIVE)
    (empty.folder / "env_file").write_text(f"export FILE_TOKEN='{IN_FILE}'\n")
    (empty.folder / "hook").write_text(HOOK)
    (empty.folder / "hook").chmod(0o755)
    env = {
        "DB_PASSWORD": "${ACME_DB_PASSWORD}",
        "DSN": "${ACME_DSN}",
        "PEM": "${ACME_PEM}",
        "SPLIT": "${ACME_SPLIT}",
        "OPTIONS": "mode=fast;${ACME_PART};x",
    }

    def plant(notify: str, client: str) -> None:
        kinds = ("before", "tenant_before", "tenant_after", "failure", "after")
        empty.over_ssh(
            sshd,
            known_hosts=sshd.known_hosts,
            app={"env": env, "env_file": str(empty.folder / "env_file")},
            ssh={"client": client},
            framework={**operator.FRAMEWORK, "pending": ["pending"]},
            hooks={kind: ['echo "$ACME_HOOK_TOKEN"; ./hook'] for kind in kinds},
            notify=notify,
        )

    empty.plant = plant
    return empty


@contextlib.contextmanager
def watching_command_lines():
    """The command lines, of whatever runs on this machine meanwhile, that hold a canary."""
    found: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            for process in Path("/proc").glob("[1-9]*"):
                with contextlib.suppress(OSError):
                    line = (process / "cmdline").read_bytes()
                    if any(canary.encode() in line for canary in _values()):
                        found.add(line)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _values() -> list[str]:
    values = [*GIVEN.values(), IN_FILE, WEBHOOK]
    return [line for value in values for line in value.splitlines() if "canary" in line]


def leaks(where: dict[str, str]) -> list[str]:
    """Each place in which a canary sings, with the line."""
    return [f"{name}: {line}" for name, text in where.items() for line in text.splitlines() if "canary-" in line]


def kept(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("client", ["fabric", "openssh"])
@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["quiet", "debug"])
def test_no_canary_sings_anywhere(planted, client, debug):
    with receiver() as server, watching_command_lines() as command_lines:
        planted.plant(f"http://127.0.0.1:{server.server_address[1]}/services/{WEBHOOK}", client)
        gate = 'echo "$ACME_DB_PASSWORD $ACME_HOOK_TOKEN"'
        asked = ("migrate-all", "--env=prod", f"--gate={gate}", "-v", "--log-file=log", "--retries=1")
        table = planted.run(*debug, *asked, env=GIVEN)
        again = planted.run(*debug, *asked, "--format=json", env=GIVEN)
        shown = [planted.run(*debug, "show-run", f"--format={form}", env=GIVEN) for form in ("table", "json")]
        plan = planted.run(*debug, "migrate-all", "--env=prod", "--plan", "--out=plan.json", env=GIVEN)
        inventory = planted.run(*debug, "inventory", "--env=prod", env=GIVEN)

    assert (5, 5) == (table.code, again.code), table.err
    assert {"acme", "globex"} <= {each["tenant_id"] for each in json.loads(again.out)["outcomes"]}
    results = {
        "table": table,
        "again": again,
        "shown": shown[0],
        "json": shown[1],
        "plan": plan,
        "inventory": inventory,
    }
    said = {
        f"{name} {stream}": getattr(result, stream) for name, result in results.items() for stream in ("out", "err")
    }
    heard = {"webhook": json.dumps([body for _, _, body in server.told])}
    files = {
        **kept(planted.folder / ".opskit"),
        **kept(planted.folder / "state"),
        **{name: (planted.folder / name).read_text() for name in ("log", "told", "plan.json")},
    }
    assert [] == leaks({**said, **heard, **files})
    assert set() == command_lines
    # they were there to be found
    assert "[REDACTED]" in files[str(next(planted.runs[-1].glob("tenants/acme-*.log")))]
    assert "[REDACTED]" in table.out
    assert len(server.told) > 2


def test_a_secret_on_our_own_command_line_is_not_written_down(desk):
    desk.inventory(app={"env": {"DB_PASSWORD": "${ACME_DB_PASSWORD}"}})
    secret = GIVEN["ACME_DB_PASSWORD"]
    result = desk.run("migrate-all", f"--gate=test {secret} = {secret}", env=GIVEN)
    assert 0 == result.code, result.err
    assert [] == leaks({"out": result.out, "err": result.err, **kept(desk.folder / ".opskit")})


def test_a_crash_tells_no_secret_whether_it_is_debugged_or_not(desk):
    """An inventory that can't be read any more after it was chosen: its own path holds the secret."""
    (desk.folder / "tasks.py").write_text(
        "from invoke import Collection\nfrom opskit import tasks\nfrom opskit.tasks.task import task, environment\n\n\n"
        "@task(help={})\ndef crash(context):\n    chosen = environment(context, None)\n"
        "    raise LookupError('nothing at ' + chosen.app.env['DSN'] + ' nor at postgres://u:canary-url@db')\n\n\n"
        "namespace = Collection(crash)\n"
    )
    desk.inventory(app={"env": {"DSN": "${ACME_SPLIT}"}})
    results = [desk.run(*debug, "crash", env=GIVEN) for debug in ((), ("--debug",))]
    assert [1, 1] == [result.code for result in results]
    assert [] == leaks(
        {f"{at} {name}": getattr(each, name) for at, each in enumerate(results) for name in ("out", "err")}
    )
    assert "nothing at [REDACTED] nor at postgres://u:[REDACTED]@db" in results[0].err
    assert "Traceback" in results[1].err


# ---------------------------------------------------------------- files


def modes(folder: Path) -> dict[str, int]:
    """{path: permissions} of all that is in a folder, and of itself, where they are not those of its owner alone."""
    every = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    usual = {path: 0o700 if stat.S_ISDIR(found.st_mode) else 0o600 for path, found in every.items()}
    return {
        str(path): stat.S_IMODE(found.st_mode)
        for path, found in every.items()
        if stat.S_IMODE(found.st_mode) != usual[path]
    }


WITNESS = """\
mask = os.umask(0)
os.umask(mask)
(here / "umask").write_text(oct(mask))
"""


@contextlib.contextmanager
def lax(umask: str):
    """What is started in it has this umask."""
    before = os.umask(int(umask, 8))
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("umask", ["0", "022"])
def test_files_are_for_their_owners_eyes_alone_whatever_the_umask(desk, umask):
    """On this machine the host's side has our umask, too."""
    desk.inventory(app={"state_dir": str(desk.folder / "made" / "for" / "state")})
    with lax(umask), desk.held("migrate-all", "--log-file=log", migrate=WITNESS) as running:
        meanwhile = {**modes(desk.folder / ".opskit"), **modes(desk.folder / "made")}
        there = sorted(path.suffix for path in (desk.folder / "made").rglob("*") if path.is_file())
        desk.let_go()
        assert 0 == running.end().code
    assert [".holder", ".json", ".lock", ".out"] == there
    assert {} == meanwhile
    assert {} == {**modes(desk.folder / ".opskit"), **modes(desk.folder / "made")}
    assert 0o600 == stat.S_IMODE((desk.folder / "log").stat().st_mode)
    assert int(umask, 8) == int((desk.app / "umask").read_text(), 8)  # the project's own files keep the host's
