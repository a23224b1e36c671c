"""The seam between transports and the agent's client: bytes both ways, and what was said on stderr."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from opskit import errors, model

_KEPT = 4096  # bytes of stderr that a message may need

BOOT = "import sys;i=sys.stdin.buffer;exec(compile(i.read(int(i.readline())),'opskit-agent','exec'))"
"""What the remote Python is started with: it reads the agent's length, then the agent, from stdin."""


TEXTS = {"facts": ("status",)}
"""{question: the programs whose text it gets as its last arguments}."""


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

    def exit(self, timeout: float) -> int | None:
        """The process's exit code, waiting for it at most `timeout` seconds; None where nobody knows."""
        ...

    def refusal(self) -> errors.OpskitError | None:
        """Why the host was never reached, where the stream finds out only after it was made."""
        ...


def agent_argv(app: model.App) -> tuple[str, ...]:
    """The command that starts the agent's Python, inside run_as and wrapper."""
    run_as = ("sudo", "-n", "-H", "-u", app.run_as, "--") if app.run_as else ()
    return (*run_as, *app.wrapper, app.python, "-u", "-c", BOOT)


def agent_source() -> bytes:
    """The agent, as it is sent: its length on a line, then its text."""
    text = source("agent").encode()
    return b"%d\n" % len(text) + text


def source(name: str) -> str:
    """The text of a program in `opskit/remote/`."""
    return (Path(__file__).parent.parent / "remote" / f"{name}.py").read_text(encoding="utf-8")


class Tail:
    """Drains a stderr in a thread of its own, so that it never fills, and keeps the end of it."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._pieces: collections.deque[bytes] = collections.deque(maxlen=64)
        self._thread = threading.Thread(target=self._drain, args=(read,), daemon=True, name="opskit-stderr")
        self._thread.start()

    def _drain(self, read: Callable[[], bytes]) -> None:
        try:
            while data := read():
                self._pieces.append(data[-_KEPT:])
        except OSError:
            return

    def text(self, settle: float = 0.5) -> str:
        """What was kept; where the process is ending, waits up to `settle` seconds for its last words."""
        self._thread.join(settle)
        return b"".join(tuple(self._pieces))[-_KEPT:].decode("utf-8", "replace")


Connector = Callable[[model.Environment, model.Host], Stream]
"""Opens the stream of a new agent process on a host. Raises ConnectError or HostKeyError."""


def shown(argv: Sequence[str]) -> str:
    """A command as a message shows it: without the fixed text of the boot program."""
    return " ".join(part if part != BOOT else "…" for part in argv)
