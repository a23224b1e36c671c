"""The keys that a login tries, in the order of OpenSSH: those named, the agent's, the usual ones.

Paramiko's own login knows one agent and one passphrase for all keys, and asks on the terminal where a host wants
more than a key (paramiko 5.1, client.py). This one never asks: passphrases were given before.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from opskit import errors
from opskit.transport import ssh_config

_KINDS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_USUAL = ("id_rsa", "id_ecdsa", "id_ed25519")
_PATIENCE = 10.0  # seconds that an agent may take to list its keys


class Agent(paramiko.agent.AgentSSH):
    """The agent at a socket; without keys where nobody answers there."""

    def __init__(self, path: str) -> None:
        super().__init__()
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(_PATIENCE)
        try:
            line.connect(path)
            self._connect(line)  # type: ignore[attr-defined]
            line.settimeout(None)  # a security key's agent waits for a finger
        except (OSError, paramiko.SSHException):
            line.close()

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]


def agent_path(config: Mapping[str, Any], tokens: Mapping[str, str]) -> str:
    """The agent's socket: `IdentityAgent`, else $SSH_AUTH_SOCK; "" for none."""
    named = str(config.get("identityagent", "SSH_AUTH_SOCK"))
    if named.lower() == "none":
        return ""
    if named == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", named):
        return os.environ.get(named.removeprefix("$"), "")
    return ssh_config.expanded(named, tokens)


def load(file: str, passphrase: str | None = None) -> paramiko.PKey:
    """A private key, with the certificate that stands beside it.

    Raises paramiko.PasswordRequiredException where it has a passphrase, paramiko.SSHException where that is wrong
    or it is no key that Paramiko can read, and OSError.
    """
    for kind in _KINDS:
        try:
            key: paramiko.PKey = kind.from_private_key_file(file, passphrase)
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, ValueError):
            continue
        certificate = f"{file}-cert.pub"
        if Path(certificate).is_file():
            key.load_certificate(certificate)
        return key
    raise paramiko.SSHException(f"`{file}` is no private key that Fabric can read")


def opens(file: str, passphrase: str) -> bool:
    """Whether it is the passphrase of that key."""
    try:
        load(file, passphrase)
    except (paramiko.SSHException, OSError):
        return False
    return True


def public_part(file: str) -> str:
    """The base64 of the public key beside a private one; "" where there is none."""
    name = file if file.endswith(".pub") else f"{file}.pub"
    try:
        words = Path(name).read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return ""
    return words[1] if len(words) > 1 else ""


@dataclass(frozen=True)
class Login:
    """One user's login on one host. Paramiko calls `authenticate` when the host's key has been checked."""

    where: str  # the host, as messages name it
    user: str
    required: str = ""  # the inventory's identity_file
    named: tuple[str, ...] = ()  # those of ssh_config, which need not be there
    agent: str = ""  # its socket
    only_named: bool = False  # ssh_config's IdentitiesOnly
    passphrases: Mapping[str, str] = field(default_factory=dict, repr=False)  # {file: passphrase}

    # -- which keys

    @property
    def _files(self) -> tuple[str, ...]:
        return ((self.required,) if self.required else ()) + self.named

    @property
    def _usual(self) -> tuple[str, ...]:
        if self.only_named and self._files:
            return ()
        files = (Path.home() / ".ssh" / name for name in _USUAL)
        return tuple(str(file) for file in files if file.is_file() and str(file) not in self._files)

    def locked(self) -> tuple[str, ...]:
        """Files whose passphrase has to be asked for. Of the usual ones none, where another key may do."""
        with contextlib.closing(Agent(self.agent)) as agent:
            held = {key.get_base64() for key in agent.get_keys()}
        named = [file for file in self._files if public_part(file) not in held and self._is_locked(file)]
        if self._files or held:
            return tuple(named)
        usual = [file for file in self._usual if self._is_locked(file)]
        return tuple(usual) if len(usual) == len(self._usual) else ()

    def _is_locked(self, file: str) -> bool:
        try:
            load(file, self.passphrases.get(file))
        except paramiko.PasswordRequiredException:
            return True
        except (paramiko.SSHException, OSError):
            return False
        return False

    # -- the login

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Try one key after the other. Raises ConnectError."""
        tried, locked = 0, []
        with contextlib.closing(Agent(self.agent)) as agent:
            for key, file in self._candidates(agent.get_keys()):
                if key is None:
                    locked.append(file)
                elif self._accepted(transport, key, tried):
                    return
                else:
                    tried += 1
        raise self._refused(tried, locked)

    def _candidates(self, held: Sequence[paramiko.AgentKey]) -> Iterator[tuple[paramiko.PKey | None, str]]:
        """(key, file) in the order of trying; None for the key of a file that is locked."""
        by_public = {key.get_base64(): key for key in held}
        for file in self._files:
            of_agent = by_public.pop(public_part(file), None)
            yield from [(of_agent, file)] if of_agent else self._of_file(file)
        if not self.only_named:
            yield from ((key, "") for key in by_public.values())
        for file in self._usual:
            of_agent = by_public.get(public_part(file)) if self.only_named else None
            yield from [(of_agent, file)] if of_agent else self._of_file(file)

    def _of_file(self, file: str) -> Iterator[tuple[paramiko.PKey | None, str]]:
        try:
            yield load(file, self.passphrases.get(file)), file
        except paramiko.PasswordRequiredException:
            yield None, file
        except OSError as error:
            if file == self.required:
                raise self._failed(f"`{file}`: {(error.strerror or str(error)).lower()}") from error
        except paramiko.SSHException as error:
            if file == self.required:
                raise self._failed(f"{error}. the system's `ssh` may: `ssh: {{client: openssh}}`") from error

    def _accepted(self, transport: paramiko.Transport, key: paramiko.PKey, tried: int) -> bool:
        try:
            wanted = transport.auth_publickey(self.user, key)
        except paramiko.BadAuthenticationType as error:
            raise self._failed(f"the host takes no key, only {_listed(error.allowed_types)}") from error
        except (paramiko.SSHException, EOFError) as error:
            if not transport.is_active():
                raise self._failed(_hung_up(tried)) from error
            return False
        if wanted:
            raise self._failed(
                f"it took the key and asks for more: {_listed(wanted)}",
                "`ssh: {client: openssh}`, over a master connection that you opened, can do that.",
            )
        return True

    # -- what went wrong

    def _refused(self, tried: int, locked: list[str]) -> errors.ConnectError:
        if locked:
            files = " ".join(f"`{file}`" for file in locked)
            others = "; the host refused the other keys" if tried else ""
            return self._failed(
                f"nobody gave the passphrase of {files}{others}", f"`ssh-add {' '.join(locked)}` first."
            )
        if not tried:
            return self._failed("there is no key to log in with: no identity_file, no agent's, none of the usual ones")
        files = ", ".join(self._files)
        return self._failed(
            "the host refused the key" + (f" (tried {files}, the agent's and the usual ones)" if files else "")
        )

    def _failed(self, why: str, hint: str = "") -> errors.ConnectError:
        return errors.ConnectError(f"cannot connect to {self.where} as `{self.user}`: {why}", hint=hint)


def _hung_up(tried: int) -> str:
    if not tried:
        return "it hung up while it was shown the first key"
    return f"it hung up at key {tried + 1}: name the right one as identity_file"


def _listed(methods: Any) -> str:
    return " or ".join(sorted(map(str, methods))) or "something else"
