"""Durations, as people write and read them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit import durations, errors

PARSED = [
    ("60", 60.0),
    ("60s", 60.0),
    ("10m", 600.0),
    ("10min", 600.0),
    ("1h30min", 5400.0),
    ("1h30m", 5400.0),
    ("1h30m15s", 5415.0),
    ("500ms", 0.5),
    ("1s500ms", 1.5),
    ("2d", 172800.0),
    ("0", 0.0),
    ("0s", 0.0),
    ("1.5m", 90.0),
    ("0.25", 0.25),
    ("  60s\n", 60.0),
]


@pytest.mark.parametrize(("text", "seconds"), PARSED)
def test_a_duration_is_seconds(text, seconds):
    assert seconds == durations.parse(text)


REFUSED = ["", " ", "-1", "+1", "-5m", "1 h", "h", "1x", "10M", "1h-5m", "1e3", ".5", "5.", "1,5", "60s;", "inf", "nan"]
REFUSED += ["1h 30m", "1:30", "0x10", "1_000", "9" * 400, f"{'9' * 400}d"]


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused(text):
    with pytest.raises(errors.UsageError) as raised:
        durations.parse(text)
    assert f"expected a duration such as `60`, `60s`, `10m` or `1h30m`, found `{text.strip()}`" == str(raised.value)


@settings(deadline=None)
@given(st.text(alphabet="0123456789.hmsd -+"))
def test_any_text_is_a_finite_duration_or_refused(text):
    try:
        seconds = durations.parse(text)
    except errors.UsageError:
        return
    assert 0 <= seconds < float("inf")


SHOWN = [
    (0, "0.0 s"),
    (0.04, "0.0 s"),
    (0.4, "0.4 s"),
    (12.34, "12.3 s"),
    (59.94, "59.9 s"),
    (59.96, "1m00s"),
    (60, "1m00s"),
    (125, "2m05s"),
    (3599.4, "59m59s"),
    (3599.6, "1h00m"),
    (3720, "1h02m"),
    (100_000, "27h46m"),
]


@pytest.mark.parametrize(("seconds", "text"), SHOWN)
def test_a_duration_is_shown_as_people_read_it(seconds, text):
    assert text == durations.show(seconds)
