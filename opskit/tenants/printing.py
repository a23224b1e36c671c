"""Text that a terminal, a pipe or a log takes, whatever its encoding and whatever a tenant is called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any


def write(stream: Any, text: str, ending: str = "\n") -> None:
    """Write and flush. What the stream's encoding lacks is written as an escape; who has stopped reading is let go."""
    wrapped = getattr(stream, "_out", stream)  # Django 4.2's OutputWrapper has an encoding of its own: None
    encoding = getattr(wrapped, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding), ending=ending)
        stream.flush()
    except OSError:  # a closed pipe or a full disk is no reason to leave a tenant half migrated
        _to_nowhere(wrapped)


def _to_nowhere(stream: Any) -> None:
    """Send what is written from here on, and what Python flushes at its end, to /dev/null."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def shown(name: str) -> str:
    """A name on one line: a line feed or an escape sequence in it is shown, not sent."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in name)


def word(name: str) -> str:
    """A name as one word of a line, so that nothing in it reads as the line's next words."""
    return "".join(f"\\x{ord(each):02x}" if each.isspace() else each for each in shown(name))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
