"""How long a rollout has still to go, from what its tenants took the last time. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from opskit import model


class Eta:
    """Adds up what is left, pauses included; who has no history counts as the mean of those who have.

    Mutable, and cheap to keep: each tenant is looked at once when its plan comes, and once when it is done.
    """

    def __init__(self) -> None:
        self._left: dict[str, float | None] = {}  # {tenant_id: seconds it usually takes}
        self._stagger = 0.0
        self._forks = 1
        self._known = 0.0  # seconds, of those left that have a history
        self._strangers = 0  # those left that have none
        self._sum, self._number = 0.0, 0  # of all the durations there are, the mean's

    def take(self, plan: model.Plan) -> None:
        """A plan has been made: its tenants are to be done, too."""
        self._stagger, self._forks = plan.stagger, plan.forks
        for tenant in (tenant for batch in plan.batches for tenant in batch.tenants):
            self._forget(tenant.id)
            usual = plan.expected.get(tenant.id)
            self._left[tenant.id] = usual
            if usual is None:
                self._strangers += 1
            else:
                self._known += usual
                self._learn(usual)

    def done(self, outcome: model.Outcome) -> None:
        """A tenant's command has ended."""
        self._forget(outcome.tenant)
        if outcome.attempt:
            self._learn(outcome.seconds)

    def usual(self, tenant: str) -> float | None:
        """The seconds that a tenant that is left usually takes, None where nobody knows."""
        return self._left.get(tenant)

    def seconds(self, *, at_work: Mapping[str, float] | None = None, idle: float | None = None) -> float | None:
        """What is left, in seconds, None where nothing is known.

        `at_work` is {tenant_id: seconds so far}: one that takes longer than it usually does eats up nobody else's time.
        `idle` is the seconds since the last command ended, None before the first: the rest of the pause counts, too.
        """
        if self._strangers and not self._number:
            return None
        mean = self._sum / self._number if self._number else 0.0
        work = max(0.0, self._known) + self._strangers * mean
        for tenant, worked in (at_work or {}).items():
            usual = self._left.get(tenant, 0.0)
            work -= min(worked, mean if usual is None else usual)
        at_once = max(1, min(self._forks, len(self._left)))
        pauses = self._pauses(pausing=idle is not None and not at_work, idle=idle or 0.0)
        return max(0.0, work) / at_once + pauses

    def _pauses(self, *, pausing: bool, idle: float) -> float:
        if not self._left:
            return 0.0
        return (len(self._left) - 1) * self._stagger + (max(0.0, self._stagger - idle) if pausing else 0.0)

    def _learn(self, seconds: float) -> None:
        self._sum += seconds
        self._number += 1

    def _forget(self, tenant: str) -> None:
        if tenant not in self._left:
            return
        usual = self._left.pop(tenant)
        if usual is None:
            self._strangers -= 1
        else:
            self._known -= usual


def of(plan: model.Plan) -> float | None:
    """The seconds that a whole plan is expected to take, pauses included; None where nobody knows."""
    whole = Eta()
    whole.take(plan)
    return whole.seconds()
