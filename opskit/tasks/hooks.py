"""What the inventory wants done and told around a rollout: its hooks, and its webhook.

Hooks run on this machine, each in a process group of its own, with a JSON document on stdin (docs/hooks.md has its
shape). A `before` that fails stops, and a `tenant_before` that fails stops before its tenant; the others only warn.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opskit import durations, errors, model, redaction
from opskit.reporters import summary, webhook
from opskit.reporters.text import printable, shortened
from opskit.rollout import drive, ids, step
from opskit.tasks import child, desk, interrupts, task, wiring

_LONGEST = 300  # characters of the last line, in a message
_BAD = (model.Status.FAILED, model.Status.UNKNOWN)


@dataclass
class Hooks:
    """One run's hooks and messages. Mutable on purpose: it keeps what has been begun and must be ended."""

    environment: model.Environment
    record: wiring.Record
    desk: desk.Desk
    interrupted: interrupts.Interrupts
    clock: drive.Clock
    webhook: webhook.Webhook
    start: model.RunStarted | model.RunResumed | None = None  # of this part of the run
    plan: model.Plan | None = None  # the newest; None until there is something to do
    failed: bool = False  # the first failure has been told
    owed: dict[str, int] = field(default_factory=dict)  # the tenants whose tenant_after has not run, and their attempts
    ended: bool = False
    troubles: list[str] = field(default_factory=list)
    unwritten: errors.JournalError | None = None  # the record broke while a hook was told of: the hook still runs

    # -- when

    def begin(self, plan: model.Plan) -> None:
        """Before the first command of a run that has one. Raises HookFailed, JournalError."""
        if self.plan is not None or not plan.batches:
            return
        self.plan = plan
        self.webhook.send(webhook.started(self.environment.name, self._run_id, self._start, plan))
        self._must("before", self._document("before"))

    def tenant_begins(self, tenant: model.Tenant, attempt: int) -> model.Outcome | None:
        """Before one tenant's command: what became of it, where it must not be started. Raises as `begin` does.

        Who asks to stop while its hooks run does not want the tenant started after them.
        """
        self.owed[tenant.id] = attempt
        try:
            self._must("tenant_before", self._document("tenant_before", tenant=tenant.id, attempt=attempt))
        except KeyboardInterrupt:
            self._emit(model.TenantFinished(self.clock.now(), self._not_started(tenant, attempt, step.INTERRUPTED)))
            raise
        stop = self.environment.hooks.tenant_before and self.desk.word().stop
        return self._not_started(tenant, attempt, stop) if stop else None

    def _not_started(self, tenant: model.Tenant, attempt: int, why: str) -> model.Outcome:
        """What stands of a tenant that gets no command now: before a retry, what the attempt before it was."""
        skipped = model.Outcome(tenant.id, model.Status.SKIPPED, error=f"not started: {why}")
        return self.record.run.outcomes.get(tenant.id, skipped) if attempt > 1 else skipped

    def heard(self, event: model.Event) -> None:
        """After an event of the drive's: what that is a reason for. Raises JournalError."""
        match event:
            case model.RunStarted() | model.RunResumed():
                self.start = event
            case model.PlanMade(_, plan):
                self.plan = self.plan and plan  # after the shared database's comes the tenants'
                for tenant in plan.refused:
                    self._failure(self.record.run.outcomes[tenant])
            case model.TenantFinished(_, outcome):
                self._tenant_ends(outcome)
                if outcome.status in _BAD and not self._is_tried_again(outcome):
                    self._failure(outcome)
            case model.TenantVerified(_, outcome) if outcome.status in _BAD:  # a canary's, before the others start
                self._failure(outcome)
        self._look()
        self._written()

    def end(self, reason: str) -> None:
        """After the last command and the verification. `after` runs whenever `begin` did. Raises nothing.

        A first Ctrl-C lets the hook at work finish; the next one ends it, and leaves out those of its kind that follow.
        A second call does nothing.
        """
        if self.ended:
            return
        self.ended = True
        try:
            self.interrupted.over, self.interrupted.patient = False, True
            self._end(reason)
        except KeyboardInterrupt:
            self._warn("interrupted before everybody was told of the end")
        finally:
            self.interrupted.over = True

    def _end(self, reason: str) -> None:
        run = self.record.run
        settled = run.settled()
        for outcome in settled:
            self._tenant_ends(outcome)
        bad = next((outcome for outcome in settled if outcome.status in _BAD), None)
        if bad is not None:  # the verification may have found it
            self._failure(bad)
        if self.plan is not None:
            data = [summary.as_data(outcome) for outcome in settled]
            self._may("after", self._document("after", counts=run.counts(), reason=reason, outcomes=data))
        if self.plan is not None or self.failed:
            self.webhook.last(
                task.as_called(webhook.ended(run, self.environment.name, self._run_id, reason, tuple(self.troubles)))
            )
            self._look()

    def _tenant_ends(self, outcome: model.Outcome) -> None:
        attempt = self.owed.pop(outcome.tenant, None)
        if attempt is None:
            return
        data = summary.as_data(outcome)
        self._may("tenant_after", self._document("tenant_after", tenant=outcome.tenant, attempt=attempt, outcome=data))

    def _is_tried_again(self, outcome: model.Outcome) -> bool:
        return outcome.retryable and 0 < outcome.attempt <= self.record.run.plans[-1].retries

    def _failure(self, outcome: model.Outcome) -> None:
        """The first tenant that failed, or is unknown, for good."""
        if self.failed:
            return
        self.failed = True
        self.webhook.send(webhook.failed(self.environment.name, self._run_id, outcome))
        more = {"tenant": outcome.tenant, "attempt": outcome.attempt, "outcome": summary.as_data(outcome)}
        self._may("failure", self._document("failure", counts=self.record.run.counts(), **more))

    # -- what is said

    @property
    def _run_id(self) -> str:
        return self.record.journal.run_id

    @property
    def _start(self) -> model.RunStarted | model.RunResumed:
        assert self.start is not None  # noqa: S101 - for mypy: nothing is begun before it
        return self.start

    def _document(self, event: str, **more: Any) -> dict[str, Any]:
        plan = None if event.startswith("tenant_") else self.plan  # of 100,000 tenants: not for each of them
        return document(event, self.environment.name, self._run_id, self._start, plan, **more)

    def _look(self) -> None:
        """Say once that the webhook does not work."""
        why = self.webhook.news()
        if why:
            self._warn(f"`notify` did not take a message: {why}")

    def _warn(self, text: str) -> None:
        self._emit(model.Notice(self.clock.now(), text))

    def _emit(self, event: model.Event) -> None:
        try:
            self.record.emit(event)
        except errors.JournalError as error:
            self.unwritten = error

    def _written(self) -> None:
        """Raise what must end the run, once its hooks have run."""
        error, self.unwritten = self.unwritten, None
        if error is not None:
            raise error

    # -- how

    def _must(self, kind: str, document: dict[str, Any]) -> None:
        for failure in self._failures(kind, document):
            raise errors.HookFailed(failure)
        self._written()

    def _may(self, kind: str, document: dict[str, Any]) -> None:
        try:
            for failure in self._failures(kind, document):
                self.troubles.append(failure)
                self._warn(failure)
        except KeyboardInterrupt:
            self.troubles.append(f"`hooks.{kind}` was interrupted")
            self._warn(self.troubles[-1])
            if not self.ended:  # else the other kinds have their turn
                raise

    def _failures(self, kind: str, document: dict[str, Any]) -> Iterator[str]:
        """Run the hooks of a kind, one after the other: a sentence for each that fails, before the next one starts."""
        for at, argv in enumerate(getattr(self.environment.hooks, kind)):
            name = f"hooks.{kind}[{at}]"
            why = self._run(name, argv, document)
            if why:
                whom = f" for `{document['tenant']}`" if document["tenant"] else ""
                yield f"`{name}` failed{whom}: {why}"

    def _run(self, name: str, argv: tuple[str, ...], document: dict[str, Any]) -> str:
        """Why it failed, "" where it did not. What it printed is in the log."""
        hooks = self.environment.hooks
        tenant = document["tenant"] or ""
        self._emit(model.Said(self.clock.now(), name, "started", tenant, quiet=bool(tenant)))
        began = self.clock.monotonic()
        environ = {**os.environ, **_variables(document)}
        output, why, _ = child.run(argv, json.dumps(document), environ, self.environment.root, hooks.timeout)
        took = durations.show(self.clock.monotonic() - began)
        shown = redaction.redact(output)
        end = f"ended after {took}{f': {why}' if why else ''}"
        self._emit(model.Said(self.clock.now(), name, f"{shown}\n{end}", tenant))
        last = next((line.strip() for line in reversed(shown.splitlines()) if line.strip()), "")
        said = f", and said last: {printable(shortened(last, _LONGEST))}" if last else ""
        return f"{why}{said}" if why else ""


def document(
    event: str,
    environment: str,
    run_id: str,
    start: model.RunStarted | model.RunResumed,
    plan: model.Plan | None,
    tenant: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What a hook reads on its stdin. Every key is always there; its shape is in docs/hooks.md."""
    return {
        "v": 1,
        "event": event,
        "run_id": run_id,
        "environment": environment,
        "operator": start.operator,
        "host": start.host,
        "path": start.path,
        "revision": start.revision,
        "plan": None if plan is None else _plan(plan),
        "tenant": tenant,
        **{key: more.get(key) for key in ("attempt", "outcome", "counts", "reason", "outcomes")},
    }


def _plan(plan: model.Plan) -> dict[str, Any]:
    return {
        "tenants": [tenant.id for batch in plan.batches for tenant in batch.tenants],
        "current": [tenant.id for tenant in plan.current],
        "refused": dict(plan.refused),
    }


def _variables(document: dict[str, Any]) -> dict[str, str]:
    """The least that a hook of one line wants to know, without reading JSON; the id where a variable can hold it."""
    tenant = document["tenant"] or ""
    return {
        "OPSKIT_EVENT": document["event"],
        "OPSKIT_RUN": document["run_id"],
        "OPSKIT_ENV": document["environment"],
        "OPSKIT_TENANT": "" if ids.trouble(tenant) else tenant,
    }


def refused(message: webhook.Webhook, environment: str, error: errors.OpskitError) -> None:
    """Tell of a run that ended before it began, unless a person at the terminal knows: they said no, or left."""
    if message.closed or isinstance(error, errors.Declined | errors.Interrupted):
        return
    with contextlib.suppress(KeyboardInterrupt):
        message.last(task.as_called(webhook.refused(environment, error.told())))
        why = message.news()
        if why:
            task.complain(f"`notify` did not take a message: {why}.")
