"""The seam between transports and the agent's client: bytes both ways, and what was said on stderr."""

from __future__ import annotations

import collections
import re
import shlex
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from opskit import errors, model

_KEPT = 4096  # bytes of stderr that a message may need
_REMOTE = Path(__file__).parent.parent / "remote"

MAGIC = b"\0opskit-agent 1\n"
"""What the other end says first: from then on it is ours, and what stands before is a login shell's, say."""

BOOT = (
    f"import io,os;os.write(1,{MAGIC!r});i=io.BufferedReader(io.FileIO(0,closefd=False),1);"
    "exec(compile(i.read(int(i.readline())),'opskit-agent','exec'))"
)
"""What the remote Python is started with: it says so, and reads the agent's length, then the agent, from stdin.

And no byte more (a buffer of one reads nothing ahead): what follows is for the agent itself.
"""

TEXTS = {
    "facts": ("status",),
    "sql": ("status",),
    "status": ("timeouts",),
    "timeouts": ("status",),
    "undo": ("status",),
}
"""{question: the programs whose text it gets as its last arguments}."""

WARM = ("", "status", "timeouts")
"""The questions, "" for a management command, that the warm runner may fork: those that need the project."""

PROMPT = "[opskit: the password for sudo] "
"""What sudo is told to ask with, on stderr. No %: sudo fills them in."""

ADMITTED = "opskit: sudo let the agent in\n"
"""What the agent's Python says on stderr where sudo may have asked: only then is stdin the agent's."""

_BOOT_AFTER_SUDO = f"import sys;sys.stderr.write({ADMITTED!r});sys.stderr.flush();{BOOT}"


BUSY = "an sshd that too many want to log in to does that: see `MaxStartups` there, and on a bastion."
"""What to look at where a server hung up before a session began."""


class Stream(Protocol):
    """One process's stdin and stdout on a host.

    `recv` blocks and answers b"" at the end. `send` blocks and raises OSError when the line is dead.
    `close` may be called from any thread, and wakes a blocked `recv`.
    """

    def send(self, data: bytes) -> None: ...

    def recv(self) -> bytes: ...

    def close(self) -> None: ...

    def stderr(self) -> str:
        """The end of what came on stderr so far."""
        ...

    def heard(self, true: Callable[[str], bool], timeout: float) -> bool:
        """Whether it came true of stderr so far, waiting for that or its end at most `timeout` seconds."""
        ...

    def exit(self, timeout: float) -> int | None:
        """The process's exit code, waiting for it at most `timeout` seconds; None where nobody knows."""
        ...

    def refusal(self) -> errors.OpskitError | None:
        """Why the host was never reached, where the stream finds out only after it was made."""
        ...


def agent_argv(app: model.App) -> tuple[str, ...]:
    """The command that starts the agent's Python, inside run_as and wrapper."""
    return (*_sudo(app), *app.wrapper, app.python, "-u", "-c", _BOOT_AFTER_SUDO if app.sudo_password else BOOT)


def _sudo(app: model.App) -> tuple[str, ...]:
    if not app.run_as:
        return ()
    asking = ("-S", "-p", PROMPT) if app.sudo_password else ("-n",)
    return ("sudo", *asking, "-H", "-u", app.run_as, "--")


def remote_line(app: model.App) -> str:
    """That command for a login shell, whichever it is: a line with every word quoted.

    Inside single quotes csh still sees `!`, and fish a backslash: these two stand outside, behind a backslash.
    """
    return " ".join(re.sub(r"[!\\]", r"'\\\g<0>'", shlex.quote(word)) for word in agent_argv(app))


def admit(line: Stream, password: str, patience: float) -> bool:
    """Answer sudo once, where it asks. False where it asks again: a second try could lock the account.

    Nothing is sent before sudo asks, and nothing after a wrong answer: it would take the agent's text for passwords.
    Raises TimeoutError where it says neither for `patience` seconds, or ends.
    """
    _expect(line, lambda said: PROMPT in said or ADMITTED in said, patience)
    if not line.heard(_admitted, 0.0):
        line.send(password.encode() + b"\n")
        _expect(line, lambda said: said.count(PROMPT) > 1 or ADMITTED in said, patience)
    return line.heard(_admitted, 0.0)


def _admitted(said: str) -> bool:
    return ADMITTED in said


def _expect(line: Stream, words: Callable[[str], bool], patience: float) -> None:
    if not line.heard(words, patience):
        raise TimeoutError("sudo neither asked for a password nor let the agent in")


def agent_source() -> bytes:
    """The agent, as it is sent: its length on a line, then one text with all its modules in it."""
    modules = {file.stem: file.read_text(encoding="utf-8") for file in sorted((_REMOTE / "agent").glob("*.py"))}
    text = f"{modules.pop('boot')}\n\nstart({modules!r})\n".encode()
    return b"%d\n" % len(text) + text


def source(name: str) -> str:
    """The text of a program in `opskit/remote/`."""
    return (_REMOTE / f"{name}.py").read_text(encoding="utf-8")


class Tail:
    """Drains a stderr in a thread of its own, so that it never fills, and keeps the end of it."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._pieces: collections.deque[bytes] = collections.deque(maxlen=64)
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._drain, args=(read,), daemon=True, name="opskit-stderr")
        self._thread.start()

    def _drain(self, read: Callable[[], bytes]) -> None:
        try:
            while data := read():
                self._take(data)
        except OSError:
            pass
        self._take(b"", ended=True)

    def _take(self, data: bytes, *, ended: bool = False) -> None:
        with self._changed:
            self._pieces.append(data[-_KEPT:])
            self._ended = ended
            self._changed.notify_all()

    def heard(self, true: Callable[[str], bool], timeout: float) -> bool:
        """Whether it came true of what was kept, waiting for that or the end at most `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or true(self._text()), timeout)
            return true(self._text())

    def text(self, settle: float = 0.5) -> str:
        """What was kept; where the process is ending, waits up to `settle` seconds for its last words."""
        self._thread.join(settle)
        return self._text()

    def _text(self) -> str:
        return b"".join(tuple(self._pieces))[-_KEPT:].decode("utf-8", "replace")


Connector = Callable[[model.Environment, model.Host], Stream]
"""Opens the stream of a new agent process on a host. Raises ConnectError or HostKeyError."""


def of_others(said: str) -> str:
    """What came on stderr, without what is ours: sudo repeats the whole command where it refuses it."""
    for ours, instead in ((PROMPT, ""), (ADMITTED, ""), (_BOOT_AFTER_SUDO, "…"), (BOOT, "…")):
        said = said.replace(ours, instead)
    return said


def shown(argv: Sequence[str]) -> str:
    """A command as a message shows it: without the fixed text of the boot program."""
    return " ".join(part if part not in (BOOT, _BOOT_AFTER_SUDO) else "…" for part in argv)
