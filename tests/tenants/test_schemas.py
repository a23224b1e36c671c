"""A schema per tenant: real schemas of a real PostgreSQL, through Django's own backend and both of its drivers."""

from __future__ import annotations

import ast
import contextlib
from dataclasses import dataclass

import pytest
import servers

ODD = 'Globex\tCorp\'s \\ "own"'
ALL = 4  # migrations of the tenants' apps
PSYCOPG2 = "import sys\nsys.modules['psycopg'] = None  # as where only psycopg2 is installed\n"


@dataclass(frozen=True)
class Shop:
    """A project whose master is on PostgreSQL."""

    project: object
    postgres: object
    database: str

    def manage(self, *args, **more):
        return self.project.manage(*args, **more)

    def create(self, tenant_id, *flags, **more):
        flags = ("--isolation-type=schema", "--no-migrate", *flags)
        return self.manage("createtenant", f"--tenant-id={tenant_id}", "--name=N", *flags, **more)

    def sql(self, statement):
        return self.postgres.execute(statement, database=self.database)

    def settings(self, text):
        with (self.project.folder / "shop" / "settings.py").open("a") as settings:
            settings.write(f"\n{text}\n")

    def count(self, schema):
        return self.sql(f'SELECT count(*) FROM "{schema}".django_migrations')[0][0]


@pytest.fixture
def shop(project, postgres):
    database = postgres.new_database("master")
    made = Shop(project, postgres, database)
    master = {"ENGINE": "django.db.backends.postgresql", **postgres.django(database)}
    made.settings(f"DATABASES['default'] = {master!r}")
    made.manage("migrate", "opskit_tenants")
    return made


@pytest.fixture(params=["psycopg", "psycopg2"])
def driven(shop, request):
    if request.param == "psycopg2":
        settings = shop.project.folder / "shop" / "settings.py"
        settings.write_text(PSYCOPG2 + settings.read_text())
    return shop


def test_a_schema_is_made_listed_migrated_and_keeps_a_history_of_its_own(driven):
    driven.create("acme")
    driven.create("globex", f"--schema={ODD}")
    driven.manage("migratetenant", "--tenant-id=acme")
    driven.manage("migratetenant", "--tenant-id=globex", "users")
    assert (ALL, 2) == (driven.count("public_acme"), driven.count(ODD.replace('"', '""')))
    status = driven.project.status()
    assert ("schema", ALL, []) == (
        status["acme"]["isolation_type"],
        len(status["acme"]["applied"]),
        status["acme"]["pending"],
    )
    assert 2 == len(status["globex"]["pending"])
    tables = driven.sql(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name = 'users_user'"
    )
    assert {"public_acme", ODD} == {schema for schema, _ in tables}


def test_databases_and_schemas_live_side_by_side(shop):
    shop.create("acme")
    shop.manage("createtenant", f"--tenant-id={shop.database}x", "--name=N", "--no-migrate")
    for tenant in ("acme", f"{shop.database}x"):
        shop.manage("migratetenant", f"--tenant-id={tenant}")
    assert ALL == shop.count("public_acme")
    assert [(ALL,)] == shop.postgres.execute("SELECT count(*) FROM django_migrations", database=f"{shop.database}x_db")
    assert ["schema", "database"] == [row["isolation_type"] for row in shop.project.status().values()]
    shop.postgres.execute(f'DROP DATABASE "{shop.database}x_db"')


def test_a_failed_migration_drops_the_schema_that_was_created(shop):
    shop.project.add_migration("migrations.RunSQL('SELECT 1/0')")
    flags = ("--tenant-id=acme", "--name=N", "--isolation-type=schema")
    said = shop.manage("createtenant", *flags, expect=1)
    assert "what was created is removed: DataError: division by zero" in said.err
    assert [] == shop.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'public_acme'")
    assert {} == shop.project.status()


def test_a_schema_that_is_gone_is_an_error_and_is_not_created(shop):
    shop.create("acme")
    shop.sql("DROP SCHEMA public_acme")
    why = "schema `public_acme` does not exist, or its user may not use it"
    assert why == shop.project.status()["acme"]["error"]
    assert why in shop.manage("migratetenant", "--tenant-id=acme", expect=1).err
    assert [] == shop.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'public_acme'")


def test_a_connection_that_is_in_another_schema_migrates_nothing(shop):
    shop.create("acme")
    with servers.pgbouncer(shop.postgres, ignore_startup_parameters="extra_float_digits,options") as port:
        shop.settings(f"DATABASES['default']['PORT'] = '{port}'")
        said = shop.manage("migratetenant", "--tenant-id=acme", expect=1)
    assert "schema `public_acme` was asked for, and the connection is in `public`: something on the way" in said.err
    assert [] == shop.sql("SELECT 1 FROM pg_tables WHERE tablename = 'users_user'")


_CONNECTED = """
from django.db import connection
from django.db.backends.signals import connection_created
from opskit.tenants import history, registry

tenants = list(registry.every())
connected, asked = [], []
connection_created.connect(lambda connection, **_: connected.append(connection.alias), weak=False)
with connection.execute_wrapper(lambda execute, sql, *more: asked.append(sql) or execute(sql, *more)):
    found = [(len(each.applied), len(each.pending), each.error) for _, each in history.of_tenants(tenants)]
print([found, connected, len(asked)])
"""


def looked(shop):
    """`[[(applied, pending, error) of a tenant, …], the aliases connected to, the number of the master's queries]`."""
    return ast.literal_eval(shop.manage("shell", "-v", "0", "-c", _CONNECTED).out.splitlines()[-1])


def test_schemas_of_the_master_are_asked_over_its_connection_one_query_each(shop):
    for name in ("acme", "globex", "initech"):
        shop.create(name)
    shop.manage("migratealltenants")
    assert [[(ALL, 0, "")] * 3, ["tenant:acme"], 3] == looked(shop)  # the first of a history is looked at closely


def test_each_schema_is_told_by_what_it_has_itself(driven):
    for name in ("acme", "bare", "globex", "gone", "initech", "odd", "older"):
        driven.create(name, *(["--schema=s'\"d"] if name == "odd" else []))
    driven.manage("migratealltenants", "--exclude=bare")
    driven.manage("migratetenant", "--tenant-id=older", "products", "0001")
    driven.sql("DROP SCHEMA public_gone CASCADE")
    found, connected, _ = looked(driven)
    gone = (0, 0, "schema `public_gone` does not exist, or its user may not use it")
    home = (ALL, 0, "")
    assert [home, (0, ALL, ""), home, gone, home, home, (ALL - 1, 1, "")] == found
    assert ["tenant:acme", "tenant:bare", "tenant:older"] == connected  # and `gone` in vain


def test_a_pooler_that_drops_the_schema_spoils_no_answer_and_gets_no_migration(shop):
    for name in ("acme", "globex"):
        shop.create(name)
        shop.manage("migratetenant", f"--tenant-id={name}", *(["products", "0001"] if name == "globex" else []))
    before = shop.count("public_globex")
    with servers.pgbouncer(shop.postgres, ignore_startup_parameters="extra_float_digits,options") as port:
        shop.settings(f"DATABASES['default']['PORT'] = '{port}'")
        found, _, _ = looked(shop)
        said = shop.manage("migratealltenants", expect=1)
    wrong = "was asked for, and the connection is in `public`: something on the way"
    assert [(each[:2], wrong in each[2]) for each in found] == [((0, 0), True)] * 2  # nobody's answer is known yet
    assert f"schema `public_globex` {wrong}" in said.err
    assert [] == shop.sql("SELECT 1 FROM pg_tables WHERE tablename = 'products_product' AND schemaname = 'public'")
    assert (ALL - 1, ALL - 1) == (before, shop.count("public_globex"))


LINE = """migrations.CreateModel('Line', [
    ('id', models.BigAutoField(primary_key=True)),
    ('product', models.ForeignKey('products.Product', models.CASCADE)),
])"""
MOVED = [
    "migrations.RunSQL('SET search_path TO elsewhere')",
    "migrations.RunSQL('RESET search_path')",
    "migrations.RunSQL(\"SELECT pg_catalog.set_config('search_path', '', false)\")",
    LINE + ", migrations.RunSQL('SET search_path TO elsewhere')",  # its constraint is made at the very end
]


@pytest.mark.parametrize("moved", MOVED)
def test_a_migration_that_moves_the_search_path_harms_no_other(shop, moved):
    shop.sql("CREATE SCHEMA elsewhere")
    shop.sql("CREATE TABLE elsewhere.django_migrations (id serial, app text, name text, applied timestamptz)")
    shop.project.add_migration(moved)
    (shop.project.folder / "users" / "migrations" / "0003_after.py").write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        "    dependencies = [('users', '0002_alter_user_email'), ('products', '0003_more')]\n"
        "    operations = [migrations.RunSQL('CREATE TABLE after (id int)')]\n"
    )
    shop.create("acme")
    shop.create("globex")
    for tenant in ("acme", "globex"):
        shop.manage("migratetenant", f"--tenant-id={tenant}")
    assert (ALL + 2, ALL + 2, 0) == tuple(map(shop.count, ("public_acme", "public_globex", "elsewhere")))
    assert [("public_acme",), ("public_globex",)] == shop.sql(
        "SELECT schemaname FROM pg_tables WHERE tablename = 'after' ORDER BY 1"
    )


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("x" * 64, "only its first 63 bytes would be kept"),
        ("ä" * 32, "only its first 63 bytes would be kept"),
        ("public", "it is not one tenant's alone"),
        ("pg_acme", "names that start with `pg_` are PostgreSQL's own"),
    ],
)
def test_a_name_that_postgresql_would_not_keep_is_refused(shop, schema, why):
    said = shop.create("acme", f"--schema={schema}", expect=1)
    assert f"CommandError: schema `{schema}` can't be used: {why}. nothing was created\n" == said.err
    assert {} == shop.project.status()


def test_options_of_the_project_and_of_the_environment_reach_the_schema_too(shop):
    shop.create("acme")
    shop.settings("DATABASES['default']['OPTIONS'] = {'options': '-c statement_timeout=7s'}")
    shop.project.add_migration(
        "migrations.RunPython(note)",
        "def note(apps, schema_editor):\n"
        "    cursor = schema_editor.connection.cursor()\n"
        "    for name in ('statement_timeout', 'lock_timeout', 'search_path'):\n"
        "        cursor.execute(f'SHOW {name}')\n"
        "        print(cursor.fetchone()[0])\n",
    )
    said = shop.manage("migratetenant", "--tenant-id=acme", PGOPTIONS="-c lock_timeout=5s")
    assert ["7s", "5s", "public_acme"] == said.err.splitlines()


def test_what_an_extension_gives_is_seen_from_every_schema(shop):
    shop.sql("CREATE SCHEMA extensions")
    shop.sql("CREATE DOMAIN extensions.email AS text")
    shop.settings("OPSKIT_TENANTS = {'EXTENSION_SCHEMAS': ['extensions']}")
    moved = "migrations.RunSQL('SET search_path TO extensions'), migrations.RunSQL('RESET search_path')"
    shop.project.add_migration(f"migrations.RunSQL('ALTER TABLE users_user ADD COLUMN other email'), {moved}")
    shop.create("acme")
    shop.manage("migratetenant", "--tenant-id=acme")
    assert ALL + 1 == shop.count("public_acme")
    assert [] == shop.sql("SELECT 1 FROM pg_tables WHERE schemaname = 'extensions'")


def test_a_schema_with_a_history_of_its_own_is_none_for_extensions(shop):
    shop.settings("OPSKIT_TENANTS = {'EXTENSION_SCHEMAS': ['public']}")
    shop.create("acme")
    said = shop.manage("migratetenant", "--tenant-id=acme", expect=1)
    assert "schema `public` holds a django_migrations: as one of EXTENSION_SCHEMAS it could pass for" in said.err
    assert [] == shop.sql("SELECT 1 FROM pg_tables WHERE schemaname = 'public_acme'")


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "through PgBouncer"])
def test_two_at_once_migrate_once_and_the_second_says_who_is_at_work(shop, pooled):
    """PgBouncer gives each transaction another connection: a lock of the session would stay behind in its pool."""
    tenant, table = f"{shop.database}y", f"{shop.database}y_db"
    shop.manage("createtenant", f"--tenant-id={tenant}", "--name=N", "--no-migrate")
    shop.project.add_migration("migrations.RunPython(wait)", WAIT)
    with servers.pgbouncer(shop.postgres) if pooled else contextlib.nullcontext(shop.postgres.port) as port:
        shop.settings(f"DATABASES['default'] |= {{'PORT': '{port}', 'DISABLE_SERVER_SIDE_CURSORS': True}}")
        with shop.project.waiting("migratetenant", f"--tenant-id={tenant}") as first:
            said = shop.manage("migratetenant", f"--tenant-id={tenant}", "--format=jsonl", expect=1)
        assert 0 == first.returncode
        again = shop.manage("migratetenant", f"--tenant-id={tenant}").out
    outcome = said.events[-1]["outcome"]
    assert ("failed", True) == (outcome["status"], outcome["retryable"])
    assert outcome["error"].startswith(f"tenant `{tenant}` is being migrated by `")
    assert f"process {first.pid}` from 127.0.0.1 (PostgreSQL process " in outcome["error"]
    assert "No migrations to apply." in again
    assert [(ALL + 1,)] == shop.postgres.execute("SELECT count(*) FROM django_migrations", database=table)
    shop.postgres.execute(f'DROP DATABASE "{table}"')


WAIT = """
import sys
def wait(apps, schema_editor):
    print('here', file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize(
    ("flag", "operation", "why"),
    [
        ("--lock-timeout=100ms", "ALTER TABLE users_user ADD COLUMN x int", "canceling statement due to lock timeout"),
        ("--statement-timeout=100ms", "SELECT pg_sleep(60)", "canceling statement due to statement timeout"),
    ],
)
def test_a_statement_has_its_time_limits(shop, flag, operation, why):
    shop.create("acme")
    shop.manage("migratetenant", "--tenant-id=acme")
    shop.project.add_migration(f"migrations.RunSQL('{operation}')")
    with shop.postgres.connect(shop.database) as other:
        other.autocommit = False
        other.execute("LOCK TABLE public_acme.users_user")
        said = shop.manage("migratealltenants", flag, expect=1)
        other.rollback()
    assert why in said.out
    assert 1 == len(shop.project.status()["acme"]["pending"])


COUNTS = """
def count(apps, schema_editor):
    cursor = schema_editor.connection.cursor()
    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    print(cursor.fetchone()[0])
"""


def test_one_tenant_at_a_time_is_connected_beside_the_master_and_the_lock(shop):
    for tenant in ("acme", "globex", "initech"):
        shop.create(tenant)
    shop.project.add_migration("migrations.RunPython(count)", COUNTS)
    assert ["3"] * 3 == shop.manage("migratealltenants").err.splitlines()


def test_a_schema_may_live_in_another_database_than_the_masters(shop):
    other = shop.postgres.new_database("other")
    shop.settings(f"DATABASES['eu'] = {{**DATABASES['default'], 'NAME': '{other}'}}")
    shop.manage("createtenant", "--tenant-id=acme", "--name=N", "--isolation-type=schema", "--alias=eu")
    assert [(ALL,)] == shop.postgres.execute("SELECT count(*) FROM public_acme.django_migrations", database=other)
    assert [] == shop.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'public_acme'")


def test_the_lock_of_a_command_that_was_killed_is_free(shop):
    shop.create("acme")
    shop.project.add_migration("migrations.RunPython(wait)", WAIT)
    with shop.project.waiting("migratetenant", "--tenant-id=acme") as killed:
        killed.kill()
        killed.wait()
    shop.manage("migratetenant", "--tenant-id=acme")
    assert [] == shop.project.status()["acme"]["pending"]
