"""Looks after the tenant at work: ends it when the operator asks twice, and says so when it has gone quiet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opskit import durations
from opskit.reporters.text import named
from opskit.rollout import drive
from opskit.tasks import interrupts

QUIET = 300.0  # seconds without output after which that is said; each further time after twice as long


@dataclass
class Attending:
    """Mutable: it is about one tenant after the other. `end` ends what is at work, `notice` tells the operator."""

    interrupted: interrupts.Interrupts
    clock: drive.Clock
    end: Callable[[], None]
    notice: Callable[[str], None] = lambda _: None
    tenant: str = ""
    usual: float | None = None
    heard_at: float = 0.0
    patience: float = QUIET

    def begin(self, tenant: str, usual: float | None) -> None:
        """A tenant's command is about to start; it usually takes so many seconds."""
        self.tenant, self.usual = tenant, usual
        self.heard()

    def heard(self) -> None:
        """It has printed something."""
        self.heard_at, self.patience = self.clock.monotonic(), QUIET

    def look(self) -> None:
        """Called every now and then while it is at work."""
        if self.interrupted.ending:
            self.end()
        if self.clock.monotonic() - self.heard_at >= self.patience:
            usually = "" if self.usual is None else f"; it usually takes {durations.show(self.usual)}"
            self.notice(f"`{named(self.tenant)}` has printed nothing for {durations.show(self.patience)}{usually}")
            self.patience *= 2
