"""What a run leaves in files: run.log for people and grep, and each tenant's whole output."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

from opskit import errors, journal, model
from opskit.frameworks import events
from opskit.reporters import telling
from opskit.reporters.text import as_word, printable


def _open(path: Path) -> IO[str]:
    """Open for appending, readable by its owner only. Raises JournalError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.JournalError(f"{path} can't be written: {error.strerror}") from error
    return os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace")


class LogFile:
    """A log: a line an event, with time, level and tenant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        self._teller = telling.Teller()

    def __call__(self, event: model.Event) -> None:
        lines = self._teller.tell(event)
        if not lines:
            return
        try:
            self._file.writelines(f"{_formatted(line)}\n" for line in lines)
            self._file.flush()
        except OSError as error:
            raise errors.JournalError(f"{self._path} can't be written: {error.strerror}") from error

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


def _formatted(line: telling.Line) -> str:
    tenant = f" tenant={as_word(line.tenant)}" if line.tenant else ""
    return f"{line.at:%Y-%m-%dT%H:%M:%SZ} {line.level}{tenant} {printable(line.text)}"


class TenantFiles:
    """A file a tenant with all that its commands printed, events in words.

    Output that can't be written (a full disk) must not end a command's supervision: the error is kept,
    and raised as JournalError before the next tenant.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, IO[str]] = {}  # {tenant_id: its file}
        self._failed = ""

    def __call__(self, event: model.Event) -> None:
        match event:
            case model.TenantStarted() if self._failed:
                raise errors.JournalError(self._failed)
            case model.Output(tenant, text) if text and not self._failed:
                self._write(tenant, text)
            case model.TenantFinished(_, outcome):
                self._end(outcome.tenant)

    def _write(self, tenant: str, text: str) -> None:
        try:
            file = self._open.get(tenant) or _open(journal.tenant_file(self._folder, tenant))
            self._open[tenant] = file
            file.write(events.in_words(text))
            file.flush()  # whoever kills this process leaves what it has heard
        except OSError as error:
            self._fail(error)
        except errors.JournalError as error:
            self._failed = str(error)

    def close(self) -> None:
        for tenant in list(self._open):
            self._end(tenant)

    def _end(self, tenant: str) -> None:
        file = self._open.pop(tenant, None)
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._failed = f"{self._folder}/tenants can't be written: {error.strerror}"


class New:
    """Lets pass what a tenant's file does not hold yet of an output that is heard from its beginning again."""

    def __init__(self, folder: Path, tenant: str) -> None:
        self._path = journal.tenant_file(folder, tenant)
        self._at: int | None = 0  # how far what is heard stands in the file; None where all is new

    def of(self, text: str) -> str:
        """The rest of `text`, from where the file ends; all of it from where the file holds something else."""
        if self._at is None or not text:
            return text
        data = events.in_words(text).encode("utf-8", "backslashreplace")
        known = self._read(self._at, len(data))
        self._at = self._at + len(data) if known == data else None
        return data[len(known) :].decode("utf-8", "replace") if data.startswith(known) else text

    def _read(self, at: int, size: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(at)
                return file.read(size)
        except OSError:
            return b""
