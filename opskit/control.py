"""What the operator says from another terminal to a run that is going on: a small file in the run's folder."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from opskit import errors

PAUSE, CONTINUE, STOP = "pause", "continue", "stop"
_FILE = "control.json"


@dataclass(frozen=True)
class Said:
    """One of the words above, and who said it (`deploy@ops1`), or why the run paused by itself."""

    word: str = ""
    by: str = ""
    why: str = ""

    @property
    def reason(self) -> str:
        """`paused by deploy@ops1`, or `the canary is home`."""
        return self.why or f"{'stopped' if self.word == STOP else f'{self.word}d'} by {self.by}"


NOTHING = Said()


def say(folder: Path, said: Said) -> None:
    """Leave a word for the run of this folder; the last one counts. Raises JournalError."""
    path = folder / _FILE
    fresh = folder / f"{_FILE}.{os.getpid()}"
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump({"word": said.word, "by": said.by, "why": said.why}, file)
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise errors.JournalError(f"{path} can't be written: {error.strerror}") from error


def heard(folder: Path) -> Said:
    """The last word; NOTHING where there is none, or none that can be read."""
    try:
        content = json.loads((folder / _FILE).read_bytes())
        return Said(str(content["word"]), str(content["by"]), str(content["why"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return NOTHING


def holds_up(folder: Path) -> bool:
    """Whether the last word keeps the run from going on; one that can't be read may be such a word."""
    return (folder / _FILE).exists() and heard(folder).word != CONTINUE


def clear(folder: Path) -> None:
    """What was said to the run before it was resumed is over."""
    with contextlib.suppress(OSError):
        (folder / _FILE).unlink()
