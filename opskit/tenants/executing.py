"""Django's executor, for many databases one after the other: what is the same for all of them is built once.

It steps aside where a reuse could make a difference: backwards, --fake, --fake-initial, and migrations with an `apply`
of their own run in Django's executor, with migrations read anew and states that are this tenant's alone.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.management.sql import emit_pre_migrate_signal
from django.db import transaction
from django.db.migrations import Migration, executor
from django.db.migrations.recorder import MigrationRecorder

from opskit.tenants import code, receivers, states

Step = tuple[Any, bool]  # (migration, backwards)


class MigrationExecutor(executor.MigrationExecutor):
    """Takes graph and states from what the tenants of a run share (`code.shared`)."""

    def __init__(self, connection: Any, progress_callback: Any = None, loader: code.Loader | None = None) -> None:
        # not Django's own, which reads the code again
        self.connection = connection
        self.loader = loader or code.Loader(connection, code.current())
        self.recorder = MigrationRecorder(connection)
        self.recorder._has_table = self.loader.recorded is not None  # noqa: SLF001 - looking for it takes longer than all else
        self.progress_callback = progress_callback

    def run(self, targets: Sequence[Any], plan: list[Step], *, fake: bool = False, fake_initial: bool = False) -> None:
        """Run a plan with its signals, as `manage.py migrate` does once it has one (Django 5.2)."""
        if _steps_aside(plan, fake=fake or fake_initial):
            self._run_alone(targets, fake=fake, fake_initial=fake_initial)
        else:
            self._run_shared([(_copy(migration), backwards) for migration, backwards in plan])

    def build(self, targets: Sequence[Any], until: float) -> None:
        """Build what `run` will look at on the way to these targets, without a database.

        `until` is the moment, of time.monotonic, at which what is left is left to `run`.
        """
        plan = self.migration_plan(targets)
        if _steps_aside(plan, fake=False):
            return
        start, migrations = self._start(), self._in_order(plan)
        route = start.route(tuple(migrations))
        for stage in itertools.chain.from_iterable(route.stages(each, each.operations) for each in migrations):
            if time.monotonic() > until:
                return
            stage.build()
        assert start.apps and route.apps  # noqa: S101, PT018 - to ask for them is to render them

    def _run_alone(self, targets: Sequence[Any], *, fake: bool, fake_initial: bool) -> None:
        self.loader = code.Loader(self.connection, code.Code())
        plan = self.migration_plan(targets)
        before = self._create_project_state(with_applied_migrations=True)
        self._emit_pre_migrate(before.apps, plan)
        after = self.migrate(targets, plan=plan, state=before.clone(), fake=fake, fake_initial=fake_initial)
        after.clear_delayed_apps_cache()
        self._emit_post_migrate(states.with_real_models(after.apps), plan)

    def _run_shared(self, plan: list[Step]) -> None:
        start = self._start()
        self._emit_pre_migrate(start.apps, plan)
        route = self._migrate_along(start, self._in_order(plan))
        self._emit_post_migrate(route.apps, plan)

    def _start(self) -> Any:
        loader = self.loader
        applied = (node for node in loader.known.order if node in loader.applied_migrations)
        key = (type(self.connection), loader.replace_migrations, loader.start)
        return loader.code.states.start(key, [loader.graph.nodes[node] for node in applied])

    def _in_order(self, plan: list[Step]) -> list[Any]:
        """The plan's migrations in the order in which an empty database would get them, as Django runs them."""
        planned = {(migration.app_label, migration.name): migration for migration, _ in plan}
        return [planned[node] for node in self.loader.known.order if node in planned]

    def _migrate_along(self, start: Any, migrations: list[Any]) -> Any:
        coded = [self.loader.graph.nodes[migration.app_label, migration.name] for migration in migrations]
        unchanged = all(map(_leads_to_the_same, migrations, coded))
        route = start.route(tuple(coded)) if unchanged else start.private_route()
        if migrations:
            self.recorder.ensure_schema()
        for migration, original in zip(migrations, coded, strict=True):
            self._apply(migration, route.stages(original if unchanged else migration, migration.operations))
        if self.loader.replacements and self.recorder.has_table():
            self.check_replacements()
        return route

    def _apply(self, migration: Any, stages: list[Any]) -> None:
        """One migration forwards, as Django's apply_migration and Migration.apply (5.2)."""
        self._tell("apply_start", migration)
        with self.connection.schema_editor(atomic=migration.atomic) as editor:
            for stage in stages:
                self._run_stage(migration, stage, editor)
            recorded = not editor.deferred_sql
            if recorded:
                self.record_migration(migration)
        if not recorded:
            self.record_migration(migration)
        self._tell("apply_success", migration)

    def _run_stage(self, migration: Any, stage: Any, editor: Any) -> None:
        own = stage.operation.atomic
        if not editor.atomic_migration and (own or (migration.atomic and own is not False)):
            with transaction.atomic(self.connection.alias):
                stage.run(editor)
        else:
            stage.run(editor)

    def _tell(self, action: str, migration: Any) -> None:
        if self.progress_callback:
            self.progress_callback(action, migration, False)

    def _emit_pre_migrate(self, apps: Any, plan: list[Step]) -> None:
        emit_pre_migrate_signal(0, False, self.connection.alias, stdout=OutputWrapper(sys.stdout), apps=apps, plan=plan)

    def _emit_post_migrate(self, apps: Any, plan: list[Step]) -> None:
        try:
            receivers.emit_post_migrate(self.connection, apps, plan)
        finally:
            receivers.forget_cached(apps)


def _steps_aside(plan: list[Step], *, fake: bool) -> bool:
    return fake or any(backwards or _works_differently(migration) for migration, backwards in plan)


def _works_differently(migration: Any) -> bool:
    kind = type(migration)
    return kind.apply is not Migration.apply or kind.mutate_state is not Migration.mutate_state


def _copy(migration: Any) -> Any:
    """As the loader made it: what hears pre_migrate may put operations in."""
    return type(migration)(migration.name, migration.app_label)


def _leads_to_the_same(migration: Any, coded: Any) -> bool:
    """Whether its operations are the code's own, but for some that were put in and work on data."""
    own = [operation for operation in migration.operations if any(operation is each for each in coded.operations)]
    added = [operation for operation in migration.operations if all(operation is not each for each in coded.operations)]
    return own == coded.operations and all(map(states.leaves_state_alone, added))
