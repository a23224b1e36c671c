"""Follows what an earlier part of a run left at work on a host, and tells how commands ended that nobody heard."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from opskit import errors, model
from opskit.frameworks import django
from opskit.reporters import files
from opskit.reporters.text import named, printable
from opskit.tasks import worker
from opskit.transport import fleet, lines


@dataclass(frozen=True)
class Following:
    """What the hosts of a run had to tell, whichever worker asked them."""

    heard: list[tuple[fleet.Fleet, Mapping[str, Any]]] = field(default_factory=list)
    """The records of commands whose end nobody had heard, and where each is."""
    read: set[tuple[Any, Any]] = field(default_factory=set)  # the records on hosts that were told of

    def follow(self, here: worker.Worker) -> None:
        """Follow what is left at work on a worker's host, and tell what nobody has heard yet. Raises ConnectError."""
        hosts = here.asked.fleet
        if hosts.ready.records:
            here.asked.find_framework()  # what reads how they ended
        heard = set()
        for left in hosts.left:
            _take_up(here, left)
            heard.add(hosts.heard)
        hosts.take_lock()
        for left in hosts.ready.records:
            record = (left.get("path"), left.get("started"))
            if left.get("path") in heard:
                hosts.forget(left)
            elif record not in self.read:
                self._hear_of(here, left)
            self.read.add(record)

    def _hear_of(self, here: worker.Worker, left: Mapping[str, Any]) -> None:
        """Tell how a command ended that nobody was there to hear, and fetch what it printed."""
        hosts = here.asked.fleet
        name = str(left.get("label", "?"))
        ours = left.get("run") == here.record.journal.run_id
        hear = _hears_new(here, name) if ours else functools.partial(here.hear, name)
        reply = hosts.recall(left, here.asked.framework.marks, hear)
        here.notice(_left_behind(left, reply.tail if reply else str(left.get("tail", ""))))
        if reply is None:
            return
        if ours and reply.exit is not None:
            _heard_late(here, name, reply)
        self.heard.append((hosts, left))

    def forget(self) -> None:
        """Have the hosts drop what was heard: what it says is written down here."""
        while self.heard:
            hosts, record = self.heard.pop()
            hosts.forget(record)


def _take_up(here: worker.Worker, left: Mapping[str, Any]) -> None:
    """Hear a tenant that an earlier part of this run left at work to its end. Raises ConnectError where it is lost.

    Ctrl-C means what it means while a tenant is migrated.
    """
    tenant = model.SHARED if left.get("label") == model.SHARED.id else model.Tenant(str(left.get("label")))
    lost, host = here.record.run.outcomes.get(tenant.id), here.asked.fleet.host
    attempt = lost.attempt if lost else 1
    since, process = _when(left.get("started")), left.get("pid")
    process = process if isinstance(process, int) else None
    here.record.emit(model.TenantFollowed(here.clock.now(), tenant.id, attempt, host, since, process))
    here.attend(tenant, None)
    here.interrupted.patient = here.interrupted.began = True
    patterns, timeout = here.asked.framework.marks, here.asked.environment.timeout
    try:
        reply = here.asked.fleet.take_up(left, patterns, _hears_new(here, tenant.id), timeout)
        outcome = here.outcome(tenant, reply)
    finally:
        here.interrupted.patient = False
    here.interrupted.at_work.discard(tenant.id)
    here.record.emit(model.TenantFinished(here.clock.now(), replace(outcome, attempt=attempt)))
    if here.interrupted.asked:
        raise KeyboardInterrupt
    if reply.exit is None and not reply.over:
        if here.asked.fleet.serving:
            here.asked.fleet.take_lock(at_once=True)  # whoever has it keeps it: that says most
        raise errors.ConnectError(f"`{named(tenant.id)}` may still be at work there, and nobody can follow it")


def _hears_new(here: worker.Worker, name: str) -> lines.Hear:
    """Tells what a tenant printed, except what its file holds of it already; of a retry it may hold another's."""
    lost = here.record.run.outcomes.get(name)
    if lost is not None and lost.attempt > 1:
        return functools.partial(here.hear, name)
    new = files.New(here.record.folder, name)
    return lambda text, partial: here.hear(name, new.of(text), partial)


def _heard_late(here: worker.Worker, name: str, reply: model.Reply) -> None:
    """A tenant that this run lost sight of ended, and its host wrote down how."""
    lost = here.record.run.outcomes.get(name)
    if lost is None or lost.status is not model.Status.UNKNOWN:
        return
    outcome = here.judge(model.Tenant(name), reply)
    here.record.emit(model.TenantFinished(here.clock.now(), replace(outcome, attempt=lost.attempt)))


def _when(stamp: Any) -> datetime | None:
    """A time of day that a record holds; a record is a file, and files get broken."""
    with contextlib.suppress(TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(stamp, UTC)
    return None


def _left_behind(left: Mapping[str, Any], tail: str) -> str:
    """What an earlier run's agent recorded and could tell nobody; `tail` is the end of what the command printed."""
    name, run = named(str(left.get("label", "?"))), left.get("run", "?")
    if "exit" not in left:
        return f"run {run} lost its host while it migrated `{name}`: how that ended is not recorded"
    how = "timed out" if left.get("timed_out") else f"ended with exit {left['exit']}"
    said = printable(django.reason(tail)) or "nothing"
    return f"run {run} was cut off while it migrated `{name}`: that command {how}, and said last: {said}"
