"""Whatever stands in the place of a record is shown, or refused by name."""

import contextlib
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import EVENTS, RUN

from opskit import errors, journal
from opskit.reporters import summary

SPOILT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-11-22T14:02:00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def spoilt_lines(draw) -> list[str]:
    """The lines of a record, one value of which is another."""
    lines = [json.loads(journal.encode(event, number)) for number, event in enumerate(EVENTS, 1)]
    at = draw(st.sampled_from(lines))
    while True:
        key = draw(st.sampled_from(list(at)))
        if not isinstance(at[key], dict) or not at[key] or draw(st.booleans()):
            break
        at = at[key]
    at[key] = draw(SPOILT)
    return [json.dumps(line) for line in lines]


def shown_or_refused(folder, content: str | bytes) -> None:
    """Read a record as `runs` and `show-run` do: a table, or an error that names the file."""
    (folder / RUN).mkdir(exist_ok=True)
    (folder / RUN / "journal.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    with contextlib.suppress(errors.JournalError):
        run = journal.load(folder / RUN)
        shown = summary.as_table(run, folder / RUN, "prod") + summary.as_json(run, RUN, "prod")
        assert harmless(shown)
    assert harmless(summary.history([folder / RUN]))


def harmless(shown: str) -> bool:
    """Whether a terminal may have it; a space is one, however wide."""
    return all(letter.isprintable() or letter == "\n" or unicodedata.category(letter) == "Zs" for letter in shown)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    return tmp_path_factory.mktemp("spoilt")


@settings(max_examples=300, deadline=None)
@given(spoilt_lines())
def test_a_record_that_is_spoilt_is_shown_or_refused(spoilt, lines):
    shown_or_refused(spoilt, "\n".join([*lines, ""]))


@settings(max_examples=100, deadline=None)
@given(st.binary() | st.lists(SPOILT.map(json.dumps)).map("\n".join))
def test_a_record_that_is_none_is_shown_or_refused(spoilt, content):
    shown_or_refused(spoilt, content)


def test_a_value_of_another_sort_is_named(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"v": 1, "event": "Notice", "at": "2026-11-22T14:02:00", "text": "x"}\n')
    with pytest.raises(errors.JournalError) as raised:
        list(journal.read(tmp_path))
    assert f"{tmp_path}/journal.jsonl, line 1 can't be read: `at` is of another sort" == str(raised.value)
