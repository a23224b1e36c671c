"""What becomes of a tenant whose command was killed, ended or lost: the database decides. Pure."""

from __future__ import annotations

from dataclasses import replace

from opskit import model

_SHELL, _LAST = 128, 160  # a shell in between says 128 and the signal's number


def doubtful(reply: model.Reply) -> bool:
    """Whether a command is over without having come to its end: its connection may still be at work.

    One that is lost is not over, and nothing can be settled.
    """
    killed = reply.exit is not None and (reply.exit < 0 or _SHELL < reply.exit < _LAST)
    return reply.over or reply.timed_out or reply.asked or killed


def state(survey: model.Survey, tenant: str) -> model.TenantState:
    """What the database says of a tenant, the shared database too."""
    if tenant == model.SHARED.id:
        unasked = model.TenantState(error="nobody can say what is pending there")
        return unasked if survey.shared is None else model.TenantState(pending=survey.shared)
    return survey.tenants.get(tenant, model.TenantState(error="asking what is pending did not mention it"))


def settled(outcome: model.Outcome, before: tuple[str, ...] | None, now: model.TenantState) -> model.Outcome:
    """The outcome of a command that is over, with nothing of it at work in the database any more.

    `before` is all that was pending when the run looked.
    """
    if not now.pending:
        status = model.Status.CURRENT if before == () else model.Status.MIGRATED
        return replace(outcome, status=status, applied=before or (), verified=True, error="", retryable=False)
    applied = tuple(name for name in before or () if name not in now.pending)
    known = replace(outcome, applied=applied or outcome.applied, verified=True)
    if outcome.status is not model.Status.UNKNOWN:
        return known
    left = f"{len(now.pending)} migration{'' if len(now.pending) == 1 else 's'} still pending"
    return replace(known, status=model.Status.FAILED, error=f"{outcome.error}; it is over, with {left}", retryable=True)


def unsettled(outcome: model.Outcome, why: str) -> model.Outcome:
    """The outcome of a command that may yet commit, or of which nobody could be asked."""
    return replace(
        outcome, status=model.Status.UNKNOWN, error=f"{outcome.error}; {why}" if outcome.error else why, retryable=False
    )
