"""SQL as it is shown: a migration once, findings under their statement, no text of others as it came."""

from __future__ import annotations

import pytest

from opskit import model
from opskit.reporters import sql

LINT = model.Lint(1, "some-rule", "warning", "slow.", "be quick.")


@pytest.mark.parametrize(
    ("found", "lint", "expected"),
    [
        (
            model.Sql(("A\nB;", "C;")),
            [LINT],
            ["  A", "  B;", "  C;", "    squawk, warning: some-rule: slow. be quick."],
        ),
        (model.Sql(("A;",), missing="RunPython"), [], ["  A;", "  not all of it can be had: RunPython"]),
        (model.Sql(missing="RunPython"), [], ["  it can't be had: RunPython"]),
        (model.Sql(), [], ["  nothing: it changes no table"]),
        (model.Sql(("A\x1b[2J;",)), [], ["  A\\x1b[2J;"]),
    ],
)
def test_a_migration(found, lint, expected):
    told = sql.as_lines({"a.0001": found}, {"a.0001": lint}, {"a.0001": ("x",)})

    assert ["SQL of a.0001 (1 tenant):", *expected] == told


@pytest.mark.parametrize(
    ("whose", "expected"),
    [
        (("x", "y"), "2 tenants"),
        (("x", model.SHARED.id), "1 tenant and the shared database"),
        ((model.SHARED.id,), "the shared database"),
    ],
)
def test_where_it_is_pending(whose, expected):
    assert f"SQL of a.0001 ({expected}):" == sql.as_lines({"a.0001": model.Sql()}, {}, {"a.0001": whose})[0]


def test_programs_can_tell_what_nobody_read_from_what_is_well():
    found = {"a.0001": model.Sql(("A;",)), "a.0002": model.Sql(("B;", "C;")), "a.0003": model.Sql(missing="no")}

    told = sql.as_data(found, {"a.0001": (), "a.0002": (LINT,)})

    assert [] == told["a.0001"]["lint"]
    assert [{"statement": 1, "rule": "some-rule", "level": "warning", "message": "slow.", "help": "be quick."}] == told[
        "a.0002"
    ]["lint"]
    assert {"statements": (), "missing": "no", "lint": None} == told["a.0003"]
