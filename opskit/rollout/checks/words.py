"""What the checks say their findings with."""

from __future__ import annotations

from collections.abc import Sequence

from opskit import model
from opskit.rollout.places import short

__all__ = [
    "FAILED",
    "MORE_TIME",
    "OK",
    "SHOWN",
    "UNKNOWN",
    "WARNING",
    "or_more_time",
    "plural",
    "short",
    "size",
    "some",
]

OK, WARNING, FAILED, UNKNOWN = (
    model.CheckStatus.OK,
    model.CheckStatus.WARNING,
    model.CheckStatus.FAILED,
    model.CheckStatus.UNKNOWN,
)

SHOWN = 5  # names in a message
MORE_TIME = "`--timeout` gives each question more time."


def size(number: int) -> str:
    """Bytes for people: `1.2 GB`."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:  # noqa: PLR2004 - three digits fit
            return f"{amount:.0f} {unit}" if unit in ("B", "kB", "MB") else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"`{short(name)}`" for name in names[:SHOWN]) + more


def or_more_time(error: str, hint: str) -> str:
    return MORE_TIME if error.endswith("timed out") else hint
