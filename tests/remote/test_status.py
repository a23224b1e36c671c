"""What is pending, asked of real projects: django-omnitenant on PostgreSQL, and plain Django on SQLite."""

import ast
import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import omnitenant
import psycopg
import pytest
import servers

import opskit

REMOTE = Path(opskit.__file__).parent / "remote"
STATUS, TIMEOUTS = ((REMOTE / f"{name}.py").read_text() for name in ("status", "timeouts"))

CONTRIB = [
    "contenttypes.0001_initial",
    "contenttypes.0002_remove_content_type_name",
    "auth.0001_initial",
    "auth.0002_alter_permission_name_max_length",
    "auth.0003_alter_user_email_max_length",
    "auth.0004_alter_user_username_opts",
    "auth.0005_alter_user_last_login_null",
    "auth.0006_require_contenttypes_0002",
    "auth.0007_alter_validators_add_error_messages",
    "auth.0008_alter_user_username_max_length",
    "auth.0009_alter_user_last_name_max_length",
    "auth.0010_alter_group_name_max_length",
    "auth.0011_update_proxy_permissions",
    "auth.0012_alter_user_first_name_max_length",
]


def ask(project, params=None, framework="omnitenant", **env):
    return project.run("-u", "-c", STATUS, framework, "manage.py", json.dumps(params or {}), **env)


def answer(project, params=None, **env):
    done = ask(project, params, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tenants(project):
    return {row["tenant_id"]: row for row in answer(project)["tenants"]}


def pending(project):
    return {tenant_id: row["pending"] for tenant_id, row in tenants(project).items()}


def errors(project):
    return {tenant_id: row["error"] for tenant_id, row in tenants(project).items()}


def applied_by(project, tenant_id):
    """What migratetenant itself goes on to apply, in its order."""
    return re.findall(r"Applying (\S+)\.\.\. OK", project.manage("migratetenant", f"--tenant-id={tenant_id}").stdout)


@pytest.fixture
def project(postgres, tmp_path):
    return omnitenant.new_project(postgres, tmp_path)


@pytest.fixture(scope="module")
def fleet(postgres, tmp_path_factory):
    """12 schema and 3 database tenants, migrated. Only to be looked at."""
    project = omnitenant.new_project(postgres, tmp_path_factory.mktemp("fleet"))
    project.create_tenants(schemas=12, databases=3)
    return project


# ---------------------------------------------------------------- the answer


def test_a_migrated_fleet_has_nothing_pending(fleet):
    said = answer(fleet)
    ids = [*(f"s{n:02}" for n in range(1, 13)), "d01", "d02", "d03"]
    latest = ["invoices.0001_initial", "invoices.0002_invoice_paid", "members.0003_member_joined"]
    row = {"applied": 20, "latest": latest, "pending": [], "error": "", "cut": False}
    assert said["tenants"] == [{"tenant_id": tenant_id, **row, **home(fleet, tenant_id)} for tenant_id in ids]
    assert said["shared"] == {"pending": []}
    assert set(said) == {"v", "framework", "shared", "tenants", "code", "replaces", "django", "python"}
    assert {*latest} <= {*said["code"]}
    assert all(re.fullmatch("[0-9a-f]{16}", digest) for digest in said["code"].values())
    assert (said["v"], said["python"]) == (1, ".".join(map(str, sys.version_info[:3])))


def home(project, tenant_id):
    """Where the answer says that a tenant's data lives."""
    server = f"{project.postgres.host}:{project.postgres.port}"
    if tenant_id.startswith("d"):
        place = {"place": [server, project.tenant_database(tenant_id), ""]}
        return {"name": tenant_id.capitalize(), "isolation_type": "database", **place}
    place = {"place": [server, project.database, tenant_id], "missing": False}
    return {"name": tenant_id.capitalize(), "isolation_type": "schema", **place}


def test_the_answer_is_one_line(fleet):
    done = ask(fleet)
    assert (done.stdout.count("\n"), done.stdout[-1], done.stderr) == (1, "\n", "")


def test_a_new_migration_of_the_tenants_is_pending_for_each_and_not_on_the_master(project):
    project.create_tenants(schemas=2, databases=1)
    added = project.add_migration()
    said = answer(project)
    assert [row["pending"] for row in said["tenants"]] == [[added]] * 3
    assert said["shared"] == {"pending": []}


def test_a_history_that_can_not_be_read_hides_none_of_those_that_are_read_with_it(project):
    project.create_tenants(schemas=3)
    project.execute('ALTER TABLE s02.django_migrations RENAME COLUMN "name" TO other')
    said = tenants(project)
    assert [said[name]["applied"] for name in ("s01", "s02", "s03")] == [20, 0, 20]
    assert [bool(said[name]["error"]) for name in ("s01", "s02", "s03")] == [False, True, False]
    assert said["s02"]["error"].startswith('ProgrammingError: column "name" does not exist')


def test_two_tenants_of_one_schema_have_one_history(project):
    project.create_tenants(schemas=2)
    project.create(omnitenant.schema_row("twin", schema_name="s01"))
    assert [row["applied"] for row in tenants(project).values()] == [20, 20, 20]


TRIES = {"tries": {"lock_timeout": "5000"}, "pgoptions": "-c lock_timeout=5000"}


def holds(project, **env):
    question = ("-u", "-c", STATUS, "omnitenant", "manage.py", json.dumps(TRIES), TIMEOUTS)
    done = project.run(*question, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout).get("holds")


def test_whether_settings_hold_on_every_connection_is_told_where_a_tenant_has_something_pending(project):
    project.create_tenants(schemas=1, databases=1)
    assert holds(project) is None
    project.add_migration()
    assert holds(project) is True
    assert holds(project, PGOPTIONS="-c lock_timeout=7s") is False  # what is there wins


def test_the_tenants_are_in_the_order_of_the_model(project):
    project.create(*map(omnitenant.schema_row, ("b", "a", "c")))
    assert list(tenants(project)) == ["b", "a", "c"]
    models = project.folder / "companies" / "models.py"
    models.write_text(models.read_text().replace("    pass", "    class Meta:\n        ordering = ['-tenant_id']"))
    assert list(tenants(project)) == ["c", "b", "a"]


def test_a_new_migration_of_the_master_is_pending_there(project):
    project.create_tenants(schemas=1)
    added = project.add_migration(app="companies", model="company", field="vat", name="0002_company_vat")
    said = answer(project)
    assert said["shared"] == {"pending": [added]}
    # Its tenant table lacks a column that the code has; the tenants are told all the same.
    assert [row["tenant_id"] for row in said["tenants"]] == ["s01"]


def test_migrating_the_master_leaves_nothing_pending_there(project):
    project.add_migration(app="companies", model="company", field="vat", name="0002_company_vat")
    project.add_migration()
    assert project.manage("migrate").returncode == 0
    assert answer(project)["shared"] == {"pending": []}


def test_a_master_without_tables_says_why_it_lists_nobody(project, postgres):
    empty = omnitenant.Project(project.folder, postgres, postgres.new_database())
    said = answer(empty)
    assert said["shared"] == {"pending": [*CONTRIB, *omnitenant.MASTER]}
    assert said["tenants"] == []
    assert said["listing_error"].startswith('ProgrammingError: relation "companies_company" does not exist')


def test_nothing_is_created(project):
    project.create_tenants(schemas=2, databases=1)
    project.create(omnitenant.schema_row("missing"), project.database_row("d02"))
    project.new_tenant_database("d02")
    before = everything(project)
    assert len(pending(project)) == 5
    assert everything(project) == before


def everything(project):
    """Each database of the project, each of its schemas, each table."""
    names = [
        name
        for (name,) in project.execute("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
        if name.startswith(project.database)
    ]
    schemas = "SELECT nspname, relname FROM pg_namespace LEFT JOIN pg_class c ON relnamespace = pg_namespace.oid"
    return {name: sorted(map(str, project.execute(schemas, database=name))) for name in names}


# ---------------------------------------------------------------- histories


@pytest.mark.parametrize("kind", ["schema", "database"])
def test_pending_is_what_migratetenant_applies_in_its_order(project, kind):
    if kind == "database":
        project.new_tenant_database("new")
    project.create(omnitenant.schema_row("new") if kind == "schema" else project.database_row("new"))
    project.add_migration()
    before = tenants(project)["new"]
    assert before["applied"] == 0
    assert before["pending"] == applied_by(project, "new")
    assert tenants(project)["new"]["pending"] == []


def test_a_missing_schema_has_everything_pending(project):
    project.create(omnitenant.schema_row("missing"))
    everything_there_is = [*CONTRIB, *omnitenant.MASTER, *omnitenant.TENANT]
    row = {"tenant_id": "missing", "applied": 0, "latest": [], "pending": everything_there_is, "error": ""}
    there = {**home(project, "missing"), "missing": True, "cut": False}
    assert tenants(project)["missing"] == {**row, **there}


def test_two_names_that_postgresql_cuts_to_one_are_one_place(project):
    names = ["x" * 63, "x" * 64, "x" * 70, "é" * 32]
    project.create(*(omnitenant.schema_row(f"t{n}", schema_name=name) for n, name in enumerate(names)))
    said = tenants(project).values()
    assert [(row["place"][2], row["cut"]) for row in said] == [
        ("x" * 63, False),
        ("x" * 63, True),
        ("x" * 63, True),
        ("é" * 31, True),
    ]


def test_a_database_that_can_not_be_asked_has_its_place_all_the_same(project):
    project.create(project.database_row("d01", PORT="1"), project.database_row("d02", HOST="", OPTIONS={"host": "db2"}))
    places = {tenant_id: row["place"][0] for tenant_id, row in tenants(project).items()}
    # a HOST that is empty is the master's own in django-omnitenant
    assert places == {"d01": f"{project.postgres.host}:1", "d02": f"{project.postgres.host}:{project.postgres.port}"}


def test_two_in_one_database_with_schemas_of_their_own_are_in_two_places(project):
    project.new_tenant_database("d01")
    database = project.tenant_database("d01")
    for statement in (
        "DROP ROLE IF EXISTS globex",
        "CREATE ROLE globex LOGIN PASSWORD 'globex-secret'",
        "CREATE SCHEMA acme",
        "CREATE SCHEMA globex AUTHORIZATION globex",
    ):
        project.execute(statement, database=database)
    project.create(
        project.database_row("d01"),
        project.database_row("d02", NAME=database, OPTIONS={"options": "-c search_path=acme"}),
        project.database_row("d03", NAME=database, USER="globex", PASSWORD="globex-secret"),
        project.database_row("d04", NAME=database),
    )
    said = {tenant_id: row["place"][1:] for tenant_id, row in tenants(project).items()}
    project.execute("DROP SCHEMA globex; DROP ROLE globex", database=database)
    assert said == {
        "d01": [database, ""],
        "d02": [database, "acme"],
        "d03": [database, "globex"],
        "d04": [database, ""],
    }


def test_the_schema_is_the_one_that_the_config_names(project):
    project.create(omnitenant.schema_row("acme", schema_name="other", migrate=True), omnitenant.schema_row("other"))
    assert pending(project) == {"acme": [], "other": []}


@pytest.mark.parametrize("schema", ['quo"te', '"quoted"', "100%s", "Mixed Case", "x" * 70, "é"])
def test_a_schema_of_any_name_is_read(project, schema):
    quoted = psycopg.sql.Identifier(schema).as_string()
    project.execute(f"CREATE SCHEMA {quoted}")
    project.execute(f"CREATE TABLE {quoted}.django_migrations AS SELECT * FROM public.django_migrations")
    project.create(omnitenant.schema_row("odd", schema_name=schema))
    assert tenants(project)["odd"]["applied"] == 20


def test_each_distinct_history_is_planned_once(project):
    project.create_tenants(schemas=5)
    project.create(*(omnitenant.schema_row(f"new-{n}") for n in range(5)))
    project.execute("INSERT INTO s02.django_migrations (app, name, applied) VALUES ('gone', '0001', now())")
    counting = (
        "from django.db.migrations import graph\n"
        "class Counted(graph.MigrationGraph):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        print('a graph')\n"
        "from django.db.migrations import loader\n"
        "loader.MigrationGraph = Counted\n"
    )
    manage = project.folder / "manage.py"
    manage.write_text(counting + manage.read_text())
    assert (
        ask(project).stderr.count("a graph") == 2
    )  # the master's, which the migrated tenants share, and the empty one


def test_a_history_that_migrate_refuses_is_an_error_of_that_tenant(project):
    project.create_tenants(schemas=2)
    project.execute("DELETE FROM s02.django_migrations WHERE name = '0002_member_email'")
    broken = "Migration invoices.0002_invoice_paid is applied before its dependency members.0002_member_email"
    assert errors(project) == {"s01": "", "s02": f"ValueError: {broken}"}
    assert broken in project.manage("migratetenant", "--tenant-id=s02").stdout


def test_squashed_migrations_are_pending_as_migrate_sees_them(project):
    project.create_tenants(schemas=2)
    assert project.manage("migratetenant", "--tenant-id=s02", "members", "0002").returncode == 0
    project.create(omnitenant.schema_row("new"))
    squash = project.squash()
    said = pending(project)
    rest = [*CONTRIB, *omnitenant.MASTER, squash, *omnitenant.TENANT[2:4]]
    assert said == {"s01": [], "s02": ["members.0003_member_joined"], "new": rest}
    assert unrecorded(project) == {"s01": [squash], "s02": None, "new": None}
    assert {tenant_id: applied_by(project, tenant_id) for tenant_id in said} == said
    assert [squash in project.history(name) for name in said] == [True, True, True]
    assert pending(project) == {"s01": [], "s02": [], "new": []}
    assert unrecorded(project) == {"s01": None, "s02": None, "new": None}


def unrecorded(project):
    return {tenant_id: row.get("unrecorded") for tenant_id, row in tenants(project).items()}


def test_two_leaves_are_an_error_of_the_whole_answer_in_djangos_words(project):
    project.add_migration()
    text = (project.folder / "members/migrations/0004_member_phone.py").read_text()
    (project.folder / "members/migrations/0004_member_mobile.py").write_text(text.replace("phone", "mobile"))
    done = ask(project)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        "CommandError: Conflicting migrations detected; multiple leaf nodes in the migration graph: "
        "(0004_member_mobile, 0004_member_phone in members). "
        "To fix them run 'python manage.py makemigrations --merge'"
    )


# ---------------------------------------------------------------- database tenants


@pytest.mark.parametrize(
    ("db_config", "fault"),
    [
        ({}, "has no NAME"),
        ({"ALIAS": "elsewhere"}, "has no NAME"),
        ({"NAME": "default"}, "names the master database"),
        ({"NAME": "{master}"}, "names the master database"),
        ({"name": "{master}"}, "names the master database"),
    ],
)
def test_a_database_tenant_that_resolves_to_the_master_is_refused(project, db_config, fault):
    config = {key: value.format(master=project.database) for key, value in db_config.items()}
    row = omnitenant.database_row_without_config("d01")
    project.create({**row, "config": {"db_config": config}})
    reason = f"ValueError: db_config {fault}: its migrations would run on the master database"
    assert errors(project) == {"d01": reason}


def test_a_database_that_is_not_there_is_an_error_of_its_tenant(project):
    project.create_tenants(schemas=1)
    project.create(project.database_row("d01"))
    said = errors(project)
    assert (said["s01"], said["d01"].splitlines()) == ("", [said["d01"]])
    assert said["d01"].endswith(f'FATAL: database "{project.tenant_database("d01")}" does not exist')


def test_no_message_tells_a_password(project):
    secret = "hunter2-hunter2"
    project.create(
        project.database_row("refused", PASSWORD=secret),
        project.database_row("closed", PASSWORD=secret, PORT=str(servers.free_port())),
        project.database_row("confused", PASSWORD=secret, NAME=f"postgres://me:{secret}@nowhere/x?password={secret}"),
        project.database_row("nonsense", PASSWORD=secret, OPTIONS={f"password={secret}": "1"}),
    )
    done = ask(project)
    said = {row["tenant_id"]: row["error"] for row in json.loads(done.stdout)["tenants"]}
    assert 'password authentication failed for user "postgres"' in said["refused"]
    assert "Connection refused" in said["closed"]
    assert all(said.values())
    assert secret not in done.stdout + done.stderr


def test_two_tenants_with_one_alias_on_two_servers_are_told_apart(project):
    with servers.postgres() as other:
        name = project.tenant_database("d01")
        for server in (project.postgres, other):
            server.execute(f'CREATE DATABASE "{name}"')
        here = project.database_row("d01", migrate=True)
        there = {**here, "tenant_id": "d02", "migrate": False, "config": {"db_config": other.django(name)}}
        project.create(here, there)
        said = tenants(project)
    assert [said[tenant_id]["applied"] for tenant_id in ("d01", "d02")] == [20, 0]


def test_no_connection_is_left_open(project):
    project.create_tenants(databases=2)
    counting = "import psutil; print(len(psutil.Process().net_connections('tcp')), 'left')"
    edit_manage(project, "execute_from_command_line(sys.argv)", f"execute_from_command_line(sys.argv); {counting}")
    edit_manage(project, "from django.core", "import gc; gc.disable()  # which would close some\n    from django.core")
    assert ask(project).stderr == "0 left\n"


# ---------------------------------------------------------------- the start


def edit_manage(project, old, new):
    manage = project.folder / "manage.py"
    assert old in manage.read_text()
    manage.write_text(manage.read_text().replace(old, new))


def test_what_managepy_does_before_its_command_counts(project):
    (project.folder / ".env").write_text("".join(f"{key}={value}\n" for key, value in project.env.items()))
    reading = "os.environ.update(line.strip().split('=', 1) for line in open('.env'))\n    "
    edit_manage(project, "from django.core", f"{reading}from django.core")
    assert answer(project, DB_NAME="nonsense", DB_PASSWORD="nonsense")["shared"] == {"pending": []}


def test_what_the_project_prints_goes_to_stderr(project):
    edit_manage(project, "from django.core", "print('hello'); os.system('echo from a child')\n    from django.core")
    done = ask(project)
    assert json.loads(done.stdout)["shared"] == {"pending": []}
    assert done.stderr == "hello\nfrom a child\n"


def test_a_managepy_that_goes_without_the_usual_function_is_fine(project):
    edit_manage(project, "import execute_from_command_line", "import ManagementUtility")
    edit_manage(project, "execute_from_command_line(sys.argv)", "sys.exit(ManagementUtility(sys.argv).execute())")
    assert answer(project)["shared"] == {"pending": []}


def test_a_thread_of_the_project_does_not_keep_the_process(project):
    edit_manage(
        project,
        "from django.core",
        "import threading; threading.Thread(target=sys.stdin.read).start()\n    from django.core",
    )
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin, os.fdopen(writing, "w"):
        done = subprocess.run(
            [sys.executable, "-u", "-c", STATUS, "omnitenant", "manage.py", "{}"],
            cwd=project.folder,
            env={**os.environ, **project.env},
            stdin=stdin,
            timeout=60,
            capture_output=True,
            check=False,
        )
    assert json.loads(done.stdout)["shared"] == {"pending": []}


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("return", ""),
        ("sys.exit('set FOO first')", ": it exited with 'set FOO first'"),
        ("sys.exit()", ": it exited with None"),
    ],
)
def test_a_managepy_that_starts_no_command_is_told(project, ending, how):
    edit_manage(project, "execute_from_command_line(sys.argv)", ending)
    done = ask(project)
    sentence = f"manage.py never reached execute_from_command_line{how}\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", sentence)


def test_a_managepy_that_swallows_everything_hides_no_failure(project):
    edit_manage(
        project,
        "execute_from_command_line(sys.argv)",
        "try:\n        execute_from_command_line(sys.argv)\n    except BaseException:\n        sys.exit(0)",
    )
    done = ask(project, DJANGO_SETTINGS_MODULE="nowhere.settings")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'nowhere'"


def test_a_managepy_that_is_not_there_is_told(project):
    (project.folder / "manage.py").unlink()
    done = ask(project)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("FileNotFoundError: [Errno 2] No such file or directory")


def test_a_master_that_refuses_is_told_without_the_password(project):
    done = ask(project, DB_PASSWORD="hunter2-hunter2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].endswith('FATAL: password authentication failed for user "postgres"')
    assert "hunter2" not in done.stderr


def test_a_traceback_tells_no_password(project):
    settings = project.folder / "acme" / "settings.py"
    settings.write_text(settings.read_text() + '\nraise RuntimeError("no answer from postgres://me:hunter2@db/acme")\n')
    done = ask(project)
    assert done.stderr.splitlines()[-1] == "RuntimeError: no answer from postgres://me:***@db/acme"
    assert "Traceback" in done.stderr
    assert "hunter2" not in done.stderr


def test_an_unknown_framework_is_told(project):
    done = ask(project, framework="nonsense")
    reason = "LookupError: no question for the framework `nonsense`, only for databases, django-pgschemas, "
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(reason)


def test_it_is_python_3_8():
    assert ast.parse(STATUS, feature_version=(3, 8)).body


# ---------------------------------------------------------------- who is at work


def test_busy_names_those_that_are_connected(project):
    names = ["opskit/r1/acme", "opskit/r1/" + "long" * 20, "opskit/r1/é", "opskit/r1/idle"]
    with contextlib.ExitStack() as stack:
        for name in names[:3]:
            stack.enter_context(named_connection(project, name))
        stack.enter_context(named_connection(project, names[3], at_work=False))
        assert answer(project, {"busy": names})["busy"] == names[:3]
        assert {"opskit/r1/acme", names[1][:63]} <= set(answer(project, {"busy_of": "opskit/r1/"})["busy"])
        assert answer(project, {"busy_of": "opskit/r2/"})["busy"] == []


def test_busy_asks_the_other_servers_that_tenants_have_their_databases_on(project):
    with servers.postgres() as other:
        other.new_database(name="d02")
        project.create(project.database_row("d01", **other.django("nowhere")))  # the first that it is tried with
        project.create(project.database_row("d02", **other.django("d02")))
        with named_connection(project, "opskit/r1/d02", server=other), named_connection(project, "opskit/r1/s01"):
            asked = {"busy": ["opskit/r1/d01", "opskit/r1/d02", "opskit/r1/s01"]}
            assert answer(project, asked)["busy"] == ["opskit/r1/d02", "opskit/r1/s01"]
            assert answer(project, {"busy_of": "opskit/r1/"})["busy"] == ["opskit/r1/d02", "opskit/r1/s01"]
        assert answer(project, asked)["busy"] == []


def test_a_server_that_does_not_answer_keeps_nobody_from_asking_the_others(project):
    nowhere = {"HOST": servers.LOOPBACK, "PORT": str(servers.free_port())}
    project.create(*(project.database_row(f"d0{number}", **nowhere) for number in (1, 2)))
    with named_connection(project, "opskit/r1/s01"):
        assert answer(project, {"busy": ["opskit/r1/s01"]})["busy"] == ["opskit/r1/s01"]


@contextlib.contextmanager
def named_connection(project, name, at_work=True, server=None):
    server = server or project.postgres
    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, application_name=name
    ) as connection:
        if at_work:
            connection.execute("SELECT 1")  # a transaction is open: it may yet commit
        yield connection


# ---------------------------------------------------------------- opskit.tenants


ROWS = [
    {"tenant_id": "acme", "name": "Acme", "applied": ["a.1", "a.2", "a.3", "a.4"], "pending": ["a.5"]},
    {"tenant_id": "lost", "name": "Lost", "applied": [], "pending": [], "error": "no such file"},
    {"tenant_id": "whole", "name": "Whole", "applied": ["a.1"], "pending": [], "unrecorded": ["a.1_squashed"]},
]
ROWS = [{**row, "isolation_type": "schema"} for row in ROWS]

COMMAND = """
import json
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("--status", action="store_true")
        parser.add_argument("--format")

    def handle(self, *args, **options):
        assert options["status"] and options["format"] == "json"
        print("a stray line")
        self.stdout.write(json.dumps({rows!r}))
"""

SETTINGS = """
SECRET_KEY = "only for tests"
INSTALLED_APPS = ["django.contrib.contenttypes", "tenants"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "master.sqlite3"}}
"""


def sqlite_project(folder, rows):
    commands = folder / "tenants" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "showtenants.py").write_text(COMMAND.replace("{rows!r}", repr(rows)))
    (folder / "settings.py").write_text(SETTINGS)
    manage = (omnitenant.SOURCE / "manage.py").read_text()
    (folder / "manage.py").write_text(manage.replace("acme.settings", "settings"))


def ask_opskit(folder):
    return subprocess.run(
        [sys.executable, "-u", "-c", STATUS, "opskit", "manage.py", '{"busy": ["x"]}'],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def listed(tenant_id):
    return {"tenant_id": tenant_id, "name": tenant_id.capitalize(), "isolation_type": "schema"}


def test_opskit_tenants_answer_with_their_own_command(tmp_path):
    sqlite_project(tmp_path, ROWS)
    done = ask_opskit(tmp_path)
    said = json.loads(done.stdout)
    assert said["tenants"] == [
        {**listed("acme"), "applied": 4, "latest": ["a.2", "a.3", "a.4"], "pending": ["a.5"], "error": ""},
        {**listed("lost"), "applied": 0, "latest": [], "pending": [], "error": "no such file"},
        {
            **listed("whole"),
            "applied": 1,
            "latest": ["a.1"],
            "pending": [],
            "error": "",
            "unrecorded": ["a.1_squashed"],
        },
    ]
    assert said["shared"] == {"pending": CONTRIB[:2]}
    assert "busy" not in said  # no PostgreSQL
    assert done.stderr == "a stray line\n"


def test_a_listing_that_fails_on_a_current_master_is_a_failure(tmp_path):
    sqlite_project(tmp_path, [{"name": "no id"}])
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=tmp_path, check=True)
    done = ask_opskit(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "KeyError: 'applied'"
