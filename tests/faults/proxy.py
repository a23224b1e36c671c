"""A line between two loopback ports that can be cut, or go silent without being closed."""

from __future__ import annotations

import contextlib
import socket
import threading

import servers

PIECE = 64 * 1024


class Proxy:
    """Listens on `port` and forwards to `target`, for as long as it is let."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server((servers.LOOPBACK, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._passing = threading.Event()
        self._passing.set()
        self._refusing = False
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    # -- what may happen to a network

    def hole(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._passing.clear()

    def cut(self) -> None:
        """Every connection is closed; new ones are served."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def refuse(self) -> None:
        """Every connection is closed, and new ones are closed at once."""
        self._refusing = True
        self.cut()

    def mend(self) -> None:
        """What waited is forwarded, new connections are served."""
        self._refusing = False
        self._passing.set()

    def close(self) -> None:
        self.refuse()
        self._passing.set()
        self._listener.close()

    # -- forwarding

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                near.close()
                continue
            try:
                far = socket.create_connection((servers.LOOPBACK, self.target))
            except OSError:
                near.close()
                continue
            self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(PIECE):
                self._passing.wait()
                sink.sendall(piece)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
