"""Ask a Django project for the SQL of migrations. None of it is executed.

This text runs on the host, by itself, with the project's folder as working directory::

    python -u -c <this text> <framework> <manage.py> '{"migrations": {"app.name": "tenant"}}' <text of status.py>

The tenant is one on which the migration is pending, "" the shared database: on its connection the SQL is written, as
`sqlmigrate` writes it. It answers with one line of JSON on stdout::

    {"v": 1, "migrations": {"app.name": {"statements": [...], "missing": why some or all of it can't be had,
                                         "vendor": "postgresql", "atomic": whether it runs in one transaction}}}

What an operation reads to write its SQL, the names of constraints, it reads in a transaction that can't write; every
other connection refuses all.
Exit 1 is a failure, with its reason as the last line of stderr; exit 3 a manage.py that starts no command.

Standard library and Django only, Python 3.8 and newer.
"""

# ruff: noqa: PLC0415 - Django comes in where the project is about to be started, or has been

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import types
from typing import Any, Dict, Iterator, List

ALIAS = "opskit-sql"
OWN_ENGINES = ("django_omnitenant", "django_tenants", "django_pgschemas", "tenant_schemas")  # they set a search path

status: Any = types.ModuleType("status")  # another question: it knows how to start a project, and what not to tell


def main() -> int:
    framework, manage, params, text = sys.argv[1:5]
    exec(compile(text, "status.py", "exec"), status.__dict__)  # noqa: S102 - it came with us
    sys.argv[1:] = []
    return int(status.answer(manage, lambda: statements(framework, json.loads(params))))


def statements(framework: str, params: Dict[str, Any]) -> Dict[str, Any]:
    if framework not in status.FRAMEWORKS:
        raise LookupError("no question for the framework `%s`" % framework)
    import django
    from django.db.migrations.loader import MigrationLoader

    django.setup()
    status.keep_secret(status.database_settings())
    places = Places(framework)
    loader = MigrationLoader(None, replace_migrations=False)  # as sqlmigrate: squashed migrations and what they replace
    wanted = params["migrations"].items()
    return {"v": 1, "migrations": {name: Written(loader, name).told(places, tenant) for name, tenant in wanted}}


# ---------------------------------------------------------------- whose connection


class Places:
    """The connections on which migrations of tenants run, each made anew."""

    def __init__(self, framework: str) -> None:
        self.framework = framework

    def connection(self, tenant: str) -> Any:
        """A connection to a tenant's place, "" is the shared one, which Django knows by its alias."""
        if self.framework == "opskit" and tenant:
            return self.of_opskit(tenant)
        if self.framework in ("opskit", "databases"):  # whose routers go by the alias
            alias = tenant or status.FRAMEWORKS[self.framework][0]()
            return self.known(status.own_connection(alias, status.database_settings()[alias]))
        from django.db import router

        router.routers = []  # they let nothing of the tenants through where no tenant was entered
        settings, schema = self.of_schemas(tenant)
        connection = self.known(status.own_connection(ALIAS, beneath(settings)))
        connection.opskit_schema = schema
        return connection

    @staticmethod
    def known(connection: Any) -> Any:
        from django.db import connections

        connections[connection.alias] = connection
        return connection

    @staticmethod
    def of_opskit(tenant: str) -> Any:
        from django.db import connections

        databases, registry = (importlib.import_module("opskit.tenants." + name) for name in ("databases", "registry"))
        return connections[databases.register(registry.find(tenant))]

    def of_schemas(self, tenant: str) -> Any:
        """Settings and schema, "" where the settings say that."""
        master = status.database_settings()[status.FRAMEWORKS[self.framework][0]()]
        if not tenant:
            return master, ""
        if self.framework == "omnitenant":
            return omnitenant(tenant)
        kept = status.as_kept if self.framework == "django-tenants" else status.in_small_letters
        return master, kept(tenant)


def omnitenant(tenant_id: str) -> Any:
    from django.db import connection
    from django_omnitenant.backends import SchemaTenantBackend
    from django_omnitenant.utils import get_tenant_backend

    (tenant,) = [each for each in status.omnitenant_rows() if each.tenant_id == tenant_id]
    backend = get_tenant_backend(tenant)
    if isinstance(backend, SchemaTenantBackend):
        return connection.settings_dict, status.as_kept(backend.schema_name)
    return status.omnitenant_database(tenant, backend)[1], ""


def beneath(settings: Dict[str, Any]) -> Dict[str, Any]:
    """The settings with Django's own engine in place of a framework's, which has its own mind of the search path."""
    if settings["ENGINE"].split(".")[0] not in OWN_ENGINES:
        return settings
    wrapper = importlib.import_module(settings["ENGINE"] + ".base").DatabaseWrapper
    (engine, *_) = [each.__module__ for each in wrapper.__mro__ if each.__module__.startswith("django.")]
    return dict(settings, ENGINE=engine.rpartition(".")[0])


# ---------------------------------------------------------------- what can't write


@contextlib.contextmanager
def reading(connection: Any) -> Iterator[None]:
    """Let this connection read alone, and the others do nothing at all."""
    from django.db import connections

    with contextlib.ExitStack() as stack:
        stack.callback(connection.close)
        only_read(connection)
        for alias in connections:
            if connections[alias] is not connection:
                stack.enter_context(connections[alias].execute_wrapper(refuse))
        yield


def only_read(connection: Any) -> None:
    """Before any of the project's code. PostgreSQL: in this transaction alone, as a pooler lends connections."""
    if connection.vendor == "postgresql":
        connection.set_autocommit(False)
    with connection.cursor() as cursor:
        for statement in READ_ONLY.get(connection.vendor, ()):
            cursor.execute(statement)
        schema = getattr(connection, "opskit_schema", "")
        if schema:
            cursor.execute('SET LOCAL search_path TO "%s"' % schema.replace('"', '""'))


READ_ONLY = {
    "postgresql": ("SET TRANSACTION READ ONLY",),
    "sqlite": ("PRAGMA query_only = ON",),
    "mysql": ("SET SESSION TRANSACTION READ ONLY",),
}


def refuse(_execute: Any, _sql: Any, _params: Any, _many: Any, context: Dict[str, Any]) -> None:
    raise RuntimeError("it wants to use the database `%s` to write its SQL" % context["connection"].alias)


# ---------------------------------------------------------------- one migration


class Written:
    """A migration's SQL, as far as it can be had."""

    def __init__(self, loader: Any, name: str) -> None:
        self.loader, self.key = loader, tuple(name.split(".", 1))
        self.unnamed: List[str] = []  # tables that have no constraint of the kind that is asked for

    def told(self, places: Places, tenant: str) -> Dict[str, Any]:
        answer: Dict[str, Any] = {"statements": [], "missing": "", "vendor": "", "atomic": True}
        try:
            migration = self.migration()
            answer.update(atomic=bool(migration.atomic), missing=self.hidden(migration))
            if not answer["missing"]:
                connection = places.connection(tenant)
                answer["vendor"] = connection.vendor
                answer["statements"] = [status.scrub(each) for each in self.collected(migration, connection)]
                answer["missing"] = self.left_out(migration)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one migration's trouble is not the others'
            answer["missing"] = status.reason(error)
        return answer

    def migration(self) -> Any:
        if self.key not in self.loader.graph.nodes:
            raise LookupError("the code has no such migration")
        return self.loader.graph.nodes[self.key]

    @staticmethod
    def hidden(migration: Any) -> str:
        """Why it must not be tried: Django calls code that is inside another operation even to collect SQL (5.2)."""
        held = [inner for each in migration.operations for inner in inside(each)]
        kinds = kinds_of(each for each in held if not each.reduces_to_sql)
        return "%s inside another operation would be run" % kinds if kinds else ""

    def collected(self, migration: Any, connection: Any) -> List[str]:
        self.listen(connection)
        with reading(connection):
            self.loader.connection = connection
            lines = self.loader.collect_sql([(migration, False)])
        return [each for each in lines if not each.startswith("--") or "\n" in each]  # what an operation is called

    def listen(self, connection: Any) -> None:
        """Note where a name is asked for that is not there: the statement that needs it is left out silently."""
        unnamed = self.unnamed

        class Editor(connection.SchemaEditorClass):  # type: ignore[misc]
            def _constraint_names(self, model: Any, *args: Any, **kwargs: Any) -> Any:
                names = super()._constraint_names(model, *args, **kwargs)
                if not names:
                    unnamed.append(model._meta.db_table)  # noqa: SLF001 - Django's way
                return names

        connection.SchemaEditorClass = Editor

    def left_out(self, migration: Any) -> str:
        kinds = kinds_of(each for each in migration.operations if not each.reduces_to_sql)
        why = ["%s can't be written as SQL" % kinds] if kinds else []
        if self.unnamed:
            tables = ", ".join(dict.fromkeys(self.unnamed))
            why.append("a constraint or an index that goes is not in %s yet, so its name is not known" % tables)
        return "; ".join(why)


def inside(operation: Any) -> Iterator[Any]:
    for each in getattr(operation, "database_operations", []):
        yield each
        yield from inside(each)


def kinds_of(operations: Any) -> str:
    return ", ".join(dict.fromkeys(type(each).__name__ for each in operations))


if __name__ == "__main__":
    code_ = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code_)  # a thread that the project started would keep the process, and its answer is given
