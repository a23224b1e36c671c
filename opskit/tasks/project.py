"""What the project on the host says of its tenants, and which of them a task's flags mean."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from opskit import errors, frameworks, journal, model
from opskit.frameworks import survey as surveys
from opskit.frameworks import timeouts
from opskit.reporters.text import WIDEST, named, plural, some
from opskit.rollout import plan
from opskit.rollout import run as runs
from opskit.transport import fleet

_MANY = 5000  # ids that are compared with a mistyped one in a few tenths of a second


@dataclass(frozen=True)
class Resumed:
    """The run that is to go on, as its journal tells it."""

    folder: Path
    run: runs.Run
    changed_code: bool = False  # although the migrations of the code are not those that were planned


@dataclass(frozen=True)
class Applied:
    """The plan that is to be applied, and the file that it was in."""

    file: str
    plan: model.Reviewed
    digest: str


@dataclass(frozen=True)
class Undo:
    """The run whose migrations are to be taken back, and what it applied: {tenant_id: migrations, oldest first}."""

    run_id: str
    applied: Mapping[str, tuple[str, ...]]
    uncertain: tuple[str, ...] = ()  # tenants of which nobody knows what it applied


@dataclass(frozen=True)
class Options:
    """What the flags of a task say, parsed."""

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tenant_id: str = ""  # exactly this one
    everything: bool = False  # those with nothing pending, too
    shared: bool = False
    app_label: str = ""
    migration_name: str = ""
    yes: bool = False
    json: bool = False
    log_file: str | None = None
    verbose: bool = False
    resume: Resumed | None = None
    lock_wait: float = 0.0  # seconds
    applies: Applied | None = None
    undo: Undo | None = None
    override: str = ""  # why the environments that must come first are not asked
    out: str | None = None  # the file that the plan is to be written to
    sql: bool = False  # a plan shows the SQL, too
    required: Mapping[str, model.Environment] = field(default_factory=dict)  # that must come first, once asked for


@dataclass
class Project:
    """What the project says through a fleet, in a framework's words.

    The framework is `auto` until the first survey has said which it is, where the inventory names none.
    """

    environment: model.Environment
    framework: frameworks.Framework
    fleet: fleet.Fleet

    def find_framework(self) -> None:
        """Ask which framework it is, where nobody has asked yet. Raises ListingError, InventoryError."""
        if self.framework.name == frameworks.AUTO:
            self.survey()

    def tenants(self, survey: model.Survey | None, least: int = 1) -> tuple[model.Tenant, ...]:
        """The tenants there are, in the project's order. Raises ListingError, also for fewer than `least`.

        A `survey` has listed them, too; without one the framework's command is asked, or where it has none the survey.
        """
        found = self._listed(survey)
        if len(found) < least:
            raise errors.ListingError(f"`{self.environment.name}` has no tenants")
        return found

    def _listed(self, survey: model.Survey | None) -> tuple[model.Tenant, ...]:
        if self.framework.name == frameworks.AUTO:
            survey = self.survey()
        if survey is not None and survey.listed:
            return survey.listed
        if self.framework.list is not None:
            reply = self.fleet.ask(self.timed(self.framework.list))
            found: tuple[model.Tenant, ...] = self.read(self.framework.read_list, reply)
            return found
        known = survey or self.survey()
        return known.listed if known else ()

    def survey(
        self,
        watched: Iterable[str] = (),
        wait: float = 0.0,
        run_id: str = "",
        tries: Mapping[str, str] = MappingProxyType({}),
    ) -> model.Survey | None:
        """What is pending, and which of these tenants have a connection at work in PostgreSQL.

        The connections are those of this run, or of the one that is named. It is waited for them to go, so many
        seconds. `tries` are settings of PostgreSQL that are to be tried. None where this framework can't be asked.
        Raises ListingError.
        """
        if self.framework.survey is None:
            return None
        names = [self.fleet.application_name(tenant, run_id) for tenant in watched]
        everyone = self.fleet.application_name("", run_id)
        survey = self._surveyed(surveys.watching(self.framework.survey, names, everyone, wait), tries)
        return replace(survey, busy=survey.busy.intersection(names))

    def first_survey(self, tries: Mapping[str, str] = MappingProxyType({})) -> model.Survey | None:
        """What is pending, before anything is started. Raises ListingError.

        A tenant that a command of an earlier run is still at work on, in PostgreSQL, must not be migrated: it has that
        as its error.
        """
        if self.framework.survey is None:
            return None
        survey = self._surveyed(self._first(self.framework.survey), tries)
        self.fleet.waits = survey.waits
        return replace(survey, tenants={**survey.tenants, **self._at_work(survey)})

    def first_question(self, tries: Mapping[str, str]) -> model.Command | None:
        """What `first_survey` is going to ask."""
        asked = self.framework.survey
        return None if asked is None else self._trying(self._first(asked), tries)

    def _first(self, asked: model.Command) -> model.Command:
        """Of several workers each loads the project: what one of them was asked, the others are told."""
        return surveys.watching_all(asked, waits=self.environment.rollout.forks > 1)

    def _trying(self, asked: model.Command, tries: Mapping[str, str]) -> model.Command:
        return self.timed(surveys.trying(asked, tries, fleet.pgoptions(tries)) if tries else asked)

    def _surveyed(self, asked: model.Command, tries: Mapping[str, str]) -> model.Survey:
        """The answer to a survey, which is also the first that says which framework it is."""
        survey: model.Survey = self.read(self.framework.read_survey, self.fleet.ask(self._trying(asked, tries)))
        if self.framework.name == frameworks.AUTO:
            self.framework = frameworks.get(replace(self.environment, framework=survey.framework))
            self.fleet.notice(f"`{self.environment.name}` is on {survey.framework}, as its INSTALLED_APPS say.")
        return survey

    def _at_work(self, survey: model.Survey) -> dict[str, model.TenantState]:
        """The states of those whose connection of an earlier run is at work."""
        found = {}
        for name in survey.busy:
            run = name.removeprefix(surveys.OURS).partition("/")[0]
            why = f"a connection of run {run} is still at work there in PostgreSQL, and may yet commit"
            for tenant, state in survey.tenants.items():
                if self.fleet.application_name(tenant, run) == name:
                    found[tenant] = replace(state, error=state.error or why)
        return found

    def timeouts(
        self, pgoptions: str, wanted: Mapping[str, str], *, tenants: bool, usual: bool = False
    ) -> tuple[timeouts.Difference, ...]:
        """The connections on which settings of PostgreSQL do not hold: the wanted ones, or the usual ones.

        Raises ListingError.
        """
        asked = timeouts.command(self.framework.name, pgoptions, wanted, tenants=tenants)
        reply = self.fleet.ask(self.timed(asked), configured=not usual, usual=usual)
        found: tuple[timeouts.Difference, ...] = self.read(timeouts.read, reply)
        return found

    def timed(self, command: model.Command) -> model.Command:
        return replace(command, timeout=self.environment.timeout)

    def read(self, read: Any, reply: model.Reply) -> Any:
        try:
            return read(reply)
        except errors.ListingError as error:
            raise errors.ListingError(f"{self.fleet.host}: {error}") from None


def select(tenants: tuple[model.Tenant, ...], options: Options) -> tuple[model.Tenant, ...]:
    """The tenants that the flags mean. Raises UsageError."""
    if not options.tenant_id:
        return plan.select(tenants, options.only, options.exclude)
    chosen = tuple(tenant for tenant in tenants if tenant.id == options.tenant_id)
    if not chosen:
        near = _near(options.tenant_id, tenants)
        hint = f". did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
        raise errors.UsageError(f"there is no tenant `{named(options.tenant_id)}` among {len(tenants)}{hint}")
    return chosen


def _near(wanted: str, tenants: tuple[model.Tenant, ...]) -> list[str]:
    """The ids that may have been meant; nobody waits half a minute for a hint."""
    ids = [tenant.id for tenant in tenants if len(tenant.id) <= WIDEST]
    if len(wanted) > WIDEST or len(ids) > _MANY:
        return []
    return difflib.get_close_matches(wanted, ids, n=3)


def shared_refusal(environment: model.Environment, pending: tuple[str, ...], again: str = "") -> errors.SharedPending:
    """`again` is the flag that resumes a run, where one goes on."""
    return errors.SharedPending(
        f"the shared database of `{environment.name}` has {plural(len(pending), 'pending migration')}: {some(pending)}",
        hint=f"`invoke migrate-all --env={environment.name}{again} --shared` migrates it first.",
    )


def history(environment: model.Environment, tenants: Iterable[model.Tenant]) -> dict[str, float]:
    """{tenant_id: seconds} that these tenants took the last time, as the newest runs tell."""
    return journal.durations(Path(environment.root), environment.name, wanted=[tenant.id for tenant in tenants])
