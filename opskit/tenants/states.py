"""The project's states on both sides of every operation, built once for each history that tenants start from.

Django renders all models that hang together anew for nearly every operation (5.2, db/migrations/state.py, `_reload`).
Here an operation of Django's own gets the models that it and the schema editor look at: its own, those these point to,
and those that point to it. They are rendered apart from every other state, and nothing changes them afterwards, so the
next tenant's operation is given the same. Whatever else a migration does (RunPython, an operation of somebody's own)
gets all models, rendered for it alone.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps as installed
from django.db.migrations import Migration, operations
from django.db.migrations.state import ModelState, ProjectState, StateApps
from django.db.migrations.utils import resolve_relation

Key = tuple[str, str]  # (app label, model name in lower case)
Models = Mapping[Key, Any]  # the ModelState of each; those of a snapshot never change

KEPT = 4  # histories whose states are kept, newest use first

_TO_ONE_MODEL = frozenset(
    {
        operations.AddConstraint,
        operations.AddField,
        operations.AddIndex,
        operations.AlterField,
        operations.AlterIndexTogether,
        operations.AlterModelManagers,
        operations.AlterModelOptions,
        operations.AlterModelTable,
        operations.AlterModelTableComment,
        operations.AlterUniqueTogether,
        operations.CreateModel,
        operations.DeleteModel,
        operations.RemoveConstraint,
        operations.RemoveField,
        operations.RemoveIndex,
        operations.RenameField,
        operations.RenameIndex,
    }
)
_WITHOUT_STATES = frozenset({operations.AlterModelManagers, operations.AlterModelOptions})


class States:
    """What tenants of one run share of the project's states."""

    def __init__(self, real_apps: set[str]) -> None:
        self._real_apps = real_apps
        self._starts: OrderedDict[Any, Start] = OrderedDict()

    def start(self, key: Any, applied: Iterable[Any]) -> Start:
        """The state after the applied migrations, which `key` names; the longest unused one is let go."""
        if key not in self._starts:
            self._starts[key] = Start(self._real_apps, applied)
            while len(self._starts) > KEPT:
                self._starts.popitem(last=False)
        self._starts.move_to_end(key)
        return self._starts[key]


class Start:
    """The state that a history leads to, and the routes that lead on from it."""

    def __init__(self, real_apps: set[str], applied: Iterable[Any]) -> None:
        self._real_apps = real_apps
        line = _Line(real_apps, {})
        for migration in applied:
            line.pass_through(migration)
        self.models = line.snapshot()
        self._apps: Any = None
        self._routes: dict[tuple[Key, ...], Route] = {}

    @property
    def apps(self) -> Any:
        """All models, for pre_migrate's receivers."""
        if self._apps is None:
            self._apps = StateApps(self._real_apps, self.models)
        return self._apps

    def route(self, migrations: tuple[Any, ...]) -> Route:
        """The way through these migrations, as the code has them."""
        key = tuple(map(_key, migrations))
        if key not in self._routes:
            self._routes[key] = self.private_route()
        return self._routes[key]

    def private_route(self) -> Route:
        """A way that nobody else takes."""
        return Route(self._real_apps, self.models)


class Route:
    """The stages of migrations that run one after the other from one start. A failure leaves it where it stopped."""

    def __init__(self, real_apps: set[str], models: Models) -> None:
        self._real_apps = real_apps
        self._line = _Line(real_apps, models)
        self._before: dict[Key, Models] = {}
        self._stages: dict[Key, list[Stage]] = {}
        self._apps: Any = None

    def stages(self, migration: Any, operations: Sequence[Any]) -> list[Stage]:
        """A stage for each of the operations: the migration's own, and such that leave the state alone.

        To be asked in the order in which the migrations run.
        """
        own = self._own_stages(migration)
        waiting, now, stages = deque(own), self._before[_key(migration)], []
        for operation in operations:
            if waiting and waiting[0].operation is operation:
                stages.append(waiting.popleft())
            else:
                stages.append(Stage(self._real_apps, migration.app_label, operation, now, now))
            now = stages[-1].after
        return stages

    def _own_stages(self, migration: Any) -> list[Stage]:
        key = _key(migration)
        if key not in self._stages:
            self._before[key] = self._line.snapshot()
            self._stages[key] = [self._stage(key[0], operation) for operation in migration.operations]
        return self._stages[key]

    def _stage(self, label: str, operation: Any) -> Stage:
        before = self._line.snapshot()
        self._line.advance(label, operation)
        return Stage(self._real_apps, label, operation, before, self._line.snapshot())

    @property
    def apps(self) -> Any:
        """All models after the last stage, those of apps without migrations included, for post_migrate's receivers."""
        if self._apps is None:
            self._apps = with_real_models(StateApps(self._real_apps, self._line.snapshot()))
        return self._apps


@dataclass
class Stage:
    """An operation, and the models on both sides of it."""

    real_apps: set[str]
    label: str
    operation: Any
    before: Models
    after: Models
    _rendered: tuple[Any, Any] | None = None
    _idle: bool = False

    @property
    def is_own(self) -> bool:
        """Whether it is one of Django's, of which is known what it looks at."""
        return type(self.operation) in _TO_ONE_MODEL

    def run(self, editor: Any) -> None:
        """Do to the database what the operation does."""
        if not self.is_own:
            self.operation.database_forwards(self.label, editor, *self.private())
        elif self._is_rendered and not self._idle:
            self._run_own(editor)

    def build(self) -> None:
        """Render now what can be shared of it."""
        if self._is_rendered and self._rendered is None:
            self._rendered = self._render()

    @property
    def _is_rendered(self) -> bool:
        return self.is_own and type(self.operation) not in _WITHOUT_STATES

    def private(self) -> tuple[Any, Any]:
        """Whole states that nobody else has seen or will see, rendered when they are looked at."""
        return _whole(self.before, self.real_apps), _whole(self.after, self.real_apps)

    def _run_own(self, editor: Any) -> None:
        rendered = self._rendered or self._render()
        self._rendered = None  # a failure may leave a trace in them
        if self._changes_nothing(editor, *rendered):
            self._idle = True
            return
        self.operation.database_forwards(self.label, editor, *rendered)
        self._rendered = rendered

    def _render(self) -> tuple[Any, Any]:
        roots = _roots(self.label, self.operation)
        return _part(self.before, roots, self.real_apps), _part(self.after, roots, self.real_apps)

    def _changes_nothing(self, editor: Any, before: Any, after: Any) -> bool:
        """Whether Django's editor would find that nothing of the field concerns the database: its help text, say."""
        operation = self.operation
        if type(operation) is not operations.AlterField or not type(editor).alter_field.__module__.startswith(
            "django."
        ):
            return False
        old, new = (
            state.apps.get_model(self.label, operation.model_name)._meta.get_field(operation.name)  # noqa: SLF001
            for state in (before, after)
        )
        return operation.preserve_default and not editor._field_should_be_altered(old, new)  # noqa: SLF001 - its own test


@dataclass
class _Line:
    """A state that goes on from operation to operation without being rendered, and snapshots of it."""

    real_apps: set[str]
    models: Models
    _state: Any = field(init=False)
    _last: Models = field(init=False)

    def __post_init__(self) -> None:
        self._last = dict(self.models)
        self._state = _whole(self.models, self.real_apps)

    def pass_through(self, migration: Any) -> None:
        """Go on to the state after an applied migration."""
        if type(migration).mutate_state is not Migration.mutate_state:
            self._state = migration.mutate_state(_detached(self._state), preserve=False)
            return
        for operation in migration.operations:
            self.advance(migration.app_label, operation)

    def advance(self, label: str, operation: Any) -> None:
        if leaves_state_alone(operation):
            return
        if type(operation) not in _TO_ONE_MODEL or type(operation) is operations.RenameField:
            # Renaming a field changes fields that point to it where they are, and in the migrations with them.
            self._state = _detached(self._state)
        operation.state_forwards(label, self._state)
        self._state.__dict__.pop("apps", None)  # somebody's own operation may have rendered it

    def snapshot(self) -> Models:
        """The models as they are now. What did not change since the last snapshot is the same object there."""
        now = {key: _kept(self._last.get(key), found) for key, found in self._state.models.items()}
        if now.keys() != self._last.keys() or any(now[key] is not self._last[key] for key in now):
            self._last = now
        return self._last


def _kept(last: Any, found: Any) -> Any:
    same = (
        last is not None
        and last.name == found.name
        and last.bases == found.bases
        and last.fields.keys() == found.fields.keys()
        and all(one is found.fields[name] for name, one in last.fields.items())
        and list(last.fields) == list(found.fields)
        and last.options == found.options
        and last.managers == found.managers
    )
    return last if same else found.clone()


def _key(migration: Any) -> tuple[str, str]:
    return migration.app_label, migration.name


def leaves_state_alone(operation: Any) -> bool:
    """Whether it works on data, and the models are the same after it."""
    if isinstance(operation, operations.RunSQL):
        return not operation.state_operations
    return isinstance(operation, operations.RunPython) and (
        type(operation).state_forwards is operations.RunPython.state_forwards
    )


def _whole(models: Models, real_apps: set[str]) -> Any:
    return ProjectState({key: found.clone() for key, found in models.items()}, real_apps)


def _detached(state: Any) -> Any:
    """A copy with fields of its own."""
    copy = state.clone()
    for found in copy.models.values():
        found.fields = {name: one.clone() for name, one in found.fields.items()}
    return copy


def _part(models: Models, roots: Iterable[Key], real_apps: set[str]) -> Any:
    """A state in which only what an operation on `roots` looks at is rendered."""
    state = ProjectState(dict(models), real_apps)
    state.apps = StateApps(real_apps, {key: models[key] for key in around(models, roots)})
    return state


def _roots(label: str, operation: Any) -> list[Key]:
    name = getattr(operation, "model_name_lower", None) or operation.name_lower
    return [(label, name)]


def around(models: Models, roots: Iterable[Key]) -> list[Key]:
    """The models that an operation on the roots may look at, in the order of `models`.

    The schema editor looks at what a model's columns point to, and, where it alters a column, at what points to that:
    at once, or through a column that is itself pointed to.
    """
    links = {key: _links(key, found) for key, found in models.items()}
    touched = _pointing_to(links, [key for key in roots if key in models])
    found = _closure(links, touched)
    return [key for key in models if key in found]


def _pointing_to(links: Mapping[Key, Mapping[Key, bool]], roots: list[Key]) -> set[Key]:
    seen = {*roots}
    waiting = list(roots)
    while waiting:
        target = waiting.pop()
        for key, targets in links.items():
            if target in targets and key not in seen:
                seen.add(key)
                if targets[target]:
                    waiting.append(key)
    return seen


def _closure(links: Mapping[Key, Mapping[Key, bool]], keys: Iterable[Key]) -> set[Key]:
    seen: set[Key] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting.extend(links.get(key, ()))
    return seen


def _links(key: Key, found: Any) -> dict[Key, bool]:
    """What a model points to (bases, relations, through tables), and whether others may point to that column."""
    links = {resolve_relation(base): True for base in found.bases if isinstance(base, str) or hasattr(base, "_meta")}
    for one in found.fields.values():
        if one.remote_field is None:
            continue
        for target in (one.remote_field.model, getattr(one.remote_field, "through", None)):
            if target:
                at = resolve_relation(target, *key)
                links[at] = links.get(at, False) or one.primary_key or one.unique
    return links


def with_real_models(apps: Any) -> Any:
    """As Django's migrate renders them in the end: with their relations (5.2, commands/migrate.py)."""
    keys = [(real.app_label, real.name_lower) for real in apps.real_models]
    with apps.bulk_update():
        for key in keys:
            apps.unregister_model(*key)
    apps.render_multiple([ModelState.from_model(installed.get_model(*key)) for key in keys])
    return apps
