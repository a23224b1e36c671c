"""Django's own ground rules, which every framework shares (Django 5.2, django/core/management)."""

from __future__ import annotations

import re

from opskit import model, redaction
from opskit.durations import show
from opskit.frameworks import events, fingerprint

APPLYING = "  Applying "
MARKS = (re.compile(rf"{APPLYING}\S"),)

RETRYABLE = re.compile(
    r"due to lock timeout|deadlock detected|could not serialize access"  # PostgreSQL 18
    r"|Lock wait timeout exceeded|Deadlock found"  # MySQL and MariaDB
    r"|database (?:table )?is locked"  # SQLite
    r"|^not started: (?!ValueError|Unicode|.*Argument list too long)"  # what the host may do the next time
)
"""What may be gone the next time: somebody else's lock, a deadlock, a host that had no room."""

INTERRUPTED = "interrupted"
"""How the error begins of a tenant whose command the operator ended."""

_RAISED = re.compile(r"^(?:[A-Za-z_][\w]*\.)*([A-Za-z_]\w*)(?:: (.*))?$")
_LONGEST = 500  # characters of a reason: it is one line of a table


def applied(marks: tuple[str, ...]) -> tuple[str, ...]:
    """The migrations that `migrate` reported as done, oldest first."""
    return tuple(match[1] for match in map(fingerprint.APPLIED.search, marks) if match)


def exception(tail: str) -> str:
    """The sentence of the last exception in an output, on one line; "" where there is none."""
    for line in reversed(tail.splitlines()):
        match = _RAISED.match(line.rstrip())
        if match and fingerprint.is_exception(match[1]):
            return one_line(f"{match[1]}: {match[2]}" if match[2] else match[1])
    return ""


def reason(tail: str) -> str:
    """Why a command failed, in one line: its last exception's sentence, else the last thing it said."""
    last = next((line for line in reversed(tail.splitlines()) if line.strip()), "")
    return exception(tail) or one_line(events.told(last))


def one_line(text: str) -> str:
    """`text` on one line, without credentials, not longer than a table cell bears."""
    shown = " ".join(redaction.redact(text).split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def shows(shown: str, text: str) -> bool:
    """Whether `shown` is `text`, apart from what was taken out of it as a secret: an id may look like one."""
    return re.fullmatch(".*".join(map(re.escape, shown.split(redaction.REDACTED))), text, re.DOTALL) is not None


def outcome(
    tenant: model.Tenant, reply: model.Reply, status: model.Status, error: str = "", *, why: str = ""
) -> model.Outcome:
    """An Outcome with what the marks say was applied; host, attempt and verification are others' business.

    `why` is what went wrong, where the error says more than that.
    """
    failed = status is model.Status.FAILED
    print_ = fingerprint.of(tenant.id, reply.marks, reply.tail, one_line(why or error)) if failed else None
    return model.Outcome(
        tenant=tenant.id,
        status=status,
        applied=applied(reply.marks),
        error=one_line(error),
        seconds=reply.seconds,
        retryable=print_ is not None and (print_.sqlstate in fingerprint.RETRYABLE or bool(RETRYABLE.search(error))),
        fingerprint=print_,
    )


def judge(tenant: model.Tenant, reply: model.Reply) -> model.Outcome:
    """Judge by the exit code alone, where that is reliable (Django's own commands).

    A reply without an exit code (connection lost) is UNKNOWN, never FAILED.
    """
    early = judge_end(tenant, reply)
    if early is not None:
        return early
    return outcome(tenant, reply, model.Status.MIGRATED)


def judge_end(tenant: model.Tenant, reply: model.Reply) -> model.Outcome | None:
    """The verdict that the end of the process alone gives, in any framework; None where it ended well."""
    if reply.exit is None:
        return outcome(tenant, reply, model.Status.UNKNOWN, reply.error or "nobody knows how it ended")
    if reply.timed_out or (reply.asked and reply.exit != 0):
        why = "timed out" if reply.timed_out else INTERRUPTED
        ended = f"{why} after {show(reply.seconds)}: its processes were ended"
        return outcome(tenant, reply, model.Status.FAILED, ended)
    if reply.error:
        return outcome(tenant, reply, model.Status.FAILED, reply.error)
    if reply.exit < 0:
        return outcome(tenant, reply, model.Status.FAILED, f"ended by signal {-reply.exit}: {reason(reply.tail)}")
    if reply.exit != 0:
        raised = exception(reply.tail)
        said = raised or f"it exited {reply.exit}, and said last: {reason(reply.tail) or 'nothing'}"
        return outcome(tenant, reply, model.Status.FAILED, said)
    return None
