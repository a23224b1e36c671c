"""Ask a Django project what is pending, for every tenant, in one process that changes nothing.

This text runs on the host, by itself, with the project's folder as working directory::

    python -u -c <this text> <framework> <manage.py> '{"busy": ["application_name", ...], "busy_of": "its beginning",
                                                       "wait": 5.0, "tries": {"setting of PostgreSQL": "value", ...},
                                                       "pgoptions": "-c setting=value", "waits": true}'
        <text of timeouts.py>

(for `databases` there are also its `aliases`, a list of globs) and answers with one line of JSON on stdout::

    {"v": 1,
     "framework": "django-tenants", where it was `auto`; if not just one is found, nothing but "frameworks": [...],
     "shared": {"pending": ["app.name", ...]},
     "tenants": [{"tenant_id", "applied": 21, "latest": [...], "pending": [...], "error": "",
                  "place": ["server:port", "database", "schema"], "missing": false, "cut": false,
                  "name": "Acme", "isolation_type": "schema", "unrecorded": ["app.squash", ...]}, ...],
     "listing_error": why tenants is [], where the shared database must be migrated first,
     "busy": which application names (those asked for, or that begin so) are connected to the master's PostgreSQL, or to
             another one that tenants have theirs on, after waiting so many seconds for them to go; the histories are
             read after that,
     "code": {"app.name": digest of the migration's source, "" where there is none to read},
     "replaces": {"app.squash": ["app.name", ...]},
     "holds": whether every connection takes those settings of PostgreSQL, where a tenant has something pending and
              that could be tried,
     "waits": [["app.name", ...], ...], where it was asked for: the histories of tenants with something pending, four at
              most, the commonest last; of opskit's own framework alone, whose tenants share what is built,
     "django": "5.2", "python": "3.11"}

`latest` are the three newest applied, oldest first; `pending` is in the order in which migrate
would apply it. `unrecorded`, there or not, are squashed migrations of which nothing is pending, and that the
next migrate records. A tenant that can't be asked, or must not be migrated, has an `error`. Where its data
lives is told for all but opskit's own: whether that schema is missing, and whether PostgreSQL cuts the name.
The tenants are in the project's order.
Exit 1 is a failure, with its reason as the last line of stderr; exit 3 a manage.py that starts no command.

Standard library and Django only, Python 3.8 and newer.
"""

# ruff: noqa: PLC0415 - Django comes in where the project is about to be started, or has been

from __future__ import annotations

import collections
import contextlib
import fnmatch
import hashlib
import importlib
import io
import json
import os
import platform
import re
import runpy
import sys
import time
import traceback
import types
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

Migration = Tuple[str, str]  # app, name
TABLE = "django_migrations"
AGAIN = 0.2  # seconds between two looks at who is at work
AT_ONCE = 50  # histories that one statement reads
BUILT = 4  # histories of which what tenants will look at is built ahead (opskit/tenants/states.py, KEPT)
TOLD = 32 * 1024  # letters of such a history: they are said to a process that may not listen yet
TRIES = 3  # tenants over whose connections it is tried to ask a server of theirs
CONNECT_TIMEOUT = 10  # seconds, for a tenant's own database; the project's own setting wins


# ---------------------------------------------------------------- the start: as manage.py would


def main() -> int:
    framework, manage = sys.argv[1:3]
    params = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    trying = sys.argv[4] if len(sys.argv) > 4 and params.get("tries") else ""
    return answer(manage, lambda: survey(framework, params, trying))


def answer(manage: str, look: Callable[[], Dict[str, Any]]) -> int:
    """Start the project, write what `look` finds there as a line of JSON, and give the exit code."""
    answers = take_stdout()
    question = Question(look)
    try:
        start(manage, question)
    except BaseException as error:  # noqa: BLE001 - a manage.py may end in any way
        question.note(error)
    if question.answer is not None:
        write(answers, json.dumps(question.answer))
        return 0
    return complain(manage, question)


def take_stdout() -> int:
    """Keep stdout for the answer alone: what the project prints goes to stderr."""
    private = os.dup(1)
    os.dup2(2, 1)
    return private


def write(descriptor: int, line: str) -> None:
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(line + "\n")


class Question:
    """What manage.py reaches instead of a command. Its answer, or the error in its place."""

    def __init__(self, asked: Callable[[], Dict[str, Any]]) -> None:
        self.asked = asked
        self.reached = False
        self.answer: Optional[Dict[str, Any]] = None
        self.error: Optional[BaseException] = None

    def ask(self) -> None:
        # manage.py must not see what goes wrong here: it may catch it, or exit.
        self.reached = True
        try:
            self.answer = self.asked()
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self.note(error)

    def note(self, error: BaseException) -> None:
        if self.error is None and self.answer is None:
            self.error = error


def start(manage: str, question: Question) -> None:
    """Run manage.py up to where it would run a command: whatever it does before counts."""
    path = os.path.abspath(manage)
    sys.path[:] = [os.path.dirname(path)] + [entry for entry in sys.path if entry]
    from django.core import management

    # execute_from_command_line ends in this method, and so do the manage.py that go without it.
    management.ManagementUtility.execute = lambda _utility: question.ask()
    sys.argv = [manage, "check"]
    runpy.run_path(path, run_name="__main__")


def complain(manage: str, question: Question) -> int:
    error = question.error
    if not question.reached and (error is None or isinstance(error, SystemExit)):
        how = "" if error is None else ": it exited with %r" % (error.code,)
        sys.stderr.write(one_line("%s never reached execute_from_command_line%s" % (manage, how)) + "\n")
        return 3
    if error is not None:
        sys.stderr.write(scrub("".join(traceback.format_exception(type(error), error, error.__traceback__))))
        sys.stderr.write("\n" + reason(error) + "\n")
    return 1


# ---------------------------------------------------------------- the answer


def survey(framework: str, params: Dict[str, Any], trying: str = "") -> Dict[str, Any]:
    if framework not in FRAMEWORKS and framework != AUTO:
        known = ", ".join(sorted(FRAMEWORKS))
        raise LookupError("no question for the framework `%s`, only for %s" % (framework, known))
    import django

    django.setup()
    keep_secret(database_settings())
    if framework == AUTO:
        found = installed()
        if len(found) != 1:
            return {"v": 1, "frameworks": found}
        (framework,) = found
    master = FRAMEWORKS[framework][0]
    pending = Pending()
    at_work = busy(framework, params)  # first: what is not at work by now commits nothing after we have read
    shared = on_master(master(), pending)
    answer: Dict[str, Any] = {"v": 1, "framework": framework, "shared": shared, "tenants": []}
    answer["code"] = pending.digests()
    answer.update(at_work, replaces=pending.replaces())
    try:
        answer["tenants"] = list(every_tenant(framework, pending, params))
        answer.update(pending.waits())
    except Exception as error:
        if not shared["pending"]:
            raise
        answer["listing_error"] = reason(error)
    if trying and any(row["pending"] or row.get("unrecorded") for row in answer["tenants"]):
        with contextlib.suppress(Exception):  # then it is another question's
            answer["holds"] = holds(framework, params, trying)
    answer.update(django=django.get_version(), python=platform.python_version())
    close_connections()
    return answer


def state(tenant_id: str, history: List[Migration], pending: "Pending") -> Dict[str, Any]:
    latest, plan = [dotted(migration) for migration in history[-3:]], pending.after(history)
    row = {"tenant_id": tenant_id, "applied": len(history), "latest": latest, "pending": plan, "error": ""}
    return {**row, **unrecorded(pending.unrecorded(history))}


def unrecorded(names: List[str]) -> Dict[str, List[str]]:
    """What an answer has more where there are some: hardly any has."""
    return {"unrecorded": names} if names else {}


def unknown(tenant_id: str, error: str) -> Dict[str, Any]:
    return {"tenant_id": tenant_id, "applied": 0, "latest": [], "pending": [], "error": error}


def dotted(migration: Migration) -> str:
    return "%s.%s" % migration


# ---------------------------------------------------------------- what is pending


class History:
    """The rows of one django_migrations. Django's loader takes it for connection and recorder in one."""

    alias = ""  # goes into one of the loader's messages: see Pending.look

    def __init__(self, rows: List[Migration]) -> None:
        self.rows = rows

    def applied_migrations(self) -> Dict[Migration, None]:
        return dict.fromkeys(self.rows)


class Pending:
    """What migrate would apply after a history. Distinct histories are few, and each is planned once."""

    def __init__(self) -> None:
        from django.db.migrations import loader

        real = loader.MigrationRecorder  # which the project's own commands go on using
        loader.MigrationRecorder = lambda asked: asked if isinstance(asked, History) else real(asked)
        self.loader: Callable[..., Any] = loader.MigrationLoader
        self.known: Dict[FrozenSet[Migration], Tuple[List[str], str]] = {}
        self.waiting: collections.Counter[Tuple[str, ...]] = collections.Counter()  # histories with something pending
        self.relevant = self.migrations_of_the_code()

    def digests(self) -> Dict[str, str]:
        """{app.name: digest of its source} of the code's migrations; "" where there is no source to read."""
        return {dotted(key): digest(migration.__module__) for key, migration in sorted(self.disk.items())}

    def replaces(self) -> Dict[str, List[str]]:
        squashes = {key: each.replaces for key, each in sorted(self.disk.items()) if each.replaces}
        return {dotted(key): [dotted(tuple(each)) for each in replaced] for key, replaced in squashes.items()}

    def waits(self) -> Dict[str, List[List[str]]]:
        """What an answer has more where it was asked for: the histories that most tenants wait with, theirs last."""
        code = set(map(dotted, self.disk))
        most = [[name for name in history if name in code] for history, _ in self.waiting.most_common(BUILT)]
        found = [history for history in reversed(most) if sum(map(len, history)) <= TOLD]
        return {"waits": found} if found else {}

    def migrations_of_the_code(self) -> Set[Migration]:
        """Every migration that can change a plan: rows of apps that are gone don't."""
        code = self.loader(None, load=False)
        code.load_disk()
        self.disk: Dict[Migration, Any] = code.disk_migrations
        replaced = (key for migration in code.disk_migrations.values() for key in migration.replaces)
        return set(code.disk_migrations).union(replaced)

    def after(self, rows: List[Migration]) -> List[str]:
        """Answer `app.name` in order; raise where migrate would refuse to go on from there."""
        plan, refusal = self.look(rows)
        if refusal:
            raise ValueError(refusal)
        return plan

    def look(self, rows: List[Migration]) -> Tuple[List[str], str]:
        """Answer the plan, and why migrate would refuse it ("" where it would not)."""
        key = frozenset(self.relevant.intersection(rows))
        if key not in self.known:
            history = History(rows)
            loader = self.loader(history)
            refuse_conflicts(loader)
            self.known[key] = (self.plan(loader), self.inconsistency(loader, history))
        return self.known[key]

    def unrecorded(self, rows: List[Migration]) -> List[str]:
        """What MigrationExecutor.check_replacements records, whether anything else is applied or not."""
        known = set(rows)
        whole = (
            key for key, each in self.disk.items() if each.replaces and known.issuperset(map(tuple, each.replaces))
        )
        return [dotted(key) for key in sorted(whole) if key not in known]

    @staticmethod
    def plan(loader: Any) -> List[str]:
        """What MigrationExecutor.migration_plan answers for every leaf."""
        nodes = (node for leaf in loader.graph.leaf_nodes() for node in loader.graph.forwards_plan(leaf))
        return [dotted(node) for node in dict.fromkeys(nodes) if node not in loader.applied_migrations]

    @staticmethod
    def inconsistency(loader: Any, history: History) -> str:
        from django.db.migrations.exceptions import InconsistentMigrationHistory

        try:
            loader.check_consistent_history(history)
        except InconsistentMigrationHistory as error:
            return str(error).split(" on database ")[0]
        return ""


def digest(module: str) -> str:
    """Sixteen hex digits that change with a module's source."""
    try:
        with open(str(sys.modules[module].__file__), "rb") as source:
            return hashlib.sha256(source.read()).hexdigest()[:16]
    except (KeyError, OSError):
        return ""


def refuse_conflicts(loader: Any) -> None:
    """Say what migrate says of two leaves in one app (django/core/management/commands/migrate.py, 5.2)."""
    conflicts = loader.detect_conflicts()
    if conflicts:
        from django.core.management.base import CommandError

        named = "; ".join("%s in %s" % (", ".join(names), app) for app, names in conflicts.items())
        raise CommandError(
            "Conflicting migrations detected; multiple leaf nodes in the migration graph: (%s). "
            "To fix them run 'python manage.py makemigrations --merge'" % named
        )


def on_master(alias: str, pending: Pending) -> Dict[str, List[str]]:
    """What is pending, and what is unrecorded, of the apps that have something in the master database.

    migrate records the others there too, without running them, so after a deploy with a new
    migration in a tenant's app it would seem to be behind.
    """
    from django.db import connections

    def own(names: List[str]) -> List[str]:
        return [name for name in names if belongs(alias, name.split(".")[0])]

    rows = read_history(connections[alias])
    return {"pending": own(pending.look(rows)[0]), **unrecorded(own(pending.unrecorded(rows)))}


def belongs(alias: str, app_label: str) -> bool:
    from django.apps import apps
    from django.db import router

    if router.allow_migrate(alias, app_label):
        return True
    models = apps.get_app_config(app_label).get_models(include_auto_created=True)
    return any(router.allow_migrate_model(alias, model) for model in models)


def read_history(connection: Any) -> List[Migration]:
    """The rows of the table that this connection's migrate would write to, oldest first; [] without one."""
    with connection.cursor() as cursor:
        if TABLE not in connection.introspection.table_names(cursor):
            return []
        cursor.execute("SELECT app, name FROM %s ORDER BY id" % connection.ops.quote_name(TABLE))  # noqa: S608
        return [(app, name) for app, name in cursor.fetchall()]


# ---------------------------------------------------------------- frameworks


def default_master() -> str:
    return "default"


def opskit_tenants(pending: Pending, params: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """opskit.tenants says it all in one command."""
    from django.core.management import call_command

    buffer = io.StringIO()
    call_command("showtenants", "--status", "--format=json", stdout=buffer)
    for row in json.loads(buffer.getvalue()):
        applied = row["applied"]
        if row["pending"] and params.get("waits"):
            pending.waiting[tuple(applied)] += 1
        yield {
            "tenant_id": row["tenant_id"],
            "name": row["name"],
            "isolation_type": row["isolation_type"],
            "applied": len(applied),
            "latest": applied[-3:],
            "pending": row["pending"],
            "error": row.get("error") or "",
            **unrecorded(row.get("unrecorded") or []),
        }


def omnitenant_master() -> str:
    from django_omnitenant.conf import settings

    return str(settings.MASTER_DB_ALIAS)


def omnitenant_tenants(pending: Pending, _params: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """django-omnitenant 1.0.2 has no command for this: read what its migratetenant would write to.

    Its `use_tenant` runs CREATE SCHEMA and changes settings.DATABASES: it isn't used.
    """
    from django.db import connection  # schema tenants are in the default database, whatever the master's alias

    tenants = omnitenant_rows()
    schemas = Schemas(connection, list(omnitenant_schemas(tenants)))
    for tenant in tenants:
        about = {"name": tenant.name, "isolation_type": tenant.get_isolation_type_display().lower()}
        try:
            rows = omnitenant_history(tenant, connection, schemas, about)
            yield {**state(tenant.tenant_id, rows, pending), **about}
        except Exception as error:  # noqa: BLE001 - one tenant's trouble is not the others'
            yield {**unknown(tenant.tenant_id, reason(error)), **about}


def omnitenant_rows() -> List[Any]:
    """The tenants' rows, their passwords remembered."""
    from django_omnitenant.utils import get_tenant_model

    every = get_tenant_model().objects.all()  # as its showtenants lists them, if the model has an order
    ordered = every if every.ordered else every.order_by("pk")
    # Only these columns: one that the next migration of the master adds is not there yet.
    tenants = list(ordered.only("tenant_id", "name", "isolation_type", "config"))
    for tenant in tenants:
        keep_secret(tenant.config)
    return tenants


def omnitenant_schemas(tenants: List[Any]) -> Iterator[str]:
    """Those that the schema tenants have. One whose row does not tell is left to the question that tells why."""
    from django_omnitenant.backends import SchemaTenantBackend
    from django_omnitenant.utils import get_tenant_backend

    for tenant in tenants:
        with contextlib.suppress(Exception):
            backend = get_tenant_backend(tenant)
            if isinstance(backend, SchemaTenantBackend):
                yield as_kept(backend.schema_name)


def omnitenant_history(tenant: Any, connection: Any, schemas: Schemas, place: Dict[str, Any]) -> List[Migration]:
    """The rows of a tenant's history. `place` is told where that is, also where it can't be read."""
    from django_omnitenant.backends import SchemaTenantBackend
    from django_omnitenant.utils import get_tenant_backend

    backend = get_tenant_backend(tenant)
    if isinstance(backend, SchemaTenantBackend):
        schema = as_kept(backend.schema_name)
        place.update(place_of(connection.settings_dict, schema), missing=schema not in schemas.there)
        place["cut"] = schema != backend.schema_name
        return schemas.history(schema)
    alias, settings = omnitenant_database(tenant, backend)
    place.update(place_of(settings))
    return database_history(alias, settings, backend, place)


def schemas_there_are(connection: Any) -> Dict[str, bool]:
    """{schema: whether it has a history} of all schemas."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, EXISTS (SELECT FROM pg_catalog.pg_class c "
            "WHERE c.relnamespace = n.oid AND c.relname = %s) FROM pg_catalog.pg_namespace n",
            [TABLE],
        )
        return dict(cursor.fetchall())


def as_kept(name: str) -> str:
    """A name as PostgreSQL keeps it: it cuts longer ones, silently."""
    return str(name).encode()[:63].decode("utf-8", "ignore")


def place_of(settings: Dict[str, Any], schema: str = "") -> Dict[str, Any]:
    """Where a tenant's data lives, as the settings say it: [server, database, schema]."""
    database = str(settings.get("NAME") or "")
    kept = as_kept(database)
    return {"place": [scrub(part) for part in (server_of(settings), kept, schema)], "cut": kept != database}


def server_of(settings: Dict[str, Any]) -> str:
    """`host:port` of a database's server, as the settings give it."""
    engine = str(settings.get("ENGINE"))
    if "sqlite" in engine:
        return "(file)"
    options = settings.get("OPTIONS") or {}
    if not settings.get("HOST") and options.get("service"):
        return "service %s" % options["service"]
    host = settings.get("HOST") or options.get("host") or "(socket)"
    usual = 3306 if "mysql" in engine else 5432
    return "%s:%s" % (host, settings.get("PORT") or options.get("port") or usual)


class Schemas:
    """The schemas that there are, and the histories of those that are `wanted`, in the order in which they are.

    One statement reads many: for a small history the way to the server and back is most of what it costs.
    """

    def __init__(self, connection: Any, wanted: List[str]) -> None:
        self.connection = connection
        self.there = schemas_there_are(connection)
        self.to_come = [schema for schema in dict.fromkeys(wanted) if self.there.get(schema)]
        self.read: Dict[str, List[Migration]] = {}

    def history(self, schema: str) -> List[Migration]:
        """Its rows, oldest first; [] without a table. Raises what the database raises of this schema."""
        if not self.there.get(schema):
            return []
        if schema not in self.read and schema in self.to_come:
            self.to_come = self.to_come[self.to_come.index(schema) :]
            together, self.to_come = self.to_come[:AT_ONCE], self.to_come[AT_ONCE:]
            self.read = {}
            with contextlib.suppress(Exception):  # one of them can't be read: each alone tells which
                self.read = self.ask(together)
        return self.read[schema] if schema in self.read else self.ask([schema])[schema]

    def ask(self, schemas: List[str]) -> Dict[str, List[Migration]]:
        # Django's quote_name leaves a quote inside a name as it is.
        tables = ['"%s".%s' % (schema.replace('"', '""'), TABLE) for schema in schemas]
        rows = ["SELECT %d, id, app, name FROM %s" % each for each in enumerate(tables)]  # noqa: S608
        found: Dict[str, List[Migration]] = {schema: [] for schema in schemas}
        with self.connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(rows) + " ORDER BY 1, 2")
            for number, _id, app, name in cursor.fetchall():
                found[schemas[number]].append((app, name))
        return found


def omnitenant_database(tenant: Any, backend: Any) -> Tuple[str, Dict[str, Any]]:
    """Alias and settings that migratetenant would use."""
    alias, settings = backend.get_alias_and_config(tenant)
    # It takes an alias that the project's settings declare as it stands there.
    return alias, database_settings().get(alias, settings)


def database_history(alias: str, settings: Dict[str, Any], backend: Any, place: Dict[str, Any]) -> List[Migration]:
    """Read a database tenant over a connection of its own.

    Not through django.db.connections: there two tenants whose databases have one name, on two
    hosts, share an alias, and the second would be answered by the first one's server.
    """
    if is_master(alias, settings, omnitenant_master()):
        fault = "names the master database" if backend.db_config.get("NAME") else "has no NAME"
        raise ValueError("db_config %s: its migrations would run on the master database" % fault)
    return history_elsewhere(alias, settings, place)


def history_elsewhere(alias: str, settings: Dict[str, Any], place: Dict[str, Any]) -> List[Migration]:
    """Read a history over a connection that is closed afterwards. `place` is told the schema."""
    connection = own_connection(alias, settings)
    try:
        place["place"][2] = scrub(own_schema(connection))
        return read_history(connection)
    finally:
        connection.close()


def own_schema(connection: Any) -> str:
    """The schema that this connection's migrate would write to, "" for the usual one: each role may have its own."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        ((schema,),) = cursor.fetchall()
    return "" if schema in (None, "public") else str(schema)


def is_master(alias: str, settings: Dict[str, Any], master_alias: str) -> bool:
    master = database_settings()[master_alias]
    same = all(str(settings.get(key) or "") == str(master.get(key) or "") for key in ("NAME", "HOST", "PORT"))
    return alias == master_alias or same


def own_connection(alias: str, settings: Dict[str, Any]) -> Any:
    from django.db.utils import load_backend

    options = dict(settings.get("OPTIONS") or {})
    options.pop("pool", None)  # Django keeps one pool an alias: see database_history
    connection = load_backend(settings["ENGINE"]).DatabaseWrapper({**settings, "OPTIONS": options}, alias)
    if connection.vendor == "postgresql" and not os.environ.get("PGCONNECT_TIMEOUT"):
        options.setdefault("connect_timeout", CONNECT_TIMEOUT)
    if connection.vendor == "sqlite" and not os.path.exists(str(settings["NAME"])):
        raise FileNotFoundError("there is no database file %s" % settings["NAME"])  # connecting would make it
    return connection


def django_tenants_master() -> str:
    from django_tenants.utils import get_tenant_database_alias

    return str(get_tenant_database_alias())


def django_tenants_tenants(pending: Pending, _params: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """django-tenants 4.0.1: a row for the public schema is no tenant's, as `migrate_schemas` sees it."""
    from django.conf import settings
    from django.db import connections
    from django_tenants.utils import get_public_schema_name, get_tenant_model

    order = getattr(settings, "TENANT_MIGRATION_ORDER", None) or ["pk"]
    public = get_public_schema_name()
    listed = [each for each in names_and_schemas(get_tenant_model(), *order) if each[0] != public]
    yield from schema_tenants(connections[django_tenants_master()], listed, public, pending)


def tenant_schemas_tenants(pending: Pending, _params: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """django-tenant-schemas 2.0: it names a schema without quotes, and PostgreSQL takes small letters then."""
    from django.db import connection
    from tenant_schemas.utils import get_public_schema_name, get_tenant_model

    public = get_public_schema_name()
    listed = [each for each in names_and_schemas(get_tenant_model(), "pk") if each[0] != public]
    yield from schema_tenants(connection, listed, public, pending, kept=in_small_letters)


def pgschemas_master() -> str:
    from django_pgschemas.utils import get_tenant_database_alias

    return str(get_tenant_database_alias())


def pgschemas_tenants(pending: Pending, _params: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """django-pgschemas 1.3: what its `migrate` migrates besides `public`, static schemas and what it clones included.

    It names a schema without quotes, as django-tenant-schemas does.
    """
    from django.conf import settings
    from django.db import connections
    from django_pgschemas.utils import get_clone_reference, get_tenant_model

    listed = [(name, "static schema") for name in settings.TENANTS if name not in ("public", "default")]
    if get_clone_reference():
        listed.append((get_clone_reference(), "clone reference"))
    if get_tenant_model() is not None:
        listed += names_and_schemas(get_tenant_model(), "pk")
    yield from schema_tenants(connections[pgschemas_master()], listed, "public", pending, kept=in_small_letters)


def names_and_schemas(model: Any, *order: str) -> List[Tuple[str, str]]:
    """(schema, name) of the rows. Only these columns: one that the next migration adds is not there yet."""
    named = any(field.name == "name" for field in model._meta.concrete_fields)  # noqa: SLF001 - Django's way
    rows = model.objects.order_by(*order).values_list("schema_name", *(["name"] if named else []))
    return [(str(row[0]), str(row[1]) if named else "") for row in rows]


def in_small_letters(name: str) -> str:
    return as_kept(name.lower())


def schema_tenants(
    connection: Any,
    listed: List[Tuple[str, str]],
    public: str,
    pending: Pending,
    kept: Callable[[str], str] = as_kept,
) -> Iterator[Dict[str, Any]]:
    """Tenants that have a schema each, of this name as it is `kept`.

    One whose schema is not there is refused: its command would fail, or write into the next schema of the
    search path, which is the public one.
    """
    schemas = Schemas(connection, [kept(name) for name, _title in listed])
    for name, title in listed:
        schema = kept(name)
        about = {**place_of(connection.settings_dict, schema), "name": title, "isolation_type": "schema"}
        about["cut"] = schema not in (name, name.lower())
        try:
            if schema == public:
                raise ValueError("its schema is the shared one: its migrations would run there")
            if schema not in schemas.there:
                raise LookupError("there is no schema %s" % schema)
            rows = schemas.history(schema)
            yield {**state(name, rows, pending), **about}
        except Exception as error:  # noqa: BLE001 - one tenant's trouble is not the others'
            yield {**unknown(name, reason(error)), **about}


def database_tenants(pending: Pending, params: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """Plain Django: those aliases of DATABASES that a pattern matches, in the order of the settings."""
    every = database_settings()
    patterns = params["aliases"]
    names = [name for name in every if name != default_master()]
    missed = [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]
    if missed:
        raise LookupError("nothing in DATABASES but `default` may be a tenant, and matches %s" % ", ".join(missed))
    for name in names:
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue
        about = {**place_of(every[name]), "name": "", "isolation_type": "database"}
        try:
            if is_master(name, every[name], default_master()):
                raise ValueError("it is the default database: its migrations would run there")
            rows = history_elsewhere(name, every[name], about)
            yield {**state(name, rows, pending), **about}
        except Exception as error:  # noqa: BLE001 - one tenant's trouble is not the others'
            yield {**unknown(name, reason(error)), **about}


FRAMEWORKS: Dict[str, Tuple[Callable[[], str], Callable[[Pending, Dict[str, Any]], Iterator[Dict[str, Any]]]]] = {
    "omnitenant": (omnitenant_master, omnitenant_tenants),
    "opskit": (default_master, opskit_tenants),
    "django-tenants": (django_tenants_master, django_tenants_tenants),
    "django-pgschemas": (pgschemas_master, pgschemas_tenants),
    "django-tenant-schemas": (default_master, tenant_schemas_tenants),
    "databases": (default_master, database_tenants),
}


def every_tenant(framework: str, pending: Any, params: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """The tenants' rows of the answer. `pending` hears each history in its `after`."""
    return FRAMEWORKS[framework][1](pending, params)


APPS = {  # whose app in INSTALLED_APPS tells
    "omnitenant": "django_omnitenant",
    "opskit": "opskit.tenants",
    "django-tenants": "django_tenants",
    "django-pgschemas": "django_pgschemas",
    "django-tenant-schemas": "tenant_schemas",
}
AUTO = "auto"  # in the place of a framework: find out


def installed() -> List[str]:
    """The frameworks that this project has, after its setup."""
    from django.apps import apps

    names = {config.name for config in apps.get_app_configs()}
    return [framework for framework, app in APPS.items() if app in names]


# ---------------------------------------------------------------- who is at work


def busy(framework: str, params: Dict[str, Any]) -> Dict[str, List[str]]:
    """Which of the application names, or of those that begin so, are connected: {} where there is no PostgreSQL."""
    names, beginning = params.get("busy") or [], params.get("busy_of") or ""
    asked = list(servers(framework)) if names or beginning else []
    if not asked:
        return {}
    until = time.monotonic() + params.get("wait", 0.0)
    found = at_work_now(asked, names, beginning)
    while found and time.monotonic() < until:
        time.sleep(AGAIN)
        found = at_work_now(asked, names, beginning)
    for connection in asked:
        if connection is not master_of(framework):  # that is wanted again at once
            connection.close()
    return {"busy": found}


def master_of(framework: str) -> Any:
    from django.db import connections

    return connections[FRAMEWORKS[framework][0]()]


def servers(framework: str) -> Iterator[Any]:
    """A connection to each PostgreSQL that the project's commands work on: the master's, and those that tenants have.

    Of tenants that can't be listed, or entered, another question tells why.
    """
    master = master_of(framework)
    if master.vendor == "postgresql":
        yield master
    tried = {server_of(master.settings_dict): TRIES}
    with contextlib.suppress(Exception):
        for _tenant, alias, settings in OWN.get(framework, no_connections)():
            server = server_of(settings)
            if tried.setdefault(server, 0) < TRIES:
                connection = entered(alias, settings)
                tried[server] += 1 if connection is None else TRIES
                if connection is not None:
                    yield connection


def entered(alias: str, settings: Dict[str, Any]) -> Any:
    """A connection of a tenant's own, None where it is to no PostgreSQL, or can't be made."""
    with contextlib.suppress(Exception):
        connection = own_connection(alias, settings)
        if connection.vendor == "postgresql":
            connection.ensure_connection()
            return connection
    return None


def at_work_now(asked: List[Any], names: List[str], beginning: str) -> List[str]:
    present = {name for connection in asked for name in names_at_work(connection)}
    more = [name for name in sorted(present) if beginning and name.startswith(beginning)]
    return [name for name in names if present.intersection(as_shown(name))] + more


def names_at_work(connection: Any) -> Set[str]:
    with connection.cursor() as cursor:
        cursor.execute(  # a pooler may keep an idle connection, and its name, for a while
            "SELECT DISTINCT application_name FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND state IS DISTINCT FROM 'idle'"
        )
        return {name for (name,) in cursor.fetchall()}


def as_shown(name: str) -> Set[str]:
    """How PostgreSQL shows an application name: 63 characters of ASCII; others escaped (from 16 on) or `?`."""

    def shown(escape: Callable[[int], str]) -> str:
        return "".join(chr(byte) if 32 <= byte < 127 else escape(byte) for byte in name.encode())[:63]

    return {shown("\\x{:02x}".format), shown("?".format)}


# ---------------------------------------------------------------- tenants with connections of their own

Connection = Tuple[str, str, Dict[str, Any]]  # tenant, alias, one entry of DATABASES


def omnitenant_connections() -> Iterator[Connection]:
    """Each database tenant's own. One that can't be told is left to the question that tells why."""
    from django_omnitenant.backends import SchemaTenantBackend
    from django_omnitenant.utils import get_tenant_backend

    for tenant in omnitenant_rows():
        with contextlib.suppress(Exception):
            backend = get_tenant_backend(tenant)
            if not isinstance(backend, SchemaTenantBackend):
                alias, settings = omnitenant_database(tenant, backend)
                yield tenant.tenant_id, alias, settings


def opskit_connections() -> Iterator[Connection]:
    databases, registry = (importlib.import_module("opskit.tenants." + name) for name in ("databases", "registry"))
    for tenant in registry.every():
        with contextlib.suppress(Exception):
            yield tenant.tenant_id, "tenant:%s" % tenant.tenant_id, databases.settings_for(tenant)


def django_connections() -> Iterator[Connection]:
    """Plain Django's: a tenant is called as its alias."""
    for alias, settings in database_settings().items():
        if alias != default_master():
            yield alias, alias, settings


def no_connections() -> Iterator[Connection]:
    """A schema tenant's are those of the master."""
    return iter(())


OWN = {"omnitenant": omnitenant_connections, "opskit": opskit_connections, "databases": django_connections}


# ---------------------------------------------------------------- whether settings of PostgreSQL hold


def holds(framework: str, params: Dict[str, Any], text: str) -> bool:
    """Whether all connections take what `tries`, as start-up options before those that are there."""
    timeouts: Any = types.ModuleType("timeouts")
    exec(compile(text, "timeouts.py", "exec"), timeouts.__dict__)  # noqa: S102 - it came with us
    timeouts.status = types.SimpleNamespace(**globals())
    before = os.environ.get("PGOPTIONS", "")
    os.environ["PGOPTIONS"] = " ".join(filter(None, (params["pgoptions"], before)))
    try:
        asked = {"pgoptions": params["pgoptions"], "wanted": params["tries"], "tenants": True}
        return not timeouts.look(framework, asked)["differ"]
    finally:
        os.environ["PGOPTIONS"] = before


# ---------------------------------------------------------------- connections and what must not be told

_secrets: Set[str] = set()
SECRET_KEY = re.compile("pass|secret|token", re.IGNORECASE)


def database_settings() -> Dict[str, Dict[str, Any]]:
    from django.db import connections

    settings: Dict[str, Dict[str, Any]] = connections.settings
    return settings


def close_connections() -> None:
    from django.db import connections

    connections.close_all()


def keep_secret(settings: Any) -> None:
    """Remember each password in these settings, so that no message tells it."""
    if not isinstance(settings, dict):
        return
    for key, value in settings.items():
        if isinstance(value, dict):
            keep_secret(value)
        elif value and isinstance(value, str) and SECRET_KEY.search(str(key)):
            _secrets.add(value)


def scrub(text: str) -> str:
    for secret in sorted(_secrets, key=len, reverse=True):
        text = re.sub(r"(?<!\w)%s(?!\w)" % re.escape(secret), "***", text)
    text = re.sub(r"(://[^:/@\s]+:)\S+@", r"\1***@", text)
    return re.sub(r"(?i)(password\s*=\s*)\S+", r"\1***", text)


def one_line(text: str) -> str:
    return " ".join(text.split())


def reason(error: BaseException) -> str:
    return one_line(scrub("%s: %s" % (type(error).__name__, error)))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread that the project started would keep the process, and its answer is given
