"""How flags and inventories say the rollout's controls, and what they come to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from opskit import errors, model

MOST_FORKS = 64  # each is a connection, and a process that has loaded the project
ORDERS = ("listed", "name", "smallest-first", "slowest-first")


def parse_canary(text: str) -> model.Canary:
    """`3` is a count; `internal,test-*` are patterns; `=3` is the tenant whose id is 3. Raises UsageError."""
    parts = [part.strip() for part in text.split(",")]
    if re.fullmatch(r"\d+", text.strip()):
        count = int(text.strip()[:10])  # int() refuses thousands of digits with a message of its own
        if count == 0:
            raise errors.UsageError("expected a count from 1 on, or ids and globs, found `0`")
        return model.Canary(count=count)
    if not all(part.removeprefix("=") for part in parts):
        raise errors.UsageError(f"expected a count, or ids and globs with commas between them, found `{text}`")
    return model.Canary(patterns=tuple(part.removeprefix("=") for part in parts))


def parse_allowance(text: str) -> model.Allowance:
    """How many may fail: `3`, or `5%` of the run. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,9})(%?)", text.strip())
    if match is None or (match[2] and int(match[1]) > 100):  # noqa: PLR2004 - per cent
        raise errors.UsageError(f"expected a number such as `3`, or a share such as `5%`, found `{text}`")
    return model.Allowance(int(match[1]), percent=bool(match[2]))


def parse_retries(text: str) -> int:
    """How often one tenant is tried again, at most 10. Raises UsageError."""
    match = re.fullmatch(r"\d{1,2}", text.strip())
    if match is None or int(match[0]) > 10:  # noqa: PLR2004 - the backoff of more is hours
        raise errors.UsageError(f"expected a number from 0 to 10, found `{text}`")
    return int(match[0])


def parse_forks(text: str) -> int:
    """How many tenants at a time, from 1 on. Raises UsageError."""
    match = re.fullmatch(r"\d{1,2}", text.strip())
    if match is None or not 1 <= int(match[0]) <= MOST_FORKS:
        raise errors.UsageError(f"expected a number from 1 to {MOST_FORKS}, found `{text}`")
    return int(match[0])


def parse_same(text: str) -> int:
    """How many tenants in a row may fail alike before that stops the run, from 2 on. Raises UsageError."""
    match = re.fullmatch(r"\d{1,6}", text.strip())
    if match is None or int(match[0]) < 2:  # noqa: PLR2004 - one alone is like nobody
        raise errors.UsageError(f"expected a number from 2 on, found `{text}`")
    return int(match[0])


def seconds_until(text: str, now: datetime) -> float:
    """The seconds from `now` (aware, in the operator's own zone) to the next time the clock shows `06:00`."""
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
    if match is None:
        raise errors.UsageError(f"expected a time of day such as `06:00`, found `{text}`")
    then = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    return ((then if then > now else then + timedelta(days=1)) - now).total_seconds()


def limit(allowance: model.Allowance | None, total: int) -> int | None:
    """How many of `total` may fail; a share is rounded down. None is any number."""
    if allowance is None:
        return None
    return allowance.number * total // 100 if allowance.percent else allowance.number


def ordered(tenants: tuple[model.Tenant, ...], order: str, expected: Mapping[str, float]) -> tuple[model.Tenant, ...]:
    """The tenants in one of ORDERS. Who has no history counts as slow: nobody knows better."""
    if order == "name":
        return tuple(sorted(tenants, key=lambda tenant: tenant.id))
    if order in ("smallest-first", "slowest-first"):
        slow_first = order == "slowest-first"
        return tuple(sorted(tenants, key=lambda tenant: expected.get(tenant.id, float("inf")), reverse=slow_first))
    return tenants
