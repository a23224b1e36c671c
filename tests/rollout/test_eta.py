"""How long a rollout has still to go: kept up tenant by tenant, it is what a look at everything would say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit import model
from opskit.rollout import eta

SECONDS = st.floats(0, 1e5, allow_nan=False)
NAMES = [f"t{number}" for number in range(8)]


def plan(expected: dict[str, float | None], stagger: float = 0.0) -> model.Plan:
    known = {name: usual for name, usual in expected.items() if usual is not None}
    tenants = tuple(model.Tenant(name) for name in expected)
    return model.Plan((model.Batch(tenants[:1]), model.Batch(tenants[1:])), {}, stagger=stagger, expected=known)


def outcome(name: str, seconds: float, attempt: int = 1) -> model.Outcome:
    return model.Outcome(name, model.Status.MIGRATED, seconds=seconds, attempt=attempt)


@given(
    st.dictionaries(st.sampled_from(NAMES), st.none() | SECONDS),
    st.lists(st.tuples(st.sampled_from([*NAMES, "stranger"]), SECONDS, st.integers(0, 2))),
    st.floats(0, 3600),
)
def test_it_is_what_adding_everything_up_says(expected, ended, stagger):
    kept = eta.Eta()
    kept.take(plan(expected, stagger))
    for each in ended:
        kept.done(outcome(*each))

    left = {name: usual for name, usual in expected.items() if name not in {name for name, _, _ in ended}}
    seen = [usual for usual in expected.values() if usual is not None]
    seen += [seconds for _, seconds, attempt in ended if attempt]
    if None in left.values() and not seen:
        assert kept.seconds() is None
        return
    mean = sum(seen) / len(seen) if seen else 0.0
    work = sum(mean if usual is None else usual for usual in left.values())
    assert kept.seconds() == pytest.approx(work + max(0, len(left) - 1) * stagger, rel=1e-6, abs=1e-3)
    for idle in (0.0, stagger / 2, 2 * stagger):
        pause = max(0.0, stagger - idle) if left else 0.0
        assert kept.seconds(idle=idle) == pytest.approx(kept.seconds() + pause, rel=1e-6, abs=1e-3)
    assert {name: kept.usual(name) for name in NAMES} == {name: left.get(name) for name in NAMES}


@given(st.dictionaries(st.sampled_from(NAMES), SECONDS), st.floats(0, 60))
def test_a_plan_that_is_made_again_counts_nobody_twice(expected, stagger):
    kept = eta.Eta()
    kept.take(plan(expected, stagger))
    kept.take(plan(expected, stagger))
    assert kept.seconds() == pytest.approx(eta.of(plan(expected, stagger)), abs=1e-3)


def test_nobody_knows_where_nobody_has_a_history():
    assert eta.of(plan({"a": None, "b": None})) is None
    assert eta.of(plan({})) == 0.0
    assert eta.of(plan({"a": 4.0, "b": None, "c": 8.0}, stagger=10.0)) == 38.0


def test_who_is_at_work_has_less_to_go_and_eats_up_nobody_elses_time():
    kept = eta.Eta()
    kept.take(plan({"a": 20.0, "b": None, "c": 60.0}, stagger=10.0))
    assert kept.seconds(at_work={"a": 5.0}) == 20 - 5 + 40 + 60 + 2 * 10
    assert kept.seconds(at_work={"a": 500.0}) == 40 + 60 + 2 * 10
    assert kept.seconds(at_work={"b": 30.0}) == 20 + 40 - 30 + 60 + 2 * 10
    assert kept.seconds(at_work={"again": 30.0}) == 20 + 40 + 60 + 2 * 10


def test_no_pause_is_left_while_one_is_at_work():
    kept = eta.Eta()
    kept.take(plan({"a": 20.0, "b": 20.0}, stagger=10.0))
    kept.done(outcome("a", 20.0))
    assert kept.seconds(at_work={"b": 0.0}, idle=3.0) == 20.0
    assert kept.seconds(idle=3.0) == 20.0 + 7.0


def test_several_at_a_time_share_the_work_as_far_as_there_are_as_many_left():
    made = replace(plan({"a": 20.0, "b": 40.0, "c": None}), forks=2)
    assert eta.of(made) == (20 + 40 + 30) / 2
    kept = eta.Eta()
    kept.take(made)
    assert kept.seconds(at_work={"a": 10.0, "b": 10.0}) == (10 + 30 + 30) / 2
    kept.done(outcome("a", 20.0))
    kept.done(outcome("b", 40.0))
    assert kept.seconds(at_work={"c": 10.0}) == 20.0
