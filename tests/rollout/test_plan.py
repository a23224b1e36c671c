"""What is selected, and what the run will do with it."""

import pytest

from opskit import errors, model
from opskit.rollout import plan


def tenants(*ids: str) -> tuple[model.Tenant, ...]:
    return tuple(model.Tenant(each) for each in ids)


def chosen(ids, only=(), exclude=()) -> list[str]:
    return [tenant.id for tenant in plan.select(tenants(*ids), only, exclude)]


IDS = ["acme", "acme-eu", "Acme", "zeta", "beta"]

SELECTED = [
    ("without patterns everyone is meant, in listed order", IDS, (), (), IDS),
    ("an id is itself", IDS, ("zeta",), (), ["zeta"]),
    ("a glob is all that it matches, in listed order", IDS, ("*eta", "acme*"), (), ["acme", "acme-eu", "zeta", "beta"]),
    ("case matters", IDS, ("A*",), (), ["Acme"]),
    ("a question mark is one letter", ["t1", "t2", "t10"], ("t?",), (), ["t1", "t2"]),
    ("brackets are a set of letters", ["t1", "t2", "t3"], ("t[12]",), (), ["t1", "t2"]),
    ("a pattern given twice chooses once", IDS, ("zeta", "z*"), (), ["zeta"]),
    ("the excluded go", IDS, (), ("acme*", "beta"), ["Acme", "zeta"]),
    ("the excluded go from the selected", IDS, ("*eta",), ("beta",), ["zeta"]),
    ("excluding what was not selected changes nothing", IDS, ("zeta",), ("acme",), ["zeta"]),
    ("an id with brackets is that tenant, not the glob", ["a[1]", "a1"], ("a[1]",), (), ["a[1]"]),
    ("where there is no such id it is the glob", ["a1", "a2"], ("a[1]",), (), ["a1"]),
    ("an id that is a star is that tenant alone", ["*", "acme", "zeta"], ("*",), (), ["*"]),
    ("an id that is a star is excluded alone", ["*", "acme"], (), ("*",), ["acme"]),
    ("an id that is a question mark is that tenant", ["?", "a"], ("?",), (), ["?"]),
    ("an id with a newline can be meant", ["a\nb", "a"], ("a\nb",), (), ["a\nb"]),
    ("an id that looks like an option can be meant", ["--all", "a"], ("--all",), (), ["--all"]),
]


@pytest.mark.parametrize(
    ("ids", "only", "exclude", "expected"), [row[1:] for row in SELECTED], ids=[row[0] for row in SELECTED]
)
def test_a_selection(ids, only, exclude, expected):
    assert expected == chosen(ids, only, exclude)


def test_nobody_to_select_from_is_nobody():
    assert [] == chosen([])


def test_each_pattern_that_matches_nothing_is_named():
    with pytest.raises(errors.UsageError) as raised:
        chosen(IDS, ("acme", "nope", "x*"))
    expected = ("--tenants: nothing matches `nope`, `x*` among 5 tenants", "`invoke show-tenants` lists them.")
    assert expected == (str(raised.value), raised.value.hint)


def test_an_exclusion_that_matches_nothing_is_named_too():
    with pytest.raises(errors.UsageError) as raised:
        chosen(IDS, (), ("nope",))
    expected = ("--exclude: nothing matches `nope` among 5 tenants", "`invoke show-tenants` lists them.")
    assert expected == (str(raised.value), raised.value.hint)


def test_an_empty_pattern_matches_nothing():
    with pytest.raises(errors.UsageError, match="nothing matches ``"):
        chosen(IDS, ("",))


def test_excluding_everyone_is_an_error():
    with pytest.raises(errors.UsageError) as raised:
        chosen(IDS, ("*eta",), ("*",))
    assert "--exclude leaves none of the 2 selected tenants" == str(raised.value)


A, B, C, D = tenants("a", "b", "c", "d")


def state(*pending: str, error: str = "") -> model.TenantState:
    return model.TenantState(pending=pending, error=error)


SURVEY = model.Survey(
    shared=(),
    tenants={
        "a": state("app.0001_x"),
        "b": state(),
        "c": state(error="no such database"),
        "d": state("app.0001_x", "app.0002_y"),
    },
)


def test_who_has_something_pending_gets_a_command_who_has_not_is_current_and_who_could_not_be_asked_is_refused():
    expected = model.Plan(
        batches=(model.Batch((A, D)),),
        pending={"a": ("app.0001_x",), "b": (), "c": (), "d": ("app.0001_x", "app.0002_y")},
        current=(B,),
        refused={"c": "no such database"},
        stagger=60.0,
    )
    assert expected == plan.make_plan((A, B, C, D), SURVEY, model.Controls(stagger=60.0))


def test_everything_is_everyone_but_the_refused():
    made = plan.make_plan((A, B, C, D), SURVEY, everything=True)
    assert ((model.Batch((A, B, D)),), (), {"c": "no such database"}) == (made.batches, made.current, made.refused)


def test_a_plan_with_nothing_to_do_has_no_batch():
    made = plan.make_plan((B,), SURVEY)
    assert ((), (B,)) == (made.batches, made.current)


@pytest.mark.parametrize("everything", [False, True])
def test_a_tenant_that_the_survey_does_not_know_is_refused(everything):
    made = plan.make_plan((A, model.Tenant("new")), SURVEY, everything=everything)
    refused = {"new": "asking what is pending did not mention it: it may be new"}
    assert ((model.Batch((A,)),), refused) == (made.batches, made.refused)
    assert {"a": ("app.0001_x",), "new": None} == made.pending


def test_without_a_survey_everyone_gets_a_command_and_nobody_can_say_what_is_pending():
    expected = model.Plan(batches=(model.Batch((A, B)),), pending={"a": None, "b": None}, stagger=5.0)
    assert expected == plan.make_plan((A, B), None, model.Controls(stagger=5.0))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a\0b", "its id holds a NUL"),
        ("half \ud83d", "its id holds half a character"),
        ("x" * 131_000, "its id is longer than 127 KB"),
        ("\N{ELEPHANT}" * 33_000, "its id is longer than 127 KB"),
    ],
    ids=["nul", "half", "long", "many bytes"],
)
@pytest.mark.parametrize("survey", [None, "asked"])
def test_an_id_that_no_command_can_be_given_is_refused_alone(name, why, survey):
    odd = model.Tenant(name)
    asked = model.Survey((), {"a": state("app.0001_x"), name: state("app.0001_x")}) if survey else None
    made = plan.make_plan((A, odd), asked)
    assert ((model.Batch((A,)),), {name: why}) == (made.batches, made.refused)


@pytest.mark.parametrize("name", ["x" * 130_000, "byte \udcff", "\N{ELEPHANT}" * 32_000], ids=["long", "byte", "wide"])
def test_an_id_that_a_command_can_be_given_is_not_refused(name):
    assert {} == plan.make_plan((model.Tenant(name),), None).refused


def test_a_refused_id_with_nothing_pending_is_current():
    odd = model.Tenant("a\0b")
    assert (odd,) == plan.make_plan((odd,), model.Survey((), {odd.id: state()})).current


def test_no_tenants_are_no_batch():
    assert model.Plan(batches=(), pending={}) == plan.make_plan((), None)


def test_only_the_selected_are_in_the_plan():
    made = plan.make_plan((A,), SURVEY)
    assert (["a"], {}) == (list(made.pending), made.refused)


def test_the_shared_database_is_a_batch_of_its_own_that_allows_no_failure():
    expected = model.Plan(
        batches=(model.Batch((model.SHARED,), max_failures=0),), pending={model.SHARED.id: ("app.0001_x",)}
    )
    assert expected == plan.make_shared_plan(("app.0001_x",))


# ---------------------------------------------------------------- tenants that share a place

HERE = model.Place("db1:5432", "acme")


def sharing(*ids, selected=None, pending=("a.0001",), everything=False) -> model.Plan:
    """The plan for tenants of which all are in one place."""
    states = {name: model.TenantState(pending=pending, place=HERE) for name in ids}
    return plan.make_plan(tenants(*(selected or ids)), model.Survey((), states), everything=everything)


def test_two_tenants_in_one_place_are_both_refused_and_each_names_the_other():
    assert sharing("a", "b").refused == {
        "a": "database `acme` on db1:5432 is also that of `b`",
        "b": "database `acme` on db1:5432 is also that of `a`",
    }


def test_of_many_in_one_place_a_message_names_a_few():
    said = sharing("a", "b", "c", "d", "e", "f").refused
    assert said["b"].endswith("is also that of `a`, `c`, `d` and 2 more")
    assert said["f"].endswith("is also that of `a`, `b`, `c` and 2 more")


def test_the_one_of_them_that_is_selected_is_migrated():
    assert sharing("a", "b", selected=("b",)).batches == (model.Batch(tenants("b")),)


def test_where_nothing_is_pending_nothing_is_refused():
    made = sharing("a", "b", pending=())
    assert (made.refused, made.current) == ({}, tenants("a", "b"))


def test_with_everything_they_are_refused_all_the_same():
    assert set(sharing("a", "b", pending=(), everything=True).refused) == {"a", "b"}


def test_schemas_of_one_database_are_places_of_their_own():
    states = {
        name: model.TenantState(pending=("a.0001",), place=model.Place("db1:5432", "acme", name)) for name in ("a", "b")
    }
    assert plan.make_plan(tenants("a", "b"), model.Survey((), states)).refused == {}
