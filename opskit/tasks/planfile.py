"""The file of a reviewed plan: JSON, with a digest of all that is in it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from opskit import errors, journal, model
from opskit.tasks import project

VERSION = 1
_MOST = 1 << 30  # bytes: a hundred thousand tenants are 20 MB


# ---------------------------------------------------------------- writing


def refuse_target(path: str, environment: str) -> None:
    """Raises UsageError for a path where something stands that is no plan of this environment."""
    why = _in_the_way(path, environment) if os.path.lexists(path) else ""
    if why:
        raise errors.UsageError(
            f"--out: `{path}` {why}. it is left as it is", hint="name another file, or move that one away."
        )


def _in_the_way(path: str, environment: str) -> str:
    """Why what stands there is not written over, "" where it may be."""
    if Path(path).is_symlink():
        return "is a link"
    try:
        there = _applied(path).plan.environment
    except errors.UsageError as error:
        return str(error)
    return "" if there == environment else f"is a plan of `{there}`, not of `{environment}`"


def write(path: str, reviewed: model.Reviewed) -> None:
    """Put the plan there, whole or not at all, for its owner's eyes only. Raises UsageError, CannotStart."""
    refuse_target(path, reviewed.environment)
    try:
        descriptor, beside = tempfile.mkstemp(prefix=".plan-", dir=Path(path).parent)  # 0600
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(encode(reviewed))
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink()
            raise
    except OSError as error:
        raise errors.CannotStart(f"--out: `{path}` can't be written: {_why(error)}") from None


def encode(reviewed: model.Reviewed) -> str:
    fields = {field.name: getattr(reviewed, field.name) for field in dataclasses.fields(reviewed)}
    content = json.loads(json.dumps({"opskit_plan": VERSION, **fields}, default=journal.plain))
    return json.dumps({**content, "digest": _digest(content)}, indent=1) + "\n"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------- reading


def read(path: str) -> project.Applied:
    """The plan in a file. Raises UsageError: it can't be read, is none, is a later opskit's, or was changed."""
    try:
        return _applied(path)
    except errors.UsageError as error:
        raise errors.UsageError(f"--apply: `{path}` {error}", hint=error.hint) from None


def _applied(path: str) -> project.Applied:
    """The same; what is wrong is said without the file's name."""
    try:
        content = json.loads(_text(path))
        version = content["opskit_plan"]
        if type(version) is not int or type(content["digest"]) is not str:
            raise TypeError
    except OSError as error:
        raise errors.UsageError(f"can't be read: {_why(error)}") from None
    except journal.UNREADABLE:
        raise errors.UsageError("is no plan, or not a whole one") from None
    if version > VERSION:
        raise errors.UsageError(f"was written by a later opskit (format {version}, this one reads {VERSION})")
    digest = content.pop("digest")
    return project.Applied(path, _decoded(content, digest), digest)


def _decoded(content: dict[str, Any], digest: str) -> model.Reviewed:
    try:
        if digest != _digest(content):
            raise ValueError
        reviewed: model.Reviewed = journal.build(
            model.Reviewed, {**content, "at": datetime.fromisoformat(content["at"])}
        )
    except journal.UNREADABLE:
        raise errors.UsageError(
            "was changed after opskit wrote it: what was reviewed is not known",
            hint="`invoke migrate-all --plan --out=…` makes a new one.",
        ) from None
    return reviewed


def _text(path: str) -> str:
    """The text of a file that is one: a pipe would be waited for, and a device would not end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST:
            raise ValueError
        return file.read().decode()


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
