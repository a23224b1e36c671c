"""The pure core through every order of events that can be thought of: starts, ends, losses, crashes, resumes.

A story is drawn: a run of a few tenants whose commands end in any way, which dies or is stopped at any event, and is
resumed from its journal's lines until nobody is left. What must hold in each is asked while it is played.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opskit import errors, journal, model, testing
from opskit.rollout import drive, plan, resume, step, verify
from opskit.rollout import run as runs
from opskit.tasks import project, resuming

STATUS = model.Status
PENDING = ("app.0001_x",)
HOSTS = ("app1", "app2")
TENANTS = tuple(model.Tenant(name) for name in "abcde")
ENDS = ("done", "broke", "lock", "done, and failed", "lied", "lost", "lost in PostgreSQL", "refused", "died")
CONTROLS = st.builds(
    model.Controls,
    stagger=st.sampled_from([0.0, 5.0]),
    canary=st.builds(model.Canary, count=st.integers(0, 2)),
    max_failures=st.none() | st.builds(model.Allowance, st.integers(0, 3)),
    retries=st.integers(0, 2),
)


class Died(Exception):  # noqa: N818 - it is what happens to opskit
    """opskit itself is gone, at this very place."""


@dataclass
class Story:
    """A run, the databases that it is about, and what still lives on its hosts."""

    data: st.DataObject
    calm: bool = False  # nothing goes wrong any more
    serving: str = HOSTS[0]
    lines: list[str] = field(default_factory=list)  # the journal
    told: list[model.Event] = field(default_factory=list)
    home: set[str] = field(default_factory=set)
    on_host: dict[str, str] = field(default_factory=dict)  # {tenant: where its command still runs}
    in_database: set[str] = field(default_factory=set)  # whose backend is at work without a client
    tried: set[str] = field(default_factory=set)
    clock: testing.FakeClock = field(default_factory=testing.FakeClock)
    dies_at: int | None = None  # how many lines there are when opskit dies
    stops_at: int | None = None  # and when somebody says stop
    stopped: bool = False

    # -- opskit's part

    def emit(self, event: model.Event) -> None:
        if isinstance(event, model.TenantStarted):
            assert not self.stopped, "a start after a stop"
        if isinstance(event, model.Waiting):
            return
        if self.dies_at is not None and len(self.lines) >= self.dies_at:
            raise Died
        self.lines.append(journal.encode(event, len(self.lines) + 1))
        self.told.append(event)

    def word(self) -> step.Word:
        self.stopped = self.stopped or (self.stops_at is not None and len(self.lines) >= self.stops_at)
        return step.Word(stop=step.INTERRUPTED if self.stopped else "")

    def survey(self, *, watched: bool = True) -> model.Survey:
        states = {tenant.id: model.TenantState(pending=self._pending(tenant.id)) for tenant in TENANTS}
        return model.Survey((), states, frozenset(self.in_database if watched else ()))

    def _pending(self, tenant: str) -> tuple[str, ...]:
        return () if tenant in self.home else PENDING

    # -- a command

    def run(self, tenant: model.Tenant, attempt: int) -> model.Outcome:
        name = tenant.id
        assert name not in self.on_host, "a second start on a host"
        assert name not in self.in_database, "a start beside a backend at work"
        assert name not in self.home, "a start of who is home"
        assert isinstance(self.told[-1], model.TenantStarted), "a start that nobody announced"
        assert self.told[-1].tenant == name
        end = "done" if self.calm else self.data.draw(st.sampled_from(ENDS), label=f"{name} ends")
        if end == "refused":
            raise errors.ConnectError("app1 can't be reached")
        self.tried.add(name)
        return self._ended(name, end, attempt)

    def _ended(self, name: str, end: str, attempt: int) -> model.Outcome:
        if end.startswith("done"):
            self.home.add(name)
        if end in ("lost", "died") and self.data.draw(st.booleans(), label="it still runs"):
            self.on_host[name] = self.serving
        if end == "lost in PostgreSQL":
            self.in_database.add(name)
        if end == "died":
            raise Died
        status = {"done": STATUS.MIGRATED, "lied": STATUS.MIGRATED}.get(end, STATUS.FAILED)
        lost = end.startswith("lost")
        return model.Outcome(
            name,
            STATUS.UNKNOWN if lost else status,
            error="" if status is STATUS.MIGRATED else end,
            attempt=attempt,
            host=self.serving,
            retryable=end == "lock",
        )

    # -- what passes between two parts of the run

    def time_passes(self) -> None:
        """What still runs may end, and then it was done or it was not."""
        for name in (*self.on_host, *self.in_database):
            if self.calm or self.data.draw(st.booleans(), label=f"{name} is over"):
                self.on_host.pop(name, None)
                self.in_database.discard(name)
                if self.data.draw(st.booleans(), label=f"{name} was done"):
                    self.home.add(name)

    # -- a part of the run

    def begin(self, controls: model.Controls) -> None:
        self.emit(model.RunStarted(self.clock.now(), "20261122T140200-prod", "prod", "1", "me", "here", ()))
        self._roll(TENANTS, controls)

    def resume(self, controls: model.Controls) -> None:
        folder = Path("20261122T140200-prod")
        again = self.replayed()
        if not resume.planned(again):
            return self._roll(TENANTS, controls)
        self.emit(model.RunResumed(self.clock.now(), "1", "me", "here", ()))
        options = project.Options(resume=project.Resumed(folder, self.replayed()))
        left = resuming.left(options, TENANTS, self.survey(), (self.serving,), lambda tenant: tenant)
        for outcome in left.known:
            self.emit(model.TenantVerified(self.clock.now(), outcome))
        self._roll(left.tenants, controls)
        return None

    def _roll(self, tenants: tuple[model.Tenant, ...], controls: model.Controls) -> None:
        made = plan.make_plan(tenants, self.survey(), controls, listed=TENANTS)
        self.emit(model.PlanMade(self.clock.now(), made))
        at = len(self.told)
        outcomes = runs.fold(self.told).outcomes
        watch = drive.Watch(host=lambda: self.serving, word=self.word, before=outcomes)
        try:
            reason = drive.drive(made, self.run, self.emit, self.clock, watch)
        except errors.ConnectError as error:
            reason = str(error)
        self._verify([each.tenant for each in self.told[at:] if isinstance(each, model.TenantStarted)])
        run = runs.fold(self.told)
        self.emit(model.RunFinished(self.clock.now(), reason, run.counts()))

    def _verify(self, started: list[str]) -> None:
        run, survey = runs.fold(self.told), self.survey()
        for name in dict.fromkeys(started):
            outcome = run.outcomes[name]
            if not outcome.attempt:
                continue
            stands = verify.verify(outcome, PENDING, survey.tenants[name])
            busy = name in survey.busy
            self.emit(model.TenantVerified(self.clock.now(), verify.still_at_work(stands) if busy else stands))

    def replayed(self) -> runs.Run:
        return runs.fold(event for event in map(journal.decode, self.lines) if event is not None)


def play(story: Story, part, controls: model.Controls) -> None:
    """One part of the run, and what must hold after it, whatever came."""
    story.stopped = False
    try:
        part(controls)
    except Died:
        pass
    except errors.CannotStart:
        assert not story.calm
    _holds(story)


def _holds(story: Story) -> None:
    run = runs.fold(story.told)
    assert run == story.replayed(), "the journal tells another story"
    settled = {outcome.tenant: outcome for outcome in run.settled()}
    planned = {tenant.id for made in run.plans for batch in made.batches for tenant in batch.tenants}
    assert planned <= set(settled), "a planned tenant has no outcome"
    assert sum(run.counts().values()) == len(settled), "the counts do not add up"
    for name, outcome in settled.items():
        if outcome.status is STATUS.SKIPPED:
            assert name not in story.tried, f"{name} was tried, and is called skipped"
        if outcome.verified and outcome.status in (STATUS.MIGRATED, STATUS.CURRENT):
            assert name in story.home, f"{name} is not home"
        if name in story.on_host or name in story.in_database:
            assert outcome.status is STATUS.UNKNOWN, f"{name} is still at work, and is called {outcome.status}"


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a story is long
@given(st.data(), CONTROLS)
def test_whatever_happens_nothing_is_said_wrongly_or_done_twice_and_in_the_end_all_are_home(data, controls):
    numbers = st.none() | st.integers(0, 25)
    story = Story(data)
    parts = [story.begin, *[story.resume] * data.draw(st.integers(0, 3), label="resumes")]
    for number, part in enumerate(parts):
        if number:
            story.time_passes()
            story.serving = data.draw(st.sampled_from(HOSTS), label="serving")
            if story.serving in story.on_host.values():
                continue  # the host's lock is held by what still runs there
        more = data.draw(numbers, label="dies after"), data.draw(numbers, label="stops after")
        story.dies_at, story.stops_at = (None if each is None else len(story.lines) + each for each in more)
        play(story, part, controls)

    story.calm, story.dies_at, story.stops_at = True, None, None
    story.time_passes()
    for serving in (*HOSTS, *HOSTS):
        story.serving = serving
        play(story, story.resume, model.Controls())

    assert {tenant.id for tenant in TENANTS} == story.home
    assert {outcome.status for outcome in runs.fold(story.told).settled()} <= {STATUS.MIGRATED, STATUS.CURRENT}


@pytest.mark.parametrize("event", ["TenantStarted", "TenantFinished", "PlanMade", "RunResumed"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_line_that_is_cut_off_anywhere_is_no_event(tmp_path_factory, event, data):
    story = Story(data, calm=True)
    story.begin(model.Controls())
    story.resume(model.Controls())
    number = next(at for at, line in enumerate(story.lines) if f'"event": "{event}"' in line)
    line = story.lines[number].encode()
    cut = data.draw(st.integers(0, len(line) - 1), label="cut")
    folder = tmp_path_factory.mktemp("runs") / "20261122T140200-prod"
    folder.mkdir()
    whole = "".join(f"{each}\n" for each in story.lines[:number]).encode()
    (folder / "journal.jsonl").write_bytes(whole + line[:cut])

    before = journal.load(folder)
    again = journal.reopen(folder)
    again.append(model.Notice(testing.START, "on"))
    again.close()

    expected = runs.fold(story.told[:number])
    assert expected == before
    assert [*expected.notices, "on"] == journal.load(folder).notices
