"""The loop, by the exact list of events it tells."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest

from opskit import errors, model, testing
from opskit.rollout import drive, step

A, B, C = (model.Tenant(name) for name in "abc")
MIGRATED, FAILED, UNKNOWN, SKIPPED = (
    model.Status.MIGRATED,
    model.Status.FAILED,
    model.Status.UNKNOWN,
    model.Status.SKIPPED,
)


def plan(*tenants: model.Tenant, stagger: float = 0.0, pending=None) -> model.Plan:
    return model.Plan((model.Batch(tenants),), pending or {}, stagger=stagger)


def at(seconds: float):
    return testing.START + timedelta(seconds=seconds)


def runner(clock: testing.FakeClock, statuses=None, took: float = 10.0):
    """A runner whose tenants take `took` seconds and end as {id: status} says; a status that is an error is raised."""

    def run(tenant: model.Tenant, attempt: int) -> model.Outcome:
        clock.advance(took)
        status = (statuses or {}).get(tenant.id, MIGRATED)
        if isinstance(status, Exception):
            raise status
        return model.Outcome(tenant.id, status, seconds=took, attempt=attempt)

    return run


def started(when: float, name: str, pending=None, host: str = "") -> model.TenantStarted:
    return model.TenantStarted(at(when), name, 1, host, pending)


def finished(when: float, name: str, status: model.Status = MIGRATED) -> model.TenantFinished:
    return model.TenantFinished(at(when), model.Outcome(name, status, seconds=10.0, attempt=1))


def test_nothing_to_do_tells_nothing():
    events = []
    assert "done" == drive.drive(model.Plan((), {}), runner(testing.FakeClock()), events.append, testing.FakeClock())
    assert [] == events


def test_every_start_is_told_before_it_happens_and_every_end_after_it():
    clock, told = testing.FakeClock(), []
    run = runner(clock)

    def witness(tenant, attempt):
        told.append(("runs", tenant.id, attempt))
        return run(tenant, attempt)

    reason = drive.drive(
        plan(A, B, pending={"a": ("app.0001_x",)}), witness, told.append, clock, drive.Watch(host=lambda: "app1")
    )
    expected = [
        started(0, "a", ("app.0001_x",), "app1"),
        ("runs", "a", 1),
        finished(10, "a"),
        started(10, "b", None, "app1"),
        ("runs", "b", 1),
        finished(20, "b"),
    ]
    assert ("done", expected) == (reason, told)


def test_the_countdown_is_told_each_second_and_starts_at_the_end_of_the_command():
    clock, events = testing.FakeClock(), []
    drive.drive(plan(A, B, stagger=2.5), runner(clock), events.append, clock)
    expected = [
        started(0, "a"),
        finished(10, "a"),
        model.Waiting(2.5, "b"),
        model.Waiting(1.5, "b"),
        model.Waiting(0.5, "b"),
        started(12.5, "b"),
        finished(22.5, "b"),
    ]
    assert expected == events
    assert [1.0, 1.0, 0.5] == clock.slept


def test_what_the_listeners_take_is_part_of_the_pause():
    clock = testing.FakeClock()

    def slow(event):
        if isinstance(event, model.TenantFinished):
            clock.advance(4)

    drive.drive(plan(A, B, stagger=5), runner(clock), slow, clock)
    assert [1.0] == clock.slept


def test_a_failure_is_followed_by_the_next():
    clock, events = testing.FakeClock(), []
    assert "done" == drive.drive(plan(A, B), runner(clock, {"a": FAILED}), events.append, clock)
    assert [started(0, "a"), finished(10, "a", FAILED), started(10, "b"), finished(20, "b")] == events


def test_an_unknown_outcome_ends_the_run():
    clock, events = testing.FakeClock(), []
    reason = drive.drive(plan(A, B), runner(clock, {"a": UNKNOWN}), events.append, clock)
    assert "nobody knows how `a` ended" == reason
    assert [started(0, "a"), finished(10, "a", UNKNOWN)] == events


def test_an_interruption_during_the_pause_starts_nothing_more():
    clock, events = testing.FakeClock(), []
    desk = drive.Watch(word=lambda: step.Word(stop=step.INTERRUPTED if len(clock.slept) == 2 else ""))
    reason = drive.drive(plan(A, B, stagger=60), runner(clock), events.append, clock, desk)
    assert "interrupted" == reason
    assert [started(0, "a"), finished(10, "a"), model.Waiting(60, "b"), model.Waiting(59, "b")] == events


def test_where_opskit_could_not_even_start_a_tenant_that_is_said_of_it_and_the_run_ends():
    clock, events = testing.FakeClock(), []
    lost = errors.ConnectError("app1: no route to host. nothing was migrated.")
    with pytest.raises(errors.ConnectError) as raised:
        drive.drive(plan(A, B, C), runner(clock, {"b": lost}), events.append, clock)
    skipped = model.Outcome("b", SKIPPED, error="not started: app1: no route to host. nothing was migrated.")
    expected = [started(0, "a"), finished(10, "a"), started(10, "b"), model.TenantFinished(at(20), skipped)]
    assert (lost, expected) == (raised.value, events)


def test_an_exception_of_another_kind_is_nobodys_outcome():
    clock, events = testing.FakeClock(), []
    with pytest.raises(ZeroDivisionError):
        drive.drive(plan(A), runner(clock, {"a": ZeroDivisionError()}), events.append, clock)
    assert [started(0, "a")] == events


def test_a_listener_that_can_not_write_ends_the_run_before_the_start():
    clock, ran = testing.FakeClock(), []

    def full(event):
        raise errors.JournalError("disk full")

    with pytest.raises(errors.JournalError):
        drive.drive(plan(A), lambda tenant, _: ran.append(tenant), full, clock)
    assert [] == ran


@pytest.mark.parametrize(
    ("seconds", "ran"), [(-5, []), (5, ["a"]), (10, ["a"]), (25, ["a", "b"]), (85, ["a", "b", "c"])]
)
def test_nobody_is_started_after_the_deadline(seconds, ran):
    clock, events = testing.FakeClock(), []
    made = replace(plan(A, B, C, stagger=10.0), deadline=at(seconds))
    reason = drive.drive(made, runner(clock), events.append, clock)
    began = [event.tenant for event in events if isinstance(event, model.TenantStarted)]
    assert (ran, "done" if ran == ["a", "b", "c"] else "its time is up") == (began, reason)


def test_time_that_passed_before_the_first_tenant_counts():
    clock, events = testing.FakeClock(), []
    clock.advance(60)
    made = replace(plan(A), deadline=at(59))
    assert "its time is up" == drive.drive(made, runner(clock), events.append, clock)
    assert [] == events


def test_who_usually_takes_longer_than_is_left_is_not_started():
    clock, events = testing.FakeClock(), []
    made = replace(plan(A, B), deadline=at(30), expected={"a": 30.0, "b": 30.0})
    reason = drive.drive(made, runner(clock), events.append, clock)
    assert ["a"] == [event.tenant for event in events if isinstance(event, model.TenantStarted)]
    assert "`b` usually takes 30.0 s, and 20.0 s are left" == reason


class Counted(tuple):  # noqa: SLOT001 - it is a witness, not a value
    """A tuple that counts how often it is looked at, and how often it is gone through."""

    looks: ClassVar[Counter] = Counter()

    def __getitem__(self, index):
        self.looks["item"] += 1
        return super().__getitem__(index)

    def __iter__(self):
        self.looks["iteration"] += 1
        return super().__iter__()

    def __contains__(self, item):
        self.looks["iteration"] += 1
        return super().__contains__(item)


def test_ten_thousand_tenants_are_each_looked_at_a_few_times_and_never_all_at_once():
    many = Counted(model.Tenant(f"t{number}") for number in range(10_000))
    clock, events, calls = testing.FakeClock(), Counter(), Counter()

    def run(tenant, attempt):
        calls["run"] += 1
        return model.Outcome(tenant.id, MIGRATED)

    def word():
        calls["word"] += 1
        return step.NOTHING_SAID

    drive.drive(
        model.Plan((model.Batch(many),), {}),
        run,
        lambda event: events.update([type(event).__name__]),
        clock,
        drive.Watch(word=word),
    )
    assert {"TenantStarted": 10_000, "TenantFinished": 10_000} == events
    assert {"run": 10_000, "word": 10_001} == calls
    assert {"item": 10_000} == many.looks


def test_a_retry_that_could_not_be_started_lets_the_attempt_before_it_stand():
    clock, told = testing.FakeClock(), []

    def run(tenant: model.Tenant, attempt: int) -> model.Outcome:
        if attempt == 2:
            raise errors.ConnectError("no route")
        return model.Outcome(tenant.id, FAILED, error="deadlock detected", attempt=1, retryable=True)

    with pytest.raises(errors.ConnectError):
        drive.drive(replace(plan(A), retries=1), run, told.append, clock)
    stands = model.Outcome("a", FAILED, error="deadlock detected; not tried again: no route", attempt=1)
    assert [each.outcome for each in told if isinstance(each, model.TenantFinished)][-1] == stands


def test_who_failed_in_an_earlier_part_of_the_run_and_can_not_be_started_now_has_failed():
    clock, told = testing.FakeClock(), []
    failed = model.Outcome("a", FAILED, error="no such table", attempt=1)
    watch = drive.Watch(before={"a": failed, "b": model.Outcome("b", SKIPPED, error="not started: no route")})

    for tenant in (A, B):
        with pytest.raises(errors.ConnectError):
            drive.drive(
                plan(tenant), runner(clock, {tenant.id: errors.ConnectError("no route")}), told.append, clock, watch
            )

    outcomes = [each.outcome for each in told if isinstance(each, model.TenantFinished)]
    assert [(each.status, each.error) for each in outcomes] == [
        (FAILED, "no such table; not tried again: no route"),
        (SKIPPED, "not started: no route"),
    ]


# ---------------------------------------------------------------- the gate, a pause, and the look at the canary


def answered(*codes: int | None):
    """A gate that answers these, one after the other."""
    left = iter(codes)
    return lambda tenant: model.GateAnswered(testing.START, tenant.id, next(left))


def kinds(events) -> list[str]:
    """`gate a 0`, `wait b`, `start a`: the order of things."""
    told = []
    for event in events:
        match event:
            case model.GateAnswered(_, tenant, code):
                told.append(f"gate {tenant} {code}")
            case model.Waiting(_, tenant, why):
                told.append(f"wait {tenant} {why}".strip())
            case model.TenantStarted(_, tenant):
                told.append(f"start {tenant}")
    return told


def test_the_gate_is_asked_after_the_stagger_and_before_each_start_and_retry():
    clock, events, left = testing.FakeClock(), [], iter([FAILED, MIGRATED, MIGRATED])

    def run(tenant: model.Tenant, attempt: int) -> model.Outcome:
        status = next(left)
        return model.Outcome(tenant.id, status, attempt=attempt, retryable=status is FAILED)

    made = replace(plan(A, B, stagger=1.0), gate="lag", retries=1)
    drive.drive(made, run, events.append, clock, drive.Watch(gate=answered(0, 0, 0)))
    assert kinds(events) == [
        *("gate a 0", "start a", "wait b", "gate b 0", "start b"),
        *(["wait a"] * 5),
        *("gate a 0", "start a"),
    ]


def test_a_gate_that_says_wait_is_asked_again_after_its_time_and_not_before():
    clock, events, asked = testing.FakeClock(), [], []
    codes = iter([2, 2, 0])

    def gate(tenant: model.Tenant) -> model.GateAnswered:
        asked.append(clock.monotonic())
        return model.GateAnswered(testing.START, tenant.id, next(codes))

    reason = drive.drive(replace(plan(A), gate="lag"), runner(clock), events.append, clock, drive.Watch(gate=gate))
    assert (reason, asked) == ("done", [0.0, step.GATE_AGAIN, 2 * step.GATE_AGAIN])
    assert kinds(events)[:3] == ["gate a 2", "wait a the gate said wait", "wait a the gate said wait"]


@pytest.mark.parametrize("code", [1, 127, -9, None])
def test_a_gate_that_does_not_say_yes_starts_nobody(code):
    clock, events = testing.FakeClock(), []
    desk = drive.Watch(gate=answered(0, code))
    reason = drive.drive(replace(plan(A, B), gate="lag"), runner(clock), events.append, clock, desk)
    assert kinds(events) == ["gate a 0", "start a", f"gate b {code}"]
    assert reason.startswith("the gate ")


def test_a_pause_lasts_until_somebody_says_so_and_the_deadline_ends_it():
    clock, events = testing.FakeClock(), []
    desk = drive.Watch(word=lambda: step.Word(pause="paused by ann" if 10 <= clock.monotonic() < 14 else ""))
    assert drive.drive(plan(A, B), runner(clock), events.append, clock, desk) == "done"
    assert kinds(events) == ["start a", *(["wait b paused by ann"] * 4), "start b"]

    clock, events = testing.FakeClock(), []
    desk = drive.Watch(word=lambda: step.Word(pause="paused by ann"))
    made = replace(plan(A), deadline=at(3))
    assert drive.drive(made, runner(clock), events.append, clock, desk) == "its time is up"
    assert kinds(events) == ["wait a paused by ann"] * 4


CANARY = model.Plan((model.Batch((A,), 0), model.Batch((B, C))), {}, canaries=1, stagger=1.0)


def test_the_databases_are_asked_once_when_the_canary_is_home_and_then_a_person():
    clock, events, told = testing.FakeClock(), [], []
    desk = drive.Watch(
        look=lambda tenants: told.append([each.id for each in tenants]) or [model.Outcome("a", MIGRATED)],
        pause=told.append,
    )
    drive.drive(replace(CANARY, pause_after_canary=True), runner(clock), events.append, clock, desk)
    assert told == [["a"], "the canary is home"]
    assert kinds(events) == ["start a", "wait b", "start b", "wait c", "start c"]


@pytest.mark.parametrize("status", [FAILED, UNKNOWN])
def test_a_canary_that_only_said_so_starts_nobody_and_asks_no_person(status):
    clock, events, told = testing.FakeClock(), [], []
    desk = drive.Watch(look=lambda _: [model.Outcome("a", status, error="1 pending")], pause=told.append)
    reason = drive.drive(replace(CANARY, pause_after_canary=True), runner(clock), events.append, clock, desk)
    assert (reason, told, kinds(events)) == ("the canary `a` is not migrated: 1 pending", [], ["start a"])


def test_a_look_that_fails_ends_the_run():
    clock, events = testing.FakeClock(), []

    def look(_):
        raise errors.ConnectError("no route")

    with pytest.raises(errors.ConnectError):
        drive.drive(CANARY, runner(clock), events.append, clock, drive.Watch(look=look))
    assert kinds(events) == ["start a"]
