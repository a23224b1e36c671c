"""A log of what was migrated, in a file of the operator's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from django.core.management.base import CommandError

from opskit.tenants import telling


@contextlib.contextmanager
def opened(path: str | None) -> Iterator[telling.Hear]:
    """Who writes to the file; to none where there is no path. Raises CommandError where it can't be opened."""
    if path is None:
        yield lambda _: None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"--log-file: {path} can't be written: {error.strerror}. nothing was migrated") from error
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1) as file:
        yield _unless_full(telling.as_log(file))


def _unless_full(hear: telling.Hear) -> telling.Hear:
    """A disk that is full is no reason to leave a tenant half migrated."""

    def heard(event: telling.Heard) -> None:
        with contextlib.suppress(OSError):
            hear(event)

    return heard
