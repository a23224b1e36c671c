"""A command on this machine, watched: its end, its output, its time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from typing import IO, NamedTuple

from opskit import durations

_KEPT = 256 * 1024  # bytes of the output that are read: its end


class Ended(NamedTuple):
    """How a command ended: what it printed (the end of it), why it failed ("" where it did not), its exit code.

    The code is None where it was not started, or had to be ended.
    """

    output: str
    why: str
    code: int | None


def run(
    argv: tuple[str, ...],
    text: str,
    environ: Mapping[str, str],
    folder: str,
    timeout: float | None,
    grace: float = 5.0,
) -> Ended:
    """Run a command with `text` on its stdin.

    It has a session of its own, so that Ctrl-C does not reach it. Who leaves while it runs (KeyboardInterrupt), or
    after `timeout` seconds, ends it and all of its process group: SIGTERM, `grace` seconds later SIGKILL. Both
    streams are files, not pipes: it need not read what it is told, and a daemon that it leaves behind keeps nobody
    waiting.
    """
    try:
        with _given(text) as given, tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                argv,
                stdin=given,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=folder,
                start_new_session=True,
            )
            code, why = _watched(process, timeout, grace)
            return Ended(_end_of(printed), why, code)
    except (OSError, ValueError) as error:  # ValueError: a NUL in a tenant's id, which no environment can hold
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Ended("", f"it could not be started: {reason.lower()}", None)


def _given(text: str) -> IO[bytes]:
    """A file with `text`: in memory where that can be, since what undoes a thing has to run on a full disk, too."""
    in_memory = hasattr(os, "memfd_create")
    file = os.fdopen(os.memfd_create("opskit"), "w+b") if in_memory else tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    try:
        file.write(text.encode())
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _watched(process: subprocess.Popen[bytes], timeout: float | None, grace: float) -> tuple[int | None, str]:
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        ended = "its processes were ended" if _finish(process, grace) else "its processes could not be ended"
        return None, f"it timed out after {durations.show(timeout or 0.0)}: {ended}"
    except BaseException:
        _finish(process, grace)
        raise
    if code < 0:
        return code, f"it was ended by signal {-code}"
    return code, f"it exited {code}" if code else ""


def _finish(process: subprocess.Popen[bytes], grace: float) -> bool:
    """End its process group, politely first. False where it could not be ended: sudo has made it another user's."""
    try:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    finally:
        _signal(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    return process.poll() is not None


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _KEPT))
    text = file.read().decode("utf-8", "replace")
    return text if size <= _KEPT else f"… {text.partition(chr(10))[2] or text}"
