"""A command on this machine: how it ended, what it printed, and that none of it is left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from opskit.tasks import child

ENVIRON = {"PATH": os.environ["PATH"], "OPSKIT_TENANT": "a b"}


def shell(line: str, text: str = "", timeout: float | None = 60.0, environ=ENVIRON, folder="/") -> tuple[str, str]:
    return child.run(("/bin/sh", "-c", line), text, environ, folder, timeout)[:2]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo one; echo two >&2", ("one\ntwo\n", "")),
        ("true", ("", "")),
        ("echo no; exit 3", ("no\n", "it exited 3")),
        ("kill -9 $$", ("", "it was ended by signal 9")),
        ('echo "$OPSKIT_TENANT"', ("a b\n", "")),
        ("pwd", ("/\n", "")),
        (r"printf 'caf\351\000\n'", ("caf\N{REPLACEMENT CHARACTER}\0\n", "")),
    ],
)
def test_its_end_and_its_output(line, expected):
    assert expected == shell(line)


def test_it_reads_what_it_is_told():
    assert ('{"event": "before"}', "") == shell("cat", '{"event": "before"}')


def test_one_that_reads_nothing_of_much_is_no_failure():
    assert ("done\n", "") == shell("exec <&-; echo done", "x" * 5_000_000)


def test_of_much_output_the_end_is_kept():
    output, why, code = child.run(
        (sys.executable, "-c", "print('x' * 99); print('y\\n' * 300_000); print('last')"), "", ENVIRON, "/", 60.0
    )
    assert (why, code) == ("", 0)
    assert output.startswith("… y\n")
    assert output.endswith("y\n\nlast\n")
    assert len(output) < 300_000


@pytest.mark.parametrize(
    ("argv", "folder", "environ", "why"),
    [
        (("/no/such/program",), "/", {}, "it could not be started: no such file or directory"),
        (("/etc/passwd",), "/", {}, "it could not be started: permission denied"),
        (("true",), "/no/such/folder", {}, "it could not be started: no such file or directory"),
        (("true",), "/", {"OPSKIT_TENANT": "a\0b"}, "it could not be started: embedded null byte"),
        (("true",), "/", {"OPSKIT_TENANT": "x" * 3_000_000}, "it could not be started: argument list too long"),
    ],
)
def test_one_that_can_not_be_started_is_a_failure_with_its_reason(argv, folder, environ, why):
    assert ("", why, None) == child.run(argv, "", {**ENVIRON, **environ}, folder, 60.0)


def test_after_its_time_it_is_ended_with_all_of_its_group(tmp_path):
    line = f"echo begun; sleep 1000 & echo $! > {tmp_path}/pid; wait"
    assert ("begun\n", "it timed out after 2.0 s: its processes were ended") == shell(line, timeout=2.0)
    assert _gone(int((tmp_path / "pid").read_text()))


def test_one_that_ignores_the_polite_signal_is_killed():
    argv = ("/bin/sh", "-c", "trap '' TERM; echo deaf; while true; do sleep 1; done")
    ended = child.run(argv, "", ENVIRON, "/", 2.0, grace=0.1)
    assert ("deaf\n", "it timed out after 2.0 s: its processes were ended", None) == ended


def test_a_daemon_that_it_leaves_behind_keeps_nobody_waiting(tmp_path):
    output, why = shell(f"sleep 1000 & echo $! > {tmp_path}/pid; echo done")
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGKILL)  # it lives: leaving one behind is allowed
    assert ("done\n", "") == (output, why)


def test_who_leaves_ends_it(tmp_path):
    def leave() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=leave, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        shell(f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 1000")
    assert _gone(int((tmp_path / "pid").read_text()))


def test_it_has_a_session_of_its_own(tmp_path):
    output, _ = shell("ps -o sid= -p $$ 2>/dev/null || cut -d' ' -f6 /proc/$$/stat; echo $$")
    session, pid = output.split()
    assert session == pid


def _gone(pid: int) -> bool:
    """Whether the process ends, if it has not yet: init may be slow to collect it, and a zombie has ended."""
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False
