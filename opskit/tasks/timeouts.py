"""`--lock-timeout` and `--statement-timeout`: what is typed, and whether the databases heard of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opskit import errors, model
from opskit.frameworks import timeouts
from opskit.tasks import project
from opskit.tasks.task import duration
from opskit.transport import fleet

_LONGEST = 24 * 86400.0  # seconds; PostgreSQL counts milliseconds in 31 bits


def changes(lock_timeout: str | None, statement_timeout: str | None) -> dict[str, Any]:
    """The fields of model.Controls that the flags say. Raises UsageError naming the flag."""
    given = {"lock_timeout": lock_timeout, "statement_timeout": statement_timeout}
    return {name: _seconds(name.replace("_", "-"), text) for name, text in given.items() if text is not None}


def _seconds(flag: str, text: str) -> float:
    if text == "none":
        return 0.0
    seconds = duration(flag, text)
    if seconds == 0:
        raise errors.UsageError(f"--{flag}: `0` is PostgreSQL's word for no limit; `none` leaves it as it is there")
    if seconds > _LONGEST:
        raise errors.UsageError(f"--{flag}: expected 24 days at most, found `{text}`")
    return seconds


def refuse(asked: project.Project, tenants: Collection[str] | None) -> None:
    """Raises CannotStart where the limits would not hold for the master, or for one of these tenants.

    None asks of the master alone. Where no limit is wanted, nothing is asked.
    """
    wanted = timeouts.settings(asked.environment.rollout)
    if not wanted:
        return
    ours = fleet.pgoptions(asked.fleet.settings)
    why = timeouts.refusal(wanted, asked.timeouts(ours, wanted, tenants=tenants is not None), tenants or ())
    if why:
        flags = " and ".join(f"`{name}`" for name in wanted)
        raise errors.CannotStart(why, hint=f"leave {flags} out, or mend what keeps it away.")


def refuse_for(asked: project.Project, made: model.Plan) -> None:
    """Raises CannotStart where the limits would not hold for those who get a command."""
    if made.batches:
        refuse(asked, {tenant.id for batch in made.batches for tenant in batch.tenants})
