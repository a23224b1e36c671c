"""The life of a rollout, from the first connection to the next command to type."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from opskit import control, errors, frameworks, journal, model
from opskit.frameworks import timeouts as limits
from opskit.reporters import webhook
from opskit.rollout import step
from opskit.tasks import (
    attending,
    beginning,
    desk,
    driving,
    ending,
    hooks,
    interrupts,
    migrating,
    project,
    requiring,
    staff,
    taking_back,
    watchfulness,
    wiring,
    worker,
)
from opskit.tasks.task import complain
from opskit.transport import fleet


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
                    return go(rollout)
                finally:  # where it has not ended yet: a maintenance mode must not be left behind
                    rollout.around.end("opskit itself broke")
                    rollout.staff.dismiss()


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
) -> driving.Rollout:
    """One run with all that watches over it: the operator's words, hooks, and who hears of notices."""
    environment = asked.environment
    said = desk.Desk(record.folder, interrupted, environment.name, wiring.operator())
    around = hooks.Hooks(environment, record, said, interrupted, clock, told)
    hosts = asked.fleet
    attends = attending.Attending(interrupted, clock, hosts.end)
    first = worker.Worker(asked, attends, options, record, interrupted, clock)
    said.say = hosts.notice = attends.notice = first.notice
    hosts.watch = attends.look
    hosts.settings.update(limits.settings(environment.rollout))
    return driving.Rollout(staff.Staff(first), said, around)


def go(rollout: driving.Rollout) -> int:
    """All the steps after the lock, and the exit code. Raises what ended it before the first command."""
    reason, error = _through(rollout)
    return ending.end(rollout, reason, error)


def _through(rollout: driving.Rollout) -> tuple[str, errors.OpskitError | None]:
    """Why the rollout ended, and the error that ended it early."""
    undo = rollout.first.options.undo
    try:
        beginning.begin(rollout)
        return taking_back.take_back(rollout, undo) if undo else migrating.migrate(rollout), None
    except KeyboardInterrupt:
        rollout.first.interrupted.over = True
        ending.detach(rollout.first)
        return step.INTERRUPTED, errors.Interrupted("interrupted")
    except errors.OpskitError as error:
        return " ".join(str(error).split()), error
