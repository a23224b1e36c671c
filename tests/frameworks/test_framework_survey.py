"""The answer to `what is pending`."""

import json

import pytest

from opskit import errors, model
from opskit.frameworks import survey


def read(content) -> model.Survey:
    return survey.read(model.Reply(exit=0, out=content if isinstance(content, str) else json.dumps(content)))


def refusal(content) -> str:
    with pytest.raises(errors.ListingError) as raised:
        read(content)
    return str(raised.value)


def row(name="acme", **more):
    return {"tenant_id": name, "applied": 2, "latest": ["a.1", "a.2"], "pending": ["a.3"], "error": "", **more}


def test_a_whole_answer():
    content = {
        "v": 1,
        "shared": {"pending": ["app.0001_x"]},
        "tenants": [row(), row("zeta", pending=[], error="no such database")],
        "django": "5.2",
    }
    expected = model.Survey(
        shared=("app.0001_x",),
        tenants={
            "acme": model.TenantState(applied=2, latest=("a.1", "a.2"), pending=("a.3",)),
            "zeta": model.TenantState(latest=("a.1", "a.2"), error="no such database"),
        },
    )
    assert expected == read(content)


def test_the_histories_that_most_tenants_wait_with():
    assert (("a.1", "a.2"), ()) == read({"tenants": [], "waits": [["a.1", "a.2"], []]}).waits
    assert () == read({"tenants": [], "waits": None}).waits
    assert "expected a list of texts at waits" in refusal({"tenants": [], "waits": ["a.1"]})


def test_a_bare_answer():
    expected = model.Survey(shared=(), tenants={"7": model.TenantState()})
    assert expected == read({"tenants": [{"tenant_id": 7}]})


def test_nobody():
    assert model.Survey(shared=(), tenants={}) == read({"tenants": []})


def test_noise_around_it_is_skipped():
    answer = json.dumps({"tenants": [row()]})
    assert ["acme"] == list(read(f"[SCHEMA BACKEND] x\n{answer}\nbye\n").tenants)


def test_a_shared_database_of_which_nothing_is_said_has_nothing_pending():
    assert () == read({"shared": None, "tenants": []}).shared


@pytest.mark.parametrize("applied", [None, "many", "12", [], {}, 1.5, float("inf"), float("nan")])
def test_a_count_that_is_no_whole_number_is_none_at_all(applied):
    assert None is read({"tenants": [row(applied=applied)]}).tenants["acme"].applied


def test_an_error_is_one_line_without_credentials():
    state = read({"tenants": [row(error="OperationalError:\n postgres://u:hunter2@db/x")]}).tenants["acme"]
    assert "OperationalError: postgres://u:[REDACTED]@db/x" == state.error


REFUSED = [
    ([], "asking what is pending gave no `tenants`"),
    ({}, "asking what is pending gave no `tenants`"),
    ({"tenants": {}}, "asking what is pending gave no `tenants`"),
    ({"tenants": [[]]}, "asking what is pending gave a tenant without `tenant_id`"),
    ({"tenants": [{"id": 1}]}, "asking what is pending gave a tenant without `tenant_id`"),
    ({"tenants": [row(pending="a.1")]}, "expected a list of texts at `acme`.pending, found a text"),
    ({"tenants": [row(pending=None)]}, "expected a list of texts at `acme`.pending, found null"),
    ({"tenants": [row(latest=[1])]}, "expected a list of texts at `acme`.latest, found a list"),
    ({"shared": {"pending": 3}, "tenants": []}, "expected a list of texts at shared.pending, found a number"),
    ({"tenants": [], "busy": "opskit/run/a"}, "expected a list of texts at busy, found a text"),
    ({"tenants": [], "listing_error": "E:\nno table"}, "the tenants can't be read: E: no table"),
    ("", "it is not JSON: it is empty"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED)
def test_an_answer_that_can_not_be_read_says_why(content, message):
    assert message == refusal(content)


def test_a_listing_that_failed_is_no_error_where_the_shared_database_explains_it():
    content = {"shared": {"pending": ["app.0001_x"]}, "tenants": [], "listing_error": "no table"}
    assert model.Survey(shared=("app.0001_x",), tenants={}) == read(content)


def test_a_question_that_failed_says_why():
    with pytest.raises(errors.ListingError) as raised:
        survey.read(model.Reply(exit=1, tail="Traceback\nModuleNotFoundError: No module named 'acme'\n"))
    expected = "asking what is pending failed: it exited 1: ModuleNotFoundError: No module named 'acme'"
    assert expected == str(raised.value)


def test_the_question_names_the_framework_and_asks_for_nothing_more():
    assert model.Command(args=("omnitenant", "{}"), question="status") == survey.command("omnitenant")


def test_the_question_may_ask_which_connections_are_at_work():
    asked = survey.watching(survey.command("omnitenant"), ("opskit/run/a", "it's \u2713"), "opskit/run/")
    assert (("omnitenant", "status"), {"busy": ["opskit/run/a", "it's \u2713"]}) == (
        (asked.args[0], asked.question),
        json.loads(asked.args[1]),
    )
    assert 2 == len(asked.args)


def test_another_question_is_left_as_it_is():
    asked = model.Command(args=("pending", "--json"), timeout=3.0)
    assert asked == survey.watching(asked, ["opskit/run/a"], "opskit/run/")


def test_very_many_are_asked_for_by_how_they_begin():
    names = [f"opskit/run/{number}" for number in range(100_000)]
    asked = survey.watching(survey.command("omnitenant"), names, "opskit/run/")
    assert ("omnitenant", '{"busy_of": "opskit/run/"}') == asked.args


def test_the_question_may_ask_whether_settings_hold():
    asked = survey.trying(survey.watching_all(survey.command("omnitenant")), {"a": "1"}, "-c a=1")
    assert {"busy_of": "opskit/", "tries": {"a": "1"}, "pgoptions": "-c a=1"} == json.loads(asked.args[1])
    other = model.Command(args=("pending", "--json"), timeout=3.0)
    assert other == survey.trying(other, {"a": "1"}, "-c a=1")


@pytest.mark.parametrize(("said", "expected"), [(True, True), (False, False), (None, None), ("no", None), (1, None)])
def test_whether_they_hold_is_not_known_where_it_is_not_said(said, expected):
    assert expected is read({"tenants": [row()], "holds": said}).holds


def test_those_at_work_are_told():
    found = read({"tenants": [row()], "busy": ["opskit/run/acme", "opskit/run/acme", "opskit/run/b"]})
    assert frozenset({"opskit/run/acme", "opskit/run/b"}) == found.busy


def test_where_nothing_is_said_of_it_nobody_is_at_work():
    assert frozenset() == read({"tenants": [row()]}).busy


# ---------------------------------------------------------------- places


def test_a_place_is_read_with_what_is_odd_about_it():
    said = row(place=["db1:5432", "acme", "s01"], missing=True, cut=True)
    (state,) = read({"tenants": [said]}).tenants.values()
    assert (state.place, state.missing, state.cut) == (model.Place("db1:5432", "acme", "s01"), True, True)


def test_where_nothing_is_said_of_a_place_there_is_none():
    (state,) = read({"tenants": [row()]}).tenants.values()
    assert (state.place, state.missing, state.cut) == (None, False, False)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("db1", "expected a list of texts at `acme`.place, found a text"),
        (["db1"], "asking what is pending gave `acme` a place of 1 parts"),
    ],
)
def test_a_place_that_is_none_is_refused(place, message):
    with pytest.raises(errors.ListingError) as raised:
        read({"tenants": [row(place=place)]})
    assert str(raised.value) == message
