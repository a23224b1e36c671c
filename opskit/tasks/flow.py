"""The life of a rollout, from the first connection to the next command to type."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from opskit import __version__, control, errors, frameworks, journal, model, redaction
from opskit.frameworks import django
from opskit.frameworks import timeouts as limits
from opskit.reporters import files, webhook
from opskit.reporters.text import named, plural, printable, some
from opskit.rollout import drive, plan, resume, settle, squashes, step, verify
from opskit.rollout import undo as undo_plan
from opskit.tasks import (
    attending,
    crew,
    desk,
    gate,
    hooks,
    interrupts,
    project,
    requiring,
    resuming,
    reviewing,
    settling,
    timeouts,
    undoing,
    watchfulness,
    wiring,
)
from opskit.tasks.task import as_called, complain, show_summary
from opskit.transport import fleet, lines

Gated = TypeVar("Gated", model.Controls, model.Plan)
_NOT_ALL = 5  # the exit code of a run that could not go on


def _untouched(options: project.Options) -> str:
    if options.undo:
        return "nothing was taken back."
    return "nothing more was migrated." if options.resume else "nothing was migrated."


def migrate(environment: model.Environment, options: project.Options) -> int:
    """Roll out, and return the exit code. Raises OpskitError where nothing was migrated, and says so."""
    told = webhook.Webhook(environment.notify)
    with interrupts.Interrupts(complain) as interrupted:
        try:
            return _migrate(environment, options, interrupted, told)
        except KeyboardInterrupt:
            state = "`invoke show-run` says how far it came." if interrupted.began else _untouched(options)
            raise errors.Interrupted(errors.Interrupted("interrupted").told(state)) from None
        except errors.OpskitError as error:
            hooks.refused(told, environment.name, error)
            raise type(error)(error.told(_untouched(options))) from error  # after a start, `go` says it all


def _migrate(
    environment: model.Environment,
    options: project.Options,
    interrupted: interrupts.Interrupts,
    told: webhook.Webhook,
) -> int:
    with wiring.reachable(environment) as reached:
        options = requiring.reached(reached, options)
        clock = wiring.Clock()
        again = options.resume
        run_id = again.folder.name if again else journal.new_id(Path(reached.root), reached.name, clock.now())
        hold = fleet.Hold(run_id, wiring.operator(), clock.now().isoformat())
        made = fleet.Fleet(
            reached,
            hold,
            lock_wait=options.lock_wait,
            resumes=again is not None,
            notice=complain,
            worker=0 if reached.rollout.forks > 1 else None,
        )
        asked = project.Project(reached, frameworks.get(reached), made)
        if not (again or options.undo):  # what these ask first is not known yet
            made.ahead = asked.first_question(watchfulness.SETTING)
        with contextlib.closing(made) as hosts:
            _open(hosts, Path(reached.root))
            if again:
                control.clear(again.folder)  # what was said to the part of the run that is over
            record = wiring.Record(
                Path(reached.root),
                run_id,
                log_file=options.log_file,
                verbose=options.verbose,
                resumed=again.folder if again else None,
            )
            with contextlib.closing(record):
                if again:  # what the journal says now that nobody else writes it
                    options = replace(options, resume=replace(again, run=record.run))
                rollout = wired(asked, options, record, interrupted, clock, told)
                try:
                    return rollout.go()
                finally:  # where it has not ended yet: a maintenance mode must not be left behind
                    rollout.around.end("opskit itself broke")
                    rollout.dismiss()


def _open(hosts: fleet.Fleet, root: Path) -> None:
    """Connect, and take the lock. A run of this folder that has it, and whose process is gone, can be taken up."""
    try:
        hosts.open()
    except errors.LockHeld as error:
        ours = [folder for folder in journal.history(root) if folder.name == error.run]
        if error.lone or not ours or journal.going_on(ours[0]):
            raise
        hint = f"`invoke migrate-all --resume={error.run}` takes it up; `--lock-wait=1h` waits for its end."
        raise errors.LockHeld(f"{error}, which is not going on here any more", hint, error.run) from None


def wired(
    asked: project.Project,
    options: project.Options,
    record: wiring.Record,
    interrupted: interrupts.Interrupts,
    clock: wiring.Clock,
    told: webhook.Webhook,
) -> Rollout:
    """One run with all that watches over it: the operator's words, hooks, and who hears of notices."""
    environment = asked.environment
    said = desk.Desk(record.folder, interrupted, environment.name, wiring.operator())
    around = hooks.Hooks(environment, record, said, interrupted, clock, told)
    hosts = asked.fleet
    attends = attending.Attending(interrupted, clock, hosts.end)
    rollout = Rollout(asked, options, record, interrupted, clock, said, around, attends)
    said.say = hosts.notice = attends.notice = rollout.notice
    hosts.watch = attends.look
    hosts.settings.update(limits.settings(environment.rollout))
    return rollout


@dataclass(frozen=True)
class Rollout:
    """One run, wired."""

    asked: project.Project
    options: project.Options
    record: wiring.Record
    interrupted: interrupts.Interrupts
    clock: wiring.Clock
    desk: desk.Desk
    around: hooks.Hooks
    attends: attending.Attending
    listed: set[str] = field(default_factory=set)  # the tenants there were when the run began
    ways: dict[str, model.WayBack] = field(default_factory=dict)  # of the tenants that are taken back
    heard: list[tuple[fleet.Fleet, Mapping[str, Any]]] = field(default_factory=list)
    """The records of commands whose end nobody had heard, and where each is."""
    staff: list[Rollout] = field(default_factory=list)  # this run as the other workers see it, each with its own fleet
    read: set[tuple[Any, Any]] = field(default_factory=set)  # the records on hosts that were told of
    places: dict[str, fleet.Fleet] = field(default_factory=dict)  # {tenant_id: where its command was sent last}

    def go(self) -> int:
        """All the steps after the lock. Before the first command an error is the whole answer, after it not."""
        reason, error = self._through()
        self.interrupted.at_work.clear()
        run = self.record.run
        started = any(name in run.at_work or run.outcomes[name].attempt for name in self.record.started)
        if started and not isinstance(error, errors.Interrupted):
            reason = self._verified(reason)
        self.around.end(reason)
        self.interrupted.over = True
        if error and not started:
            self.record.refuse(reason)
            raise error
        self.record.finish(reason)
        self._summarise()
        if error and not isinstance(error, errors.Interrupted):
            complain(error.told("the run stopped there."))
        return self.record.run.exit_code() or (_NOT_ALL if error else 0)

    def _summarise(self) -> None:
        """Say how it ended; an answer that can't be written must not hide how the run went."""
        try:
            show_summary(self.record.run, self.record.folder, self.asked.environment.name, as_json=self.options.json)
        except errors.OpskitError as error:
            complain(error.told("`invoke show-run` says it again."))

    def _through(self) -> tuple[str, errors.OpskitError | None]:
        """Why the rollout ended, and the error that ended it early."""
        try:
            self._begin()
            return self._steps(), None
        except KeyboardInterrupt:
            self.interrupted.over = True
            self._detach()
            return step.INTERRUPTED, errors.Interrupted("interrupted")
        except errors.OpskitError as error:
            return " ".join(str(error).split()), error

    def _detach(self) -> None:
        """Say what was left at work, and where, and the command that picks it up."""
        if not self.interrupted.at_work:
            return
        self.record.hear_only_me()
        left = {tenant: self.places.get(tenant, self.asked.fleet) for tenant in self.record.run.at_work}
        for hosts in left.values():
            hosts.end()  # where that was asked for, and not said yet
        run, name = self.record.folder.name, self.asked.environment.name
        again = f"`invoke migrate-all --env={name} --resume={run}`"
        if self.options.undo:
            again = f"`invoke undo --run={self.options.undo.run_id} --yes`"
        for tenant, hosts in left.items():
            where = f"left `{named(tenant)}` on {hosts.at_work}"
            self._late_notice(f"{where}: it is being ended, and how is written down there. {again} picks it up")

    def _begin(self) -> None:
        self._tell(model.RunResumed(**self._sitting()) if self.options.resume else self._started())
        if self.options.applies:
            self.notice(reviewing.told(self.options.applies))
        if self.options.override:
            self.notice(requiring.told(redaction.redact(self.options.override), self.asked.environment))
        self.read_what_is_left()
        if self.options.resume:  # what it lost may be on any of its hosts
            for _ in range(1, min(self.asked.environment.rollout.forks, len(self.asked.environment.hosts))):
                self._hire()

    def read_what_is_left(self) -> None:
        """Follow what an earlier part of this run left at work here, and tell what nobody has heard yet."""
        hosts = self.asked.fleet
        if hosts.ready.records:
            self.asked.find_framework()  # what reads how they ended
        heard = set()
        for left in hosts.left:
            self._take_up(left)
            heard.add(hosts.heard)
        hosts.take_lock()
        for left in hosts.ready.records:
            record = (left.get("path"), left.get("started"))
            if left.get("path") in heard:
                hosts.forget(left)
            elif record not in self.read:
                self._hear_of(left)
            self.read.add(record)

    def _hear_of(self, left: Mapping[str, Any]) -> None:
        """Tell how a command ended that nobody was there to hear, and fetch what it printed."""
        hosts = self.asked.fleet
        name = str(left.get("label", "?"))
        ours = left.get("run") == self.record.journal.run_id
        hear = self._hears_new(name) if ours else functools.partial(self._hear, name)
        reply = hosts.recall(left, self.asked.framework.marks, hear)
        self.notice(_left_behind(left, reply.tail if reply else str(left.get("tail", ""))))
        if reply is None:
            return
        if ours and reply.exit is not None:
            self._heard_late(name, reply)
        self.heard.append((hosts, left))

    def _take_up(self, left: Mapping[str, Any]) -> None:
        """Hear a tenant that an earlier part of this run left at work to its end. Raises ConnectError where it is lost.

        Ctrl-C means what it means while a tenant is migrated.
        """
        tenant = model.SHARED if left.get("label") == model.SHARED.id else model.Tenant(str(left.get("label")))
        lost, host = self.record.run.outcomes.get(tenant.id), self.asked.fleet.host
        attempt = lost.attempt if lost else 1
        since, process = _when(left.get("started")), left.get("pid")
        process = process if isinstance(process, int) else None
        self.record.emit(model.TenantFollowed(self.clock.now(), tenant.id, attempt, host, since, process))
        self._attend(tenant, None)
        self.interrupted.patient = self.interrupted.began = True
        patterns, timeout = self.asked.framework.marks, self.asked.environment.timeout
        try:
            reply = self.asked.fleet.take_up(left, patterns, self._hears_new(tenant.id), timeout)
            outcome = self._outcome(tenant, reply)
        finally:
            self.interrupted.patient = False
        self.interrupted.at_work.discard(tenant.id)
        self.record.emit(model.TenantFinished(self.clock.now(), replace(outcome, attempt=attempt)))
        if self.interrupted.asked:
            raise KeyboardInterrupt
        if reply.exit is None and not reply.over:
            if self.asked.fleet.serving:
                self.asked.fleet.take_lock(at_once=True)  # whoever has it keeps it: that says most
            raise errors.ConnectError(f"`{named(tenant.id)}` may still be at work there, and nobody can follow it")

    def _hears_new(self, name: str) -> lines.Hear:
        """Tells what a tenant printed, except what its file holds of it already; of a retry it may hold another's."""
        lost = self.record.run.outcomes.get(name)
        if lost is not None and lost.attempt > 1:
            return functools.partial(self._hear, name)
        new = files.New(self.record.folder, name)
        return lambda text, partial: self._hear(name, new.of(text), partial)

    def _heard_late(self, name: str, reply: model.Reply) -> None:
        """A tenant that this run lost sight of ended, and its host wrote down how."""
        lost = self.record.run.outcomes.get(name)
        if lost is None or lost.status is not model.Status.UNKNOWN:
            return
        outcome = self._judge(model.Tenant(name), reply)
        self.record.emit(model.TenantFinished(self.clock.now(), replace(outcome, attempt=lost.attempt)))

    def _started(self) -> model.RunStarted:
        environment = self.asked.environment
        return model.RunStarted(
            **self._sitting(),
            run_id=self.record.journal.run_id,
            environment=environment.name,
            app_label=self.options.app_label,
            migration_name=self.options.migration_name,
            rollout=_kept(environment.rollout),
            timeout=environment.timeout,
            applies=self.options.applies.digest if self.options.applies else "",
            undoes=self.options.undo.run_id if self.options.undo else "",
        )

    def _sitting(self) -> dict[str, Any]:
        """Who runs this part of the run, when, from where and against what."""
        ready = self.asked.fleet.ready
        return {
            "at": self.clock.now(),
            "opskit": __version__,
            "operator": wiring.operator(),
            "machine": os.uname().nodename,
            "args": tuple(redaction.redact(arg) for arg in sys.argv[1:]),
            "host": self.asked.fleet.host,
            "path": ready.path,
            "revision": ready.revision,
            "override": redaction.redact(self.options.override),
        }

    def _hear(self, tenant: str, text: str, partial: str) -> None:
        self.attends.heard()
        self.record.emit(model.Output(tenant, text, partial))

    def notice(self, text: str) -> None:
        self.record.emit(model.Notice(self.clock.now(), redaction.hide(as_called(text))))

    def _steps(self) -> str:
        return self._take_back(self.options.undo) if self.options.undo else self._migrate()

    def _take_back(self, undo: project.Undo) -> str:
        tenants = self.asked.tenants(None, least=0)
        self.listed.update(tenant.id for tenant in tenants)
        self.ways.update(undoing.ways(self.asked, undo))
        held = undoing.held(self.asked, undo, self.record.journal.run_id)
        unsure = dict.fromkeys(undo.uncertain, undoing.UNSURE)
        made = undo_plan.make_plan(tenants, self.ways, held, self.asked.environment.rollout, unsure)
        if unsure:
            self.notice(undoing.told(undo.uncertain, self.asked.environment.name, undo.run_id))
        left = made.batches or made.refused
        doing = f"taking back what run {undo.run_id} applied"
        self.notice(doing if left else f"nothing is left to take back of run {undo.run_id}")
        self.refuse_timeouts(made)
        return self._drive(made)

    def _migrate(self) -> str:
        survey = self._look_first()
        if self.options.resume:
            resuming.refuse_changes(self.options, survey)
        reviewed = reviewing.reviewed_plan(self.options, self.asked, survey)
        required = requiring.Required(self.asked.environment, self.options, self.notice)
        required.refuse_missing(survey, reviewed)
        confirmed = self._shared_first(survey)
        if confirmed:
            survey = self._look_first()
            reviewed = reviewing.reviewed_plan(self.options, self.asked, survey, shared_done=True)
            required.refuse_missing(survey, reviewed)  # the first time, nobody could list the tenants perhaps
        tenants = self.asked.tenants(survey, least=0 if confirmed else 1)
        if not tenants:
            self.notice(f"`{self.asked.environment.name}` has no tenants yet")
            return step.DONE
        self.listed.update(tenant.id for tenant in tenants)
        made = reviewed or self._plan(tenants, survey)
        squashed = squashes.told((tenant for batch in made.batches for tenant in batch.tenants), survey)
        if squashed:
            self.notice(squashed)
        if made.batches:
            watchfulness.switch_on(self.asked)
        self.refuse_timeouts(made)
        self._fill(made)
        if made.batches and not confirmed:
            self._confirm(f"migrate {plural(sum(len(batch.tenants) for batch in made.batches), 'tenant')} of")
        return self._drive(made)

    def _look_first(self) -> model.Survey | None:
        """What is pending, and who may still be at work: of a resumed run those that it lost, else those of all."""
        tries = watchfulness.SETTING
        resumes = self.options.resume
        survey = self.asked.survey(self._doubtful(), tries=tries) if resumes else self.asked.first_survey(tries)
        watchfulness.told(self.asked, survey)
        return survey

    def refuse_timeouts(self, made: model.Plan) -> None:
        """Raises CannotStart where the limits in the databases would not hold for those who get a command."""
        if made.batches:
            timeouts.refuse(self.asked, {tenant.id for batch in made.batches for tenant in batch.tenants})

    def _plan(self, tenants: tuple[model.Tenant, ...], survey: model.Survey | None) -> model.Plan:
        chosen = self._left(tenants, survey) if self.options.resume else project.select(tenants, self.options)
        return plan.make_plan(
            chosen,
            survey,
            self.asked.environment.rollout,
            everything=self.options.everything,
            expected=project.history(self.asked.environment, chosen),
            listed=tenants,
        )

    # -- what an earlier part of this run left open

    def _doubtful(self) -> list[str]:
        """The tenants that the run lost sight of: the survey is to look for them in PostgreSQL."""
        return resuming.doubtful(self.options.resume.run) if self.options.resume else []

    def _left(self, tenants: tuple[model.Tenant, ...], survey: model.Survey | None) -> tuple[model.Tenant, ...]:
        """The tenants that are to be tried again; what the evidence says of the others is told."""
        hosts = self.asked.fleet
        ours = tuple(dict.fromkeys((hosts.host, *(worker.asked.fleet.host for worker in self.staff))))
        left = resuming.left(self.options, tenants, survey, ours, hosts.application_name)
        for outcome in left.known:
            self.record.emit(model.TenantVerified(self.clock.now(), outcome))
        for text in left.notices:
            self.notice(text)
        return left.tenants

    # -- the shared database

    def _shared_first(self, survey: model.Survey | None) -> bool:
        """Migrate the shared database where that was asked. True when it was, and the operator has been asked.

        Where nobody can say what is pending there, it is migrated when that was asked, and not missed when not.
        So it is where only a squashed migration is to be recorded.
        """
        pending = survey.shared if survey else None
        asked = self.options.shared and (pending is None or bool(survey and survey.shared_unrecorded))
        if not pending and not asked:
            return False
        if not self.options.shared:
            again = f" --resume={self.record.folder.name}" if self.options.resume else ""
            raise project.shared_refusal(self.asked.environment, pending or (), again)
        timeouts.refuse(self.asked, None)
        self._confirm("migrate the shared database and the tenants of")
        watchfulness.switch_on(self.asked, tenants=False)
        self._drive(plan.make_shared_plan(pending))
        watchfulness.switch_off(self.asked)
        outcome = self.record.run.outcomes.get(model.SHARED.id)
        if outcome is None or outcome.status is not model.Status.MIGRATED:
            why = outcome.error if outcome else "interrupted"
            raise errors.SharedPending(f"the shared database was not migrated: {why}")
        if pending is not None:
            self._verify_shared(outcome, pending)
        return True

    def _verify_shared(self, outcome: model.Outcome, pending: tuple[str, ...]) -> None:
        after = self.asked.survey()
        state = model.TenantState(pending=after.shared or ()) if after else None
        verified = verify.verify(outcome, pending, state)
        self.record.emit(model.TenantVerified(self.clock.now(), verified))
        if verified.status not in (model.Status.MIGRATED, model.Status.CURRENT):
            raise errors.SharedPending(f"the shared database: {verified.error}")

    # -- the operator's word

    def _confirm(self, what: str) -> None:
        """Ask, where the inventory says so. Raises Declined."""
        environment = self.asked.environment
        if not environment.confirm or self.options.yes:
            return
        if not sys.stdin.isatty():
            raise errors.Declined(
                f"`{environment.name}` asks for a confirmation, and there is no terminal to ask",
                hint="`--yes` answers it.",
            )
        sys.stderr.write(f"{what} {environment.name}? [y/N] ")
        sys.stderr.flush()
        said = sys.stdin.readline()
        if not said.endswith("\n"):  # Ctrl-D leaves the cursor where it is
            sys.stderr.write("\n")
        if said.strip().lower() not in ("y", "yes"):
            raise errors.Declined("the answer was not yes")

    # -- the tenants

    def _drive(self, made: model.Plan) -> str:
        self.around.begin(made)
        self._tell(model.PlanMade(self.clock.now(), _kept(made)))
        while self.heard:  # a run without a plan leaves nothing behind: what it heard is told to the next one again
            hosts, record = self.heard.pop()
            hosts.forget(record)
        self.interrupted.patient = self.interrupted.began = True
        several = self._crew(made)
        try:
            watched = drive.Watch(
                host=lambda: several.host if several else self.asked.fleet.host,
                word=self.desk.word,
                pause=self.desk.pause,
                gate=functools.partial(self._ask_gate, made.gate),
                look=self._look,
                before=self.record.run.outcomes,
            )
            return drive.drive(made, several or self._run, self._tell, self.clock, watched)
        finally:
            self.interrupted.patient = False

    def _ask_gate(self, command: str, tenant: model.Tenant) -> model.GateAnswered:
        self.interrupted.idle = False
        environment = self.asked.environment
        about = {"OPSKIT_RUN": self.record.journal.run_id, "OPSKIT_ENV": environment.name}
        return gate.ask(command, tenant, about, environment.root)

    def _look(self, tenants: tuple[model.Tenant, ...]) -> list[model.Outcome]:
        """The outcomes of a canary that stand, now that its databases were asked; none where they can't be."""
        self.interrupted.idle = False
        survey = self.asked.survey()
        if survey is None:
            return []
        outcomes = self.record.run.outcomes
        found = self._held_against([outcomes[tenant.id] for tenant in tenants], survey)
        for stands in found:
            self._tell(model.TenantVerified(self.clock.now(), stands))
        return found

    def _tell(self, event: model.Event) -> None:
        self.interrupted.idle = isinstance(event, model.Waiting)
        self.record.emit(event)
        self.around.heard(event)

    def _run(self, tenant: model.Tenant, attempt: int) -> model.Outcome:
        held = self._begins(tenant, attempt)
        return self.work(tenant, attempt) if held is None else held

    def _begins(self, tenant: model.Tenant, attempt: int) -> model.Outcome | None:
        """What comes before a tenant's command; what became of it where it gets none."""
        try:
            self._commands(tenant)
        except errors.UsageError as error:
            return model.Outcome(
                tenant.id, model.Status.FAILED, error=f"{error} (no command was sent)", host=self.asked.fleet.host
            )
        return self.around.tenant_begins(tenant, attempt)

    def _attend(self, tenant: model.Tenant, usual: float | None) -> None:
        self.places[tenant.id] = self.asked.fleet
        self.attends.begin(tenant.id, usual)
        self.interrupted.at_work.add(tenant.id)

    def work(self, tenant: model.Tenant, attempt: int) -> model.Outcome:
        """Have a tenant's commands run, over this worker's own line."""
        first, *others = self._commands(tenant)
        self._attend(tenant, self.record.run.plans[-1].expected.get(tenant.id))
        outcome = self._send(tenant, first)
        for command in others:
            if outcome.status is model.Status.MIGRATED:
                before = outcome.seconds
                outcome = self._send(tenant, command)
                outcome = replace(outcome, seconds=before + outcome.seconds)
        self.interrupted.at_work.discard(tenant.id)
        return replace(outcome, attempt=attempt)

    # -- several at a time

    def _hire(self) -> Rollout:
        """One more worker, with a line to the next of the hosts. Raises what opening it raises, and LockHeld."""
        hosts = self.asked.fleet.colleague(len(self.staff) + 1)
        attends = attending.Attending(self.interrupted, self.clock, hosts.end, self.notice)
        hosts.watch = attends.look
        worker = replace(self, asked=replace(self.asked, fleet=hosts), attends=attends)
        self.staff.append(worker)
        hosts.open()
        worker.read_what_is_left()
        return worker

    def _fill(self, made: model.Plan) -> None:
        """Have as many workers as can be at work at once. Raises CannotStart where a host has other code."""
        wanted = min(made.forks, max((len(batch.tenants) for batch in made.batches), default=0))
        while len(self.staff) + 1 < wanted:
            self._hire()
        seen = {self.asked.fleet.host}
        for worker in self.staff:
            worker.asked.framework = self.asked.framework  # which may not have been known when this one was hired
            if worker.asked.fleet.host not in seen:
                seen.add(worker.asked.fleet.host)
                worker.refuse_other_code(made, self.asked.fleet.host)
                watchfulness.switch_on(worker.asked)
                worker.refuse_timeouts(made)

    def refuse_other_code(self, made: model.Plan, first: str) -> None:
        """Raises CannotStart where this host's migrations are not those of the plan, which the first host gave."""
        there = self.asked.survey()
        if there is None:
            return
        found = [*resume.changes([made], there.code), *resume.added([made], there.tenants, made.pending)]
        if found:
            raise errors.CannotStart(
                f"{self.asked.fleet.host} has other migrations than {first}: {some(found)}",
                hint="deploy the same code to both, or give `--forks=1`.",
            )

    def _crew(self, made: model.Plan) -> crew.Crew | None:
        """Those who run the plan's commands; None where they are run one after the other, here."""
        if made.forks == 1:
            return None
        return crew.Crew([crew.Worker(each.asked.fleet, each.work) for each in (self, *self.staff)], self._begins)

    def dismiss(self) -> None:
        """Hang up for the other workers."""
        for worker in self.staff:
            worker.asked.fleet.close()

    def _send(self, tenant: model.Tenant, command: model.Command, *, cold: bool = False) -> model.Outcome:
        """The outcome of a command; of a fork that hung before it reached a database, that of the same one run cold."""
        hosts = self.asked.fleet
        reply = hosts.run(
            replace(command, timeout=self.asked.environment.timeout),
            tenant.id,
            self.asked.framework.marks,
            functools.partial(self._hear, tenant.id),
            leaves=functools.partial(self._leaves, tenant.id),
            cold=cold,
        )
        outcome = self._outcome(tenant, reply)
        if reply.stuck and outcome.status is model.Status.FAILED:
            self.notice(f"`{named(tenant.id)}`: its fork hung before it reached a database. it is run once more, cold")
            return self._send(tenant, command, cold=True)
        return outcome

    def _leaves(self, tenant: str, host: str) -> None:
        """Write down where a command goes: who resumes asks that host how it ended."""
        begun = self.record.run.at_work.get(tenant)
        if begun and begun.host != host:
            self.record.emit(model.TenantMoved(self.clock.now(), tenant, begun.attempt, host))

    def _outcome(self, tenant: model.Tenant, reply: model.Reply) -> model.Outcome:
        """What a reply says; where the command did not come to its end, the database says it."""
        outcome = self._judge(tenant, _named(reply, self.asked.fleet.host, tenant, back=tenant.id in self.ways))
        return self._settled(outcome) if settle.doubtful(reply) else outcome

    def _settled(self, outcome: model.Outcome) -> model.Outcome:
        """The outcome of a command that was killed, ended or lost, as soon as the database is done with it."""
        narrow = bool(self.options.app_label or self.options.undo)
        settler = settling.Settling(self.asked, self.clock, self.notice, narrow=narrow)

        def before(survey: model.Survey) -> tuple[str, ...] | None:
            return resume.before(self.record.run, survey.code).get(outcome.tenant)

        return settler.settle(outcome, before, self.asked.environment.settle)

    def _judge(self, tenant: model.Tenant, reply: model.Reply) -> model.Outcome:
        judge = django.judge if tenant.id == model.SHARED.id else self.asked.framework.judge
        return replace(judge(tenant, reply), host=self.asked.fleet.host)

    def _commands(self, tenant: model.Tenant) -> list[model.Command]:
        """What a tenant is sent: one command, or one for each app that is taken back. Raises UsageError."""
        if tenant != model.SHARED:
            own = (self.options.app_label, self.options.migration_name)
            targets = self.ways[tenant.id].steps if tenant.id in self.ways else (own,)
            return [self.asked.framework.migrate(tenant, frameworks.Target(*each)) for each in targets]
        if self.asked.framework.shared is None:
            raise errors.UsageError("this framework has no command for the shared database")
        return [self.asked.framework.shared]

    # -- said and done

    def _verified(self, reason: str) -> str:
        """Why the run ended, after the verification: who leaves during it leaves what was said unverified."""
        try:
            self._verify()
        except KeyboardInterrupt:
            self.interrupted.over = True
            return step.INTERRUPTED
        return reason

    def _verify(self) -> None:
        """Ask once more what is pending, and hold every outcome against it."""
        if self.asked.framework.survey is None:
            return
        outcomes = self.record.run.outcomes
        attempted = [outcomes[name] for name in self.record.started if name in outcomes and name != model.SHARED.id]
        survey = self._ask_again(attempted)
        self.interrupted.over = True
        for stands in self._held_against(attempted, survey):
            with contextlib.suppress(errors.JournalError):  # said once already; what is known must still be shown
                self.record.emit(model.TenantVerified(self.clock.now(), stands))
        appeared = tuple(name for name in survey.tenants if name not in self.listed) if survey and self.listed else ()
        if appeared:
            self._late_notice(f"{plural(len(appeared), 'tenant')} appeared meanwhile: {some(appeared)}")

    def _held_against(self, outcomes: list[model.Outcome], survey: model.Survey | None) -> list[model.Outcome]:
        """What stands of outcomes, after the databases were asked."""
        before = resume.before(self.record.run, survey.code if survey else {})
        found = []
        for outcome in outcomes:
            after = survey.tenants.get(outcome.tenant) if survey else None
            was = before.get(outcome.tenant)
            if outcome.tenant in self.ways:
                stands = verify.taken_back(outcome, self.ways[outcome.tenant].left, after)
            else:
                stands = verify.verify(outcome, was, after, self.options.app_label, self.options.migration_name)
            busy = survey is not None and self.asked.fleet.application_name(outcome.tenant) in survey.busy
            told = outcome if outcome.status is model.Status.UNKNOWN else stands
            found.append(verify.still_at_work(told) if busy else stands)
        return found

    def _late_notice(self, text: str) -> None:
        with contextlib.suppress(errors.JournalError):
            self.notice(text)

    def _ask_again(self, attempted: list[model.Outcome]) -> model.Survey | None:
        """The survey after the last command; where the line is dead, over a new one that needs no lock."""
        watched = [each.tenant for each in attempted if each.status is not model.Status.MIGRATED]
        try:
            if self.asked.fleet.serving:
                return self.asked.survey(watched)
            with contextlib.closing(self.asked.fleet.without_lock()) as hosts:
                return replace(self.asked, fleet=hosts).survey(watched)
        except errors.OpskitError as error:
            self._late_notice(f"the databases could not be asked what is pending now: {error}")
            return None


def _when(stamp: Any) -> datetime | None:
    """A time of day that a record holds; a record is a file, and files get broken."""
    with contextlib.suppress(TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(stamp, UTC)
    return None


def _kept(how: Gated) -> Gated:
    """As it is written down: without the secrets that a gate may hold."""
    return replace(how, gate=redaction.redact(how.gate))


def _named(reply: model.Reply, host: str, tenant: model.Tenant, *, back: bool) -> model.Reply:
    """A lost connection, as the operator needs to read it."""
    if reply.exit is not None or reply.over:
        return reply
    doing = f"taking back `{tenant.id}`" if back else f"migrating `{tenant.id}`"
    return replace(reply, error=f"lost {host} while {doing} ({reply.error}): it may still be running there")


def _left_behind(left: Mapping[str, Any], tail: str) -> str:
    """What an earlier run's agent recorded and could tell nobody; `tail` is the end of what the command printed."""
    name, run = named(str(left.get("label", "?"))), left.get("run", "?")
    if "exit" not in left:
        return f"run {run} lost its host while it migrated `{name}`: how that ended is not recorded"
    how = "timed out" if left.get("timed_out") else f"ended with exit {left['exit']}"
    said = printable(django.reason(tail)) or "nothing"
    return f"run {run} was cut off while it migrated `{name}`: that command {how}, and said last: {said}"
