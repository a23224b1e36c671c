"""Whatever is typed, or stands in a file that was named, is taken or refused with a sentence: never a traceback."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import hostile
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opskit import durations, errors, model, selections
from opskit.frameworks import survey
from opskit.rollout import controls, plan
from opskit.tasks import pacing, task

NOW = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
DIGITS = "9" * 5000  # int() refuses so many with a message of its own
PARSERS = {
    "duration": durations.parse,
    "flag": lambda text: task.duration("stagger", text),
    "canary": controls.parse_canary,
    "canary of files": lambda text: pacing.changes({"canary": f"@ids,{text}"}),
    "allowance": controls.parse_allowance,
    "retries": controls.parse_retries,
    "stop-after-same": controls.parse_same,
    "until": lambda text: controls.seconds_until(text, NOW),
    "patterns": lambda text: selections.patterns("tenants", text),
}
NUMBERS = st.text("0123456789.,%:=@*-+ smhd\u0663\u00b2\n", max_size=20)


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30) | NUMBERS)
@example(DIGITS)
@example(f"{DIGITS}s")
@example(f"{DIGITS}%")
@example("3\x1f")  # a space to str.strip(), none to int()
@example("@~nobody-is-called-so/ids")
@example("@nul\0")
@example("@" + "x" * 5000)
@example("@/")
def test_any_value_of_a_flag_is_taken_or_refused(parse, text):
    with contextlib.suppress(errors.UsageError):
        assert parse(text) is not None


@pytest.mark.parametrize("name", ["ids.txt", "ids.json"])
@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60) | st.text('[]{}",: \n\r#a*\u2028', max_size=30).map(str.encode))
@example(content=b"[" * 100_000)
@example(content=b'["a", 1]')
@example(content=b'[""]')
@example(content=b"[]")
@example(content=b"\xef\xbb\xbfacme")
def test_any_file_of_ids_is_taken_or_refused(tmp_path_factory, name, content):
    file = tmp_path_factory.getbasetemp() / name
    file.write_bytes(content)
    with contextlib.suppress(errors.UsageError):
        found = selections.patterns("tenants", f"@{file}")
        assert (bool(found), all(found)) == (True, True)


def test_a_file_names_every_id_that_there_can_be(tmp_path):
    (tmp_path / "ids.json").write_text(json.dumps([*hostile.IDS, hostile.LONG]))
    tenants = tuple(model.Tenant(each) for each in (*hostile.IDS, hostile.LONG, "acme"))
    patterns = selections.patterns("tenants", f"@{tmp_path / 'ids.json'}")
    assert tenants[:-1] == plan.select(tenants, patterns)
    assert tenants[-1:] == plan.select(tenants, (), patterns)


def test_a_line_of_a_file_is_an_id_unless_blanks_or_newlines_belong_to_it(tmp_path):
    plain = [each for each in hostile.IDS if "\n" not in each and each == each.strip() and not each.startswith("#")]
    (tmp_path / "ids.txt").write_text("\n".join(["# all of them", "", *plain]), newline="\n")
    assert tuple(plain) == selections.patterns("tenants", f"@{tmp_path / 'ids.txt'}")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text("ab*?[]!-\n\\", max_size=6), max_size=5), st.lists(st.text("ab*?[]!-\n\\", max_size=6), max_size=3)
)
def test_any_globs_select_or_are_refused(only, exclude):
    tenants = tuple(model.Tenant(each) for each in ("a", "b", "[ab]", "a\nb", "*"))
    with contextlib.suppress(errors.UsageError):
        assert set(plan.select(tenants, only, exclude)) <= set(tenants)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ROW = {"tenant_id": "acme", "applied": 1, "latest": ["a.1"], "pending": [], "error": ""}
ANSWER = {"v": 1, "shared": {"pending": []}, "tenants": [ROW], "busy": []}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*ROW, *ANSWER]), VALUES)
def test_any_answer_to_what_is_pending_is_read_or_refused(key, value):
    answer = {**ANSWER, key: value} if key in ANSWER else {**ANSWER, "tenants": [{**ROW, key: value}]}
    with contextlib.suppress(errors.ListingError):
        found = survey.read(model.Reply(exit=0, out=json.dumps(answer)))
        assert all(isinstance(each, str) for state in found.tenants.values() for each in state.pending)
