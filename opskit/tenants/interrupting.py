"""Ctrl-C and SIGTERM while tenants are migrated: once is `finish the tenant at work`, twice is `now`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, Self

from opskit.rollout import step

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While it is entered, a first signal is only noted. Elsewhere than in the main thread it hears nothing."""

    def __init__(self, say: Callable[[str], None]) -> None:
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
