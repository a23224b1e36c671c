"""`show-migrations`."""

from __future__ import annotations

import contextlib

import invoke

from opskit import errors, model
from opskit.tasks.task import ENV, FORMAT, answer, answer_data, complain, environment, one_of, task, width

_LACKING = 5  # the exit code where not every tenant has it: not all are home


@task(
    help={
        "env": ENV,
        "format": FORMAT,
        "at-least": "exit 0 only where every tenant has this migration, else 5: `users.0005`",
    }
)
def show_migrations(
    context: invoke.Context,
    env: str | None = None,
    format: str = "table",
    at_least: str | None = None,
) -> int:
    """Show how far the tenants are, those together that are alike; what drifted on top."""
    from opskit.reporters import fleet as shown  # noqa: PLC0415 - start-up time
    from opskit.rollout import alike  # noqa: PLC0415

    as_json = one_of("format", format, ("table", "json")) == "json"
    if at_least == "":
        raise errors.UsageError("--at-least: expected a migration such as `users.0005`, found nothing")
    chosen = environment(context, env)
    survey = _survey(chosen)
    wanted = _wanted(at_least, survey) if at_least else ""
    lacking = alike.lacking(wanted, survey) if wanted else ()
    found = shown.Fleet(chosen.name, survey.shared, alike.groups(survey.tenants), wanted, lacking)
    if as_json:
        answer_data(shown.as_json(found))
    else:
        answer(shown.as_table(found, width()))
    return _LACKING if lacking else 0


def _survey(chosen: model.Environment) -> model.Survey:
    """What is pending for everybody. Raises CannotStart where nobody can say."""
    from opskit import frameworks  # noqa: PLC0415 - start-up time
    from opskit.tasks import project, wiring  # noqa: PLC0415
    from opskit.transport import fleet  # noqa: PLC0415

    with wiring.reachable(chosen) as reached, contextlib.closing(fleet.Fleet(reached, notice=complain)) as hosts:
        hosts.open()
        survey = project.Project(reached, frameworks.get(reached), hosts).survey()
    if survey is None:
        raise errors.CannotStart(
            f"the framework of `{chosen.name}` can't be asked what is pending",
            hint="`framework.pending` in the inventory would be a command that says it.",
        )
    return survey


def _wanted(at_least: str, survey: model.Survey) -> str:
    """The migration in full. Raises UsageError, and CannotStart where nobody knows the code's migrations."""
    from opskit.rollout import alike  # noqa: PLC0415 - start-up time

    if not survey.code:
        raise errors.CannotStart("--at-least: this framework does not say which migrations the code has")
    try:
        return alike.named(at_least, survey.code)
    except errors.UsageError as error:
        raise errors.UsageError(f"--at-least: {error}") from None
