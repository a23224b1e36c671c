"""The machine that opskit runs on: the agent as a child process."""

from __future__ import annotations

from opskit import errors, model
from opskit.transport import process, stream


def connect(environment: model.Environment, host: model.Host) -> process.ProcessStream:
    """Start the agent's Python here. Raises ConnectError where there is no such program."""
    argv = stream.agent_argv(environment.app)
    try:
        return process.ProcessStream(argv, environment.root)
    except OSError as error:
        raise errors.ConnectError(f"cannot start `{argv[0]}` on {host.name}: {error.strerror}") from error
