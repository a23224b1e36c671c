"""Turns the bytes of an output into whole lines without credentials, marks and a tail, in bounded memory."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable, Sequence

from opskit import redaction

LONGEST = 64 * 1024  # characters after which a line without an end is cut
TAIL = 16 * 1024  # characters
MARKS = 4 * 1024 * 1024  # characters of all marks; a tenant with more has its oldest forgotten
PARTIAL = 2000  # characters of a line that is not whole yet
STRADDLE = 1024  # characters that a cut leaves behind, for a credential to be whole

Hear = Callable[[str, str], None]
"""Hears whole lines, and the beginning of the line that is not whole yet."""


class Lines:
    """Feed it bytes; `hear` gets text, `marks` and `tail` fill up."""

    def __init__(self, marks: Sequence[re.Pattern[str]] = (), hear: Hear | None = None) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._patterns = marks
        self._hear = hear
        self._partial = ""
        self._marks: deque[str] = deque()
        self._marked = 0
        self._tail = ""

    @property
    def marks(self) -> tuple[str, ...]:
        return tuple(self._marks)

    @property
    def tail(self) -> str:
        return self._tail

    def feed(self, data: bytes) -> None:
        text = self._partial + self._decode(data)
        cut = text.rfind("\n") + 1
        if cut == 0 and len(text) > LONGEST:
            redrawn = text.rfind("\r", 0, len(text) - STRADDLE) + 1  # a progress bar's line, drawn again and again
            cut = redaction.safe_cut(text, redrawn or len(text) - STRADDLE) or len(text)
        self._partial = text[cut:]
        self._take(text[:cut])

    def end(self) -> None:
        """There is no more: what is left is a line."""
        rest, self._partial = self._partial + self._decode(b"", final=True), ""
        self._take(rest if not rest or rest.endswith("\n") else rest + "\n")

    def _take(self, text: str) -> None:
        text = redaction.redact(text)
        if text:
            self._tail = (self._tail + text[-TAIL:])[-TAIL:]
            self._mark(text)
        if self._hear and (text or self._partial):
            self._hear(text, self._beginning())

    def _beginning(self) -> str:
        """What there is to see of the line that is not whole yet: of a progress bar, how it was drawn last."""
        if "\r" not in self._partial:
            return redaction.redact_beginning(self._partial[:PARTIAL])
        return redaction.redact_beginning(self._partial).rstrip("\r").rpartition("\r")[2][:PARTIAL]

    def _mark(self, text: str) -> None:
        """Keep the lines with a match, each once, in their order; what a progress bar draws over is a line, too.

        Pattern by pattern, since one that begins with plain letters is searched several times as fast
        as an alternation (docs/adr/0006).
        """
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        found = {text.rfind("\n", 0, match.start()) + 1 for each in self._patterns for match in each.finditer(text)}
        for start in sorted(found):
            end = text.find("\n", start)
            self._keep(text[start : end if end >= 0 else len(text)])

    def _keep(self, line: str) -> None:
        self._marks.append(line)
        self._marked += len(line)
        while self._marked > MARKS and len(self._marks) > 1:
            self._marked -= len(self._marks.popleft())
