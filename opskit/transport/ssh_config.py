"""The operator's ssh_config for Paramiko, with `Include` resolved: Paramiko passes over it (paramiko 5.1, config.py).

As OpenSSH reads it (9.2, readconf.c): globs, several files a line, relative to ~/.ssh (or /etc/ssh in the system's
file), at most 16 deep. What is included inside a `Host` or `Match` holds only where that one matches, and the block
goes on after it.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import paramiko

from opskit import errors

USER, SYSTEM = "~/.ssh/config", "/etc/ssh/ssh_config"
_DEEPEST = 16
_SETTING = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.+)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class _Config(paramiko.SSHConfig):
    """Paramiko's, which leaves these to us: it does not know that the inventory gives another port or user."""

    TOKENS_BY_CONFIG_KEY = {  # noqa: RUF012 - Paramiko's own
        key: [] if key in ("proxycommand", "identityfile") else tokens
        for key, tokens in paramiko.SSHConfig.TOKENS_BY_CONFIG_KEY.items()
    }


def load(*files: str) -> paramiko.SSHConfig:
    """What the files say, the first one first; those that are not there say nothing.

    Raises ConnectError naming the file.
    """
    lines: list[str] = []
    for file in files or (USER, SYSTEM):
        path = Path(file).expanduser()
        if path.is_file() and os.access(path, os.R_OK):
            lines += _resolved(path, path.parent, (), 0)
    try:
        return _Config.from_text("\n".join(lines))
    except (paramiko.ConfigParseError, ValueError) as error:
        raise errors.ConnectError(f"your ssh_config can't be read: {error}") from error


def _resolved(file: Path, folder: Path, outer: tuple[str, ...], depth: int) -> Iterator[str]:
    """The lines of a file that holds only where all of `outer` match, with its includes in their place.

    Paramiko knows no blocks in blocks; a `Match` with several criteria is the same.
    """
    block = outer
    yield _header(block)
    for line in _text(file).splitlines():
        setting = _SETTING.match(line.strip())
        keyword, value = (setting[1].lower(), setting[2]) if setting else ("", "")
        if keyword == "include":
            if depth == _DEEPEST:
                raise errors.ConnectError(f"your ssh_config can't be read: `{file}` includes more than 16 files deep")
            for included in _included(file, value, folder):
                yield from _resolved(included, folder, block, depth + 1)
            yield _header(block)
        elif keyword in ("host", "match"):
            block = (*outer, *_criteria(keyword, value))
            yield line if not outer else _header(block)
        else:
            yield line


def _header(block: tuple[str, ...]) -> str:
    return f"Match {' '.join(block)}" if block else "Host *"


def _criteria(keyword: str, value: str) -> tuple[str, ...]:
    """What a `Match` says that matches where this line does; nothing for one that always matches."""
    if keyword == "host":
        return (f"originalhost {','.join(value.replace(chr(34), '').split())}",)
    rest = re.sub(r"\ball\b\s*$", "", value, flags=re.IGNORECASE).strip()
    return (rest,) if rest else ()


def _included(file: Path, value: str, folder: Path) -> Iterator[Path]:
    try:
        patterns = shlex.split(value, comments=True)
    except ValueError as error:
        raise errors.ConnectError(f"your ssh_config can't be read: `{file}`, `Include {value}`: {error}") from None
    for pattern in patterns:
        for name in sorted(glob.glob(str(folder / expanded(pattern, {})))):  # noqa: PTH207 - absolute ones, too
            if Path(name).is_file():
                yield Path(name)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise errors.ConnectError(f"your ssh_config can't be read: `{file}`: {why}") from error


def expanded(path: str, tokens: Mapping[str, str]) -> str:
    """A path with `~`, `${NAME}` and the percent signs of ssh_config(5) filled in. `tokens` is {letter: value}."""
    path = _VARIABLE.sub(lambda name: os.environ.get(name[1], ""), filled(path, tokens))
    return os.path.expanduser(path)  # noqa: PTH111 - a path may be relative, and stays so


def filled(text: str, tokens: Mapping[str, str]) -> str:
    """A text with the percent signs of ssh_config(5) filled in; `%d` is the operator's home."""
    known = {"%": "%", "d": str(Path.home()), **tokens}
    return re.sub(r"%(.)", lambda token: known.get(token[1], token[0]), text)
