"""`--plan --out=FILE` and `--apply=FILE`: the plan that was reviewed is the plan that runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opskit import __version__, errors, journal, model, redaction
from opskit.reporters.text import plural, some, typed
from opskit.rollout import plan, resume, review
from opskit.tasks import planfile, project, wiring

_SHOWN = 6  # differences that a message names


# ---------------------------------------------------------------- flags


def writing(path: str, options: project.Options, environment: model.Environment, *, planned: bool) -> project.Options:
    """The options of a plan that is to be written. Raises UsageError for what no file can keep."""
    how = environment.rollout
    if not path:
        raise errors.UsageError("--out: expected a file's path, found nothing")
    if not planned:
        raise errors.UsageError("--out needs --plan")
    if options.resume or options.applies:
        raise errors.UsageError("--out writes a new plan: not with --resume or --apply")
    if how.deadline:
        raise errors.UsageError("--out: a time limit is the run's own: give --until or --max-duration with --apply")
    if redaction.redact(how.gate) != how.gate:
        raise errors.UsageError("--out: --gate holds a secret, which no plan keeps: let it read that by itself")
    planfile.refuse_target(path, environment.name)
    return replace(options, out=path)


def applying(path: str, options: project.Options, env: str | None) -> tuple[project.Options, str]:
    """The options of a run that applies a plan, and its environment. Raises UsageError, CannotStart for another one."""
    if not path:
        raise errors.UsageError("--apply: expected a file's path, found nothing")
    applied = planfile.read(path)
    reviewed = applied.plan
    if env not in (None, reviewed.environment):
        raise errors.CannotStart(
            errors.CannotStart(f"`{path}` is a plan of `{reviewed.environment}`, not of `{env}`").told(
                "nothing was migrated."
            )
        )
    given = {
        "--tenants": (options.only, reviewed.only),
        "--exclude": (options.exclude, reviewed.exclude),
        "--all": (options.everything, reviewed.everything),
        "--shared": (options.shared, reviewed.shared),
    }
    for flag, (said, planned) in given.items():
        _refuse_other(flag, bool(said) and said != planned)
    chosen = replace(
        options,
        applies=applied,
        only=reviewed.only,
        exclude=reviewed.exclude,
        everything=reviewed.everything,
        shared=reviewed.shared,
    )
    return chosen, reviewed.environment


def controls(options: project.Options, given: Mapping[str, Any], *, fail_fast: bool) -> dict[str, Any]:
    """How the run is paced: as the plan says. A time limit is the run's own. Raises UsageError for another pace."""
    planned = _applied(options).plan.rollout
    for name, value in given.items():
        typed_as = "fail_fast" if fail_fast and name == "max_failures" else name
        _refuse_other(f"--{typed_as.replace('_', '-')}", name != "deadline" and value != getattr(planned, name))
    return {**vars(planned), "deadline": given.get("deadline")}


def limits(options: project.Options, given: Mapping[str, Any]) -> dict[str, Any]:
    """How long a tenant's command may take, as the plan says. Raises UsageError for another limit."""
    planned = _applied(options).plan.timeout
    _refuse_other("--timeout", given.get("timeout", planned) != planned)
    return {**given, "timeout": planned}


def _applied(options: project.Options) -> project.Applied:
    assert options.applies is not None  # noqa: S101 - for mypy
    return options.applies


def _refuse_other(flag: str, differs: bool) -> None:
    if differs:
        raise errors.UsageError(
            f"{flag}: the plan that was reviewed says otherwise",
            hint="leave it out, or make a new plan.",
        )


# ---------------------------------------------------------------- a plan, written down


def write(
    environment: model.Environment,
    options: project.Options,
    revision: str,
    survey: model.Survey | None,
    made: model.Plan,
) -> None:
    """Put it into the file of --out. Raises SharedPending where nobody could apply it, UsageError, CannotStart."""
    pending = survey.shared if survey else None
    if pending and not options.shared:
        raise project.shared_refusal(environment, pending)
    planfile.write(str(options.out), _reviewed(environment, options, revision, survey, made))


def _reviewed(
    environment: model.Environment,
    options: project.Options,
    revision: str,
    survey: model.Survey | None,
    made: model.Plan,
) -> model.Reviewed:
    return model.Reviewed(
        at=datetime.now(UTC),
        opskit=__version__,
        operator=wiring.operator(),
        machine=os.uname().nodename,
        args=tuple(redaction.redact(arg) for arg in sys.argv[1:]),
        environment=environment.name,
        revision=revision,
        code=review.code_of(survey, made),
        shared=options.shared,
        shared_pending=survey.shared if survey else None,
        only=options.only,
        exclude=options.exclude,
        everything=options.everything,
        rollout=environment.rollout,
        timeout=environment.timeout,
        plan=made,
    )


# ---------------------------------------------------------------- a plan, applied


def told(applied: project.Applied) -> str:
    """Which plan it is."""
    made = applied.plan
    return f"applying `{applied.file}`, which {made.operator} made on {made.at:%Y-%m-%d at %H:%M} UTC"


def reviewed_plan(
    options: project.Options, asked: project.Project, survey: model.Survey | None, *, shared_done: bool = False
) -> model.Plan | None:
    """The plan to apply, None where none is. Raises PlanDiffers where it is not what would be planned now.

    Its time limit is the run's own. With `shared_done` the run itself has migrated the shared database.
    """
    applied = options.applies
    if applied is None:
        return None
    environment = asked.environment
    tenants = plan.matching(asked.tenants(survey), options.only, options.exclude)
    made = plan.make_plan(tenants, survey, everything=options.everything)
    now = _reviewed(environment, options, asked.fleet.ready.revision, survey, made)
    then = replace(applied.plan, shared_pending=now.shared_pending) if shared_done else applied.plan
    found = review.differences(then, now, survey.code if survey else {})
    if found:
        raise errors.PlanDiffers(
            "\n".join((f"`{applied.file}` is not what would run now:", *_lines(found))),
            hint=_what_now(environment, applied, found),
        )
    return replace(applied.plan.plan, deadline=environment.rollout.deadline)


def _lines(found: list[review.Difference]) -> list[str]:
    more = [f"  and {plural(len(found) - _SHOWN, 'more difference')}"] if len(found) > _SHOWN else []
    return [f"  {_line(each)}" for each in found[:_SHOWN]] + more


def _line(found: review.Difference) -> str:
    if not found.tenants:
        return found.what
    return f"{plural(len(found.tenants), 'tenant')} ({some(found.tenants, 3)}): {found.what}"


def _what_now(environment: model.Environment, applied: project.Applied, found: list[review.Difference]) -> str:
    """A plan of which a run has applied a part is not applied again: that run is resumed."""
    again = f"`invoke {' '.join(map(typed, applied.plan.args))}` makes a new plan, to be reviewed."
    for folder in journal.history(Path(environment.root), environment.name):
        started = journal.beginning(folder)
        run = journal.load(folder) if started and started.applies == applied.digest else None
        if run is None or not resume.planned(run):  # another plan's, or one that was refused like this one
            continue
        if resume.left(run):
            goes_on = f"`invoke migrate-all --resume={folder.name}` goes on with it"
            return f"run {folder.name} began this plan: {goes_on}. or {again}"
        if all(each.applied for each in found):
            return f"run {folder.name} has applied this plan. {again}"
    return again
