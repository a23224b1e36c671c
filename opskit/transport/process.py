"""A child process's stdin and stdout as a stream, in a session of its own so that Ctrl-C does not reach it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

from opskit import errors
from opskit.transport import stream

_CHUNK = 256 * 1024


class ProcessStream:
    """A socket pair is the child's stdin and stdout: unlike a pipe's, a blocked read of it can be woken."""

    def __init__(
        self, argv: tuple[str, ...], folder: str | None = None, env: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    argv,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    cwd=folder,
                    env={**os.environ, **env},
                    start_new_session=True,
                )
        except OSError:
            self._socket.close()
            raise
        self._tail = stream.Tail(self._read_stderr)
        self._closing = threading.Lock()

    def _read_stderr(self) -> bytes:
        assert self._process.stderr is not None  # noqa: S101 - for mypy
        return os.read(self._process.stderr.fileno(), 4096)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def recv(self) -> bytes:
        try:
            return self._socket.recv(_CHUNK)
        except OSError:
            return b""

    def close(self) -> None:
        """Hang up. The agent finishes what is at work and ends by itself; a thread of its own waits for that."""
        if self._closing.acquire(blocking=False):
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            threading.Thread(target=self._reap, daemon=True, name="opskit-reaper").start()

    def _reap(self) -> None:
        self._process.wait()
        self._tail.text(settle=5.0)
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._socket.close()

    def stderr(self) -> str:
        return self._tail.text()

    def heard(self, true: Callable[[str], bool], timeout: float) -> bool:
        return self._tail.heard(true, timeout)

    def exit(self, timeout: float) -> int | None:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def refusal(self) -> errors.OpskitError | None:
        return None
