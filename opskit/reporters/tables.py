"""Tables for people: as wide as they need to be, and at a terminal no wider than that."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence

_GAP = 2  # blanks between columns; tabulate keeps as many behind a header


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None, folds: Collection[str] = ()
) -> str:
    """Rows under their headers. `width` is the terminal's, None where lines may stay whole.

    What is too wide is wrapped in the columns of `folds`, between words: an id or a command stays whole. Where that
    does not do, each row becomes a line a cell.
    """
    from tabulate import tabulate  # noqa: PLC0415 - start-up time

    columns = list(zip(headers, *rows, strict=True))
    widths = [max(len(header) + _GAP, *map(len, cells)) for header, *cells in columns]
    if width is not None and _whole(widths) > width:
        least = [_longest_word(column) for column in columns]
        folding = [at for at, header in enumerate(headers) if header in folds]
        while _whole(widths) > width:
            wide = [at for at in folding if widths[at] > least[at]]
            if not wide:
                return _stacked(headers, rows, width)
            widths[max(wide, key=widths.__getitem__)] -= 1
        rows = [[_folded(cell, widths[at]) for at, cell in enumerate(row)] for row in rows]
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True, preserve_whitespace=True)


def _whole(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _longest_word(column: Iterable[str]) -> int:
    header, *cells = column
    return max(len(header) + _GAP, *(len(word) for cell in cells for word in cell.split()), 1)


def _folded(cell: str, width: int, *, indent: str = "") -> str:
    if len(indent + cell) <= width:
        return indent + cell
    return textwrap.fill(
        cell,
        width,
        initial_indent=indent,
        subsequent_indent=indent and f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _stacked(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """`run: 20261122T140203-prod`, and its other cells below it, those that say something."""
    lines = []
    for row in rows:
        told = [f"{header}: {cell}" for header, cell in zip(headers, row, strict=True) if cell]
        lines += [_folded(each, width, indent="  " if at else "") for at, each in enumerate(told)]
    return "\n".join(lines)
