"""`--resume`: which run goes on, with whom, and on what evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from opskit import errors, journal, model
from opskit.reporters.text import plural, some
from opskit.rollout import resume, verify
from opskit.rollout import run as runs
from opskit.tasks import project


@dataclass(frozen=True)
class Left:
    """Who is to be tried again, what the evidence says of those that are not or no more, and what to tell of it."""

    tenants: tuple[model.Tenant, ...]
    known: tuple[model.Outcome, ...] = ()
    notices: tuple[str, ...] = ()


def options(
    asked: project.Options, environment: model.Environment, wanted: str, *, changed_code: bool
) -> project.Options:
    """The options with the run that goes on, and what it was about. Raises UsageError."""
    again = replace(find(Path(environment.root), environment.name, wanted), changed_code=changed_code)
    started = again.run.started
    return replace(
        asked,
        resume=again,
        everything=bool(started and started.app_label),
        app_label=started.app_label if started else "",
        migration_name=started.migration_name if started else "",
    )


def controls(options: project.Options, environment: model.Environment) -> model.Controls:
    """How the run is paced: a new one as the inventory says, a resumed one as it was.

    Its time limit is over, and a canary that came home is no canary any more.
    """
    again = options.resume
    if again is None or again.run.started is None:
        return environment.rollout
    before = replace(again.run.started.rollout, deadline=None)
    canary = {
        tenant.id for made in again.run.plans for each in made.batches[: made.canaries] for tenant in each.tenants
    }
    if canary and canary.isdisjoint(resume.left(again.run)):
        return replace(before, canary=model.Canary(), pause_after_canary=False)
    return before


def find(root: Path, environment: str, wanted: str) -> project.Resumed:
    """The run that is meant; without a name the environment's newest that left somebody not home. Raises UsageError."""
    folder = journal.find(root, wanted) if wanted else _newest(root, environment)
    if journal.environment_of(folder.name) != environment:
        raise errors.UsageError(f"--resume: `{folder.name}` is a run of another environment than `{environment}`")
    if journal.going_on(folder):
        raise errors.UsageError(
            f"--resume: `{folder.name}` is going on", hint=f"`invoke status --env={environment}` shows it."
        )
    run = journal.load(folder)
    if run.started is None or not resume.planned(run):
        raise errors.UsageError(
            f"--resume: `{folder.name}` ended before it had a plan",
            hint=f"`invoke migrate-all --env={environment}` makes one.",
        )
    return project.Resumed(folder, run)


def _newest(root: Path, environment: str) -> Path:
    for folder in journal.history(root, environment):
        run = journal.load(folder)
        if resume.planned(run) and resume.left(run, asked=_asked(run)):
            return folder
    raise errors.UsageError(
        f"--resume: no run of `{environment}` left a tenant behind",
        hint=f"`invoke migrate-all --env={environment}` starts one.",
    )


def _asked(run: runs.Run) -> bool:
    """Whether this framework tells what is pending."""
    return any(pending is not None for made in run.plans for pending in made.pending.values())


def doubtful(run: runs.Run) -> list[str]:
    """The tenants whose end nobody knows."""
    return [each.tenant for each in run.settled() if each.status is model.Status.UNKNOWN]


def refuse_changes(options: project.Options, survey: model.Survey | None) -> None:
    """Raises CannotStart where the code's migrations are not those that the run was going to apply."""
    again = options.resume
    if again is None or survey is None or again.changed_code:
        return
    plans = again.run.plans
    names = resume.left(again.run)
    found = [*resume.changes(plans, survey.code), *resume.added(plans, survey.tenants, names)]
    if found:
        raise errors.CannotStart(
            f"the migrations have changed since `{again.folder.name}` was planned: {some(found)}",
            hint="`--changed-code` goes on with what is there now.",
        )


def left(
    options: project.Options,
    tenants: tuple[model.Tenant, ...],
    survey: model.Survey | None,
    host: str,
    shown: Callable[[str], str],
) -> Left:
    """What is left of the run, now that `host` serves. `shown` is what pg_stat_activity calls a tenant's command."""
    again = options.resume
    assert again is not None  # noqa: S101 - for mypy
    open_ = resume.left(again.run, asked=survey is not None)
    was = resume.before(again.run)
    chosen: list[model.Tenant] = []
    known: list[model.Outcome] = []
    for tenant in (each for each in tenants if each.id in open_):
        state = survey.tenants.get(tenant.id) if survey and not options.app_label else None
        busy = survey is not None and shown(tenant.id) in survey.busy
        decided = _decided(open_[tenant.id], was.get(tenant.id), state, host, busy=busy)
        known += [decided] if decided else []
        if decided is None or decided.status is model.Status.FAILED:
            chosen.append(tenant)
    held = [each.tenant for each in known if each.status is model.Status.UNKNOWN]
    there = {tenant.id for tenant in tenants}
    gone = [name for name in open_ if name not in there]
    return Left(tuple(chosen), tuple(known), tuple(_notices(held, gone)))


def _decided(
    outcome: model.Outcome,
    was: tuple[str, ...] | None,
    state: model.TenantState | None,
    host: str,
    *,
    busy: bool,
) -> model.Outcome | None:
    """What is known of a tenant without a command, None where there is nothing new."""
    if busy:
        return verify.still_at_work(outcome)
    why = resume.still_open(outcome, outcome.host, host)
    if why:
        return replace(outcome, error=why)
    home = resume.settled(outcome, was, state)
    if home or state is None or state.error:
        return home
    if outcome.status is model.Status.UNKNOWN:
        over = f"its command is over, with {plural(len(state.pending), 'migration')} still pending"
        return replace(outcome, status=model.Status.FAILED, error=over)
    return verify.verify(outcome, was, state) if outcome.status is model.Status.MIGRATED else None


def _notices(held: list[str], gone: list[str]) -> list[str]:
    texts = []
    if held:
        texts.append(f"not tried again, since their commands may still be at work: {some(held)}")
    if gone:
        texts.append(f"{plural(len(gone), 'tenant')} of the run {'is' if len(gone) == 1 else 'are'} gone: {some(gone)}")
    return texts
