"""Text that a terminal, a pipe or a log takes, whatever its encoding and whatever a tenant is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def write(stream: Any, text: str, ending: str = "\n") -> None:
    """Write and flush. What the stream's encoding lacks is written as an escape."""
    wrapped = getattr(stream, "_out", stream)  # Django 4.2's OutputWrapper has an encoding of its own: None
    encoding = getattr(wrapped, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding), ending=ending)
    stream.flush()


def shown(name: str) -> str:
    """A name on one line: a line feed or an escape sequence in it is shown, not sent."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in name)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
