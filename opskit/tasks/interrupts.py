"""Ctrl-C, SIGTERM and a closed terminal: once is `finish what is at work`, twice `end it`, thrice `leave it`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

_FINISHING = "interrupted: finishing what is at work, then stopping. once more ends it."
_IDLE = "interrupted: nothing is at work, and nothing more starts."
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, a signal raises KeyboardInterrupt.

    Where `patient` is set, the first one only asks for an end. Where tenants are `at_work`, the second one only asks
    for an end of those.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._before: dict[int, Any] = {}
        self.asked = False
        self.ending = False  # what is at work is to be ended
        self.at_work: set[str] = set()  # the tenants that are
        self.idle = False  # it is waited, and nothing is at work, a hook neither
        self.patient = False
        self.over = False  # there is only writing down left: nothing more may interrupt that
        self.began = False  # a command may have been started

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._heard) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        if self.over:
            return
        if self.patient and not self.asked:
            self.asked = True
            self._say(_IDLE if self.idle and not self.at_work else _FINISHING)
        elif self.at_work and not self.ending:
            self.ending = True
            self._say("interrupted again: ending what is at work. once more leaves it to itself.")
        else:
            raise KeyboardInterrupt
