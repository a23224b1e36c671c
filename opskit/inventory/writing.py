"""Values as YAML that is read back as the same text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from opskit.inventory import values

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


def value(written: values.Written) -> str:
    """A text, or a list on one line, of texts and lists."""
    return scalar(written) if isinstance(written, str) else row(written)


def row(items: Iterable[values.Written]) -> str:
    """A list on one line."""
    return f"[{', '.join(map(value, items))}]"
