"""The code's migrations, read once for every tenant that is looked at or migrated in one process.

Only the graph's shape depends on a tenant, and only where migrations are squashed: on which of the replaced ones it
has applied. So there is a graph for each such answer (Django 5.2, db/migrations/loader.py, build_graph).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import Error
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from opskit.tenants import states

Node = tuple[str, str]  # (app label, migration name)

_current: ContextVar[Code | None] = ContextVar("opskit_tenants_code", default=None)


@contextlib.contextmanager
def shared() -> Iterator[Code]:
    """All tenants inside the block share what is loaded and built; at its end that goes."""
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    token = _current.set(Code())
    try:
        yield current()
    finally:
        _current.reset(token)


def share() -> Code:
    """As in such a block, until this process and all that are forked from it have ended."""
    _current.set(Code())
    return current()


def current() -> Code:
    """What the block shares, or outside of one, what nobody else will see."""
    return _current.get() or Code()


class Code:
    """The migrations of the installed apps, the graphs they make, and the states built on the way."""

    def __init__(self) -> None:
        disk = MigrationLoader(None, load=False)
        disk.load_disk()
        self.disk_migrations: dict[Node, Any] = disk.disk_migrations
        self.unmigrated_apps: set[str] = disk.unmigrated_apps
        self.migrated_apps: set[str] = disk.migrated_apps
        self.replacing = tuple(migration for migration in self.disk_migrations.values() if migration.replaces)
        self.graphs: dict[Any, Graph] = {}
        self.states = states.States(self.unmigrated_apps)
        self.answers: dict[tuple[str, ...], tuple[frozenset[Node], Any]] = {}  # history.py's, by what is recorded
        self.waiting: Counter[frozenset[Node]] = Counter()  # the histories that were seen with something pending
        self.tell: Callable[[frozenset[Node]], None] | None = None  # hears those

    def loader(self) -> Loader:
        """A loader that knows no database: the code as an empty one would get it."""
        return Loader(None, self)

    def looked(self) -> None:
        """Tell the histories that most tenants wait with, as many as are kept; those of most tenants last."""
        if self.tell is not None:
            for start, _ in reversed(self.waiting.most_common(states.KEPT)):
                self.tell(start)


@dataclass
class Graph:
    """A graph, and what is worked out from it alone. Nothing in it changes."""

    graph: Any
    replacements: dict[Node, Any]
    whole: frozenset[Node]  # the replacing ones that are applied in all their parts
    consistent: set[frozenset[Node]] = field(default_factory=set)  # histories that were looked at

    @cached_property
    def order(self) -> tuple[Node, ...]:
        """Every migration, in the order in which an empty database would get them."""
        nodes: dict[Node, None] = {}
        for leaf in self.graph.leaf_nodes():
            nodes.update(dict.fromkeys(self.graph.forwards_plan(leaf)))
        return tuple(nodes)


class Loader(MigrationLoader):
    """Django's loader for one database: what that has applied is asked, in one query; the rest is the code's.

    `recorded` is what the database's own table holds, None where it has no such table. Without a database it is given.
    """

    graph: Any
    replacements: dict[Node, Any]
    connection: Any
    _applied_migrations: dict[Node, Any]
    _building = False

    def __init__(self, connection: Any, code: Code, recorded: Mapping[Node, Any] | None = None) -> None:
        self.code = code
        self.recorded = recorded if connection is None else _recorded(connection)
        super().__init__(connection)

    def load_disk(self) -> None:
        self.disk_migrations = self.code.disk_migrations
        self.unmigrated_apps = self.code.unmigrated_apps
        self.migrated_apps = self.code.migrated_apps

    def build_graph(self) -> None:
        key = self._shape()
        if key not in self.code.graphs:
            self._build()
            whole = frozenset(self.replacements).intersection(self.applied_migrations)
            self.code.graphs[key] = Graph(self.graph, self.replacements, whole)
        self.load_disk()
        self.known = self.code.graphs[key]
        self.graph, self.replacements = self.known.graph, self.known.replacements
        self.applied_migrations = self._applied()

    @property
    def applied_migrations(self) -> dict[Node, Any]:
        return self._applied_migrations

    @applied_migrations.setter
    def applied_migrations(self, given: dict[Node, Any]) -> None:
        self._applied_migrations = dict(self.recorded or {}) if self._building else given

    def _build(self) -> None:
        """As Django's, which would ask the database again what is recorded there."""
        connection, self.connection, self._building = self.connection, None, True
        try:
            super().build_graph()
        finally:
            self.connection, self._building = connection, False

    def check_consistent_history(self, connection: Any) -> None:
        """As Django's, once for each history."""
        if self.start not in self.known.consistent:
            super().check_consistent_history(connection)
            self.known.consistent.add(self.start)

    def unrecorded(self) -> list[Node]:
        """The squashed migrations that are applied in all their parts, and are to be recorded themselves."""
        recorded = self.recorded or {}
        return [key for key in self.replacements if key in self.applied_migrations and key not in recorded]

    @property
    def start(self) -> frozenset[Node]:
        """What is recorded of the migrations that the code has."""
        return frozenset(self.recorded or ()).intersection(self.disk_migrations)

    def _shape(self) -> Any:
        """What the graph depends on: whether squashed migrations count, and what they replace that is applied."""
        if not self.replace_migrations:
            return None
        recorded = self.recorded or {}
        nodes = ((migration.app_label, migration.name) for migration in self.code.replacing)
        parts = (migration.replaces for migration in self.code.replacing)
        return tuple(
            tuple(node in recorded for node in (own, *others)) for own, others in zip(nodes, parts, strict=True)
        )

    def _applied(self) -> dict[Node, Any]:
        applied = dict(self.recorded or {})
        for key, migration in self.replacements.items() if self.replace_migrations else ():
            if key in self.known.whole:
                applied[key] = migration
            else:
                applied.pop(key, None)
        return applied


def _recorded(connection: Any) -> Mapping[Node, Any] | None:
    """`{(app, name): row}`. The table's existence is asked only where reading it failed: that takes a look at all."""
    recorder = MigrationRecorder(connection)
    try:
        return {(row.app, row.name): row for row in recorder.migration_qs}
    except Error:
        if recorder.has_table():
            raise
        return None
