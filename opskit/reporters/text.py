"""Text for people: what a tenant's data may not do to a terminal or a table."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from typing import IO


def printable(text: str) -> str:
    """`text` without control characters, terminal escapes and reversals of direction among them."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if letter == "\t" or not _hostile(letter) else _escaped(letter) for letter in text)


def _hostile(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def write(stream: IO[str], text: str) -> None:
    """Print a line; what the stream's encoding can't say is escaped, since output never fails for its encoding."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def shortened(text: str, most: int) -> str:
    """`text`, with an ellipsis in place of what is longer than a table bears."""
    return text if len(text) <= most else text[: most - 1] + "…"


def spoken(text: str) -> list[str]:
    """The lines that are for people: the tenants app speaks its events on the same output."""
    return [printable(line) for line in text.splitlines() if line.strip() and not line.startswith('{"v": ')]


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first few of many names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(printable(name) for name in names[:most]) + more


_COLOURS = {
    "ERROR": "31",
    "WARNING": "33",
    "failed": "31",
    "unknown": "31;1",
    "skipped": "33",
    "migrated": "32",
    "warning": "33",
}


def colourful(stream: IO[str]) -> bool:
    """Whether colours go there: NO_COLOR says no, FORCE_COLOR yes, else a terminal that is not dumb."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def is_terminal(stream: IO[str]) -> bool:
    """Whether a live view makes sense there: not on a dumb terminal, which can't go back a line."""
    return not stream.closed and stream.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str, word: str) -> str:
    """`text` in the colour of a level or a status, where that has one."""
    code = _COLOURS.get(word)
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
