"""Removes credentials from text before anybody may see it.

Values that the inventory or an env_file declares are removed on the host (remote/agent.py), which
knows them. This is the second net: what looks like a credential wherever it comes from.
"""

from __future__ import annotations

import re

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


def redact(text: str) -> str:
    """`text` with passwords in URLs, connection strings and settings replaced."""
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
