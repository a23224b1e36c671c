"""Ctrl-C and SIGTERM while tenants are made or migrated: once is `in good order`, twice is `now`."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

from opskit.rollout import step

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class LeftError(KeyboardInterrupt):
    """A second signal: whoever undoes what was done stops there.

    As a KeyboardInterrupt it makes psycopg 3 cancel the statement that it comes in.
    """


class Interrupts:
    """While it is entered, a first signal is only noted. Elsewhere than in the main thread it hears nothing."""

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        self._say = say
        self._before: dict[int, Any] = {}
        self._asked = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._heard) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def word(self) -> step.Word:
        """What rollout's loop asks before each tenant."""
        return step.Word(stop=step.INTERRUPTED) if self._asked else step.NOTHING_SAID

    def _heard(self, _number: int, _frame: Any) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._say("interrupted: the tenant at work is finished, and no other is started. once more leaves at once.")


class Undoing(Interrupts):
    """While it is entered, a first signal raises KeyboardInterrupt, so that what was made is undone.

    It waits for the end of a step that is made whole: what became of half a step nobody would know. A second
    signal raises LeftError wherever it comes.
    """

    _whole = False

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        self._whole = True
        try:
            yield
        finally:
            self._whole = False

    def look(self) -> None:
        """Raises KeyboardInterrupt where a signal came during such a step."""
        if self._asked:
            raise KeyboardInterrupt

    def _heard(self, _number: int, _frame: Any) -> None:
        if self._asked:
            raise LeftError
        self._asked = True
        self._say("interrupted: what was created is being removed. once more leaves at once.")
        if not self._whole:
            raise KeyboardInterrupt
