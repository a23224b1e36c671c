"""Time limits for statements: what is wanted of PostgreSQL, and why it can't be had."""

import json

import pytest

from opskit import errors, model
from opskit.frameworks import timeouts

WANTED = {"lock_timeout": "5000"}


def differences(*rows: dict) -> tuple[timeouts.Difference, ...]:
    usual = {"tenant": "", "vendor": "postgresql", "found": {"lock_timeout": "0"}, "own": False, "pooled": False}
    told = [{**usual, "refused": "", **row} for row in rows]
    return timeouts.read(model.Reply(exit=0, out=json.dumps({"v": 1, "differ": told})))


def test_seconds_are_milliseconds_and_never_none():
    how = [model.Controls(), model.Controls(lock_timeout=5.0), model.Controls(lock_timeout=1e-9, statement_timeout=0.5)]
    assert [{}, WANTED, {"lock_timeout": "1", "statement_timeout": "500"}] == list(map(timeouts.settings, how))


BEGINNING = "lock_timeout would not hold in the project's own database: "
OWN = "lock_timeout is 0 ms there, since the project's DATABASES has `options` of its own, which stand before PGOPTIONS"
REFUSED = [
    ([{"vendor": "mysql"}], BEGINNING + "it is mysql, and these limits are PostgreSQL's"),
    ([{"refused": "OperationalError: no"}], BEGINNING + "start-up options are refused on the way to it (OperationalError: no)"),
    ([{"own": True, "pooled": True}], BEGINNING + OWN),
    ([{"pooled": True}], BEGINNING + "lock_timeout is 0 ms there, since a pooler in between drops start-up options (PgBouncer: ignore_startup_parameters)"),
    ([{}], BEGINNING + "lock_timeout is 0 ms there: something sets it when the project connects, or drops PGOPTIONS"),
    ([{"tenant": "a", "own": True}, {"tenant": "x"}, {"tenant": "b", "own": True}], f"lock_timeout would not hold in the database of `a`, `b`: {OWN}"),
    ([{"tenant": name, "own": True} for name in "abcde"], f"lock_timeout would not hold in the database of `a`, `b`, `c` and 2 more: {OWN}"),
    ([{"alias": "reports", "refused": "no"}], "lock_timeout would not hold on the project's connection `reports`: start-up options are refused on the way to it (no)"),
    ([{"tenant": "x"}], ""),
    ([], ""),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), REFUSED)
def test_the_cause_is_told(rows, expected):
    assert expected == timeouts.refusal(WANTED, differences(*rows), set("abcde"))


def test_a_password_in_a_refusal_is_not_told():
    assert "hunter2" not in timeouts.refusal(WANTED, differences({"refused": "no: postgres://u:hunter2@db/x"}), ())


@pytest.mark.parametrize("out", ["", "[]", '{"differ": 1}', '{"differ": [1]}', '{"differ": [{"tenant": null}]}'])
def test_another_answer_can_not_be_read(out):
    with pytest.raises(errors.ListingError):
        timeouts.read(model.Reply(exit=0, out=out))
