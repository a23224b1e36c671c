"""Whose key a host may show: the operator's known_hosts, read line by line, as OpenSSH reads it (sshd(8), 9.2).

Paramiko gives up a file with one odd line, knows no wildcards, and of two keys of one kind sees the first
(paramiko 5.1, hostkeys.py). So the decision is made here, by the policy that it asks about a host it does not know.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey

from opskit import errors, model

_REVOKED, _AUTHORITY = "@revoked", "@cert-authority"
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")  # the signatures that one kind of key may make


@dataclass(frozen=True)
class Line:
    """One line of a known_hosts."""

    file: Path
    number: int
    marker: str  # "" for most
    patterns: tuple[str, ...]
    key: paramiko.PKey

    def means(self, name: str) -> bool:
        """Whether it is about `host` or `[host]:port`."""
        if any(pattern.startswith("!") and _fits(pattern[1:], name) for pattern in self.patterns):
            return False
        return any(_fits(pattern, name) for pattern in self.patterns)


def _fits(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        with contextlib.suppress(ValueError):  # a salt that is none
            return bool(HostKeys.hash_host(name, pattern) == pattern)
        return False
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, name, re.IGNORECASE) is not None


def read(files: tuple[str, ...]) -> tuple[Line, ...]:
    """The lines of all files that can be read; odd ones are passed over, as are files that are not there."""
    return tuple(line for file in files for line in _of_file(Path(file).expanduser()))


def _of_file(file: Path) -> Iterator[Line]:
    try:
        texts = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for number, text in enumerate(texts, 1):
        marker, _, rest = text.strip().partition(" ") if text.lstrip().startswith("@") else ("", "", text.strip())
        with contextlib.suppress(InvalidHostKey, paramiko.SSHException, ValueError):
            entry = HostKeyEntry.from_line(rest.strip()) if rest and not rest.startswith("#") else None
            if entry is not None and entry.key is not None:
                yield Line(file, number, marker, tuple(entry.hostnames or ()), entry.key)


class Policy(paramiko.MissingHostKeyPolicy):
    """Says of the key that a host shows whether it may be trusted. Paramiko's own list stays empty."""

    def __init__(self, settings: model.Ssh) -> None:
        self._settings = settings
        self._lines = read(settings.known_hosts)

    def transport(self, name: str, sock: object, **more: object) -> paramiko.Transport:
        """A transport that asks the host first for a kind of key that is known of it."""
        made = paramiko.Transport(sock, **more)  # type: ignore[arg-type]
        known = {kind for line in self._about(name) for kind in _kinds(line.key)}
        options = made.get_security_options()
        options.key_types = sorted(options.key_types, key=lambda kind: kind not in known)
        return made

    def _about(self, name: str, marker: str = "") -> list[Line]:
        return [line for line in self._lines if line.marker == marker and line.means(name)]

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        """Let a known key pass. Raises HostKeyError for one that is revoked, changed or unknown."""
        known = self._about(hostname)
        if key in [line.key for line in self._about(hostname, _REVOKED)]:
            raise errors.HostKeyError(f"the host key of {hostname} is revoked in known_hosts")
        without_port = (
            [] if known else self._about(_bare(hostname))
        )  # as OpenSSH does, where a match is all it looks for
        if key in [line.key for line in known + without_port]:
            return
        if known:
            raise _changed(hostname, key, known)
        if not self._settings.accept_new:
            raise self._unknown(hostname, key)
        self._remember(hostname, key)

    def _remember(self, hostname: str, key: paramiko.PKey) -> None:
        file = Path(self._settings.known_hosts[0]).expanduser()
        try:
            _add_line(file, f"{hostname} {key.get_name()} {key.get_base64()}\n")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise errors.HostKeyError(
                f"the host key of {hostname} is new, and can't be added to `{file}`: {reason}"
            ) from error

    def _unknown(self, hostname: str, key: paramiko.PKey) -> errors.HostKeyError:
        what = f"the host key of {hostname} is not known: it shows {key.get_name()} {key.fingerprint}"
        authority = next(iter(self._about(hostname, _AUTHORITY)), None)
        if authority:
            return errors.HostKeyError(
                f"{what}, and `{authority.file}`, line {authority.number}, names an authority, which Fabric can't ask",
                hint="`ssh: {client: openssh}` in the inventory can.",
            )
        name, port = _bare(hostname), hostname.partition("]:")[2]
        scan = f"ssh-keyscan {f'-p {port} ' if port else ''}{name} >> {shlex.quote(self._settings.known_hosts[0])}"
        return errors.HostKeyError(
            what,
            hint=f"compare that with the host's own, then `{scan}`, "
            "or set `ssh: {host_keys: accept-new}` in the inventory.",
        )


def _bare(hostname: str) -> str:
    return hostname.lstrip("[").partition("]:")[0]


def _kinds(key: paramiko.PKey) -> tuple[str, ...]:
    return _RSA if key.get_name() == "ssh-rsa" else (key.get_name(),)


def _add_line(file: Path, line: str) -> None:
    """Append to a known_hosts, whose last line may lack its end."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a+b") as out:
        if out.tell():
            out.seek(-1, os.SEEK_END)
            line = line if out.read(1) == b"\n" else f"\n{line}"
        out.write(line.encode())


def _changed(hostname: str, key: paramiko.PKey, known: list[Line]) -> errors.HostKeyError:
    line = next((line for line in known if line.key.get_name() == key.get_name()), known[0])
    where = f"{shlex.quote(str(line.file))} -R {shlex.quote(hostname)}"
    return errors.HostKeyError(
        f"the host key of {hostname} has changed: `{line.file}`, line {line.number}, has {line.key.fingerprint}, "
        f"the host shows {key.fingerprint}",
        hint=f"if the host was rebuilt, `ssh-keygen -f {where}` and add its new key; "
        "if not, somebody may be listening in.",
    )
