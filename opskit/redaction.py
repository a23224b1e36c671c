"""Removes credentials from text before anybody may see it.

Values that the inventory or an env_file declares are removed on the host (remote/agent/redaction.py), which
knows them. This is the second net: what looks like a credential wherever it comes from, and, on the
operator's side, the values that this process was told are secrets.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable

REDACTED = "[REDACTED]"

# A password with an @ of its own, and none that reaches over to the next URL: that keeps it linear.
_URL = re.compile(r"""(://[^:/@\s]*:)(?:[^@\s:]|:(?!//))+(?:@[^@\s/"',;:]+)*(?=@)""")
_OPEN_URL = re.compile(r"(://[^:/@\s]*:)\S+\Z")
# Quotes may be escaped (JSON in JSON, a repr in JSON), and may never close: the text was cut off.
# The first letter stands by itself, since a set of letters is what `re` searches fast for.
_PAIR = re.compile(
    r"""([pPsStTaA](?i:(?:(?<=p)ass(?:word|wd|phrase)?|(?<=s)ecret)(?:_?(?:access_?)?key)?|(?<=t)oken|(?<=a)pi_?key)"""
    r"""\\*["']?\s*[=:]\s*)"""
    r"""(?:[bBrRuU]{0,2}(\\*["'])(?:(?!\2)(?:\\.|[^\n]))*(?:\2)?|(?!\[REDACTED\])[^\s,;&'"]*[^\s,;&'")}\]])"""
)
_HINTS = ("pass", "secret", "token", "apikey", "api_key")


_SHORTEST = 4  # characters of a value that can be looked for: less would be everywhere
_LINE = 8  # characters of one line of a value that has several
_PASSWORD = re.compile(r"://[^:/@\s]*:([^@\s]+)@")
_known: list[str] = []  # the longest first: one may hold another


def know(secrets: Iterable[str]) -> None:
    """From now on `redact` removes these values, too, and the passwords of their URLs, as programs print them.

    For the whole process: whatever fails may have any of them in its message, and may be told anywhere.
    """
    values = [value for secret in secrets for value in (secret, *_PASSWORD.findall(secret))]
    found = {each for value in values for each in _appearances(value) if len(each) >= _SHORTEST}
    _known[:] = sorted(found.union(_known), key=lambda each: (-len(each), each))


def _appearances(secret: str) -> list[str]:
    """A value as it is, without its percent signs, in a repr or in JSON, and a line of it alone."""
    plain = urllib.parse.unquote(secret)
    quoted = [shown[1:-1] for text in (secret, plain) for shown in (repr(text), json.dumps(text))]
    return [secret, plain, *quoted, *(line for line in secret.splitlines() if len(line) >= _LINE)]


def hide(text: str) -> str:
    """`text` without the values that are known: for our own words, in which `app.sudo_password: ask` is no secret."""
    for secret in _known:
        text = text.replace(secret, REDACTED)
    return text


def redact(text: str) -> str:
    """`text` with passwords in URLs, connection strings and settings replaced, and the values that are known."""
    text = hide(text)
    if "://" in text:
        text = _URL.sub(rf"\1{REDACTED}", text)
    if _hinted(text):
        text = _PAIR.sub(rf"\1\2{REDACTED}\2", text)
    return text


def redact_beginning(text: str) -> str:
    """`redact` for a line that is not whole yet: it may end inside a URL's password."""
    return redact(_OPEN_URL.sub(rf"\1{REDACTED}", text))


def safe_cut(text: str, at: int) -> int:
    """The last place up to `at` where cutting `text` splits nothing that looks like a credential."""
    patterns = [_URL] if "://" in text else []
    for pattern in patterns + ([_PAIR] if _hinted(text) else []):
        for match in pattern.finditer(text):
            if match.start() < at <= match.end():  # the @ that makes a URL's password one stands behind it
                at = match.start()
    return at


def _hinted(text: str) -> bool:
    """Whether a longer look is worth its time: most output names no credential at all."""
    lowered = text.lower()
    return any(hint in lowered for hint in _HINTS)
