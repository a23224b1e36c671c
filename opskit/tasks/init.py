"""`init`: a first inventory, from a few questions and a look at the host."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import invoke

from opskit import errors
from opskit.tasks.task import answer, one_of, task


@task(
    help={
        "env": "the new environment's name",
        "host": "where the project runs: user@address:port, a Host of ~/.ssh/config, or `local`",
        "path": "the folder on the host that holds manage.py, or one above it (default: looked for)",
        "python": "the project's interpreter on the host (default: looked for)",
        "framework": "the tenancy framework, as `framework` in an inventory names it (default: looked for)",
        "settings": "DJANGO_SETTINGS_MODULE (default: manage.py's own)",
        "env-file": "a file of KEY=VALUE lines on the host that the project needs",
        "run-as": "the user to run as on the host, with sudo",
        "ssh-client": "`fabric` or `openssh`",
        "host-keys": "`strict`, or `accept-new` to add a host key that is not known",
        "yes": "ask nothing: take the flags, and what is found",
    }
)
def init(
    context: invoke.Context,
    env: str | None = None,
    host: str | None = None,
    path: str | None = None,
    python: str | None = None,
    framework: str | None = None,
    settings: str | None = None,
    env_file: str | None = None,
    run_as: str | None = None,
    ssh_client: str | None = None,
    host_keys: str | None = None,
    yes: bool = False,
) -> None:
    """Ask a few questions, look at the host, and write a first inventory. Overwrites nothing."""
    from opskit.tasks import interview  # noqa: PLC0415 - start-up time

    given = {
        "env": env,
        "host": host,
        "path": path,
        "python": python,
        "framework": framework,
        "settings": settings,
        "env-file": env_file,
        "run-as": run_as,
        "ssh-client": ssh_client,
        "host-keys": host_keys,
    }
    for flag, value in given.items():
        if value is not None and not value.strip():
            raise errors.UsageError(f"--{flag}: expected a value, found nothing: an unset variable?")
    if framework is not None:
        one_of("framework", framework, interview.FRAMEWORKS)
    flags = {flag: value for flag, value in given.items() if value is not None}
    asker = interview.Asker(flags, asking=sys.stdin.isatty() and not yes)
    try:
        answer(interview.Interview(asker, Path.cwd(), os.environ).write(dry=context.config.run.dry))
    except errors.CannotStart as error:
        raise type(error)(error.told("nothing was written.")) from error
