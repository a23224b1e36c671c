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
        self._ends: set[socket.socket] = set()
        self._threads = [self._start(self._accept)]

    # -- what may happen to a network

    def hole(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._passing.clear()

    def cut(self) -> None:
        """Every connection is closed; new ones are served."""
        for end in tuple(self._ends):
            _hang_up(end)

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
        _hang_up(self._listener)  # closing alone would not wake who waits there
        for thread in self._threads:
            thread.join()
        self._listener.close()

    # -- forwarding

    @staticmethod
    def _start(work, *args) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(self._start(self._serve, near))

    def _serve(self, near: socket.socket) -> None:
        """One connection, both ways, to its end."""
        with near:
            if self._refusing:
                return
            with contextlib.suppress(OSError), socket.create_connection((servers.LOOPBACK, self.target)) as far:
                ends = {near, far}
                self._ends.update(ends)
                if self._refusing:
                    self.cut()
                back = self._start(self._forward, far, near)
                self._forward(near, far)
                back.join()
                self._ends.difference_update(ends)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                self._passing.wait()
                sink.sendall(piece)
        for end in (source, sink):
            _hang_up(end)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
