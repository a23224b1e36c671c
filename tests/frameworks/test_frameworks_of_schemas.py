"""django-tenants, django-pgschemas, django-tenant-schemas and plain Django, by the replies captured from them."""

import captured
import pytest

from opskit import frameworks, model, testing
from opskit.frameworks import Target

MIGRATED, FAILED, UNKNOWN = model.Status.MIGRATED, model.Status.FAILED, model.Status.UNKNOWN
FOLDERS = [
    "databases-5.2.19",
    "django-pgschemas-1.1.1",
    "django-pgschemas-1.3.2",
    "django-tenant-schemas-2.0.0",
    "django-tenants-4.0.1",
]
PHONE = ("members.0004_member_phone",)
EXISTS = 'ProgrammingError: column "phone" of relation "members_member" already exists'
NOBODY = {
    "databases": (
        "it exited 2, and said last: manage.py migrate: error: argument --database: invalid choice: 'nobody' "
        "(choose from 'default', 's01', 's02', 's03', 's04')"
    ),
    "django-pgschemas": "CommandError: No schema found for 'nobody'",
    "django-tenant-schemas": 'MigrationSchemaMissing: Schema "nobody" does not exist',
    "django-tenants": 'RuntimeError: Schema "nobody" does not exist',
}


def framework(name: str) -> frameworks.Framework:
    return frameworks.get(model.Environment("prod", (), model.App("/srv"), name, aliases=("s*",)))


def of(folder: str) -> frameworks.Framework:
    return framework(folder.rpartition("-")[0])


def judged(folder: str, name: str, **changed) -> model.Outcome:
    """The outcome of a captured reply, with the marks that a transport makes of it."""
    reply = captured.read(f"{folder}/{name}")
    scripted = model.Reply(**{"exit": reply.exit, "out": reply.output, **changed})
    fleet = testing.ScriptedFleet({"t": scripted})
    made = of(folder)
    return made.judge(model.Tenant("t"), fleet.run(model.Command(()), "t", made.marks, lambda *_: None))


COMMANDS = {
    "databases": ("migrate", "--database=a b; rm -rf /", "--noinput"),
    "django-pgschemas": ("migrateschema", "--schema=a b; rm -rf /", "--no-create-schemas", "--noinput"),
    "django-tenant-schemas": ("migrate_schemas", "--schema=a b; rm -rf /", "--executor=standard", "--noinput"),
    "django-tenants": ("migrate_schemas", "--schema=a b; rm -rf /", "--executor=standard", "--noinput"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_id_stays_inside_its_option(name):
    made = framework(name)
    assert COMMANDS[name] == made.migrate(model.Tenant("a b; rm -rf /"), Target()).args
    assert "--schema=--all" in made.migrate(model.Tenant("--all"), Target()).args or name == "databases"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_survey_lists_the_tenants_too(name):
    made = framework(name)
    assert (made.name, made.list, made.read_list) == (name, None, None)
    assert (made.survey.question, made.survey.args[0]) == ("status", name)


def test_the_aliases_go_with_the_question():
    assert framework("databases").survey.args == ("databases", '{"aliases": ["s*"]}')


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_captured_commands_are_the_ones_that_we_send(folder):
    made = of(folder)
    assert captured.read(f"{folder}/ok").args == made.migrate(model.Tenant("s01"), Target()).args
    one = made.migrate(model.Tenant("s03"), Target("members", "0004"))
    assert captured.read(f"{folder}/ok-one-migration").args == one.args
    assert captured.read(f"{folder}/shared-ok").args == made.shared.args


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_success(folder):
    for name in ("ok", "ok-one-migration", "shared-ok"):
        outcome = judged(folder, name)
        assert (outcome.status, outcome.error) == (MIGRATED, "")
        # django-tenant-schemas writes the OK on a line of its own: what was applied is the verification's to say
        assert outcome.applied == (() if "tenant-schemas" in folder else PHONE)
    assert (judged(folder, "nothing-to-do").status, judged(folder, "nothing-to-do").applied) == (MIGRATED, ())


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("failed-column-exists", EXISTS),
        ("failed-lock-timeout", "OperationalError: canceling statement due to lock timeout"),
        ("failed-in-python", "ValueError: 42 members have no email"),
        (
            "connection-refused",
            'OperationalError: connection failed: connection to server at "127.0.0.1", port 5432 failed: '
            "Connection refused",
        ),
    ],
)
def test_a_failure_has_its_own_sentence(folder, name, error):
    outcome = judged(folder, name)
    assert (outcome.status, outcome.error, outcome.applied) == (FAILED, error, ())
    assert outcome.retryable is (name == "failed-lock-timeout")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_tenant_that_is_not_there(folder):
    outcome = judged(folder, "unknown-tenant")
    assert (outcome.status, outcome.error) == (FAILED, NOBODY[folder.rpartition("-")[0]])


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_end_that_nobody_knows_is_unknown(folder):
    outcome = judged(folder, "ok", exit=None, error="the connection was closed")
    assert (outcome.status, outcome.error) == (UNKNOWN, "the connection was closed")


@pytest.mark.parametrize("folder", [each for each in FOLDERS if "pgschemas" in each])
def test_pgschemas_takes_a_beginning_of_a_domain_for_a_schema(folder):
    """What it says is a success of another tenant's: only the verification sees that this one is gone."""
    reply = captured.read(f"{folder}/ok-of-another-by-its-domain")
    assert ("--schema=s04." in reply.args, reply.exit) == (True, 0)
    assert judged(folder, "ok-of-another-by-its-domain").status is MIGRATED
