"""`next_step` and `advance`, by the exact list of steps they answer."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from opskit import model
from opskit.rollout import step

AT = datetime(2026, 11, 22, tzinfo=UTC)
A, B, C = (model.Tenant(name) for name in "abc")
MIGRATED, FAILED, UNKNOWN, SKIPPED, CURRENT = (
    model.Status.MIGRATED,
    model.Status.FAILED,
    model.Status.UNKNOWN,
    model.Status.SKIPPED,
    model.Status.CURRENT,
)


def plan(*batches: model.Batch, stagger: float = 0.0) -> model.Plan:
    return model.Plan(batches=batches, pending={}, stagger=stagger)


def batch(*tenants: model.Tenant, max_failures: int | None = None) -> model.Batch:
    return model.Batch(tenants, max_failures)


def after(plan, progress: step.Progress, outcome: model.Outcome) -> step.Progress:
    """The progress after a tenant that was next has run, alone."""
    following = step.next_step(plan, progress, 1e9)
    return step.advance(plan, step.begun(plan, progress, following), outcome)


def steps(plan, *statuses, interrupted_after: int | None = None) -> list[step.Step]:
    """What is answered when each Wait is obeyed in full, and the tenants end as `statuses` say (migrated after that)."""
    ends, progress, idle, ran, answered = list(statuses), step.Progress(), None, 0, []
    while True:
        asked = interrupted_after is not None and ran >= interrupted_after
        now = step.next_step(plan, progress, idle, step.Word(stop=step.INTERRUPTED if asked else ""))
        answered.append(now)
        match now:
            case step.Stop():
                return answered
            case step.Wait(seconds, _):
                idle += seconds
            case step.Look():
                progress = step.looked(progress, ())
            case step.Run(tenant):
                status = ends.pop(0) if ends else MIGRATED
                progress, idle, ran = after(plan, progress, model.Outcome(tenant.id, status)), 0.0, ran + 1


def test_a_plan_without_batches_is_done():
    assert [step.Stop("done")] == steps(plan())


def test_tenants_run_in_order_and_then_it_is_done():
    assert [step.Run(A), step.Run(B), step.Run(C), step.Stop("done")] == steps(plan(batch(A, B, C)))


def test_the_stagger_stands_between_tenants_and_never_after_the_last():
    expected = [step.Run(A), step.Wait(60, B), step.Run(B), step.Wait(60, C), step.Run(C), step.Stop("done")]
    assert expected == steps(plan(batch(A, B, C), stagger=60))


def test_one_tenant_knows_no_stagger():
    assert [step.Run(A), step.Stop("done")] == steps(plan(batch(A), stagger=60))


def test_who_was_refused_has_failed_too():
    made = replace(plan(batch(A, B, max_failures=1)), refused={"x": "no database"})
    assert [step.Run(A), step.Stop("2 failed, 1 allowed")] == steps(made, FAILED)
    assert [step.Run(A), step.Run(B), step.Stop("done")] == steps(made)


def test_who_was_refused_may_be_one_too_many_already():
    made = replace(plan(batch(A, B, max_failures=0)), refused={"x": "no database"})
    assert [step.Stop("1 failed, 0 allowed")] == steps(made)


def test_who_was_refused_is_not_held_against_the_canary():
    made = replace(plan(batch(A, max_failures=0), batch(B, max_failures=1)), canaries=1, refused={"x": "no database"})
    assert [step.Run(A), step.Look((A,)), step.Run(B), step.Stop("done")] == steps(made)
    assert [step.Run(A), step.Stop("1 failed, 0 allowed")] == steps(made, FAILED)


def test_a_canary_that_is_the_only_one_to_migrate_is_migrated_whoever_was_refused():
    made = replace(plan(batch(A, max_failures=0)), canaries=1, refused={"x": "no database"})
    assert [step.Run(A), step.Stop("done")] == steps(made)


def test_the_stagger_stands_between_batches_too():
    expected = [step.Run(A), step.Wait(60, B), step.Run(B), step.Stop("done")]
    assert expected == steps(plan(batch(A), batch(B), stagger=60))


def test_the_pause_is_measured_from_the_end_of_the_last_command():
    pause = plan(batch(A, B), stagger=60)
    after_one = after(pause, step.Progress(), model.Outcome("a", MIGRATED))
    answers = [step.next_step(pause, after_one, idle) for idle in (0.0, 1.5, 59.5, 60.0, 61.0)]
    assert [step.Wait(60.0, B), step.Wait(58.5, B), step.Wait(0.5, B), step.Run(B), step.Run(B)] == answers


def test_before_the_first_command_there_is_nothing_to_wait_for():
    assert step.Run(A) == step.next_step(plan(batch(A), stagger=60), step.Progress(), None)


def test_a_failure_is_followed_by_the_next_tenant():
    expected = [step.Run(A), step.Run(B), step.Run(C), step.Stop("done")]
    assert expected == steps(plan(batch(A, B, C)), FAILED, FAILED, FAILED)


def test_an_unknown_outcome_stops_the_run_and_names_the_tenant():
    expected = [step.Run(A), step.Run(B), step.Stop("nobody knows how `b` ended")]
    assert expected == steps(plan(batch(A, B, C)), MIGRATED, UNKNOWN)


def test_an_unknown_outcome_stops_nothing_where_that_was_said_unless_it_is_a_canary():
    going_on = replace(plan(batch(A, B)), go_on=True)
    assert [step.Run(A), step.Run(B), step.Stop("done")] == steps(going_on, UNKNOWN, MIGRATED)
    canary = replace(plan(batch(A, max_failures=0), batch(B)), canaries=1, go_on=True)
    assert [step.Run(A), step.Stop("1 failed, 0 allowed")] == steps(canary, UNKNOWN)


def test_an_unknown_last_tenant_is_no_happy_end():
    assert [step.Run(A), step.Stop("nobody knows how `a` ended")] == steps(plan(batch(A)), UNKNOWN)


def test_an_unknown_stops_before_the_pause_and_before_the_next_batch():
    assert [step.Run(A), step.Stop("nobody knows how `a` ended")] == steps(plan(batch(A), batch(B), stagger=9), UNKNOWN)


def test_a_failed_canary_stops_before_the_second_tenant():
    expected = [step.Run(A), step.Stop("1 failed, 0 allowed")]
    assert expected == steps(plan(batch(A, max_failures=0), batch(B, C)), FAILED)


def test_a_good_canary_opens_the_second_batch():
    expected = [step.Run(A), step.Run(B), step.Run(C), step.Stop("done")]
    assert expected == steps(plan(batch(A, max_failures=0), batch(B, C)))


def test_failures_may_reach_the_limit_and_not_pass_it():
    limited = plan(batch(A, B, C, max_failures=1))
    assert [step.Run(A), step.Run(B), step.Run(C), step.Stop("done")] == steps(limited, FAILED)
    assert [step.Run(A), step.Run(B), step.Stop("2 failed, 1 allowed")] == steps(limited, FAILED, FAILED)


def test_each_batch_counts_its_own_failures():
    limited = plan(batch(A, max_failures=1), batch(B, max_failures=1), batch(C, max_failures=1))
    assert [step.Run(A), step.Run(B), step.Run(C), step.Stop("done")] == steps(limited, FAILED, FAILED, FAILED)


def test_skipped_and_current_tenants_are_no_failures():
    limited = plan(batch(A, B, max_failures=0))
    assert [step.Run(A), step.Run(B), step.Stop("done")] == steps(limited, SKIPPED, CURRENT)


def test_an_interruption_before_the_first_tenant_starts_nothing():
    assert [step.Stop("interrupted")] == steps(plan(batch(A, B)), interrupted_after=0)


def test_an_interruption_lets_no_further_tenant_start_nor_wait():
    assert [step.Run(A), step.Stop("interrupted")] == steps(plan(batch(A, B), stagger=60), interrupted_after=1)


def test_an_interruption_during_the_last_tenant_is_still_one():
    assert [step.Run(A), step.Stop("interrupted")] == steps(plan(batch(A)), interrupted_after=1)


def test_why_the_run_stopped_outranks_the_interruption():
    expected = [step.Run(A), step.Stop("nobody knows how `a` ended")]
    assert expected == steps(plan(batch(A, B)), UNKNOWN, interrupted_after=1)


def test_progress_goes_through_the_batches():
    two = plan(batch(A, B), batch(C))
    progress, seen = step.Progress(), []
    for name, status in (("a", FAILED), ("b", MIGRATED), ("c", MIGRATED)):
        progress = after(two, progress, model.Outcome(name, status))
        seen.append(progress)
    assert [step.Progress(0, 1, failures=1), step.Progress(1), step.Progress(2)] == seen


def test_nothing_stops_a_plan_that_is_through():
    assert "" == step.stopped(plan(batch(A, max_failures=0)), step.Progress(batch=1))


# ---------------------------------------------------------------- retries


def tried(plan, *outcomes: tuple[str, model.Status, bool]) -> list[step.Step]:
    """The steps when tenants end so: (id, status, retryable), each Wait obeyed in full."""
    ends, progress, idle, answered = list(outcomes), step.Progress(), None, []
    while True:
        now = step.next_step(plan, progress, idle)
        answered.append(now)
        match now:
            case step.Stop():
                return answered
            case step.Wait(seconds, _):
                idle += seconds
            case step.Run(tenant, attempt):
                name, status, retryable = ends.pop(0)
                assert name == tenant.id
                outcome = model.Outcome(name, status, attempt=attempt, retryable=retryable)
                progress, idle = after(plan, progress, outcome), 0.0


def test_what_is_retryable_is_tried_again_at_the_back_of_the_queue_with_backoff():
    made = model.Plan(batches=(batch(A, B),), pending={}, retries=2)
    ends = [("a", FAILED, True), ("b", MIGRATED, False), ("a", FAILED, True), ("a", MIGRATED, False)]
    assert tried(made, *ends) == [
        step.Run(A),
        step.Run(B),
        step.Wait(5, A),
        step.Run(A, 2),
        step.Wait(10, A),
        step.Run(A, 3),
        step.Stop("done"),
    ]


def test_the_last_retry_is_a_failure_like_any_other():
    made = model.Plan(batches=(batch(A, max_failures=0), batch(B)), pending={}, retries=1)
    ends = [("a", FAILED, True), ("a", FAILED, True)]
    assert tried(made, *ends)[-1] == step.Stop("1 failed, 0 allowed")


def test_what_is_not_retryable_is_not_tried_again():
    made = model.Plan(batches=(batch(A, B),), pending={}, retries=3)
    assert tried(made, ("a", FAILED, False), ("b", MIGRATED, False)) == [step.Run(A), step.Run(B), step.Stop("done")]


def test_a_long_stagger_is_longer_than_a_short_backoff():
    made = model.Plan(batches=(batch(A),), pending={}, retries=1, stagger=60)
    assert step.Wait(60, A) in tried(made, ("a", FAILED, True), ("a", MIGRATED, False))


# ---------------------------------------------------------------- failures that are one

ONCE = model.Fingerprint("UniqueViolation", "23505", "billing.0042_once", "could not create …")
OTHER = replace(ONCE, migration="billing.0043_twice")
NONE = None


def ended(plan, *prints: model.Fingerprint | str | None, retryable: bool = False) -> list[step.Step]:
    """The tenants that run, and why it stops, when they fail with these fingerprints; a text is a success."""
    progress, answered, ends = step.Progress(), [], list(prints)
    while True:
        now = step.next_step(plan, progress, 1e9)
        answered += [now.tenant.id] if isinstance(now, step.Run) else [now]
        match now:
            case step.Stop():
                return answered
            case step.Look():
                progress = step.looked(progress, ())
            case step.Run(tenant, attempt):
                came = ends.pop(0)
                status, print_ = (MIGRATED, None) if came == "home" else (FAILED, came)
                outcome = model.Outcome(tenant.id, status, attempt=attempt, fingerprint=print_, retryable=retryable)
                progress = after(plan, progress, outcome)


STOPPED = step.Stop(
    "2 tenants in a row failed alike, which is no single tenant's fault: "
    "UniqueViolation in billing.0042: could not create …"
)
ENDS = [
    ((ONCE, ONCE), ["a", "b", STOPPED]),
    ((ONCE, OTHER, OTHER), ["a", "b", "c", replace(STOPPED, reason=STOPPED.reason.replace("0042", "0043"))]),
    ((ONCE, OTHER, ONCE), ["a", "b", "c", step.Stop("done")]),
    ((ONCE, "home", ONCE), ["a", "b", "c", step.Stop("done")]),
    ((NONE, NONE, NONE), ["a", "b", "c", step.Stop("done")]),
    ((ONCE, NONE, ONCE), ["a", "b", "c", step.Stop("done")]),
    (("home", ONCE, ONCE), ["a", "b", "c", STOPPED]),
]  # fmt: skip


@pytest.mark.parametrize(("prints", "expected"), ENDS)
def test_so_many_that_fail_alike_in_a_row_stop_the_run(prints, expected):
    assert expected == ended(model.Plan((batch(A, B, C),), {}, stop_after_same=2), *prints)


def test_without_a_number_any_may_fail_alike():
    assert ["a", "b", "c", step.Stop("done")] == ended(plan(batch(A, B, C)), ONCE, ONCE, ONCE)


def test_a_row_goes_on_in_the_next_batch():
    made = model.Plan((batch(A), batch(B, C)), {}, stop_after_same=2)
    assert ["a", "b", STOPPED] == ended(made, ONCE, ONCE)


def test_a_failure_that_is_tried_again_is_not_counted_until_it_is_final():
    made = model.Plan((batch(A, B),), {}, stop_after_same=2, retries=1)
    assert ["a", "b", "a", "b", STOPPED] == ended(made, ONCE, ONCE, ONCE, ONCE, retryable=True)


def test_a_failure_that_is_tried_again_does_not_break_the_row():
    """A fails for good, B of a lock, C as A did: two in a row."""
    made = model.Plan((batch(A, B, C),), {}, stop_after_same=2, retries=1)
    progress = step.Progress()
    for name, print_, retryable in (("a", ONCE, False), ("b", OTHER, True), ("c", ONCE, False)):
        outcome = model.Outcome(name, FAILED, attempt=1, fingerprint=print_, retryable=retryable)
        progress = after(made, progress, outcome)
    assert STOPPED == step.next_step(made, progress, 1e9)


# ---------------------------------------------------------------- the time that is left


def test_nothing_starts_when_the_time_is_up():
    assert step.next_step(plan(batch(A)), step.Progress(), None, left=0.0) == step.Run(A)
    assert step.next_step(plan(batch(A)), step.Progress(), None, left=-0.1) == step.Stop("its time is up")


def test_nothing_starts_that_history_says_would_overrun():
    made = model.Plan(batches=(batch(A),), pending={}, expected={"a": 90.0})
    assert step.next_step(made, step.Progress(), None, left=91.0) == step.Run(A)
    assert step.next_step(made, step.Progress(), None, left=45.0) == step.Stop(
        "`a` usually takes 1m30s, and 45.0 s are left"
    )


def test_the_stagger_before_a_tenant_counts():
    made = model.Plan(batches=(batch(A),), pending={}, expected={"a": 90.0}, stagger=60)
    assert step.next_step(made, step.Progress(), 0.0, left=151.0) == step.Wait(60, A)
    assert isinstance(step.next_step(made, step.Progress(), 0.0, left=149.0), step.Stop)


# ---------------------------------------------------------------- the look at the canary, pauses, the gate


def canary_first(**more) -> model.Plan:
    return replace(plan(batch(A, max_failures=0), batch(B, C)), canaries=1, **more)


HOME = step.Progress(batch=1)  # the canary is home, and nobody has looked


def outcome(tenant, status, error=""):
    return model.Outcome(tenant.id, status, error=error)


def test_the_databases_confirm_the_canary_before_anybody_else_starts():
    assert step.Look((A,)) == step.next_step(canary_first(stagger=60.0), HOME, 0.0)
    sure = step.looked(HOME, [outcome(A, MIGRATED)])
    assert step.Run(B) == step.next_step(canary_first(), sure, 0.0)
    assert step.Run(B) == step.next_step(canary_first(), step.looked(HOME, []), 0.0)


@pytest.mark.parametrize("status", [FAILED, UNKNOWN])
def test_a_canary_that_only_said_ok_ends_the_run(status):
    halted = step.looked(HOME, [outcome(A, status, "it said OK, and 1 migration is still pending")])
    why = "the canary `a` is not migrated: it said OK, and 1 migration is still pending"
    assert step.Stop(why) == step.next_step(canary_first(), halted, 0.0)


def test_nobody_looks_where_the_canary_was_all():
    alone = replace(plan(batch(A, max_failures=0)), canaries=1)
    assert step.Stop("done") == step.next_step(alone, HOME, 0.0)


def test_a_pause_after_the_canary_comes_with_the_look_and_a_gate_stands_in_for_it():
    asked = canary_first(pause_after_canary=True)
    assert step.Look((A,), "the canary is home") == step.next_step(asked, HOME, 0.0)
    assert step.Look((A,)) == step.next_step(replace(asked, gate="true"), HOME, 0.0)


def test_a_pause_waits_until_somebody_says_otherwise_and_gives_way_to_everything_that_ends_the_run():
    made, paused = plan(batch(A, B), stagger=60), step.Word(pause="paused by deploy@ops1")
    assert step.Wait(None, A, "paused by deploy@ops1") == step.next_step(made, step.Progress(), None, paused)
    assert step.Stop("its time is up") == step.next_step(made, step.Progress(), None, paused, left=-1.0)
    assert step.Stop("done") == step.next_step(made, step.Progress(batch=1), 0.0, paused)
    stopped = replace(paused, stop="deploy@ops1 said stop")
    assert step.Stop("deploy@ops1 said stop") == step.next_step(made, step.Progress(), None, stopped)


def test_a_pause_counts_as_stagger():
    made = plan(batch(A, B), stagger=60)
    assert step.Run(B) == step.next_step(made, step.Progress(index=1), 600.0)


def answered(code, said=""):
    return model.GateAnswered(AT, "a", code, said)


def test_the_gate_is_asked_before_each_tenant_after_the_stagger():
    made = replace(plan(batch(A, B), stagger=60), gate="check-lag")
    assert step.Ask(A) == step.next_step(made, step.Progress(), None)
    cleared = step.gated(step.Progress(), answered(0))
    assert step.Run(A) == step.next_step(made, cleared, None)
    one = after(made, cleared, outcome(A, MIGRATED))
    assert step.Wait(59.0, B) == step.next_step(made, one, 1.0)
    assert step.Ask(B) == step.next_step(made, one, 60.0)


def test_a_gate_that_says_wait_is_asked_again_after_ten_seconds():
    made = replace(plan(batch(A)), gate="check-lag")
    waiting = step.gated(step.Progress(), answered(2, "lag 40 s"))
    assert step.Wait(10.0, A, "the gate said wait") == step.next_step(made, waiting, None, asked=0.0)
    assert step.Wait(1.0, A, "the gate said wait") == step.next_step(made, waiting, None, asked=9.0)
    assert step.Ask(A) == step.next_step(made, waiting, None, asked=10.0)


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (1, "", "the gate said stop"),
        (1, "lag 40 s", "the gate said stop: lag 40 s"),
        (127, "sh: 1: check-lag: not found", "the gate could not be asked (exit 127; it may say 0, 1 or 2): sh: 1: "),
        (-9, "", "the gate could not be asked (it was ended by signal 9)"),
        (None, "it timed out after 60.0 s", "the gate could not be asked: it timed out after 60.0 s"),
    ],
)
def test_every_other_answer_of_the_gate_ends_the_run(code, said, why):
    made = replace(plan(batch(A)), gate="check-lag")
    now = step.next_step(made, step.gated(step.Progress(), answered(code, said)), None)
    assert isinstance(now, step.Stop)
    assert now.reason.startswith(why)
