"""Events as lines for people and grep: a time, a level, a tenant, a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from opskit import durations, model
from opskit.reporters.text import plural, spoken
from opskit.rollout import eta, step

_MEANT: dict[int | None, str] = {step.GO_ON: "go on", step.HALT: "stop", step.ASK_AGAIN: "wait"}  # by a gate's exit
_BAD = {model.Status.FAILED: "ERROR", model.Status.UNKNOWN: "ERROR", model.Status.SKIPPED: "WARNING"}


@dataclass(frozen=True)
class Line:
    at: datetime
    level: str  # DEBUG (for the log alone), INFO, WARNING or ERROR
    tenant: str  # "" for the run itself
    text: str


class Teller:
    """Tells each event once: a verification that only confirms is no news."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[model.Status, str]] = {}
        self._total = 0
        self._number = 0
        self._retries = 0
        self._back: set[str] = set()  # tenants that are taken back
        self._undoes = False  # the run takes another one back
        self._again: dict[str, Line] = {}  # failures that are to be tried again

    def tell(self, event: model.Event) -> list[Line]:
        """The lines that an event is worth, oldest first."""
        match event:
            case model.PlanMade(at, plan):
                return self._plan(at, plan)
            case model.TenantVerified(at, outcome):
                return self._verified(at, outcome)
            case model.TenantStarted() | model.TenantMoved() | model.TenantFollowed():
                return [self._started(event) if isinstance(event, model.TenantStarted) else _elsewhere(event)]
            case model.TenantFinished(at, outcome):
                return [self._finished(at, outcome)]
            case model.RunStarted() | model.RunResumed() | model.Notice() | model.RunFinished():
                self._undoes = self._undoes or (isinstance(event, model.RunStarted) and bool(event.undoes))
                final = self._not_again(event.at) if isinstance(event, model.RunFinished) else []
                return [*final, _of_the_run(event, undoes=self._undoes)]
        return _printed(event) if isinstance(event, model.GateAnswered | model.Said) else []

    def _started(self, event: model.TenantStarted) -> Line:
        self._number += event.attempt == 1
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        todo = "" if event.pending is None else f" ({len(event.pending)} pending)"
        doing = "taking back" if event.tenant in self._back else "migrating"
        return Line(event.at, "INFO", event.tenant, f"{doing}, {self._number} of {self._total}{again}{todo}")

    def _plan(self, at: datetime, plan: model.Plan) -> list[Line]:
        tenants = [tenant for batch in plan.batches for tenant in batch.tenants]
        self._total += len(tenants)
        self._retries = plan.retries
        self._back.update(plan.back)
        lines = [Line(at, "ERROR", name, f"{why} (no command was sent)") for name, why in plan.refused.items()]
        if tenants != [model.SHARED]:
            about = eta.of(plan)
            took = f"; about {durations.show(about)}, pauses included, as the last runs tell" if about else ""
            doing, nothing = ("take back", "to take back") if self._undoes else ("migrate", "pending")
            text = f"{plural(len(tenants), 'tenant')} to {doing}, {len(plan.current)} with nothing {nothing}{took}"
            lines.append(Line(at, "INFO", "", text))
        return lines

    def _finished(self, at: datetime, outcome: model.Outcome) -> Line:
        self._told[outcome.tenant] = (outcome.status, outcome.error)
        self._again.pop(outcome.tenant, None)
        if outcome.status is model.Status.MIGRATED and outcome.tenant in self._back:
            return Line(at, "INFO", outcome.tenant, f"finished: {durations.show(outcome.seconds)}")
        if outcome.status is model.Status.MIGRATED:
            applied = plural(len(outcome.applied), "migration") if outcome.applied else "no migrations reported"
            return Line(at, "INFO", outcome.tenant, f"finished: {applied}, {durations.show(outcome.seconds)}")
        line = self._bad(at, outcome)
        if outcome.retryable and 0 < outcome.attempt <= self._retries:
            self._again[outcome.tenant] = line
            return replace(line, level="WARNING", text=f"{line.text}; it is tried again")
        return line

    def _verified(self, at: datetime, outcome: model.Outcome) -> list[Line]:
        news = (outcome.status, outcome.error)
        if self._told.get(outcome.tenant) == news or outcome.status not in _BAD:
            return []
        before, _ = self._told.get(outcome.tenant, (None, ""))
        self._told[outcome.tenant] = news
        line = self._bad(at, outcome)
        if before is outcome.status:
            return [replace(line, level="WARNING")]  # one ERROR line a failure
        self._again.pop(outcome.tenant, None)
        return [line]

    def _not_again(self, at: datetime) -> list[Line]:
        """The failures that the run ended before it tried them again: now they are final."""
        lines = [replace(line, at=at, text=f"{line.text}; it was not tried again") for line in self._again.values()]
        self._again.clear()
        return lines

    def _bad(self, at: datetime, outcome: model.Outcome) -> Line:
        after = f" after {durations.show(outcome.seconds)}" if outcome.seconds else ""
        return Line(at, _BAD.get(outcome.status, "INFO"), outcome.tenant, f"{outcome.status}{after}: {outcome.error}")


def _elsewhere(event: model.TenantMoved | model.TenantFollowed) -> Line:
    """Who is at work where that was not said before."""
    if isinstance(event, model.TenantMoved):
        return Line(event.at, "INFO", event.tenant, f"goes to {event.host}")
    since = f" since {event.since:%Y-%m-%d %H:%M} UTC" if event.since else ""
    process = f" (process {event.process})" if event.process else ""
    return Line(event.at, "INFO", event.tenant, f"still at work on {event.host}{since}{process}: following")


def _printed(event: model.GateAnswered | model.Said) -> list[Line]:
    """What a program on the operator's side has to say."""
    if isinstance(event, model.GateAnswered):
        return _gate(event)
    level = "DEBUG" if event.quiet else "INFO"
    return [Line(event.at, level, event.tenant, f"{event.source} | {line}") for line in spoken(event.text)]


def _gate(event: model.GateAnswered) -> list[Line]:
    """What the gate printed; that it lets a tenant pass is for the log alone."""
    meant = _MEANT.get(event.exit, "neither go on nor wait")
    level = "DEBUG" if event.exit == step.GO_ON else "INFO" if event.exit == step.ASK_AGAIN else "WARNING"
    printed = [line for line in event.output.splitlines()[:-1] if line.strip()]
    said = f": {event.said}" if event.said else ""
    lines = [Line(event.at, "DEBUG", event.tenant, f"gate: {line}") for line in printed]
    return [*lines, Line(event.at, level, event.tenant, f"the gate says {meant}{said}")]


def _of_the_run(event: model.RunStarted | model.RunResumed | model.Notice | model.RunFinished, *, undoes: bool) -> Line:
    if isinstance(event, model.RunResumed):
        return Line(event.at, "INFO", "", f"the run goes on, on {event.host}, by {event.operator}")
    if isinstance(event, model.RunStarted):
        text = f"run {event.run_id} of {event.environment} on {event.host}, by {event.operator}"
        return Line(event.at, "INFO", "", text)
    if isinstance(event, model.Notice):
        return Line(event.at, "WARNING", "", event.text)
    began = any(event.counts.values())  # what failed then has an ERROR line of its own
    level = "INFO" if event.reason in (step.DONE, step.INTERRUPTED) else "WARNING" if began else "ERROR"
    return Line(event.at, level, "", f"run ended: {event.reason}: {counted(event.counts, undoes=undoes)}")


def counted(counts: Mapping[str, int], *, undoes: bool = False) -> str:
    """`10 migrated, 1 failed`: what is not zero. Of a run that `undoes` another, `10 taken back`."""
    told = ", ".join(f"{number} {status}" for status, number in counts.items() if number) or "no tenants"
    return told.replace("migrated", "taken back") if undoes else told
