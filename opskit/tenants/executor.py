"""Django's executor, for connections that must be in one schema whatever a migration did to them."""

from __future__ import annotations

from typing import Any

from opskit.tenants import executing, sessions


class MigrationExecutor(executing.MigrationExecutor):
    """Records where the tenant is: a SET search_path in a migration would take the record elsewhere."""

    def __init__(self, connection: Any, progress_callback: Any = None) -> None:
        super().__init__(connection, progress_callback)
        if sessions.SCHEMA in connection.settings_dict:
            connection.SchemaEditorClass = _at_home(type(connection).SchemaEditorClass)

    def record_migration(self, migration: Any) -> None:
        sessions.go_home(self.connection)
        super().record_migration(migration)


def _at_home(editor: Any) -> Any:
    """A schema editor whose deferred statements (constraints, indexes) run in the tenant's schema, too."""

    class HomeEditor(editor):
        def __exit__(self, *error: object) -> None:
            if error[0] is None:
                sessions.go_home(self.connection)
            super().__exit__(*error)

    return HomeEditor
