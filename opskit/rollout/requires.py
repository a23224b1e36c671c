"""What is pending here, held against an environment that must have it first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from opskit import model


@dataclass(frozen=True)
class Wanted:
    """The migrations that are about to be applied; `code` is {migration: digest of its source} here."""

    tenants: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    code: Mapping[str, str] = field(default_factory=dict)

    @property
    def all(self) -> frozenset[str]:
        return self.tenants | self.shared


@dataclass(frozen=True)
class Lack:
    """Of `names`, migrations or tenants of the other environment, it is said what they lack."""

    names: tuple[str, ...]
    what: str


def meant(pending: tuple[str, ...], app_label: str, migration_name: str) -> tuple[str, ...]:
    """What a command for one app applies of what is pending, in the order of migrate, at most.

    What stands before an app's migration may be what that depends on.
    """
    if not app_label:
        return pending
    own = [at for at, name in enumerate(pending) if name.partition(".")[0] == app_label]
    if migration_name:
        own = [at for at in own if pending[at].partition(".")[2].startswith(migration_name)]
    return pending[: own[-1] + 1] if own else ()


def lacks(wanted: Wanted, there: model.Survey) -> list[Lack]:
    """What the other environment lacks of what is wanted here, none where it has it all on every tenant."""
    if not there.code:
        return [Lack((), "its framework can't tell which migrations its code has")]
    return [*_in_its_code(wanted, there), *_in_its_shared(wanted, there), *_on_its_tenants(wanted, there)]


def _in_its_code(wanted: Wanted, there: model.Survey) -> Iterator[Lack]:
    lost = tuple(sorted(name for name in wanted.all if name not in there.code))
    if lost:
        yield Lack(lost, "not in its code")
    other = [name for name in wanted.all if wanted.code.get(name) and there.code.get(name)]
    other = [name for name in other if wanted.code[name] != there.code[name]]
    if other:
        yield Lack(tuple(sorted(other)), "of another source there")


def _in_its_shared(wanted: Wanted, there: model.Survey) -> Iterator[Lack]:
    if not wanted.shared:
        return
    if there.shared is None:
        yield Lack((), "nobody can say what is pending in its shared database")
    pending = tuple(name for name in there.shared or () if name in wanted.shared)
    if pending:
        yield Lack(pending, "pending in its shared database")


def _on_its_tenants(wanted: Wanted, there: model.Survey) -> Iterator[Lack]:
    """Tenants that lack the same are told together."""
    if not wanted.tenants:
        return
    if not there.tenants:
        yield Lack((), "it has no tenants that could show it")
    alike: dict[str, list[str]] = {}
    for name, state in there.tenants.items():
        pending = [each for each in state.pending if each in wanted.tenants]
        what = f"can't be asked: {state.error}" if state.error else f"pending: {_some(pending)}" if pending else ""
        if what:
            alike.setdefault(what, []).append(name)
    yield from (Lack(tuple(names), f"tenants {what}") for what, names in alike.items())


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
