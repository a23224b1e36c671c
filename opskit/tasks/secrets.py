"""What only the operator knows, asked once, before any host is contacted: passphrases, and sudo's password."""

from __future__ import annotations

import getpass
import stat
import sys
from dataclasses import replace
from pathlib import Path

from opskit import errors, model, redaction
from opskit.tasks.task import complain

_TRIES = 3
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def asked(environment: model.Environment) -> model.Environment:
    """The environment with the answers. Nothing is asked without a terminal.

    Raises CannotStart or Declined: a file that others can read, an answer that is wrong or does not come.
    """
    known = environment.ssh.passphrases
    passphrases = {**known, **(_passphrases(environment) if sys.stdin.isatty() else {})}
    password = _sudo_password(environment)
    redaction.know([*passphrases.values(), *([password] if password else [])])
    return replace(
        environment,
        ssh=replace(environment.ssh, passphrases=passphrases),
        app=replace(environment.app, sudo_password=password),
    )


# ---------------------------------------------------------------- keys


def _passphrases(environment: model.Environment) -> dict[str, str]:
    """{file: passphrase} of the keys that are locked. OpenSSH's own client opens its keys itself."""
    if environment.hosts[0].kind is not model.HostKind.SSH or environment.ssh.client != "fabric":
        return {}
    from opskit.transport import ssh  # noqa: PLC0415 - start-up time

    given = {file: _passphrase(file) for file in ssh.locked_keys(environment)}
    return {file: passphrase for file, passphrase in given.items() if passphrase}


def _passphrase(file: str) -> str:
    """The passphrase that opens a key; "" where the operator wants to go on without it."""
    from opskit.transport import keys  # noqa: PLC0415 - start-up time

    for _ in range(_TRIES):
        passphrase = _typed(f"passphrase of `{file}` (empty goes on without that key): ")
        if not passphrase or keys.opens(file, passphrase):
            return passphrase
        complain("that does not open it.")
    raise errors.CannotStart(f"`{file}` was not opened by {_TRIES} passphrases")


# ---------------------------------------------------------------- sudo


def _sudo_password(environment: model.Environment) -> str | None:
    source = environment.app.sudo_password_from
    if source is None:
        return None
    if source != "ask":
        return _first_line(Path(source))
    if not sys.stdin.isatty():
        raise errors.Declined(
            f"`{environment.name}` asks for sudo's password, and there is no terminal to ask",
            hint="put it into a file that only you can read, and name that in `app.sudo_password`.",
        )
    password = _typed(f"password for sudo on {environment.name}: ")
    if not password:
        raise errors.Declined("no password for sudo was given")
    return password


def _first_line(file: Path) -> str:
    """The password in a file that nobody else can read. Raises CannotStart."""
    label = f"app.sudo_password `{file}`"
    try:
        with file.open(encoding="utf-8") as text:
            if stat.S_IMODE(file.stat().st_mode) & _OTHERS:
                raise errors.CannotStart(f"{label}: others may read or write it", hint=f"`chmod 600 {file}`.")
            password = text.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "").lower() if isinstance(error, OSError) else "it is not UTF-8"
        raise errors.CannotStart(f"{label} can't be read: {why}") from None
    if not password:
        raise errors.CannotStart(f"{label}: its first line is empty")
    return password


def _typed(prompt: str) -> str:
    """What is typed at the terminal, unseen; "" where the terminal ends."""
    try:
        return getpass.getpass(prompt)
    except EOFError:
        complain("")
        return ""
