"""`--resume`: which run goes on, with whom, and on what evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from opskit import errors, journal, model, redaction
from opskit.reporters.text import plural, some
from opskit.rollout import resume, verify
from opskit.rollout import run as runs
from opskit.tasks import project
from opskit.tasks.task import complain

_GONE = "the project does not list it any more"
_UNTOLD = model.TenantState(error="asking what is pending did not mention it")
_UNASKED = model.TenantState(error="this framework can't be asked what is pending")


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
    if not wanted:
        left = resume.left(again.run, asked=_asked(again.run))
        complain(f"--resume: this is run {again.folder.name}, which left {plural(len(left), 'tenant')} behind.")
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
    if canary and canary.isdisjoint(resume.left(again.run, asked=_asked(again.run))):
        return replace(before, canary=model.Canary(), pause_after_canary=False)
    return before


def limits(options: project.Options) -> dict[str, float | None]:
    """How long a tenant's command may take, as the run was told."""
    again = options.resume
    return {"timeout": again.run.started.timeout} if again and again.run.started else {}


def refuse_hidden(how: model.Controls) -> None:
    """A gate that held a secret is not kept as it was typed. Raises UsageError where it is to be asked."""
    if redaction.REDACTED in how.gate:
        raise errors.UsageError(
            "--resume: the run's --gate held a secret, which no journal keeps", hint="give --gate again."
        )


def environment_of(root: Path, wanted: str) -> str:
    """The environment of the run that is meant. Raises UsageError."""
    return journal.environment_of(journal.find(root, wanted, "resume").name)


def find(root: Path, environment: str, wanted: str) -> project.Resumed:
    """The run that is meant; without a name the environment's newest that left somebody not home. Raises UsageError."""
    folder = journal.find(root, wanted, "resume") if wanted else _newest(root, environment)
    if journal.environment_of(folder.name) != environment:
        raise errors.UsageError(f"--resume: `{folder.name}` is a run of another environment than `{environment}`")
    if journal.going_on(folder):
        raise errors.UsageError(
            f"--resume: `{folder.name}` is going on", hint=f"`invoke status --env={environment}` shows it."
        )
    run = journal.load(folder)
    if run.undoes:
        raise errors.UsageError(
            f"--resume: `{folder.name}` took back what `{run.undoes}` applied",
            hint=f"`invoke undo --run={run.undoes} --yes` goes on with that.",
        )
    if run.started is None or not resume.planned(run):
        raise errors.UsageError(
            f"--resume: `{folder.name}` ended before it had a plan",
            hint=f"`invoke migrate-all --env={environment}` makes one.",
        )
    if not resume.left(run, asked=_asked(run)):
        raise errors.UsageError(
            f"--resume: `{folder.name}` left no tenant behind",
            hint=f"`invoke migrate-all --env={environment}` starts a new run.",
        )
    return project.Resumed(folder, run)


def _newest(root: Path, environment: str) -> Path:
    """The newest run that left somebody behind whom no later run has brought home, and that no later one took back."""
    home: set[str] = set()
    undone: set[str] = set()
    for folder in journal.history(root, environment):
        run = journal.load(folder)
        undone.update([run.undoes] if run.undoes else [])
        if (folder.name in undone or run.undoes) and not journal.going_on(folder):
            continue
        left = set(resume.left(run, asked=_asked(run)))
        if journal.going_on(folder) or (resume.planned(run) and left - home):
            return folder
        if run.started and not run.started.app_label:
            home.update(set(run.outcomes) - left)
    raise errors.UsageError(
        f"--resume: no run of `{environment}` left a tenant behind",
        hint=f"`invoke migrate-all --env={environment}` starts one.",
    )


def _asked(run: runs.Run) -> bool:
    """Whether this framework tells what is pending."""
    return any(pending is not None for made in run.plans for pending in made.pending.values())


def doubtful(run: runs.Run) -> list[str]:
    """The tenants whose command may still be at work in the database: nobody has asked it since."""
    return [
        each.tenant
        for each in run.settled()
        if each.status is model.Status.UNKNOWN or (each.attempt and not each.verified)
    ]


def refuse_changes(options: project.Options, survey: model.Survey | None) -> None:
    """Raises CannotStart where the code's migrations are not those that the run was going to apply."""
    again = options.resume
    if again is None or survey is None or again.changed_code:
        return
    plans = again.run.plans
    names = resume.left(again.run, asked=_asked(again.run))
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
    hosts: tuple[str, ...],
    shown: Callable[[str], str],
) -> Left:
    """What is left of the run, now that these `hosts` serve, whose locks we have.

    `shown` is what pg_stat_activity calls a tenant's command.
    """
    again = options.resume
    assert again is not None  # noqa: S101 - for mypy
    open_ = resume.left(again.run, asked=survey is not None)
    was = resume.before(again.run, survey.code if survey else {})
    chosen: list[model.Tenant] = []
    known: list[model.Outcome] = []
    for tenant in (each for each in tenants if each.id in open_):
        state = survey.tenants.get(tenant.id, _UNTOLD) if survey else _UNASKED
        busy = survey is not None and shown(tenant.id) in survey.busy
        outcome = open_[tenant.id]
        decided = _held(outcome, state, hosts, busy=busy)
        if decided is None and not state.error and not options.app_label:  # of one app, a command says what is left
            decided = _decided(outcome, was.get(tenant.id), state)
        known += [decided] if decided else []
        if decided is None or decided.status is model.Status.FAILED:
            chosen.append(tenant)
    held = [each.tenant for each in known if each.status is model.Status.UNKNOWN]
    there = {tenant.id for tenant in tenants}
    gone = [name for name in open_ if name not in there]
    known += [_gone(open_[name]) for name in gone]
    return Left(tuple(chosen), tuple(known), tuple(_notices(held, gone, again.folder)))


def _held(
    outcome: model.Outcome, state: model.TenantState, hosts: tuple[str, ...], *, busy: bool
) -> model.Outcome | None:
    """The outcome of a tenant that must not be started, since nobody knows what becomes of it; None of another."""
    if busy:
        return verify.still_at_work(outcome)
    why = resume.still_open(outcome, outcome.host, hosts)
    if why:
        return replace(outcome, error=why)
    if state.error and outcome.status is model.Status.UNKNOWN:
        return replace(outcome, error=f"its command is over, and nobody knows how it ended: {state.error}")
    if state.error and outcome.status is model.Status.MIGRATED:
        return verify.verify(outcome, None, state)
    return None


def _decided(outcome: model.Outcome, was: tuple[str, ...] | None, state: model.TenantState) -> model.Outcome | None:
    """What the database says of a tenant whose command is over, None where it has nothing new to say."""
    home = resume.settled(outcome, was, state)
    if home:
        return home
    if outcome.status is model.Status.UNKNOWN:
        over = f"its command is over, with {plural(len(state.pending), 'migration')} still pending"
        return replace(outcome, status=model.Status.FAILED, error=over)
    return verify.verify(outcome, was, state) if outcome.status is model.Status.MIGRATED else None


def _gone(outcome: model.Outcome) -> model.Outcome:
    """Whoever the project does not list any more stays what it was, and says so."""
    said = outcome.error.removesuffix(_GONE).removesuffix("; ")
    return replace(outcome, error=f"{said}; {_GONE}" if said else _GONE)


def _notices(held: list[str], gone: list[str], folder: Path) -> list[str]:
    texts = []
    if held:
        one = f"`invoke migrate-tenant --env={journal.environment_of(folder.name)} --tenant-id=…`"
        texts.append(
            f"not tried again, since nobody knows how they ended: {some(held)}. "
            f"when you know that nothing of theirs is still at work, {one} tries one."
        )
    if gone:
        texts.append(f"{plural(len(gone), 'tenant')} of the run {'is' if len(gone) == 1 else 'are'} gone: {some(gone)}")
    return texts
