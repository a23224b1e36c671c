"""How the answer about a way back reads: a way for each tenant, a reason, or one message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit import errors, frameworks, model
from opskit.frameworks import custom, undo

WAY = {
    "left": ["a.0002"],
    "steps": [["a", "0001"]],
    "later": [],
    "gone": [],
    "irreversible": [],
    "loses": ["field a.b.c"],
    "tangled": "",
}


def read(content) -> dict[str, tuple[model.WayBack, ...]]:
    return dict(undo.read(model.Reply(exit=0, out=json.dumps(content))))


def way(**changes) -> model.WayBack:
    return read({"ways": [{**WAY, **changes}], "tenants": {"x": {"ways": [0]}}})["x"][0]


def test_a_way_back():
    assert model.WayBack(("a.0002",), (("a", "0001"),), "", ("field a.b.c",)) == way()


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"later": ["a.0003"]}, "a.0003 came later and depends on it"),
        ({"gone": ["a.0002"], "later": ["a.0003"]}, "the code does not have a.0002 any more"),
        ({"irreversible": ["a.0002 (RunPython)"]}, "it can't be reversed: a.0002 (RunPython)"),
        ({"tangled": "a"}, "no target of `a` takes back exactly this"),
        ({"later": [f"a.{n}" for n in range(9)]}, "a.0, a.1, a.2, a.3, a.4 and 4 more came later and depends on it"),
    ],
)
def test_why_there_is_none(told, refusal):
    assert refusal == way(**told).refusal


def test_a_tenant_that_can_not_be_asked_has_its_reason():
    assert (model.WayBack(refusal="no database"),) == read({"ways": [], "tenants": {"x": {"error": "no database"}}})[
        "x"
    ]


def test_the_question_says_what_was_applied_and_to_which_framework():
    command = undo.command(frameworks.get(environment("omnitenant")), [("a.0001", "a.0002"), ("b.0001",)])
    assert ("undo", "omnitenant") == (command.question, command.args[0])
    assert [["a.0001", "a.0002"], ["b.0001"]] == json.loads(command.args[1])["sets"]


def test_commands_of_ones_own_can_not_be_asked():
    spec = model.Custom(("list",), ("migrate", "{tenant}"), "ok", pending=("pending",))
    assert not undo.can_be_asked(custom.framework(spec))
    assert undo.can_be_asked(frameworks.get(environment("opskit")))


def environment(framework: str) -> model.Environment:
    return model.Environment("prod", (), model.App("/srv"), framework)


@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3) | st.sampled_from([WAY, {"ways": [0]}]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["ways", "tenants", "error", *WAY]), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
def test_an_answer_of_another_shape_is_one_message(content):
    try:
        found = read(content)
    except errors.ListingError as error:
        found = str(error)
    assert isinstance(found, dict) or "\n" not in found
