"""What a plan that somebody reviewed has to do with what is there when it is applied. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opskit import model
from opskit.rollout import resume


@dataclass(frozen=True)
class Difference:
    """`what` differs, of these tenants (none: of the whole)."""

    what: str
    tenants: tuple[str, ...] = ()
    applied: bool = False  # they have nothing pending any more: somebody migrated them


def code_of(survey: model.Survey | None, plan: model.Plan) -> dict[str, str]:
    """The digests of all that is pending, in the shared database and for the plan's tenants."""
    if survey is None:
        return {}
    shared = {name: survey.code[name] for name in survey.shared or () if name in survey.code}
    return {**shared, **plan.code}


def differences(then: model.Reviewed, now: model.Reviewed, code: Mapping[str, str]) -> list[Difference]:
    """How `now` differs from what was reviewed; `code` has the digests of all migrations that there are now.

    What nobody can say, then or now, does not differ.
    """
    found = [Difference(what) for what in (*_revision(then, now), *_code(then, code), *_shared(then, now))]
    return [*found, *_tenants(then.plan, now.plan)]


def _revision(then: model.Reviewed, now: model.Reviewed) -> Iterator[str]:
    if then.revision and now.revision and then.revision != now.revision:
        yield f"the code's revision was {then.revision[:12]}, and is {now.revision[:12]}"


def _code(then: model.Reviewed, code: Mapping[str, str]) -> Iterator[str]:
    changed = resume.changes([model.Plan((), {}, code=then.code)], code)
    if changed:
        yield f"the migrations are others: {_some(changed)}"


def _shared(then: model.Reviewed, now: model.Reviewed) -> Iterator[str]:
    what = _pending(then.shared_pending, now.shared_pending)
    if what:
        yield f"the shared database {what}"


def _tenants(then: model.Plan, now: model.Plan) -> list[Difference]:
    """Tenants that differ in the same way are one difference; the largest is the first."""
    appeared = tuple(name for name in now.pending if name not in then.pending)
    gone = tuple(name for name in then.pending if name not in now.pending)
    alike: dict[str, list[str]] = {}
    for name in then.pending:
        what = "" if name in gone else _of_a_tenant(name, then, now)
        if what:
            alike.setdefault(what, []).append(name)
    applied = _pending(("a",), ())
    changed = [Difference(what, tuple(names), applied=what == applied) for what, names in alike.items()]
    changed.sort(key=lambda each: -len(each.tenants))
    moved = [Difference("appeared", appeared), Difference("gone", gone)]
    return [*(each for each in moved if each.tenants), *changed]


def _of_a_tenant(name: str, then: model.Plan, now: model.Plan) -> str:
    refused = now.refused.get(name, "")
    if refused and not then.refused.get(name):
        return f"can't be migrated now: {refused}"
    if then.refused.get(name) and not refused:
        return "could not be migrated then, and can be now"
    return "" if refused else _pending(then.pending[name], now.pending[name])


def _pending(then: tuple[str, ...] | None, now: tuple[str, ...] | None) -> str:
    """How what is pending differs, "" where it does not."""
    if then is None or now is None:
        return "" if then == now else "can be asked what is pending at one time only"
    more, less = [each for each in now if each not in then], [each for each in then if each not in now]
    if not now and less:
        return "has nothing pending any more"
    parts = [f"now, and not then: {_some(more)}"] if more else []
    parts += [f"then, and not now: {_some(less)}"] if less else []
    return f"pending {', '.join(parts)}" if parts else ""


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
