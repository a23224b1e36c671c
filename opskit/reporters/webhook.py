"""Tells a webhook (Slack's JSON, which others understand) of a run: its start, its first failure, its end.

Whatever becomes of a message, the run goes on: each is sent by a thread of its own, and nobody waits long for one.
"""

from __future__ import annotations

import logging
import threading

from opskit import durations, model, redaction
from opskit.reporters import telling
from opskit.reporters.text import plural, printable, shortened, some
from opskit.rollout import run as runs
from opskit.rollout import step

_SILENCE = 5.0  # seconds that a webhook may take to be connected to, and then to say the next thing
_PATIENCE = 10.0  # seconds for one message as a whole: whoever drips bytes could go on for ever
_LONGEST = 300  # characters of one tenant's error


class Webhook:
    """Sends texts to `url`, one after the other, in the background; none where `url` is empty."""

    def __init__(self, url: str, patience: float = _PATIENCE) -> None:
        self._url = url
        self._patience = patience
        self._thread: threading.Thread | None = None  # of the newest message
        self._trouble = ""  # why the first message that was lost did not arrive
        self._told = False
        self.closed = False  # there comes no other message

    def send(self, text: str) -> None:
        """Let a message go."""
        if not self._url:
            return
        thread = threading.Thread(target=self._deliver, args=(text, self._thread), daemon=True, name="opskit-notify")
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            self._troubled("no thread could be started for it")
        else:
            self._thread = thread

    def last(self, text: str) -> None:
        """Send the last message, and give it the time to arrive that it may have."""
        self.closed = True
        self.send(text)
        if self._thread is not None:
            self._thread.join(self._patience)
            if self._thread.is_alive():
                self._troubled(f"no answer within {durations.show(self._patience)}")

    def news(self) -> str:
        """Why a message did not arrive, once; "" where nothing is known against it. It never names the address."""
        if not self._trouble or self._told:
            return ""
        self._told = True
        return self._trouble

    def _deliver(self, text: str, before: threading.Thread | None) -> None:
        if before is not None:
            before.join(self._patience)
        self._troubled(post(self._url, text))

    def _troubled(self, why: str) -> None:
        self._trouble = self._trouble or why


def post(url: str, text: str) -> str:
    """Send one message. Why it did not arrive, "" where it did; never raises, and never names the address.

    A redirection is not followed: it would make a GET of it, and send the message to somebody else.
    """
    try:
        import requests  # noqa: PLC0415 - start-up time

        logging.getLogger("urllib3").setLevel(logging.ERROR)  # with --debug it would log the address
        body = {"text": escaped(text)}
        with requests.post(url, json=body, timeout=_SILENCE, allow_redirects=False, stream=True) as answer:
            taken = answer.status_code // 100 == 2  # noqa: PLR2004 - HTTP's successes
            return "" if taken else f"it answered {answer.status_code}"
    except Exception as error:  # noqa: BLE001 - a dead webhook never harms a run
        return _why(error)


def _why(error: Exception) -> str:
    """The cause in plain words. What requests says by itself quotes the address."""
    import requests  # noqa: PLC0415 - start-up time

    kinds = {
        requests.Timeout: f"no answer within {durations.show(_SILENCE)}",
        requests.exceptions.ProxyError: "the proxy that the environment names did not serve",
        requests.exceptions.SSLError: "its certificate could not be verified, or it speaks no TLS",
    }
    for kind, words in kinds.items():
        if isinstance(error, kind):
            return words
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if type(reason).__name__ == "NameResolutionError":
        return "there is no host of that name"
    cause = getattr(reason, "__cause__", None)
    told = cause.strerror if isinstance(cause, OSError) else None
    return told.lower() if told else f"the connection broke ({type(error).__name__})"


def escaped(text: str) -> str:
    """`text` without what Slack takes for markup of its own: a tenant called `<!channel>` calls nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# ---------------------------------------------------------------- what is said


def started(environment: str, run_id: str, start: model.RunStarted | model.RunResumed, plan: model.Plan) -> str:
    names = [tenant.id for batch in plan.batches for tenant in batch.tenants]
    what = "the shared database" if names == [model.SHARED.id] else plural(len(names), "tenant")
    how = "resumed" if isinstance(start, model.RunResumed) else "started"
    doing = "taking back" if plan.back else "migrating"
    return f"{environment}: {doing} {what} on {start.host}, {how} by {start.operator}. run {run_id}."


def failed(environment: str, run_id: str, outcome: model.Outcome) -> str:
    return _whole([f"{environment}: {_named(outcome)} it is the first of run {run_id}."])


def ended(run: runs.Run, environment: str, run_id: str, reason: str, troubles: tuple[str, ...] = ()) -> str:
    """How it went, who is not home and why, what did not work around it, and the next command to type."""
    settled = run.settled()
    bad = [each for each in settled if each.status in (model.Status.FAILED, model.Status.UNKNOWN)]
    stopped = "" if reason == step.DONE else f" the run stopped: {reason.rstrip('.')}."
    lines = [
        f"{environment}: run {run_id} ended: {telling.counted(run.counts(), undoes=bool(run.undoes))}.{stopped}",
        *(_named(each) for each in bad[:3]),
        f"also failed or unknown: {some([each.tenant for each in bad[3:]])}." if bad[3:] else "",
        *(f"{trouble}." for trouble in troubles),
        f"next: `invoke show-run --run={run_id}`." if _open(settled) else "",
    ]
    return _whole(lines)


def refused(environment: str, message: str) -> str:
    """A run that did not begin; `message` is the whole of what the operator was told."""
    return _whole([f"{environment}: no run: {message.rstrip('.')}."])


def _open(outcomes: tuple[model.Outcome, ...]) -> bool:
    home = (model.Status.MIGRATED, model.Status.CURRENT)
    return any(each.status not in home for each in outcomes)


def _named(outcome: model.Outcome) -> str:
    why = shortened(outcome.error, _LONGEST).rstrip(".")
    return f"tenant `{shortened(outcome.tenant, 60)}` {outcome.status}: {why}."


def _whole(lines: list[str]) -> str:
    return "\n".join(printable(redaction.redact(line)) for line in lines if line)
