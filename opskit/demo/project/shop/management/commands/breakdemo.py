"""What happens when somebody runs a migration's SQL by hand and tells nobody."""

import sys

from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError, connections
from django.db.migrations import AddField, CreateModel
from django.db.migrations.executor import MigrationExecutor

from opskit.tenants import databases, history, registry

NOTHING_PENDING = 4


class Command(BaseCommand):
    help = "Makes the next migration of one tenant fail. Exits 4 when nothing is pending there."

    def add_arguments(self, parser):
        parser.add_argument("--tenant-id", default="globex")

    def handle(self, **options):
        tenant = registry.find(options["tenant_id"])
        with databases.connected(tenant) as alias:
            self.stdout.write(self._break(tenant.tenant_id, connections[alias]))

    def _break(self, tenant_id, connection):
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(history.resolve(executor.loader, history.Target()))
        migration = next((step for step, _ in plan if any(map(_fails_twice, step.operations))), None)
        if migration is None:
            sys.exit(NOTHING_PENDING)
        before = executor.loader.project_state((migration.app_label, migration.name), at_end=False)
        try:
            with connection.schema_editor() as editor:
                migration.apply(before, editor)
        except DatabaseError as error:
            raise CommandError(f"tenant `{tenant_id}` is broken already: {error}") from error
        return (
            f"ran the SQL of {migration.app_label}.{migration.name} by hand in the database of tenant `{tenant_id}`, "
            "without recording it: the migration will find its work done, and fail"
        )


def _fails_twice(operation):
    """Whether a database refuses it the second time. A column that is not null makes SQLite rebuild the table."""
    return isinstance(operation, CreateModel) or (isinstance(operation, AddField) and operation.field.null)
