"""The word that is left for a run: the last one counts, and what nobody can read is none."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opskit import control, errors

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["word", "by", "why"]) | st.text(), inner),
    max_leaves=8,
)


def test_the_last_word_counts_and_is_the_owners_alone(tmp_path):
    assert control.heard(tmp_path) == control.NOTHING
    for word in (control.PAUSE, control.CONTINUE, control.STOP):
        said = control.Said(word, "deploy@ops1")
        control.say(tmp_path, said)
        assert control.heard(tmp_path) == said
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    control.clear(tmp_path)
    control.clear(tmp_path)
    assert control.heard(tmp_path) == control.NOTHING


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (control.Said(control.PAUSE, "deploy@ops1"), "paused by deploy@ops1"),
        (control.Said(control.CONTINUE, "deploy@ops1"), "continued by deploy@ops1"),
        (control.Said(control.STOP, "deploy@ops1"), "stopped by deploy@ops1"),
        (control.Said(control.PAUSE, why="the canary is home"), "the canary is home"),
    ],
)
def test_the_reason(said, reason):
    assert said.reason == reason


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"word": "stop"}', b"[" * 100_000])
def test_what_can_not_be_read_is_no_word(tmp_path, content):
    (tmp_path / "control.json").write_bytes(content)
    assert control.heard(tmp_path) == control.NOTHING


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_no_content_is_an_error(tmp_path, content):
    import json

    (tmp_path / "control.json").write_text(json.dumps(content), errors="backslashreplace")
    assert isinstance(control.heard(tmp_path).word, str)


def test_a_folder_that_is_gone_is_an_error_with_its_path(tmp_path):
    with pytest.raises(errors.JournalError, match=r"gone/control\.json can't be written: No such file or directory"):
        control.say(tmp_path / "gone", control.Said(control.STOP, "deploy@ops1"))


def test_a_word_that_can_not_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "control.json").mkdir()
    (tmp_path / "control.json" / "full").touch()
    with pytest.raises(errors.JournalError):
        control.say(tmp_path, control.Said(control.STOP, "deploy@ops1"))
    assert [each.name for each in tmp_path.iterdir()] == ["control.json"]


@pytest.mark.parametrize(("word", "held"), [(control.PAUSE, True), (control.STOP, True), (control.CONTINUE, False)])
def test_a_word_holds_a_run_up_or_does_not(tmp_path, word, held):
    assert not control.holds_up(tmp_path)
    control.say(tmp_path, control.Said(word, "deploy@ops1"))
    assert held is control.holds_up(tmp_path)


def test_a_word_that_can_not_be_read_may_hold_it_up(tmp_path):
    (tmp_path / "control.json").write_text('{"word":')
    assert control.holds_up(tmp_path)
