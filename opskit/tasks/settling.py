"""Waits until the database is done with a command that was killed, ended or lost, and asks it what became of that."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from opskit import durations, errors, model
from opskit.reporters.text import named
from opskit.rollout import drive, settle, verify
from opskit.tasks import project

_PAUSE = 2.0  # seconds between two questions
_AT_ONCE, _THEN = 1.0, 5.0  # seconds that the first question, and each further one, waits on the host for a connection


@dataclass(frozen=True)
class Settling:
    """`notice` tells the operator what is waited for.

    `narrow` is a command for one app, or back: of that, what is pending is no verdict.
    """

    asked: project.Project
    clock: drive.Clock
    notice: Callable[[str], None]
    narrow: bool = False

    def settle(
        self, outcome: model.Outcome, before: Callable[[model.Survey], tuple[str, ...] | None], limit: float
    ) -> model.Outcome:
        """The outcome that stands, as soon as nothing of the command is at work and the database was asked.

        After `limit` seconds it is unknown. `before` says what was pending, given the code as it is now.
        """
        if self.asked.framework.survey is None:
            return outcome
        until = self.clock.monotonic() + limit
        said = functools.cache(self.notice)  # each reason once
        wait = _AT_ONCE
        while True:
            survey, why = self._look(outcome.tenant, wait)
            if survey is not None and not why:
                return self._decided(outcome, before(survey), survey)
            said(f"`{named(outcome.tenant)}`: {why}. waiting for that, {durations.show(limit)} at most")
            left = until - self.clock.monotonic()
            if left <= 0:
                return verify.still_at_work(outcome) if why == verify.AT_WORK else settle.unsettled(outcome, why)
            self.clock.sleep(min(_PAUSE, left))
            wait = min(_THEN, left)

    def _look(self, tenant: str, wait: float) -> tuple[model.Survey | None, str]:
        """The survey, and why it settles nothing yet."""
        try:
            survey = self.asked.survey([tenant], wait)
        except errors.OpskitError as error:
            return None, f"its database can't be asked: {error}"
        if survey is None:
            return None, "its database can't be asked"
        if self.asked.fleet.application_name(tenant) in survey.busy:
            return survey, verify.AT_WORK
        refused = settle.state(survey, tenant).error
        return survey, f"its database can't be asked: {refused}" if refused else ""

    def _decided(self, outcome: model.Outcome, before: tuple[str, ...] | None, survey: model.Survey) -> model.Outcome:
        if self.narrow:
            return outcome
        stands = settle.settled(outcome, before, settle.state(survey, outcome.tenant))
        if stands.status in (model.Status.MIGRATED, model.Status.CURRENT):
            self.notice(f"`{named(outcome.tenant)}`: {outcome.error}. nothing is pending there any more: it is home")
        return stands
