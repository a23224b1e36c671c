"""Text for people: what a tenant's data may not do to a terminal or a table."""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Sequence
from typing import IO

from opskit.frameworks import events

WIDEST = 60  # characters of an id, or of why a run ended, that a screen shows


def printable(text: str) -> str:
    """`text` without control characters, terminal escapes and reversals of direction among them.

    What has no meaning that all agree on (unassigned, private use) is escaped, too; spaces of any width stay.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter == "\t" or not _hostile(letter) else _escaped(letter) for letter in text)


def _hostile(letter: str) -> bool:
    return not letter.isprintable() and unicodedata.category(letter) != "Zs"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def write(stream: IO[str], text: str) -> None:
    """Print a line; what the stream's encoding can't say is escaped, since output never fails for its encoding."""
    stream.write(sayable(stream, text) + "\n")
    stream.flush()


def sayable(stream: IO[str], text: str) -> str:
    """`text` with escapes in place of what the stream's encoding can't say."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def shortened(text: str, most: int = WIDEST) -> str:
    """`text`, with an ellipsis in place of what is longer than a table bears."""
    return text if len(text) <= most else text[: most - 1] + "…"


def named(tenant: str) -> str:
    """A tenant's id as a screen shows it: printable, not longer than a table bears, the spaces at its ends to be seen.

    Two ids may differ in nothing else, and tabulate strips them.
    """
    shown = printable(tenant)
    bare = shown.strip()
    before, _, after = shown.partition(bare) if bare else (shown, "", "")
    return shortened(f"{_seen(before)}{bare}{_seen(after)}")


def as_word(text: str) -> str:
    """`text` as one word of a line, so that nothing in it reads as the line's next words."""
    return "".join(_seen(letter) if letter.isspace() else letter for letter in printable(text))


def _seen(spaces: str) -> str:
    return "".join(f"\\x{ord(space):02x}" for space in spaces)


def typed(word: str) -> str:
    r"""`word` as it is typed in a shell; what can't be seen is written as bash, ksh and zsh read it: `$'a\nb'`."""
    if printable(word) == word and "\t" not in word:
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(_escaped(letter) if letter == "\t" else printable(letter) for letter in plain) + "'"


def spoken(text: str) -> list[str]:
    """The lines that are for people: the tenants app speaks its events there, too, and those are told by opskit."""
    return [printable(line) for line in text.splitlines() if line.strip() and not events.read(line)]


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first few of many names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(named(name) for name in names[:most]) + more


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
    """Whether a live view makes sense there: not on a terminal that is dumb or not known, since it may not go back."""
    return not stream.closed and stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def painted(text: str, word: str) -> str:
    """`text` in the colour of a level or a status, where that has one."""
    code = _COLOURS.get(word)
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
