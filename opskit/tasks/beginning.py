"""The beginning of a run, or of one more part of it: who runs it, and what an earlier part left on the hosts."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

from opskit import __version__, model, redaction
from opskit.tasks import driving, requiring, reviewing, wiring, worker


def begin(rollout: driving.Rollout) -> None:
    """Write down that it begins, and follow what is left. Raises what following raises, and what hiring does."""
    first = rollout.first
    options, environment = first.options, first.asked.environment
    rollout.tell(model.RunResumed(**_sitting(first)) if options.resume else _started(first))
    if options.applies:
        first.notice(reviewing.told(options.applies))
    if options.override:
        first.notice(requiring.told(redaction.redact(options.override), environment))
    rollout.staff.following.follow(first)
    if options.resume:  # what it lost may be on any of its hosts
        for _ in range(1, min(environment.rollout.forks, len(environment.hosts))):
            rollout.staff.hire()


def _started(first: worker.Worker) -> model.RunStarted:
    options, environment = first.options, first.asked.environment
    return model.RunStarted(
        **_sitting(first),
        run_id=first.record.journal.run_id,
        environment=environment.name,
        app_label=options.app_label,
        migration_name=options.migration_name,
        rollout=replace(environment.rollout, gate=redaction.redact(environment.rollout.gate)),
        timeout=environment.timeout,
        applies=options.applies.digest if options.applies else "",
        undoes=options.undo.run_id if options.undo else "",
    )


def _sitting(first: worker.Worker) -> dict[str, Any]:
    """Who runs this part of the run, when, from where and against what."""
    ready = first.asked.fleet.ready
    return {
        "at": first.clock.now(),
        "opskit": __version__,
        "operator": wiring.operator(),
        "machine": os.uname().nodename,
        "args": tuple(redaction.redact(arg) for arg in sys.argv[1:]),
        "host": first.asked.fleet.host,
        "path": ready.path,
        "revision": ready.revision,
        "override": redaction.redact(first.options.override),
    }
