"""Ctrl-C, SIGTERM and a closed terminal: once is `finish the tenant at work`, twice is `now`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, the first signal raises KeyboardInterrupt, or only asks where `patient` is set."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._before: dict[int, Any] = {}
        self.asked = False
        self.patient = False
        self.over = False  # there is only writing down left: nothing more may interrupt that
        self.began = False  # a command may have been started

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._heard) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        if self.over:
            return
        if not self.patient or self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._say("interrupted: finishing what is at work, then stopping. once more leaves at once.")
