"""Values as YAML that is read back as the same text."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What needs no quotes wherever it stands, in a list in brackets too.
_PLAIN = re.compile(r"[A-Za-z0-9/~_.](?:[A-Za-z0-9/~_.@%+=-]|:(?=[A-Za-z0-9/]))*")
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def scalar(text: str) -> str:
    """`text`, in quotes where YAML needs them."""
    return text if _PLAIN.fullmatch(text) else f'"{"".join(map(_character, text))}"'


def _character(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    if char.isprintable():
        return char
    return f"\\U{ord(char):08x}"


def row(texts: Iterable[str]) -> str:
    """A list on one line."""
    return f"[{', '.join(map(scalar, texts))}]"
