"""Keeps apart the connections that a run begins to one host: sshd drops bursts (MaxStartups 10:30:100)."""

from __future__ import annotations

import threading
import time


class Starts:
    """When the next connection may begin, for all the workers of a run. For use from several threads at once."""

    def __init__(self, apart: float) -> None:
        self._apart = apart  # seconds
        self._next: dict[str, float] = {}  # {host: when, on the monotonic clock}
        self._asking = threading.Lock()

    def due(self, host: str) -> float:
        """The seconds until a connection to this host may begin. Whoever asks begins one then."""
        with self._asking:
            now = time.monotonic()
            at = max(now, self._next.get(host, now))
            self._next[host] = at + self._apart
        return at - now
