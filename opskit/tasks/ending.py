"""The end of a run: the verification, the summary, the exit code; and what is left where it was interrupted."""

from __future__ import annotations

from opskit import errors
from opskit.reporters.text import named
from opskit.rollout import step
from opskit.tasks import driving, verifying, worker
from opskit.tasks.task import complain, show_summary

_NOT_ALL = 5  # the exit code of a run that could not go on


def end(rollout: driving.Rollout, reason: str, error: errors.OpskitError | None) -> int:
    """The exit code, when all is verified and said. Before the first command an error is the whole answer: raised."""
    first = rollout.first
    first.interrupted.at_work.clear()
    run = first.record.run
    started = any(name in run.at_work or run.outcomes[name].attempt for name in first.record.started)
    if started and not isinstance(error, errors.Interrupted):
        reason = _verified(rollout, reason)
    rollout.around.end(reason)
    first.interrupted.over = True
    if error and not started:
        first.record.refuse(reason)
        raise error
    first.record.finish(reason)
    _summarise(first)
    if error and not isinstance(error, errors.Interrupted):
        complain(error.told("the run stopped there."))
    return run.exit_code() or (_NOT_ALL if error else 0)


def detach(first: worker.Worker) -> None:
    """Say what was left at work, and where, and the command that picks it up."""
    if not first.interrupted.at_work:
        return
    first.record.hear_only_me()
    left = {tenant: first.places.get(tenant, first.asked.fleet) for tenant in first.record.run.at_work}
    for hosts in left.values():
        hosts.end()  # where that was asked for, and not said yet
    run, name = first.record.folder.name, first.asked.environment.name
    again = f"`invoke migrate-all --env={name} --resume={run}`"
    if first.options.undo:
        again = f"`invoke undo --run={first.options.undo.run_id} --yes`"
    for tenant, hosts in left.items():
        where = f"left `{named(tenant)}` on {hosts.at_work}"
        first.late_notice(f"{where}: it is being ended, and how is written down there. {again} picks it up")


def _verified(rollout: driving.Rollout, reason: str) -> str:
    """Why the run ended, after the verification: who leaves during it leaves what was said unverified."""
    try:
        verifying.verify_all(rollout.first, rollout.listed)
    except KeyboardInterrupt:
        rollout.first.interrupted.over = True
        return step.INTERRUPTED
    return reason


def _summarise(first: worker.Worker) -> None:
    """Say how it ended; an answer that can't be written must not hide how the run went."""
    record = first.record
    try:
        show_summary(record.run, record.folder, first.asked.environment.name, as_json=first.options.json)
    except errors.OpskitError as error:
        complain(error.told("`invoke show-run` says it again."))
