"""OpenSSH's own client instead of Fabric's, where a site needs what only that has.

ControlMaster, certificates, `Include` and `Match` in ssh_config, security keys, SSM proxies: the
system's `ssh` does what it does when it is typed. It is never asked to prompt (BatchMode): there may
be nobody to answer, and a session of its own has no terminal.
"""

from __future__ import annotations

import math
import re

from opskit import errors, model
from opskit.transport import process, stream

_FAILED = 255  # ssh's own exit status for an error of its own (ssh(1), EXIT STATUS)
_ALIVE = ("ServerAliveInterval=15", "ServerAliveCountMax=4")
_QUIET = ("BatchMode=yes", "ClearAllForwardings=yes", "RequestTTY=no", "RemoteCommand=none", "LogLevel=ERROR")
_ASKS_NO_WINDOW = {"SSH_ASKPASS_REQUIRE": "never"}  # a jump is an ssh without BatchMode (OpenSSH 8.4 and newer)
_ASKS_NOBODY = "`ssh` asks nobody here: `ssh-add` the key, or log in by hand with a `ControlMaster` before."
_HUNG_UP = re.compile(r"(kex|ssh)_exchange_identification: (read: )?Connection (closed|reset)")  # (OpenSSH 7.2 to 9.9)


class OpenSshStream(process.ProcessStream):
    def __init__(self, argv: tuple[str, ...], where: str) -> None:
        super().__init__(argv, env=_ASKS_NO_WINDOW)
        self._where = where

    def refusal(self) -> errors.OpskitError | None:
        """What kept ssh from reaching the host, in its own words; None where it did reach it."""
        if self.exit(1.0) != _FAILED:
            return None
        said = " ".join(line.strip() for line in self.stderr().splitlines() if line.strip(" @\r"))
        if "ost key verification failed" in said or "IDENTIFICATION HAS CHANGED" in said:
            return errors.HostKeyError(
                f"the host key of {self._where} was refused: {said}",
                hint="the same `ssh` command, typed by hand, shows more.",
            )
        if _HUNG_UP.match(said):
            return errors.TurnedAway(f"cannot connect to {self._where}: {said}", hint=stream.BUSY)
        hint = _ASKS_NOBODY if "Permission denied (" in said else ""
        return errors.ConnectError(f"cannot connect to {self._where}: {said or 'ssh gave no reason'}", hint=hint)


def argv(environment: model.Environment, host: model.Host) -> tuple[str, ...]:
    """The ssh command that starts the agent's Python on a host."""
    settings = environment.ssh
    options = (
        *_QUIET,
        *_ALIVE,
        "Compression=yes",
        f"ConnectTimeout={math.ceil(settings.connect_timeout)}",
        f"StrictHostKeyChecking={'accept-new' if settings.accept_new else 'yes'}",
        "UserKnownHostsFile=" + " ".join(f'"{file}"' for file in settings.known_hosts),
    )
    return (
        *("ssh", "-T", "-e", "none"),
        *(word for option in options for word in ("-o", option)),
        *(("-l", host.user) if host.user else ()),
        *(("-p", str(host.port)) if host.port else ()),
        *(("-i", host.identity_file) if host.identity_file else ()),
        *("--", host.address, stream.remote_line(environment.app)),
    )


def connect(environment: model.Environment, host: model.Host) -> OpenSshStream:
    """Start ssh, which connects while we wait for the agent. Raises ConnectError where there is no ssh."""
    user = f" as `{host.user}`" if host.user else ""
    port = f":{host.port}" if host.port else ""
    try:
        return OpenSshStream(argv(environment, host), f"{host.address}{port}{user}")
    except OSError as error:
        raise errors.ConnectError(f"cannot start `ssh` for {host.name}: {error.strerror}") from error
