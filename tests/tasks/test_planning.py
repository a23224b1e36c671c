"""How a plan tells its tenants: a row each, or a row for all that have the same to do."""

from __future__ import annotations

import pytest

from opskit.tasks import planning


def rows(pending: dict, refused: dict | None = None) -> list[list[str]]:
    head, _, *lines = planning._table(pending, refused or {}).splitlines()
    starts = [at for at in range(len(head)) if head[at] != " " and (at == 0 or head[at - 1] == " ")]
    ends = [*starts[1:], None]
    return [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in (head, *lines)]


@pytest.fixture(autouse=True)
def piped(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def named(number: int) -> dict:
    return {f"t{at:03}": ("a.0002_y", "a.0003_z") for at in range(number)}


def test_a_handful_with_the_same_to_do_has_a_row_each():
    told = rows(named(5), {"globex": "no such database"})
    assert [["tenant", "pending"], ["t000", "a.0002_y, a.0003_z"]] == told[:2]
    assert ["globex", "refused: no such database"] == told[-1]
    assert 7 == len(told)


def test_more_than_a_handful_share_one_and_what_drifted_stands_on_top():
    told = rows({**named(6), "acme": ("a.0003_z",), "late": None}, {"globex": "no such database"})
    assert [
        ["tenants", "pending", "which"],
        ["1", "refused: no such database", "globex"],
        ["1", "a.0003_z", "acme"],
        ["1", "nobody can say", "late"],
        ["6", "a.0002_y to a.0003_z (2)", "t000, t001, t002, t003, t004, t005"],
    ] == told


def test_of_up_to_fifty_everyone_is_named_on_lines_that_a_pipe_bears_too():
    shown = planning._table(named(50), {})
    assert all(name in shown for name in named(50))
    assert 120 >= max(map(len, shown.splitlines()))


def test_of_more_than_fifty_the_first_few_are_named_and_few_alike_share_a_row_too():
    told = rows({**named(50), "acme": (), "globex": ()})
    assert [
        ["2", "nothing", "acme, globex"],
        ["50", "a.0002_y to a.0003_z (2)", "t000, t001, t002, t003, t004 and 45 more"],
    ] == told[1:]
