"""Failures that are one and the same, told together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from opskit import model
from opskit.frameworks import fingerprint

_BAD = (model.Status.FAILED, model.Status.UNKNOWN)


@dataclass(frozen=True)
class Group:
    """Tenants that failed alike, in the order in which they did."""

    fingerprint: model.Fingerprint
    outcomes: tuple[model.Outcome, ...]

    @property
    def told(self) -> str:
        """What they have in common, in their own words where these are the same for all."""
        errors = {outcome.error for outcome in self.outcomes}
        own = self.fingerprint.migration or self.fingerprint.exception
        return str(self.fingerprint) if own or len(errors) > 1 else errors.pop()


def grouped(outcomes: Iterable[model.Outcome]) -> list[Group]:
    """The failures among `outcomes` that have a reason, the most frequent first."""
    found: dict[model.Fingerprint, list[model.Outcome]] = {}
    for outcome in outcomes:
        if outcome.status in _BAD and outcome.error:
            found.setdefault(_print(outcome), []).append(outcome)
    groups = (Group(print_, tuple(alike)) for print_, alike in found.items())
    return sorted(groups, key=lambda group: -len(group.outcomes))


def _print(outcome: model.Outcome) -> model.Fingerprint:
    """The fingerprint of a failure, also of one that no command's answer tells: by its sentence."""
    return outcome.fingerprint or model.Fingerprint(text=fingerprint.general(outcome.error, outcome.tenant))
