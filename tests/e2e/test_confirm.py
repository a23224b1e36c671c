"""`confirm: true`: nothing is migrated before somebody said yes."""

from __future__ import annotations

import pytest

from e2e import operator


@pytest.fixture
def careful(desk):
    desk.inventory(confirm="true")
    return desk


def test_without_a_terminal_nobody_can_be_asked(careful):
    operator.refuses(
        careful.run("migrate-all"),
        3,
        "`prod` asks for a confirmation, and there is no terminal to ask",
        "`--yes` answers it.",
    )
    assert careful.asked == []


@pytest.mark.parametrize("argv", [("migrate-all",), ("migrate-tenant", "--tenant-id=acme")])
def test_yes_answers_it(careful, argv):
    result = careful.run(*argv, "--yes")

    assert result.code == 0
    assert "[y/N]" not in result.err
    assert careful.migrated[0] == "acme"


def test_who_types_yes_goes_on(careful, typed):
    result = careful.run("migrate-all", stdin=typed("YES\n"))

    assert result.code == 0
    assert "migrate 3 tenants of prod? [y/N] " in result.err
    assert careful.migrated == list(operator.TENANTS)


@pytest.mark.parametrize(
    ("answer", "newline"),
    [("n\n", ""), ("\n", ""), ("\x04", "\n")],  # a terminal shows the newline that is typed; Ctrl-D is none
)
def test_any_other_answer_is_no(careful, typed, answer, newline):
    result = careful.run("migrate-all", stdin=typed(answer))

    assert (result.code, result.out, careful.asked) == (3, "", [])
    assert result.err.endswith(
        f"\nmigrate 3 tenants of prod? [y/N] {newline}the answer was not yes. {operator.UNTOUCHED}\n"
    )


def test_with_nothing_to_do_nobody_is_asked(careful):
    careful.inventory(confirm="true", framework={**operator.FRAMEWORK, "pending": ["pending"]})
    (careful.app / "migrated").write_text("\n".join(operator.TENANTS))

    result = careful.run("migrate-all")

    assert (result.code, careful.asked) == (0, [])
    assert "3 tenants: 3 current." in result.out
