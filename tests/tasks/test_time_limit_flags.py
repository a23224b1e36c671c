"""`--lock-timeout` and `--statement-timeout` as they are typed."""

import pytest

from opskit import errors
from opskit.tasks import timeouts


def test_what_was_not_typed_changes_nothing():
    assert {} == timeouts.changes(None, None)


def test_each_flag_is_a_field_and_none_leaves_it_to_the_database():
    assert {"lock_timeout": 5.0} == timeouts.changes("5s", None)
    assert {"lock_timeout": 0.0, "statement_timeout": 600.0} == timeouts.changes("none", "10min")


REFUSED = [
    ("0", "--lock-timeout: `0` is PostgreSQL's word for no limit; `none` leaves it as it is there"),
    ("25d", "--lock-timeout: expected 24 days at most, found `25d`"),
    ("soon", "--lock-timeout: expected a duration such as `60`, `60s`, `10m` or `1h30m`, found `soon`"),
    ("", "--lock-timeout: expected a duration such as `60`, `60s`, `10m` or `1h30m`, found ``"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_can_not_be_meant_is_refused(text, message):
    with pytest.raises(errors.UsageError) as raised:
        timeouts.changes(text, None)
    assert message == str(raised.value)
