"""What is pending, asked of real projects on the frameworks that keep a schema a tenant, and on many databases."""

import json
import re

import pytest
import tenancies
from remote.test_status import STATUS

SCHEMAS = ["django-tenants", "django-pgschemas", "django-tenant-schemas"]
EVERY = [*SCHEMAS, "databases"]
ONE = {
    "django-tenants": "migrate_schemas --executor=standard --schema={}",
    "django-pgschemas": "migrateschema --no-create-schemas --schema={}",
    "django-tenant-schemas": "migrate_schemas --schema={}",
    "databases": "migrate --database={}",
}
MINE = {"django-pgschemas": ["www", "sample"]}  # that the settings name, before those of the table


def ask(project, **params):
    question = json.dumps({"aliases": ["s*"], **params})
    return project.run("-u", "-c", STATUS, project.framework, "manage.py", question)


def answer(project, **params):
    done = ask(project, **params)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tenants(project, **params):
    """Those that a test has made."""
    made = {row["tenant_id"]: row for row in answer(project, **params)["tenants"]}
    return {name: row for name, row in made.items() if name not in MINE.get(project.framework, ())}


def pending(project):
    return {name: row["pending"] for name, row in tenants(project).items()}


def everything(project):
    """All that there is in the shared database, and in those of the aliases."""
    databases = [project.database, *(f"{project.database}_{alias.partition('=')[0]}" for alias in project.aliases)]
    return {
        (name, *row)
        for name in databases
        for row in project.execute(
            "SELECT n.nspname, c.relname FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid "
            "WHERE n.nspname !~ '^(pg_|information_schema)'",
            database=name,
        )
    }


@pytest.fixture
def new(postgres, tmp_path):
    return lambda framework: tenancies.new_project(framework, postgres, tmp_path)


@pytest.fixture(params=EVERY)
def project(request, new):
    return new(request.param)


# ---------------------------------------------------------------- pending


def test_a_migrated_fleet_has_nothing_pending_and_says_where_it_lives(project):
    project.create("s02", "s01")
    found = answer(project)
    listed = [row["tenant_id"] for row in found["tenants"]]
    states = tenants(project)
    assert [*MINE.get(project.framework, []), "s02", "s01"] == listed
    assert found["shared"] == {"pending": []}
    for name, row in states.items():
        database, schema = project._home(name)
        server = f"127.0.0.1:{project.postgres.port}"
        by_schema = project.framework != "databases"
        assert row == {
            "tenant_id": name,
            "name": name.title() if by_schema else "",
            "isolation_type": "schema" if by_schema else "database",
            "applied": len(project.history(name)),
            "latest": project.history(name)[-3:],
            "pending": [],
            "error": "",
            "place": [server, database, schema if by_schema else ""],
            "cut": False,
        }


def test_pending_is_what_the_framework_applies_in_its_order(project):
    project.create("s01", "s02")
    project.add_migration()
    project.add_migration("invoices", "invoice", "note", "0003_invoice_note")
    told = pending(project)["s01"]
    said = project.manage(*ONE[project.framework].format("s01").split()).stdout
    assert sorted(told) == ["invoices.0003_invoice_note", "members.0004_member_phone"]
    assert told == re.findall(r"Applying (\S+)\.\.\.\s+OK", said)
    assert pending(project) == {"s01": [], "s02": told}


def test_a_squashed_migration_is_pending_or_to_be_recorded_as_the_framework_sees_it(project):
    """Of s01 it lacks only the record, of s02 one of the parts, of s03 all."""
    project.create("s01", "s02")
    project.create("s03", migrate=False)
    if project.framework != "databases":
        project.execute("CREATE SCHEMA s03")
    _forget(project, "s02", "0003_member_joined")
    squash = project.squash()
    found = tenants(project)
    told = {
        name: ([each for each in row["pending"] if "members" in each], row.get("unrecorded"))
        for name, row in found.items()
    }
    assert told == {"s01": ([], [squash]), "s02": (["members.0003_member_joined"], None), "s03": ([squash], None)}
    for name in found:
        said = project.manage(*ONE[project.framework].format(name).split()).stdout
        assert found[name]["pending"] == re.findall(r"Applying (\S+)\.\.\.\s+OK", said)
    assert [squash in project.history(name) for name in found] == [True, True, True]
    assert [(row["pending"], row.get("unrecorded")) for row in tenants(project).values()] == [([], None)] * 3


def _forget(project, tenant, name):
    """Bring a tenant back to before a migration that added the column `joined`."""
    database, schema = project._home(tenant)
    for statement in (
        f'ALTER TABLE "{schema}".members_member DROP COLUMN joined',
        f"DELETE FROM \"{schema}\".django_migrations WHERE app = 'members' AND name = '{name}'",
    ):
        project.execute(statement, database=database)


@pytest.mark.parametrize("framework", SCHEMAS)
def test_a_migration_of_the_tenants_alone_is_not_pending_in_the_shared_schema(new, framework):
    project = new(framework)
    project.create("s01")
    project.add_migration()
    assert answer(project)["shared"] == {"pending": []}


@pytest.mark.parametrize("framework", SCHEMAS)
def test_a_migration_of_the_shared_apps_is_pending_there(new, framework):
    project = new(framework)
    added = project.add_shared_migration()
    project.add_migration()
    assert answer(project)["shared"] == {"pending": [added]}


@pytest.mark.parametrize("framework", SCHEMAS)
def test_a_tenant_table_that_is_not_there_says_why_it_lists_nobody(new, postgres, framework):
    project = new(framework)
    empty = tenancies.Project(project.folder, postgres, postgres.new_database(), framework=framework)
    found = answer(empty)
    assert (found["tenants"], "customers.0001_initial" in found["shared"]["pending"]) == ([], True)
    assert 'relation "customers_customer" does not exist' in found["listing_error"]


# ---------------------------------------------------------------- which framework


def test_a_project_is_asked_which_framework_it_is_on(project):
    project.create("s01")
    done = project.run("-u", "-c", STATUS, "auto", "manage.py", "{}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if project.framework == "databases":  # no app tells
        assert found == {"v": 1, "frameworks": []}
    else:
        assert found["framework"] == project.framework
        assert found["tenants"] == answer(project)["tenants"]


# ---------------------------------------------------------------- nothing is created


def test_nothing_is_created(project):
    project.create("s01")
    if project.framework != "databases":
        project.create("s02", migrate=False)
        project.execute("CREATE SCHEMA s02")
    project.add_migration()
    before = everything(project)
    states = tenants(project)
    assert everything(project) == before
    if project.framework != "databases":
        assert len(states["s02"]["pending"]) == len(project.history("s01")) + 1


@pytest.mark.parametrize("framework", SCHEMAS)
def test_a_tenant_without_its_schema_is_refused(new, framework):
    """Their commands fail, or create one, or write where the search path leads next: the public schema."""
    project = new(framework)
    project.create("s01", "s02", migrate=False)
    project.execute("CREATE SCHEMA s02")
    before = everything(project)
    found = tenants(project)
    assert (found["s01"]["error"], found["s01"]["pending"]) == ("LookupError: there is no schema s01", [])
    assert (found["s02"]["error"], found["s02"]["pending"][:1]) == ("", ["contenttypes.0001_initial"])
    assert everything(project) == before


# ---------------------------------------------------------------- who is a tenant


@pytest.mark.parametrize("framework", ["django-tenants", "django-tenant-schemas"])
def test_a_row_for_the_public_schema_is_no_tenant(new, framework):
    project = new(framework)
    project.create("public", migrate=False)
    project.create("s01")
    assert list(tenants(project)) == ["s01"]


def test_pgschemas_static_schemas_and_what_it_clones_are_migrated_too(new):
    project = new("django-pgschemas")
    project.create("s01")
    omitted = {row["tenant_id"]: (row["name"], row["error"]) for row in answer(project)["tenants"]}
    assert omitted == {
        "www": ("static schema", "LookupError: there is no schema www"),
        "sample": ("clone reference", "LookupError: there is no schema sample"),
        "s01": ("S01", ""),
    }


def test_django_tenants_own_order_is_kept(new):
    project = new("django-tenants")
    project.create("s02", "s03", "s01")
    settings = project.folder / "acme" / "settings" / "django_tenants.py"
    settings.write_text(settings.read_text() + 'TENANT_MIGRATION_ORDER = ["schema_name"]\n')
    assert list(tenants(project)) == ["s01", "s02", "s03"]


def test_the_default_alias_never_is_a_tenant(new):
    project = new("databases")
    project.create("s01", "other")
    assert list(tenants(project, aliases=["*"])) == ["s01", "other"]
    assert list(tenants(project, aliases=["s*"])) == ["s01"]


@pytest.mark.parametrize("pattern", ["x_*", "default", "S*"])
def test_a_glob_that_matches_no_alias_is_told(new, pattern):
    project = new("databases")
    project.create("s01")
    done = ask(project, aliases=["s*", pattern])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        f"LookupError: nothing in DATABASES but `default` may be a tenant, and matches {pattern}"
    )


# ---------------------------------------------------------------- places


def test_an_alias_of_the_default_database_is_refused(new):
    project = new("databases")
    project.create("s01")
    project.aliases.append(f"s02={project.database}")
    found = tenants(project)
    assert (found["s01"]["error"], found["s02"]["error"]) == (
        "",
        "ValueError: it is the default database: its migrations would run there",
    )


def test_two_aliases_of_one_database_are_in_one_place(new):
    project = new("databases")
    project.create("s01")
    project.aliases.append(f"s02={project.database}_s01")
    found = tenants(project)
    assert found["s01"]["place"] == found["s02"]["place"]


def test_a_default_database_that_is_no_postgresql_hides_nobody_at_work_on_those_of_the_tenants(new, tmp_path):
    project = new("databases")
    project.create("s01")
    settings = project.folder / "acme" / "settings" / "databases.py"
    settings.write_text(
        settings.read_text()
        + f'DATABASES["default"] = {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{tmp_path}/default.sqlite3"}}\n'
    )
    with project.postgres.connect() as connection:
        connection.execute("SET application_name = 'opskit/r1/s01'")
        connection.execute("BEGIN")
        assert answer(project, busy=["opskit/r1/s01"])["busy"] == ["opskit/r1/s01"]


def test_a_database_that_is_not_there_is_an_error_of_its_alias(new):
    project = new("databases")
    project.create("s01")
    project.aliases.append("s02")
    found = tenants(project)
    assert found["s01"]["error"] == ""
    assert found["s02"]["error"].endswith(f'FATAL: database "{project.database}_s02" does not exist')


@pytest.mark.parametrize("framework", ["django-pgschemas", "django-tenant-schemas"])
def test_where_schemas_are_named_without_quotes_two_that_differ_in_case_are_in_one_place(new, framework):
    project = new(framework)
    project.create("s01")
    project.create("S01", migrate=False)
    project.execute('CREATE SCHEMA "S01"')
    found = tenants(project)
    assert found["S01"]["place"] == found["s01"]["place"]
    assert found["S01"]["applied"] == len(project.history("s01"))


def test_django_tenants_keeps_them_apart(new):
    project = new("django-tenants")
    project.create("s01")
    project.execute("INSERT INTO customers_customer (schema_name, name) VALUES ('S01', 'x')")
    project.execute('CREATE SCHEMA "S01"')
    found = tenants(project)
    assert found["S01"]["place"] != found["s01"]["place"]
    assert (found["S01"]["applied"], found["S01"]["pending"] != []) == (0, True)


def test_two_names_that_postgresql_cuts_to_one_are_one_place(new):
    project = new("django-tenants")
    names = ["é" * 40, "é" * 40 + "2"]
    project.create(names[0])
    project.execute("INSERT INTO customers_customer (schema_name, name) VALUES (%s, 'x')", names[1])
    found = tenants(project)
    assert [found[name]["cut"] for name in names] == [True, True]
    assert found[names[0]]["place"] == found[names[1]]["place"]
    assert found[names[1]]["applied"] == found[names[0]]["applied"] > 0


def test_no_message_tells_a_password(project):
    project.aliases.append("s01")
    done = project.run(
        "-u", "-c", STATUS, project.framework, "manage.py", '{"aliases": ["s*"]}', DB_PASSWORD="wrong-horse"
    )
    assert done.returncode == 1
    assert "wrong-horse" not in done.stdout + done.stderr
    assert "password authentication failed" in done.stderr.splitlines()[-1]
