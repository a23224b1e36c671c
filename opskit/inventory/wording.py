"""How an inventory's messages name what was found. No secret passes here: callers say what may be shown."""

import difflib
import re
from collections.abc import Iterable

_LONGEST = 60


def shown(value: object) -> str:
    """`value` in backticks on one short line; of a list or a mapping only that it is one."""
    if not isinstance(value, str) or not value:
        return kind(value)
    line = printable(value[: _LONGEST + 1])
    return f"`{line}`" if len(line) <= _LONGEST else f"`{line[:_LONGEST]}…`"


def printable(text: str) -> str:
    """`text` on one line, with no character in it that a terminal would act on."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def kind(value: object) -> str:
    """What sort of thing `value` is, without showing it."""
    if isinstance(value, str):
        return "text" if value else "nothing"
    return "a list" if isinstance(value, list) else "a mapping"


def key(name: str) -> str:
    """`name` as far as it is a plain word: `PASSWORD…` for a mistyped `PASSWORD=hunter2`."""
    word = "".join(re.findall(r"\A[\w. -]{,60}", name))
    return word if word == name and word else f"{word}…"


def path(loc: tuple[int | str, ...]) -> str:
    """`hosts[1].port`, `hosts["app1.example.com"].port`."""
    return "".join(_step(part) for part in loc).removeprefix(".")


def _step(part: int | str) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if re.fullmatch(r"[\w-]{1,60}", part) else f'["{key(part)}"]'


def listed(names: Iterable[str]) -> str:
    """`demo`, `prod` and `staging`, each in backticks."""
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be, whatever its case."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None
