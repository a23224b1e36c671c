"""Tables for people: as wide as they need to be, and at a terminal no wider than that."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

_GAP = 2  # blanks between columns; tabulate keeps as many behind a header

Columns = list[list[str]]  # each with its header in front


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None = None,
    *,
    folds: Collection[str] = (),
    least: Sequence[str] = (),
) -> str:
    """Rows under their headers. `width` is the terminal's, None where lines may stay whole.

    A cell may have several lines. What is too wide is wrapped in the columns of `folds`, between words: an id or a
    command stays whole. Where that does not do, the columns of `least` are left out, as few as need be, the first one
    first; and where that does not do either, each row becomes a line a cell.
    """
    columns = [list(column) for column in zip(headers, *rows, strict=True)]
    if width is None:
        return _tabulated(columns)
    for dropped in range(len(least) + 1):
        kept = [column for column in columns if column[0] not in least[:dropped]]
        widths = _widths(kept, width, folds)
        if widths is not None:
            return _tabulated([_folded(column, most) for column, most in zip(kept, widths, strict=True)])
    return _stacked(headers, rows, width)


def _tabulated(columns: Columns) -> str:
    from tabulate import tabulate  # noqa: PLC0415 - start-up time

    headers, *rows = zip(*columns, strict=True)
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True, preserve_whitespace=True)


def _widths(columns: Columns, width: int, folds: Collection[str]) -> list[int] | None:
    """How wide each column may be, the widest folded first; None where no folding does."""
    headers = [len(header) + _GAP for header, *_ in columns]
    lines = [[line for cell in column for line in cell.splitlines()] for column in columns]
    widths = [max(least, *map(len, column)) for least, column in zip(headers, lines, strict=True)]
    least = [_longest_word(least, column) for least, column in zip(headers, columns, strict=True)]
    while sum(widths) + _GAP * (len(widths) - 1) > width:
        wide = [at for at, column in enumerate(columns) if column[0] in folds and widths[at] > least[at]]
        if not wide:
            return None
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _longest_word(least: int, column: list[str]) -> int:
    return max(least, *(len(word) for cell in column for word in cell.split()))


def _folded(column: list[str], width: int) -> list[str]:
    return ["\n".join(_wrapped(line, width) for line in cell.splitlines()) for cell in column]


def _wrapped(text: str, width: int, before: str = "", after: str = "") -> str:
    """`text` on lines of that width, with `before` the first and `after` the others."""
    if len(before + text) <= width:
        return before + text
    return textwrap.fill(
        text, width, initial_indent=before, subsequent_indent=after, break_long_words=False, break_on_hyphens=False
    )


def _stacked(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """`run: 20261122T140203-prod`, and its other cells below it, those that say something."""
    lines = []
    for row in rows:
        told = [f"{header}: {', '.join(cell.splitlines())}" for header, cell in zip(headers, row, strict=True) if cell]
        lines += [_wrapped(each, width, "  " if at else "", "    " if at else "  ") for at, each in enumerate(told)]
    return "\n".join(lines)
