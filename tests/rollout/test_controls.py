"""What the flags and keys of the rollout's controls mean."""

from datetime import UTC, datetime

import pytest

from opskit import errors, model
from opskit.rollout import controls, plan

TENANTS = tuple(model.Tenant(name) for name in ("1", "2", "acme", "internal", "test-a", "test-b"))
PENDING = model.Survey((), {tenant.id: model.TenantState(pending=("users.0002",)) for tenant in TENANTS})


def batches(**how) -> list[tuple[list[str], int | None]]:
    made = plan.make_plan(TENANTS, PENDING, model.Controls(**how))
    return [([tenant.id for tenant in batch.tenants], batch.max_failures) for batch in made.batches]


@pytest.mark.parametrize(
    ("text", "canary"),
    [
        ("1", model.Canary(count=1)),
        (" 3 ", model.Canary(count=3)),
        ("=1", model.Canary(patterns=("1",))),
        ("internal", model.Canary(patterns=("internal",))),
        ("internal, test-*", model.Canary(patterns=("internal", "test-*"))),
        ("1,2", model.Canary(patterns=("1", "2"))),
    ],
)
def test_digits_are_a_count_and_everything_else_names_tenants(text, canary):
    assert controls.parse_canary(text) == canary


@pytest.mark.parametrize("text", ["", "0", ",", "a,,b", "="])
def test_a_canary_that_can_not_be_meant_is_refused(text):
    with pytest.raises(errors.UsageError):
        controls.parse_canary(text)


def test_the_canary_is_a_first_batch_that_allows_no_failure():
    assert batches(canary=model.Canary(count=2)) == [(["1", "2"], 0), (["acme", "internal", "test-a", "test-b"], None)]
    assert batches(canary=model.Canary(patterns=("test-*",)))[0] == (["test-a", "test-b"], 0)
    assert batches(canary=model.Canary(patterns=("1",)))[0] == (["1"], 0)


def test_a_canary_of_everyone_leaves_no_second_batch():
    assert batches(canary=model.Canary(count=99)) == [([tenant.id for tenant in TENANTS], 0)]


def test_a_canary_that_matches_nobody_is_an_error():
    with pytest.raises(errors.UsageError) as caught:
        batches(canary=model.Canary(patterns=("nobody",)))
    assert str(caught.value).startswith("--canary: nothing matches `nobody` among 6 tenants")


@pytest.mark.parametrize(
    ("canary", "canaries", "count"),
    [(model.Canary(), 0, 1), (model.Canary(count=2), 1, 2), (model.Canary(count=99), 1, 1)],
)
def test_the_plan_says_how_many_of_its_batches_are_canaries(canary, canaries, count):
    made = plan.make_plan(TENANTS, PENDING, model.Controls(canary=canary))
    assert (canaries, count) == (made.canaries, len(made.batches))


def test_a_canary_may_be_listed_and_not_selected():
    made = plan.make_plan(TENANTS[:2], PENDING, model.Controls(canary=model.Canary(patterns=("acme",))), listed=TENANTS)
    assert (0, [model.Batch(TENANTS[:2])]) == (made.canaries, list(made.batches))


def test_a_canary_that_must_not_be_migrated_has_failed_already():
    survey = model.Survey((), {**PENDING.tenants, "acme": model.TenantState(error="no such database")})
    with pytest.raises(errors.CannotStart) as caught:
        plan.make_plan(TENANTS, survey, model.Controls(canary=model.Canary(patterns=("acme", "1"))))
    assert str(caught.value) == "the canary `acme` can't be migrated: no such database"


def test_a_canary_with_nothing_pending_tells_nothing_and_is_left_out():
    survey = model.Survey((), {**PENDING.tenants, "internal": model.TenantState(applied=2)})
    made = plan.make_plan(TENANTS, survey, model.Controls(canary=model.Canary(patterns=("internal",))))
    assert [len(batch.tenants) for batch in made.batches] == [5]


@pytest.mark.parametrize(
    ("text", "total", "may_fail"),
    [("0", 800, 0), ("3", 800, 3), ("5%", 800, 40), ("5%", 19, 0), ("5%", 20, 1), ("100%", 7, 7), ("0%", 7, 0)],
)
def test_a_share_is_of_the_whole_run_and_rounded_down(text, total, may_fail):
    assert controls.limit(controls.parse_allowance(text), total) == may_fail


@pytest.mark.parametrize("text", ["", "-1", "5 %", "1.5", "101%", "many"])
def test_an_allowance_that_can_not_be_meant_is_refused(text):
    with pytest.raises(errors.UsageError):
        controls.parse_allowance(text)


def test_the_allowance_counts_the_canary_as_part_of_the_run():
    assert batches(canary=model.Canary(count=1), max_failures=model.Allowance(50, percent=True))[1][1] == 3


@pytest.mark.parametrize("text", ["", "-1", "11", "x"])
def test_retries_that_can_not_be_meant_are_refused(text):
    with pytest.raises(errors.UsageError):
        controls.parse_retries(text)


NOW = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(("text", "hours"), [("23:30", 1.5), ("06:00", 8.0), ("6:00", 8.0), ("22:00", 24.0)])
def test_a_time_of_day_is_the_next_one(text, hours):
    assert controls.seconds_until(text, NOW) == hours * 3600


@pytest.mark.parametrize("text", ["", "24:00", "6", "06:60", "6:00 pm"])
def test_a_time_of_day_that_is_none_is_refused(text):
    with pytest.raises(errors.UsageError):
        controls.seconds_until(text, NOW)


TOOK = {"acme": 5.0, "1": 60.0, "internal": 1.0}


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        ("listed", ["1", "2", "acme", "internal", "test-a", "test-b"]),
        ("name", ["1", "2", "acme", "internal", "test-a", "test-b"]),
        ("smallest-first", ["internal", "acme", "1", "2", "test-a", "test-b"]),
        ("slowest-first", ["2", "test-a", "test-b", "1", "acme", "internal"]),
    ],
)
def test_orders_go_by_what_the_last_runs_took(order, ids):
    assert [tenant.id for tenant in controls.ordered(TENANTS, order, TOOK)] == ids


def test_a_canary_by_count_is_the_first_in_the_order_in_which_they_run():
    how = model.Controls(canary=model.Canary(count=1), order="slowest-first")
    took = {tenant.id: float(number) for number, tenant in enumerate(TENANTS)}
    made = plan.make_plan(TENANTS, PENDING, how, expected=took)
    assert [tenant.id for tenant in made.batches[0].tenants] == ["test-b"]
