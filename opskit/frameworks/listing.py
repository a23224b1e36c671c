"""Reads listings: hostile text that may hold credentials, warnings, or no JSON at all.

Fields are taken by allow-list, so credentials are dropped before anything is logged or shown.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator
from typing import Any

from opskit import errors, model, redaction
from opskit.frameworks import django

_SHOWN = 300  # characters of an unreadable answer that a message repeats
_LITERAL = len("\\u00e9")  # characters of the longest thing that can be cut in two, strings apart
_NEAR = 400  # characters in which noise shows itself
_LITERALS = set("truefalsenull\\-.0123456789abcdefABCDEF")


def parse(text: str, kind: type = object) -> Any:
    """The one JSON array or object in `text`, whatever is printed around it.

    One of another `kind` than list or dict that was asked for is noise, a line of a JSON log say, where a
    better one follows. Raises ListingError when there is none, and when it was cut off.
    """
    decoder = json.JSONDecoder()
    other, passed = None, 0
    for start in _starts(text):
        if start < passed or _is_noise(decoder, text[start : start + _NEAR]):
            continue
        try:
            found, passed = decoder.raw_decode(text, start)
            if isinstance(found, kind):
                return found
            other = found
        except json.JSONDecodeError as error:
            if _cut_off(text, error):  # a row of it would read as the whole
                raise errors.ListingError(f"it is cut off after {len(text)} characters") from None
        except (ValueError, RecursionError):  # a number of thousands of digits, a thousand brackets
            break
    if other is not None:
        return other
    raise errors.ListingError(f"it is not JSON: {_excerpt(text)}")


def _is_noise(decoder: json.JSONDecoder, beginning: str) -> bool:
    """Whether it stops being JSON soon, as `[2026-11-22 14:02] …` does.

    Finding that out on the whole text counts its lines up to there, each time: a log of a hundred thousand such
    lines before the listing would take minutes.
    """
    try:
        decoder.raw_decode(beginning)
    except json.JSONDecodeError as error:
        return not error.msg.startswith("Unterminated string") and error.pos < len(beginning) - _NEAR // 2
    except (ValueError, RecursionError):  # the whole text tells the same
        return False
    return False


def _cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether nothing is missing but the rest: not even a `true` stands whole at the end."""
    rest = text[error.pos :].strip()
    return error.msg.startswith("Unterminated string") or (len(rest) <= _LITERAL and not set(rest) - _LITERALS)


def _starts(text: str) -> Iterator[int]:
    """Where a JSON text can begin: at the beginning of a line."""
    at = 0
    while at < len(text):
        stripped = at + len(text[at : at + 200]) - len(text[at : at + 200].lstrip(" \t\ufeff"))
        if text[stripped : stripped + 1] in ("[", "{") and _plausible(text, stripped):
            yield stripped
        at = text.find("\n", at) + 1 or len(text)


def _plausible(text: str, at: int) -> bool:
    """`[SCHEMA BACKEND] …` begins with a bracket, too: JSON goes on with a value or a name."""
    following = text[at + 1 : at + 200].lstrip()
    return following[:1] in ('"', "{", "[", "]", "}") or following[:1].isdigit()


def _excerpt(text: str) -> str:
    shown = " ".join(redaction.redact_beginning(text[: 4 * _SHOWN]).split())[:_SHOWN]
    return f"`{shown}`" if shown else "it is empty"


def answer(reply: model.Reply, question: str) -> str:
    """The stdout of a command that ended well. Raises ListingError saying why it did not."""
    if reply.exit == 0:
        return reply.out
    how = reply.error or f"it exited {reply.exit}"
    reason = django.reason(reply.tail)
    raise errors.ListingError(f"{question} failed: {how}" + (f": {reason}" if reason and not reply.error else ""))


def tenants(rows: Any, id_field: str, name_field: str, isolation: dict[Any, str]) -> tuple[model.Tenant, ...]:
    """Tenants of a list of objects, in its order. Raises ListingError on rows without ids and on doubled ids."""
    if not isinstance(rows, list):
        raise errors.ListingError(f"expected a list of tenants, found {_kind(rows)}")
    found = tuple(_tenant(row, number, id_field, name_field, isolation) for number, row in enumerate(rows))
    _refuse_doubles(found)
    return found


def _tenant(row: Any, number: int, id_field: str, name_field: str, isolation: dict[Any, str]) -> model.Tenant:
    if not isinstance(row, dict):
        raise errors.ListingError(f"expected an object for tenant [{number}], found {_kind(row)}")
    value = row.get(id_field)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        names = ", ".join(f"`{key}`" for key in list(row)[:10])
        raise errors.ListingError(f"tenant [{number}] has no `{id_field}`: it has {names or 'nothing'}")
    name = row.get(name_field)
    return model.Tenant(
        id=str(value),
        name=str(name or "") if isinstance(name, str | int) else "",
        isolation=_isolation(row.get("isolation_type"), isolation),
    )


def _isolation(value: Any, names: dict[Any, str]) -> str:
    if isinstance(value, str | int) and value in names:
        return names[value]
    return str(value).lower() if isinstance(value, str) else ""


def _refuse_doubles(found: tuple[model.Tenant, ...]) -> None:
    doubled = [name for name, times in collections.Counter(tenant.id for tenant in found).items() if times > 1]
    if doubled:
        are = "1 id is" if len(doubled) == 1 else f"{len(doubled)} ids are"
        raise errors.ListingError(f"{are} listed more than once: {_some(doubled)}")
    if any(tenant.id == model.SHARED.id for tenant in found):
        raise errors.ListingError(f"the id `{model.SHARED.id}` is opskit's own name for the shared database")


def _some(ids: list[str], most: int = 5) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(f"`{name[:60]}`" for name in ids[:most]) + more


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")


def strings(value: Any, where: str) -> tuple[str, ...]:
    """A list of strings as a tuple. Raises ListingError."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise errors.ListingError(f"expected a list of texts at {where}, found {_kind(value)}")
    return tuple(value)
