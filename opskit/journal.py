"""The run's record: `.opskit/runs/<run-id>/journal.jsonl`, one event a line, synced before the effect it announces.

Readers ignore fields they don't know, refuse a later format, and live with a last line cut off by a crash.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from opskit import errors, model
from opskit.rollout import run as runs

VERSION = 1
KEPT = 50  # runs
_LOOK = 0.05  # seconds: whoever looks whether a run goes on holds its lock for a moment
_PATIENCE = 20  # looks
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)  # what decoding an odd line raises
_LAST = 16 * 1024  # bytes that a record's last line is looked for in
_EVENTS = {
    kind.__name__: kind
    for kind in (
        model.RunStarted,
        model.RunResumed,
        model.PlanMade,
        model.TenantStarted,
        model.TenantMoved,
        model.TenantFollowed,
        model.TenantFinished,
        model.TenantVerified,
        model.GateAnswered,
        model.Notice,
        model.RunFinished,
    )
}


# ---------------------------------------------------------------- events as lines


def encode(event: model.Journalled, seq: int) -> str:
    """`event` as one line of JSON."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    return json.dumps({"v": VERSION, "seq": seq, "event": type(event).__name__, **fields}, default=plain)


def plain(value: Any) -> Any:
    """What `json.dumps` writes in the place of a noun of opskit.model: what it asks for as its `default`."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def decode(line: str) -> model.Journalled | None:
    """The event of a line, None for a kind this version does not know. Raises JournalError for a later format."""
    data = json.loads(line)
    if data["v"] > VERSION:
        raise errors.JournalError(f"it was written by a later opskit (format {data['v']}, this one reads {VERSION})")
    kind = _EVENTS.get(data["event"])
    if kind is None:
        return None
    event: model.Journalled = build(kind, {**data, "at": datetime.fromisoformat(data["at"])})
    return event


def build(kind: type[Any], data: Mapping[str, Any]) -> Any:
    """A dataclass of the fields it knows; JSON's lists are tuples here. Raises ValueError for another sort."""
    known = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    values = {name: _value(name, value) for name, value in data.items() if name in known}
    for name, value in values.items():
        if not _is_a(known[name], value):
            raise ValueError(f"`{name}` is of another sort")
    return kind(**values)


def _is_a(annotation: str, value: Any) -> bool:
    """Whether a value read from JSON is what model.py says of its field; dataclasses, which are built here, are."""
    if annotation.startswith("Mapping[str, "):
        inner = annotation.removeprefix("Mapping[str, ").removesuffix("]")
        return isinstance(value, dict) and all(_is_a(inner, each) for each in value.values())
    if annotation.endswith(" | None"):
        return value is None or _is_a(annotation.removesuffix(" | None"), value)
    return annotation not in _SORTS or _SORTS[annotation](value)


_SORTS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: type(value) is int,
    "float": lambda value: type(value) in (int, float) and math.isfinite(value),
    "datetime": lambda value: isinstance(value, datetime) and value.tzinfo is not None,
    "tuple[str, ...]": lambda value: isinstance(value, tuple) and all(isinstance(each, str) for each in value),
}


def _value(name: str, value: Any) -> Any:
    if name in _READERS:
        return _READERS[name](value)
    if name in ("pending", "back") and isinstance(value, dict):
        return {each: None if names is None else tuple(names) for each, names in value.items()}
    return tuple(value) if isinstance(value, list) else value


_READERS: dict[str, Callable[[Any], Any]] = {
    "outcome": lambda value: build(model.Outcome, {**value, "status": model.Status(value["status"])}),
    "plan": lambda value: build(model.Plan, value),
    "fingerprint": lambda value: value and build(model.Fingerprint, value),
    "batches": lambda value: tuple(build(model.Batch, each) for each in value),
    "tenants": lambda value: tuple(build(model.Tenant, each) for each in value),
    "current": lambda value: tuple(build(model.Tenant, each) for each in value),
    "deadline": lambda value: value and datetime.fromisoformat(value),
    "since": lambda value: value and datetime.fromisoformat(value),
    "rollout": lambda value: build(model.Controls, value),
    "canary": lambda value: build(model.Canary, value),
    "max_failures": lambda value: build(model.Allowance, value) if isinstance(value, dict) else value,
}


# ---------------------------------------------------------------- writing


class Journal:
    """A run's folder and its open record."""

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        self.folder = folder
        self._sync = sync
        self._fd = os.open(folder / "journal.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._hold()
        self._seq = self._mend()
        self._before = os.fstat(self._fd).st_size

    def _hold(self) -> None:
        """The kernel's lock on the record says that the run goes on, for as long as this process lives."""
        for _ in range(_PATIENCE):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # it goes on, or somebody looks whether it does
                time.sleep(_LOOK)
            except OSError:  # a file system without locks: nobody can be told
                return
            else:
                return
        self.close()
        raise errors.JournalError(f"{self.folder}: this run is going on")

    def _mend(self) -> int:
        """The number of lines there are. A last line that a crash cut off is set aside: it is no event."""
        size = os.fstat(self._fd).st_size
        content = os.pread(self._fd, size, 0)
        whole = content.rfind(b"\n") + 1
        if whole < size:
            with os.fdopen(_create(self.folder / "journal.torn"), "ab") as torn:
                torn.write(content[whole:] + b"\n")
            os.ftruncate(self._fd, whole)
        return content.count(b"\n")

    @property
    def run_id(self) -> str:
        return self.folder.name

    def append(self, event: model.Journalled) -> None:
        """Write an event and sync it. Raises JournalError: the run must not go on unrecorded."""
        self._seq += 1
        line = encode(event, self._seq).encode() + b"\n"
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)  # what follows starts a line of its own
                raise OSError(28, os.strerror(28))
            if self._sync:
                os.fsync(self._fd)
        except OSError as error:
            raise errors.JournalError(f"{self.folder}/journal.jsonl can't be written: {error.strerror}") from error

    def withdraw(self) -> None:
        """Leave the record as it was when it was opened; of a run that it began, leave no folder."""
        if self._before == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._before)
            os.fsync(self._fd)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def new_id(root: Path, environment: str, now: datetime) -> str:
    """A run-id that sorts by time, also among the runs of one second, and names its environment."""
    second = now.strftime("%Y%m%dT%H%M%S")
    taken = {each.name.partition("-")[0] for each in _runs(root).glob(f"{second}*")}
    stamps = (second, *(f"{second}.{number}" for number in range(2, 1000)))
    return f"{next(each for each in stamps if each not in taken)}-{environment}"


def create(root: Path, run_id: str, *, sync: bool = True) -> Journal:
    """A new run's folder (0700) and its open record. Raises JournalError."""
    base = _runs(root)
    try:
        (root / ".opskit").mkdir(mode=0o700, exist_ok=True)
        base.mkdir(mode=0o700, exist_ok=True)
        _prune(base)
        for folder in (base / run_id, base / run_id / "tenants"):
            folder.mkdir(mode=0o700)
        return Journal(base / run_id, sync=sync)
    except OSError as error:
        raise errors.JournalError(f"{base} can't be written: {error.strerror}") from error


def reopen(folder: Path, *, sync: bool = True) -> Journal:
    """The record of a run that is to go on. Raises JournalError, also where it does go on already."""
    try:
        return Journal(folder, sync=sync)
    except OSError as error:
        raise errors.JournalError(f"{folder} can't be written: {error.strerror}") from error


def going_on(folder: Path) -> bool:
    """Whether the process that writes this run's record lives, on this machine."""
    try:
        fd = os.open(folder / "journal.jsonl", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def _prune(base: Path) -> None:
    """Keep the newest runs; a folder that can't be removed is not worth stopping for."""
    for folder in sorted(_folders(base))[: -(KEPT - 1)]:
        if not going_on(folder):  # an old run, resumed, or paused for days
            shutil.rmtree(folder, ignore_errors=True)


def _runs(root: Path) -> Path:
    return root / ".opskit" / "runs"


def _folders(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    return [each for each in base.iterdir() if re.match(r"\d{8}T\d{6}(\.\d+)?-", each.name) and each.is_dir()]


# ---------------------------------------------------------------- reading


def read(folder: Path) -> Iterator[model.Journalled]:
    """The events of a run, oldest first. Raises JournalError, naming the line."""
    try:
        lines = (folder / "journal.jsonl").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.JournalError(f"{folder}/journal.jsonl can't be read: {error}") from error
    for number, line in enumerate(lines[:-1], 1):  # after the last newline there is nothing, or a line cut off
        try:
            event = decode(line)
        except errors.JournalError as error:
            raise errors.JournalError(f"{folder}/journal.jsonl, line {number}: {error}") from None
        except UNREADABLE as error:
            raise errors.JournalError(f"{folder}/journal.jsonl, line {number} can't be read: {error}") from error
        if event is not None:
            yield event


def load(folder: Path) -> runs.Run:
    return runs.fold(read(folder))


def beginning(folder: Path) -> model.RunStarted | None:
    """What a run said when it began, without reading the rest; None where that can't be read."""
    with contextlib.suppress(errors.JournalError, OSError, *UNREADABLE):
        with (folder / "journal.jsonl").open("rb") as file:
            first = decode(file.readline().decode())
        return first if isinstance(first, model.RunStarted) else None
    return None


def glance(folder: Path) -> runs.Run:
    """A run as a list of runs shows it; one that has ended, of its first and last line alone. Raises JournalError.

    A hundred thousand tenants are 20 MB of plan, and a list may have fifty of them.
    """
    with contextlib.suppress(errors.JournalError, OSError, *UNREADABLE):  # reading it all names the line
        with (folder / "journal.jsonl").open("rb") as file:
            first = decode(file.readline().decode())
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST))
            last = decode(file.read().decode("utf-8", "replace").rstrip("\n").rpartition("\n")[2])
        if isinstance(first, model.RunStarted) and isinstance(last, model.RunFinished):
            return runs.fold((first, last))
    return load(folder)


def history(root: Path, environment: str | None = None) -> list[Path]:
    """The folders of the runs there are, newest first."""
    folders = sorted(_folders(_runs(root)), reverse=True)
    return [each for each in folders if environment is None or environment_of(each.name) == environment]


def durations(
    root: Path, environment: str, newest: int = 10, wanted: Collection[str] | None = None
) -> dict[str, float]:
    """{tenant_id: seconds} that migrating took the last time, as the newest runs of an environment tell.

    No older run is read once all the `wanted` tenants are known.
    """
    found: dict[str, float] = {}
    for folder in history(root, environment)[:newest]:
        if wanted is not None and all(tenant in found for tenant in wanted):
            break
        with contextlib.suppress(errors.JournalError):  # a record that can't be read says nothing
            run = load(folder)
            for outcome in () if run.undoes else run.outcomes.values():
                if outcome.status is model.Status.MIGRATED and outcome.attempt:
                    found.setdefault(outcome.tenant, outcome.seconds)
    return found


def environment_of(run_id: str) -> str:
    """The environment that a run-id names."""
    return run_id.partition("-")[2]


def find(root: Path, run_id: str | None, flag: str = "run") -> Path:
    """The folder of a run, the newest where none is named. Raises UsageError, naming the flag."""
    folders = history(root)
    if not folders:
        raise errors.UsageError("there are no runs yet. `invoke migrate-all` makes the first.")
    if run_id is None:
        return folders[0]
    matching = [folder for folder in folders if folder.name == run_id] or [
        folder for folder in folders if run_id and folder.name.startswith(run_id)
    ]
    if len(matching) != 1:
        why = "names more than one run" if matching else "names no run"
        raise errors.UsageError(f"--{flag}=`{run_id}` {why}. `invoke runs` lists them.")
    return matching[0]


def tenant_file(folder: Path, tenant: str) -> Path:
    """Where a tenant's whole output is kept: 40 safe characters of its id and 8 of its hash."""
    import hashlib  # noqa: PLC0415 - start-up time

    safe = re.sub(r"[^A-Za-z0-9_-]", "_", tenant)[:40]
    digest = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return folder / "tenants" / f"{safe}-{digest}.log"
