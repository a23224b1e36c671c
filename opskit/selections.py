"""Which tenants a flag names: ids and globs with commas between them, and files of them."""

from __future__ import annotations

import json
from pathlib import Path

from opskit import errors


def patterns(flag: str, value: str | None, mark: str = "") -> tuple[str, ...]:
    """The patterns of a comma-separated flag, with those of an `@file` in their place.

    `mark` may stand before one that would be read as something else. An empty one is an error: it never means
    everyone. Raises UsageError.
    """
    if value is None:
        return ()
    parts = [part.strip() for part in value.split(",")]
    if not all(part.removeprefix(mark) for part in parts):
        raise errors.UsageError(f"--{flag}: expected ids or globs with commas between them, found `{value}`")
    files = {part: _of_file(flag, part[1:]) for part in parts if part.startswith("@")}
    return tuple(name for part in parts for name in files.get(part, (part.removeprefix(mark),)))


def _of_file(flag: str, path: str) -> tuple[str, ...]:
    """A file's ids and globs: a JSON list of texts where its name ends in .json, else one a line.

    Blank lines and what follows a # at a line's start are passed over, and so are the blanks around a line: an
    id that has such needs the JSON.
    """
    try:
        content = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, ValueError, RuntimeError) as error:  # not there, no UTF-8 or a NUL, a `~` without a home
        raise errors.UsageError(f"--{flag}: `@{path}` can't be read: {_why(error)}") from None
    found = _listed(flag, path, content) if path.endswith(".json") else _lines(content)
    if not found:
        raise errors.UsageError(f"--{flag}: `@{path}` names nobody")
    return found


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).lower()


def _lines(content: str) -> tuple[str, ...]:
    stripped = (line.strip(" \t\r") for line in content.split("\n"))  # other blanks may be an id's own
    return tuple(line for line in stripped if line and not line.startswith("#"))


def _listed(flag: str, path: str, content: str) -> tuple[str, ...]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise errors.UsageError(f"--{flag}: `@{path}` is no JSON list of texts")
    return tuple(found)
