"""N tenants at a time: what `next_step` and the loop do while several are at work, whichever of them ends first."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit import errors, model, testing
from opskit.rollout import drive, step

A, B, C, D = TENANTS = tuple(model.Tenant(name) for name in "abcd")
STATUS = model.Status
BAD = (STATUS.FAILED, STATUS.UNKNOWN)


def plan(*tenants: model.Tenant, forks: int = 2, **more) -> model.Plan:
    return replace(model.Plan((model.Batch(tenants),), {}, forks=forks), **more)


def at(seconds: float):
    return testing.START + timedelta(seconds=seconds)


def outcome(name: str, status: model.Status = STATUS.MIGRATED, **more) -> model.Outcome:
    return model.Outcome(name, status, **{"attempt": 1, **more})


@dataclass
class Crew:
    """A crew whose members end when `ends` says: the id of one at work and how, or None for nobody in that time."""

    clock: testing.FakeClock
    ends: list
    at_work: list = field(default_factory=list)
    started: list = field(default_factory=list)

    def start(self, tenant: model.Tenant, attempt: int) -> None:
        assert tenant.id not in self.at_work, "the same tenant twice at once"
        self.at_work.append(tenant.id)
        self.started.append((tenant.id, attempt))

    def ended(self, seconds: float | None) -> drive.Ended | None:
        end = self.ends.pop(0)
        if end is None:
            assert seconds is not None, "it would wait for ever"
            self.clock.advance(seconds)
            return None
        self.clock.advance(1.0)
        name = end.tenant
        self.at_work.remove(name)
        return end if isinstance(end, drive.Ended) else drive.Ended(name, end)


def rolled(made: model.Plan, *ends, watch: drive.Watch = drive.UNWATCHED):
    """Why it ended, and starts and ends in the order in which they were told."""
    clock, told = testing.FakeClock(), []
    crew = Crew(clock, list(ends))
    reason = drive.drive(made, crew, told.append, clock, watch)
    assert [] == crew.ends == crew.at_work
    return reason, "".join(_shown(event) for event in told)


def _shown(event) -> str:
    match event:
        case model.TenantStarted(_, tenant):
            return f"+{tenant}"
        case model.TenantFinished(_, ended):
            return f"-{ended.tenant}"
    return ""


def test_so_many_are_at_work_and_the_next_starts_when_any_of_them_ends():
    ends = [outcome("b"), outcome("a"), outcome("d"), outcome("c")]
    assert ("done", "+a+b-b+c-a+d-d-c") == rolled(plan(*TENANTS), *ends)


def test_more_than_there_are_tenants_is_all_of_them():
    assert ("done", "+a+b-b-a") == rolled(plan(A, B, forks=9), outcome("b"), outcome("a"))


def test_a_batch_waits_for_the_last_of_the_one_before():
    made = model.Plan((model.Batch((A, B)), model.Batch((C, D))), {}, forks=4)
    assert ("done", "+a+b-a-b+c+d-d-c") == rolled(made, *map(outcome, "abdc"))


def test_canaries_are_alone_each_of_them():
    made = model.Plan((model.Batch((A, B), 0), model.Batch((C, D))), {}, forks=4, canaries=1)
    assert ("done", "+a-a+b-b+c+d-d-c") == rolled(made, *map(outcome, "abdc"))


def test_a_failure_that_ends_the_run_lets_those_at_work_finish():
    made = model.Plan((model.Batch(TENANTS, max_failures=0),), {}, forks=2)
    assert ("1 failed, 0 allowed", "+a+b-a-b") == rolled(made, outcome("a", STATUS.FAILED), outcome("b"))


def test_all_that_failed_meanwhile_is_in_the_reason():
    made = model.Plan((model.Batch(TENANTS, max_failures=0),), {}, forks=2)
    ends = [outcome("a", STATUS.FAILED), outcome("b", STATUS.FAILED)]
    assert ("2 failed, 0 allowed", "+a+b-a-b") == rolled(made, *ends)


def test_an_unknown_starts_nothing_more_and_lets_those_at_work_finish():
    ends = [outcome("a", STATUS.UNKNOWN), outcome("b")]
    assert ("nobody knows how `a` ended", "+a+b-a-b") == rolled(plan(*TENANTS), *ends)


def test_where_it_was_said_the_others_go_on_without_the_unknown():
    ends = [outcome("a", STATUS.UNKNOWN), *map(outcome, "bcd")]
    assert ("done", "+a+b-a+c-b+d-c-d") == rolled(plan(*TENANTS, go_on=True), *ends)


def test_an_interruption_finishes_all_that_are_at_work():
    asked = iter([False, False, True, True, True])
    watch = drive.Watch(word=lambda: step.Word(stop=step.INTERRUPTED if next(asked) else ""))
    assert ("interrupted", "+a+b-a-b") == rolled(plan(*TENANTS), outcome("a"), outcome("b"), watch=watch)


def test_a_pause_hears_of_those_at_work():
    words = iter([*[step.NOTHING_SAID] * 2, *[step.Word(pause="paused")] * 3, *[step.NOTHING_SAID] * 9])
    ends = [outcome("a"), None, outcome("b"), *map(outcome, "cd")]
    assert ("done", "+a+b-a-b+c+d-c-d") == rolled(plan(*TENANTS), *ends, watch=drive.Watch(word=lambda: next(words)))


def test_a_gate_is_asked_once_for_each_and_holds_for_the_one_it_was_asked_about():
    asked = []

    def gate(tenant: model.Tenant) -> model.GateAnswered:
        asked.append(tenant.id)
        return model.GateAnswered(testing.START, tenant.id, 0)

    rolled(plan(*TENANTS, gate="true"), *map(outcome, "badc"), watch=drive.Watch(gate=gate))
    assert ["a", "b", "c", "d"] == asked


def test_a_gate_that_says_wait_hears_of_those_at_work_meanwhile():
    codes = iter([0, 2, 0])
    gate = lambda tenant: model.GateAnswered(testing.START, tenant.id, next(codes))  # noqa: E731
    clock, told = testing.FakeClock(), []
    crew = Crew(clock, [*[None] * 3, outcome("a"), outcome("b")])
    drive.drive(plan(A, B, gate="true"), crew, told.append, clock, drive.Watch(gate=gate))
    assert "+a-a+b-b" == "".join(_shown(event) for event in told)
    assert clock.monotonic() >= step.GATE_AGAIN


def test_who_is_tried_again_waits_its_time_and_starts_beside_the_others():
    made = plan(A, B, C, retries=1)
    locked = outcome("a", STATUS.FAILED, retryable=True)
    ends = [locked, outcome("b"), *[None] * 5, outcome("a", attempt=2), outcome("c")]
    assert ("done", "+a+b-a+c-b+a-a-c") == rolled(made, *ends)


def test_a_time_limit_starts_nothing_more_and_lets_those_at_work_finish():
    made = plan(*TENANTS, deadline=at(0.5))
    assert ("its time is up", "+a+b-a-b") == rolled(made, outcome("a"), outcome("b"))


def test_failures_that_are_alike_are_counted_in_the_order_in_which_they_end():
    print_ = model.Fingerprint("DuplicateTable", "42P07", "app.0001_x", "it exists")
    alike = [outcome(name, STATUS.FAILED, fingerprint=print_) for name in "ba"]
    reason, told = rolled(plan(*TENANTS, stop_after_same=2), *alike, outcome("c"))
    assert reason == f"2 tenants in a row failed alike, which is no single tenant's fault: {print_}"
    assert told == "+a+b-b+c-a-c"


LOST = errors.ConnectError("app1: no route to host")


def test_an_error_of_our_own_is_raised_when_the_others_have_ended():
    clock, told = testing.FakeClock(), []
    crew = Crew(clock, [drive.Ended("a", LOST), outcome("b")])
    with pytest.raises(errors.ConnectError, match="no route"):
        drive.drive(plan(*TENANTS), crew, told.append, clock)
    assert [] == crew.at_work
    finished = [event.outcome for event in told if isinstance(event, model.TenantFinished)]
    skipped = model.Outcome("a", STATUS.SKIPPED, error="not started: app1: no route to host")
    assert [skipped, outcome("b")] == finished


def test_a_journal_that_can_not_be_written_still_hears_of_all_that_ended():
    clock, told = testing.FakeClock(), []

    def full(event):
        told.append(event)
        if isinstance(event, model.TenantFinished):
            raise errors.JournalError("disk full")

    crew = Crew(clock, [outcome("a"), outcome("b")])
    with pytest.raises(errors.JournalError):
        drive.drive(plan(*TENANTS), crew, full, clock)
    assert "+a+b-a-b" == "".join(_shown(event) for event in told)


# ---------------------------------------------------------------- whatever ends first

STATUSES = st.sampled_from([STATUS.MIGRATED, STATUS.MIGRATED, STATUS.CURRENT, STATUS.FAILED, STATUS.UNKNOWN])


@dataclass
class Story:
    """A crew that ends as hypothesis says, and what must hold at every start."""

    data: st.DataObject
    made: model.Plan
    clock: testing.FakeClock = field(default_factory=testing.FakeClock)
    at_work: list = field(default_factory=list)
    told: list = field(default_factory=list)
    bad: list = field(default_factory=list)  # for good
    home: list = field(default_factory=list)
    attempts: dict = field(default_factory=dict)
    stopped: bool = False

    def batch_of(self, name: str) -> int:
        return next(at for at, batch in enumerate(self.made.batches) if any(t.id == name for t in batch.tenants))

    def emit(self, event) -> None:
        self.told.append(event)

    def word(self) -> step.Word:
        self.stopped = self.stopped or self.data.draw(st.integers(0, 30), label="word") == 30
        return step.Word(stop="somebody said stop" if self.stopped else "")

    def start(self, tenant: model.Tenant, attempt: int) -> None:
        name, number = tenant.id, self.batch_of(tenant.id)
        canary = number < self.made.canaries
        assert len(self.at_work) < (1 if canary else self.made.forks)
        assert name not in self.at_work
        assert not self.stopped
        assert {self.batch_of(other) for other in self.at_work} <= {number}, "a batch is a barrier"
        earlier = [t.id for batch in self.made.batches[:number] for t in batch.tenants]
        assert set(earlier) <= {*self.home, *self.bad}
        assert attempt == self.attempts.get(name, 0) + 1
        assert attempt <= 1 + self.made.retries
        assert name not in self.home
        assert name not in self.bad
        limit = self.made.batches[number].max_failures
        assert limit is None or sum(self.batch_of(each) == number for each in self.bad) <= limit
        self.attempts[name] = attempt
        self.at_work.append(name)

    def ended(self, seconds: float | None) -> drive.Ended | None:
        assert self.at_work, "it is waited for nobody"
        if seconds is not None and self.data.draw(st.booleans(), label="nobody"):
            self.clock.advance(seconds)
            return None
        name = self.at_work.pop(self.data.draw(st.integers(0, len(self.at_work) - 1), label="who"))
        status = self.data.draw(STATUSES, label=name)
        retryable = status is STATUS.FAILED and self.data.draw(st.booleans(), label="retryable")
        again = retryable and self.attempts[name] <= self.made.retries
        if not again:
            (self.bad if status in BAD else self.home).append(name)
        self.clock.advance(self.data.draw(st.floats(0.0, 9.0), label="took"))
        return drive.Ended(name, outcome(name, status, attempt=self.attempts[name], retryable=retryable))


@st.composite
def plans(draw) -> model.Plan:
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    names = iter(range(100))
    limits = st.none() | st.integers(0, 3)
    batches = tuple(
        model.Batch(tuple(model.Tenant(f"t{next(names)}") for _ in range(size)), draw(limits)) for size in sizes
    )
    return model.Plan(
        batches,
        {},
        forks=draw(st.integers(1, 4)),
        canaries=draw(st.integers(0, 1)),
        retries=draw(st.integers(0, 2)),
        go_on=draw(st.booleans()),
        stop_after_same=0,
    )


@settings(max_examples=400, deadline=None)
@given(st.data(), plans())
def test_whichever_ends_first_never_too_many_never_one_twice_and_no_limit_is_passed(data, made):
    story = Story(data, made)
    reason = drive.drive(made, story, story.emit, story.clock, drive.Watch(word=story.word))
    assert [] == story.at_work, "the run ended before its tenants did"
    everybody = {tenant.id for batch in made.batches for tenant in batch.tenants}
    if reason == step.DONE:
        assert {*story.home, *story.bad} == everybody
    statuses = [isinstance(event, model.TenantFinished) and event.outcome.status for event in story.told]
    if STATUS.UNKNOWN in statuses and not made.go_on:
        assert reason.startswith("nobody knows how")
        after = story.told[statuses.index(STATUS.UNKNOWN) :]
        assert not any(isinstance(event, model.TenantStarted) for event in after)


@settings(max_examples=100, deadline=None)
@given(plans())
def test_one_at_a_time_is_a_crew_of_one(made):
    """What a crew does with one is what a plain runner does."""
    one = replace(made, forks=1)
    clock, told = testing.FakeClock(), []

    def run(tenant: model.Tenant, attempt: int) -> model.Outcome:
        assert len(told) % 2 == 1
        return outcome(tenant.id, attempt=attempt)

    assert step.DONE == drive.drive(one, run, told.append, clock)
    everybody = [tenant.id for batch in made.batches for tenant in batch.tenants]
    assert [f"+{name}-{name}" for name in everybody] == [
        _shown(first) + _shown(then) for first, then in zip(told[::2], told[1::2], strict=True)
    ]
