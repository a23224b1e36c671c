"""Ask a Django project what it stands on: versions, commands, migrations, its database servers. Nothing is created.

This text runs on the host, by itself, with the project's folder as working directory::

    python -u -c <this text> <framework> <manage.py> '{"commands": [...], "deep": true}' <text of status.py>

and answers with a line of JSON for each part, as soon as it has it: what was told before a database
that does not answer, or a time limit, stands. Passwords are never told, nor anything that is not named here::

    {"part": "code", "django": "5.2", "frameworks": ["omnitenant"], "package": "1.0.2",
     "commands": {"migratetenant": "django_omnitenant"},
     "migrations": ["app.name", ...], "error": why these are not known}
    {"part": "server", "server": "db1:5432", "error": why it can't be asked, "vendor": "postgresql", "database": "acme",
     ...: see `postgresql`, `start_options` and `pooling`}
    {"part": "end"}

The first server is the master's; the others' are told where the question is `deep`.
Exit 1 is a failure, with its reason as the last line of stderr; exit 3 a manage.py that starts no command.

Standard library and Django only, Python 3.8 and newer.
"""

# ruff: noqa: PLC0415 - Django comes in where the project is about to be started, or has been

from __future__ import annotations

import contextlib
import json
import os
import sys
import types
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

Settings = Dict[str, Any]  # one entry of DATABASES
PACKAGES = {
    "omnitenant": "django-omnitenant",
    "opskit": "opskit",
    "django-tenants": "django-tenants",
    "django-pgschemas": "django-pgschemas",
    "django-tenant-schemas": "django-tenant-schemas",
}
STATEMENT = "10s"  # that one query may take
TRIES = 3  # databases of one server that are tried, until one can be entered
TELLTALE = "opskit.check"  # a setting that nobody else has: PostgreSQL takes any with a dot in its name

status: Any = types.ModuleType("status")  # the other question: it knows how to start a project, and what not to tell


def main() -> int:
    framework, manage, params, text = sys.argv[1:5]
    exec(compile(text, "status.py", "exec"), status.__dict__)  # noqa: S102 - it came with us
    sys.argv[1:] = []
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(status.CONNECT_TIMEOUT))
    with os.fdopen(status.take_stdout(), "w", encoding="ascii") as answers:

        def tell(**part: Any) -> None:
            answers.write(json.dumps(part) + "\n")
            answers.flush()

        question = status.Question(lambda: look(framework, json.loads(params), tell))
        try:
            status.start(manage, question)
        except BaseException as error:  # noqa: BLE001 - a manage.py may end in any way
            question.note(error)
        return 0 if question.answer is not None else status.complain(manage, question)


def look(framework: str, params: Dict[str, Any], tell: Callable[..., None]) -> Dict[str, Any]:
    import django

    django.setup()
    for settings in status.database_settings().values():
        status.keep_secret(settings)
    if framework == status.AUTO and len(status.installed()) == 1:
        (framework,) = status.installed()
    tell(part="code", **code(framework, params["commands"]))
    master = master_of(framework)
    seen = status.server_of(master[1])
    tell(part="server", **server(seen, [master], deep=params["deep"]))
    others = databases(framework) if params["deep"] else {}
    for name, there in others.items():
        if name != seen:
            tell(part="server", **server(name, there, deep=True))
    tell(part="end")
    return {}


# ---------------------------------------------------------------- the code


def code(framework: str, commands: List[str]) -> Dict[str, Any]:
    import django
    from django.core.management import get_commands

    known = get_commands()
    told: Dict[str, Any] = {
        "django": django.get_version(),
        "frameworks": status.installed(),
        "package": version(PACKAGES.get(framework, "")),
        "commands": {name: app_of(known[name]) for name in commands if name in known},
    }
    try:
        told["migrations"] = sorted(map(status.dotted, status.Pending().relevant))
    except Exception as error:  # noqa: BLE001 - the code of a migration may raise anything
        told.update(migrations=None, error=status.reason(error))
    return told


def version(package: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(package) if package else ""
    except importlib.metadata.PackageNotFoundError:  # a vendored copy
        return ""


def app_of(provider: Any) -> str:
    return provider if isinstance(provider, str) else str(type(provider).__module__)


# ---------------------------------------------------------------- which servers there are


def master_of(framework: str) -> Tuple[str, Settings]:
    alias = status.FRAMEWORKS[framework][0]() if framework in status.FRAMEWORKS else status.default_master()
    return alias, status.database_settings()[alias]


def databases(framework: str) -> Dict[str, List[Tuple[str, Settings]]]:
    """{server: some of its databases}, the project's own first."""
    found: Dict[str, List[Tuple[str, Settings]]] = {}
    for alias, settings in every_database(framework):
        there = found.setdefault(status.server_of(settings), [])
        if len(there) < TRIES:
            there.append((alias, settings))
    return found


def every_database(framework: str) -> Iterator[Tuple[str, Settings]]:
    yield from list(status.database_settings().items())
    if framework != "omnitenant":  # a tenant of opskit's own is on the master's server
        return
    from django_omnitenant.backends import SchemaTenantBackend
    from django_omnitenant.utils import get_tenant_backend

    try:
        tenants = status.omnitenant_rows()
    except Exception:  # noqa: BLE001 - the other question says why
        return
    for tenant in tenants:
        with contextlib.suppress(Exception):  # as above
            backend = get_tenant_backend(tenant)
            if not isinstance(backend, SchemaTenantBackend):
                yield status.omnitenant_database(tenant, backend)


# ---------------------------------------------------------------- a server


def server(name: str, there: List[Tuple[str, Settings]], *, deep: bool) -> Dict[str, Any]:
    """What a server says of itself through the first of its databases that can be entered."""
    told: Dict[str, Any] = {"server": status.scrub(name)}
    for alias, settings in there:
        try:
            with connected(alias, settings) as connection:
                told.update(vendor=connection.vendor, database=status.scrub(str(settings.get("NAME"))), error="")
                if connection.vendor == "postgresql":
                    told.update(postgresql(connection, deep=deep))
                    if deep:
                        told.update(start_options(alias, settings))
                        told.update(pooling(alias, settings, connection))
            return told
        except Exception as error:  # noqa: BLE001 - the next database may be entered
            told.setdefault("error", status.reason(error))
    return told


@contextlib.contextmanager
def connected(alias: str, settings: Settings) -> Iterator[Any]:
    """A connection of our own, closed in the end."""
    connection = status.own_connection(alias, settings)
    try:
        connection.ensure_connection()
        yield connection
    finally:
        connection.close()


def rows(connection: Any, sql: str) -> List[Tuple[Any, ...]]:
    """Ask in a transaction of its own: behind a pooler a setting of the session would be the next one's, too."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN READ ONLY")
        try:
            cursor.execute("SET LOCAL statement_timeout = '%s'" % STATEMENT)
            cursor.execute(sql)
            return list(cursor.fetchall())
        finally:
            cursor.execute("ROLLBACK")


def asked(connection: Any, sql: str) -> Optional[Tuple[Any, ...]]:
    """The one row; None where this user may not ask, or the answer takes too long."""
    from django.db import Error

    try:
        return rows(connection, sql)[0]
    except Error:
        return None


def postgresql(connection: Any, *, deep: bool) -> Dict[str, Any]:
    """The server's own figures. Sizes are in bytes; what is None this user may not ask."""
    names = (
        *("version", "user", "standby", "started", "lock_timeout"),
        *("max_connections", "reserved", "used", "lock_slots", "locks"),
    )
    values = rows(
        connection,
        "SELECT current_setting('server_version'), current_user, pg_is_in_recovery(), "
        "extract(epoch FROM pg_postmaster_start_time())::text, current_setting('lock_timeout'), "
        "current_setting('max_connections')::int, "
        "current_setting('superuser_reserved_connections')::int"
        " + coalesce(current_setting('reserved_connections', true)::int, 0), "
        "(SELECT sum(numbackends)::int FROM pg_stat_database), "
        "current_setting('max_locks_per_transaction')::int"
        " * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int), "
        "(SELECT count(*)::int FROM pg_locks)",
    )[0]
    told: Dict[str, Any] = dict(zip(names, values))
    if deep:
        told.update(sizes(connection), disk_free=disk_free(connection))
    return told


def sizes(connection: Any) -> Dict[str, Any]:
    size = asked(
        connection,
        "SELECT sum(size)::bigint, max(size)::bigint FROM (SELECT pg_database_size(oid) AS size FROM pg_database "
        "WHERE datallowconn AND has_database_privilege(oid, 'CONNECT')) AS found",
    )
    relations = asked(
        connection,
        "SELECT coalesce(max(n), 0)::int FROM (SELECT count(*) AS n FROM pg_class c "
        "JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'i', 'I') "
        "AND s.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') GROUP BY s.oid) AS found",
    )
    total, largest = size or (None, None)
    return {"size": total, "largest": largest, "relations": relations and relations[0]}


def disk_free(connection: Any) -> Optional[int]:
    """What is free where the server keeps its data, if that is on this host: our backend is a process here, then."""
    found = asked(connection, "SELECT current_setting('data_directory'), pg_backend_pid(), current_database()")
    if found is None:
        return None
    folder, pid, database = found
    try:
        with open("/proc/%d/cmdline" % pid, errors="replace") as file:  # `postgres: user database client(port) …`
            title = file.read()
        here = title.startswith("postgres: ") and " %s " % database in title
        room = os.statvfs(str(folder))
    except OSError:
        return None
    return room.f_bavail * room.f_frsize if here else None


# ---------------------------------------------------------------- what stands in between


def start_options(alias: str, settings: Settings) -> Dict[str, Any]:
    """Whether PGOPTIONS reaches the server: "through", "dropped", or "refused" with its reason."""
    from django.db import Error

    before = os.environ.get("PGOPTIONS")
    told: Dict[str, Any] = {"pgoptions_set": before is not None}
    os.environ["PGOPTIONS"] = ("%s -c %s=on" % (before or "", TELLTALE)).strip()
    try:
        with connected(alias, settings) as connection:
            came = rows(connection, "SELECT current_setting('%s', true)" % TELLTALE)[0][0]
        told["pgoptions"] = "through" if came == "on" else "dropped"
    except Error as error:
        told["pgoptions"] = "refused"
        told["pgoptions_error"] = status.reason(error)
    finally:
        os.environ.pop("PGOPTIONS")
        if before is not None:
            os.environ["PGOPTIONS"] = before
    if told["pgoptions"] == "refused" and not another(alias, settings):
        told["pgoptions"] = ""  # it refuses every further connection: nothing is known of the options
    return told


def another(alias: str, settings: Settings) -> bool:
    from django.db import Error

    try:
        with connected(alias, settings):
            return True
    except Error:
        return False


def pooling(alias: str, settings: Settings, connection: Any) -> Dict[str, Any]:
    """What stands between us and the server: "none", "pooler", or "transaction" pooling for certain; "" is unknown.

    The process number that a client is told at its start is the backend's own, unless somebody who speaks the
    protocol took the connection: PgBouncer tells a number of its own. Two connections that are open at once and
    have both asked something share a backend only where it is handed on between transactions.
    """
    from django.db import Error

    told = getattr(getattr(connection.connection, "info", None), "backend_pid", None)
    if told is None:
        return {"pooler": ""}
    own = rows(connection, "SELECT pg_backend_pid()")[0][0]
    if told == own:
        return {"pooler": "none"}
    try:
        with connected(alias, settings) as other:
            for _turn in range(TRIES):
                if rows(connection, "SELECT pg_backend_pid()") == rows(other, "SELECT pg_backend_pid()"):
                    return {"pooler": "transaction"}
    except Error:
        pass
    return {"pooler": "pooler"}


if __name__ == "__main__":
    code_ = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code_)  # a thread that the project started would keep the process, and its answer is given
