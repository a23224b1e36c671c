"""Has the workers of a run log in one after the other: sshd drops those who are too many at once (MaxStartups)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

_LOOK = 0.25  # seconds between two looks at what the operator wants, while it is waited for


class Starts:
    """Whose turn it is to log in, and whether this run has been let in anywhere. For use from several threads at once.

    It is one turn for all hosts: two of them may be behind one bastion, or two names of one machine.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.let_in = False

    @contextlib.contextmanager
    def turn(self, meanwhile: Callable[[], None]) -> Iterator[None]:
        """A block in which nobody else of this run logs in. Until it begins, `meanwhile` is called now and then."""
        while not self._turn.acquire(timeout=_LOOK):
            meanwhile()
        try:
            yield
        finally:
            self._turn.release()
