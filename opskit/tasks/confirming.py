"""Asks the operator before a rollout, where the inventory wants that."""

from __future__ import annotations

import sys

from opskit import errors, model
from opskit.tasks import project


def confirm(what: str, environment: model.Environment, options: project.Options) -> None:
    """Ask whether to do this to the environment, unless `--yes` has answered. Raises Declined."""
    if not environment.confirm or options.yes:
        return
    if not sys.stdin.isatty():
        raise errors.Declined(
            f"`{environment.name}` asks for a confirmation, and there is no terminal to ask",
            hint="`--yes` answers it.",
        )
    sys.stderr.write(f"{what} {environment.name}? [y/N] ")
    sys.stderr.flush()
    said = sys.stdin.readline()
    if not said.endswith("\n"):  # Ctrl-D leaves the cursor where it is
        sys.stderr.write("\n")
    if said.strip().lower() not in ("y", "yes"):
        raise errors.Declined("the answer was not yes")
