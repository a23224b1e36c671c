"""Durations as people write them (`60`, `60s`, `10m`, `1h30m`) and as they read them."""

from __future__ import annotations

import math
import re

from opskit import errors

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}  # `exact` says the later of two
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|min|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|min|s|m|h|d))+")
_BARE = re.compile(r"\d+(?:\.\d+)?")


def parse(text: str) -> float:
    """The seconds in `60`, `60s`, `10m`, `1h30m`, `500ms`.

    Raises UsageError for anything else, a sign or an empty text among them.
    """
    text = text.strip()
    seconds = math.inf  # too many digits
    if _BARE.fullmatch(text):
        seconds = float(text)
    elif _WHOLE.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if math.isfinite(seconds):
        return seconds
    raise errors.UsageError(f"expected a duration such as `60`, `60s`, `10m` or `1h30m`, found `{text}`")


def show(seconds: float) -> str:
    """`0.4 s`, `12.3 s`, `2m05s`, `1h02m`."""
    if round(seconds, 1) < 60:  # noqa: PLR2004 - a minute's seconds
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def exact(seconds: float) -> str:
    """`0s`, `10s`, `1h30m`, `500ms`: as an inventory would have it, and `parse` reads it."""
    left, parts = round(seconds * 1000), []
    for unit, size in reversed(_UNITS.items()):
        count, left = divmod(left, round(size * 1000))
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"
