"""What `check` found: a line a check, then what to do about those that are not well."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from opskit import model
from opskit.reporters.text import colourful, painted, plural, printable
from opskit.rollout import checks

_HEADERS = ("check", "of", "status", "found")
_GAP = 2  # blanks between columns; tabulate keeps as many behind a header
_ILL = (model.CheckStatus.WARNING, model.CheckStatus.FAILED)


def as_json(found: Sequence[model.Check], environment: str) -> str:
    """The checks for machines; the shape is in docs/tasks.md."""
    return json.dumps(
        {"environment": environment, "counts": checks.counts(found), "checks": [asdict(each) for each in found]}
    )


def as_table(found: Sequence[model.Check], environment: str, width: int | None = None) -> str:
    """The checks for people. `width` is the terminal's, None where lines may stay whole."""
    return "\n".join((_table(found, width), *_hints(found), _last(found, environment)))


def _table(found: Sequence[model.Check], width: int | None) -> str:
    """A row a check, at any width. `tables` would make four lines of each as soon as one path is too long to fold."""
    from tabulate import tabulate  # noqa: PLC0415 - start-up time

    cells = [(each.name, printable(each.of), each.status.value, printable(each.found)) for each in found]
    room = None if width is None else _room(cells, width)
    if colourful(sys.stdout):
        cells = [(name, of, painted(status, status), said) for name, of, status, said in cells]
    return tabulate(
        cells,
        headers=_HEADERS,
        tablefmt="simple",
        disable_numparse=True,
        maxcolwidths=[None, None, None, room] if room else None,
    )


def _room(cells: Sequence[tuple[str, ...]], width: int) -> int:
    """The columns that are left for what was found, at least enough for a few words."""
    taken = sum(max((len(_HEADERS[at]) + _GAP, *(len(row[at]) for row in cells))) + _GAP for at in range(3))
    return max(20, width - taken)


def _hints(found: Sequence[model.Check]) -> list[str]:
    """What to do, once for those that say the same."""
    ill = [each for each in found if each.status in _ILL and each.hint]
    hints = dict.fromkeys((each.name, each.hint) for each in ill)
    return [f"{name}: {printable(hint)}" for name, hint in hints]


def _last(found: Sequence[model.Check], environment: str) -> str:
    counted = checks.counts(found)
    told = ", ".join(f"{number} {status}" for status, number in counted.items() if number)
    end = (
        f"next: {'fix what failed, then ' if counted['failed'] else ''}`invoke migrate-all --env={environment} --plan`"
    )
    return f"{plural(len(found), 'check')}: {told}.\n{end}"
