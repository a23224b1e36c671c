"""What failures have in common, by what real packages and a real PostgreSQL say."""

import captured
import psycopg
import pytest

from opskit import model
from opskit.frameworks import django, fingerprint, omnitenant, tenants_app
from opskit.transport import lines


def reply(name: str) -> model.Reply:
    """A captured reply, with the marks and the tail that a transport makes of it."""
    kept = captured.read(name)
    heard = lines.Lines(omnitenant.FRAMEWORK.marks)
    heard.feed(kept.output.encode())
    heard.end()
    return model.Reply(exit=kept.exit, marks=heard.marks, tail=heard.tail)


def judged(name: str, framework=omnitenant) -> model.Outcome:
    tenant = dict(word.partition("=")[::2] for word in captured.read(name).args).get("--tenant-id", "acme")
    return framework.judge(model.Tenant(tenant), reply(name))


REFUSED = "companies.0002_refused"
GOLDEN = [
    ("django-5.2.19/migrate-unique-violation", django, ("UniqueViolation", "23505", REFUSED, "could not create unique index …")),
    ("django-5.2.19/migrate-not-null-violation", django, ("NotNullViolation", "23502", REFUSED, "null value in column … of relation … violates not-null constraint")),
    ("django-5.2.19/migrate-undefined-table", django, ("UndefinedTable", "42P01", REFUSED, "relation … does not exist")),
    ("django-5.2.19/migrate-statement-timeout", django, ("QueryCanceled", "57014", REFUSED, "canceling statement due to statement timeout")),
    ("django-5.2.19/migrate-lock-timeout", django, ("LockNotAvailable", "55P03", REFUSED, "canceling statement due to lock timeout")),
    ("omnitenant-1.0.2/migratetenant-failed-column-exists", omnitenant, ("DuplicateColumn", "42701", "members.0004_member_phone", "column … of relation … already exists")),
    ("omnitenant-1.0.2/migratetenant-failed-lock-timeout", omnitenant, ("LockNotAvailable", "55P03", "members.0004_member_phone", "canceling statement due to lock timeout")),
    ("omnitenant-1.0.2/migratetenant-failed-no-database", omnitenant, ("InvalidCatalogName", "3D000", "", "connection failed: connection to server at …, port … failed: FATAL: database … does not exist")),
    ("omnitenant-1.0.2/migratetenant-failed-in-python", omnitenant, ("", "", "invoices.0003_refuse", "… members have no email")),
    ("omnitenant-1.0.2/migratetenant-unknown-app", omnitenant, ("", "", "", "No installed app with label ….")),
    ("omnitenant-1.0.2/migratetenant-bad-option", omnitenant, ("", "", "", "it exited …, and said last: manage.py migratetenant: error: unrecognized arguments: --no-input")),
    ("omnitenant-1.0.2/migratetenant-connection-refused", omnitenant, ("OperationalError", "", "", "connection failed: connection to server at …, port … failed: Connection refused")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "framework", "expected"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_a_captured_failure_has_this_fingerprint(name, framework, expected):
    assert model.Fingerprint(*expected) == judged(name, framework).fingerprint


def test_what_did_not_fail_has_none():
    names = ("migratetenant-ok", "migratetenant-nothing-to-do")
    assert [None, None] == [judged(f"omnitenant-1.0.2/{name}").fingerprint for name in names]
    assert django.judge(model.Tenant("a"), model.Reply(exit=None, tail="ValueError: x\n")).fingerprint is None


def test_a_lock_is_tried_again_and_a_slow_statement_is_not():
    golden = ("django-5.2.19/migrate-lock-timeout", "django-5.2.19/migrate-statement-timeout")
    assert [True, False] == [judged(name, django).retryable for name in golden]
    assert judged("omnitenant-1.0.2/migratetenant-failed-lock-timeout").retryable


TRANSLATED = """psycopg.errors.LockNotAvailable: storniere Anfrage wegen Zeitüberschreitung einer Sperre

The above exception was the direct cause of the following exception:

django.db.utils.OperationalError: storniere Anfrage wegen Zeitüberschreitung einer Sperre
"""


def test_a_server_that_speaks_another_language_is_known_by_the_drivers_class():
    outcome = django.judge(model.Tenant("a"), model.Reply(exit=1, tail=TRANSLATED))
    assert ("LockNotAvailable", "55P03", True) == (
        outcome.fingerprint.exception,
        outcome.fingerprint.sqlstate,
        outcome.retryable,
    )


def test_a_drivers_exception_that_was_caught_is_not_the_cause_of_another():
    tail = TRANSLATED + "\nDuring handling of the above exception, another exception occurred:\n\nValueError: no rate\n"
    assert model.Fingerprint("ValueError", text="no rate") == fingerprint.of("a", (), tail, "ValueError: no rate")


def test_an_exception_of_python_is_none_of_postgresqls_though_it_says_the_same():
    assert "" == fingerprint.of("a", (), "", "OSError: could not extend file").sqlstate
    assert "" == fingerprint.of("a", (), "", "SyntaxError: syntax error at or near").sqlstate


def test_the_events_of_the_tenants_app_are_told_from_their_sentence():
    told = 'ProgrammingError: column "phone" of relation "members_member" already exists LINE 1: ALTER'
    event = f'{{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": {{"tenant": "a", "status": "failed", "error": "{told}"}}}}'
    marks = (
        "  Applying members.0004_phone... FAILED",
        event.replace('"phone"', r"\"phone\"").replace('"members_member"', r"\"members_member\""),
    )
    outcome = tenants_app.judge(model.Tenant("a"), model.Reply(exit=1, marks=marks))
    expected = model.Fingerprint(
        "DuplicateColumn", "42701", "members.0004_phone", "column … of relation … already exists"
    )
    assert expected == outcome.fingerprint


AT_WORK = [
    ((), ""),
    (("  Applying a.0001_x... OK",), ""),
    (("  Applying a.0001_x... OK", "  Applying a.0002_y...Traceback (most recent call last):"), "a.0002_y"),
    (("  Applying a.0001_x...counting", "  Applying a.0002_y... OK"), ""),
    (("  Applying a.0002_y...", "Migrations failed for tenant 's04': no"), "a.0002_y"),
    (("  Applying a.0002_y... FAILED",), "a.0002_y"),
]  # fmt: skip


@pytest.mark.parametrize(("marks", "expected"), AT_WORK)
def test_the_migration_at_work_is_the_last_that_began_and_did_not_end(marks, expected):
    assert expected == fingerprint.at_work(marks)


SAME = [
    ('relation "acme_members" does not exist', "relation … does not exist"),
    ("Relation »acme« existiert nicht", "Relation … existiert nicht"),
    ("role «acme» n'existe pas", "role … n'existe pas"),
    ("key 'a b' isn't there, and 'c' isn't", "key … isn't there, and … isn't"),
    ("42 members have no email", "… members have no email"),
    ("took 3.5 s", "took … s"),
    ("tenant acme failed", "tenant … failed"),
    ("schema acme_eu failed", "schema acme_eu failed"),
    ("cannot connect to db1.example.com:5432", "cannot connect to …"),
    ("cannot connect to db.eu.example.com", "cannot connect to …"),
    ("cannot connect to 10.0.0.17", "cannot connect to …"),
    ("cannot connect to fe80::1", "cannot connect to …"),
    ("GET https://api.example.com/v1/acme?x=1 failed", "GET … failed"),
    ("no file /srv/acme/media/logo.png there", "no file … there"),
    ("member 7f6d2c1e-9b1a-4c58-8a3e-0f2d6a1b9c4d is doubled", "member … is doubled"),
    ("shop.0002_more is gone", "shop.… is gone"),
    ("violates x DETAIL: Key (sku)=(a) is duplicated.", "violates x"),
    ("no such column LINE 1: SELECT", "no such column"),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "expected"), SAME)
def test_what_tells_tenants_apart_is_taken_out(sentence, expected):
    assert expected == fingerprint.general(sentence, "acme")


def test_a_short_id_may_be_a_word_of_the_sentence_and_stays():
    assert "no such table" == fingerprint.general("no such table", "no")


def test_a_long_sentence_is_cut():
    assert 200 == len(fingerprint.general("x" * 1000, "acme"))


SHOWN = [
    (("UniqueViolation", "23505", "billing.0042_once", "could not …"), "UniqueViolation in billing.0042: could not …"),
    (("UniqueViolation", "23505", "", "could not …"), "UniqueViolation: could not …"),
    (("", "", "billing.0042_once", "timed out after …"), "timed out after … in billing.0042"),
    (("ValueError", "", "billing.initial", "x"), "ValueError in billing.initial: x"),
    (("", "", "", "x"), "x"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "expected"), SHOWN)
def test_a_fingerprint_is_a_sentence(fields, expected):
    assert expected == str(model.Fingerprint(*fields))


# ---------------------------------------------------------------- the table, held against the driver and the server


@pytest.mark.parametrize("condition", fingerprint.CONDITIONS, ids=lambda condition: condition.name)
def test_psycopg_calls_an_sqlstate_so(condition):
    assert condition.name == psycopg.errors.lookup(condition.sqlstate).__name__


PREPARED = """
CREATE TABLE t (id int PRIMARY KEY, n int UNIQUE, up int REFERENCES t, word varchar(3));
INSERT INTO t VALUES (1, 1, NULL, 'a'), (2, 2, NULL, 'a');
CREATE TABLE other (id int); CREATE SCHEMA s; CREATE TYPE kind AS ENUM ('a');
CREATE VIEW v AS SELECT word FROM t; CREATE ROLE nobody_there;
"""
STATEMENTS = [
    ("UniqueViolation", "INSERT INTO t VALUES (1, 9)"),
    ("UniqueViolation", "CREATE UNIQUE INDEX i ON t (word)"),
    ("NotNullViolation", "INSERT INTO t (n) VALUES (9)"),
    ("NotNullViolation", "ALTER TABLE t ALTER up SET NOT NULL"),
    ("ForeignKeyViolation", "INSERT INTO t VALUES (9, 9, 99)"),
    ("CheckViolation", "ALTER TABLE t ADD CONSTRAINT c CHECK (id > 1)"),
    ("ExclusionViolation", "ALTER TABLE t ADD EXCLUDE (word WITH =)"),
    ("DuplicateColumn", "ALTER TABLE t ADD COLUMN n int"),
    ("DuplicateTable", "CREATE TABLE other (id int)"),
    ("DuplicateSchema", "CREATE SCHEMA s"),
    ("DuplicateObject", "CREATE TYPE kind AS ENUM ('a')"),
    ("DuplicateObject", "ALTER TABLE t ADD CONSTRAINT t_n_key CHECK (true)"),
    ("UndefinedColumn", "ALTER TABLE t DROP COLUMN gone"),
    ("UndefinedColumn", "SELECT gone FROM t"),
    ("UndefinedTable", "SELECT 1 FROM gone"),
    ("UndefinedTable", "DROP TABLE gone"),
    ("UndefinedObject", "ALTER TABLE t DROP CONSTRAINT gone"),
    ("UndefinedObject", "DROP INDEX gone"),
    ("InvalidSchemaName", "CREATE TABLE gone.t (id int)"),
    ("InsufficientPrivilege", "SET ROLE nobody_there; SELECT 1 FROM t"),
    ("InsufficientPrivilege", "SET ROLE nobody_there; ALTER TABLE t ADD COLUMN x int"),
    ("DependentObjectsStillExist", "DROP TABLE t"),
    ("DatatypeMismatch", "ALTER TABLE other ALTER id TYPE date"),
    ("StringDataRightTruncation", "INSERT INTO t VALUES (9, 9, NULL, 'long')"),
    ("InvalidTextRepresentation", "SELECT 'x'::int"),
    ("NumericValueOutOfRange", "SELECT 2147483647 + 1"),
    ("NumericValueOutOfRange", "SELECT 123::numeric(2)"),
    ("SyntaxError", "SELEC 1"),
    ("QueryCanceled", "SET statement_timeout = 20; SELECT pg_sleep(9)"),
    ("ReadOnlySqlTransaction", "SET default_transaction_read_only = on; INSERT INTO other VALUES (1)"),
]  # fmt: skip


@pytest.fixture(scope="module")
def database(postgres):
    name = postgres.new_database("conditions")
    postgres.execute(PREPARED, database=name)
    return name


@pytest.mark.parametrize(("name", "sql"), STATEMENTS)
def test_postgresql_says_it_in_this_sentence(postgres, database, name, sql):
    *before, last = sql.split("; ")
    with postgres.connect(database) as connection:
        for statement in before:
            connection.execute(statement)
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(last)
    condition = next(each for each in fingerprint.CONDITIONS if each.name == name)
    sentence = str(raised.value).splitlines()[0]
    assert (name, condition.sqlstate) == (type(raised.value).__name__, raised.value.sqlstate)
    assert condition == fingerprint._condition("", sentence, "")


def test_two_tenants_that_fail_alike_have_one_fingerprint(postgres, database):
    said = []
    for tenant in ("acme", "globex"):
        postgres.execute(f"CREATE TABLE {tenant} (id int); INSERT INTO {tenant} VALUES (1), (1)", database=database)
        with pytest.raises(psycopg.Error) as raised:
            postgres.execute(f'CREATE UNIQUE INDEX "{tenant}_once" ON {tenant} (id)', database=database)
        said.append(str(raised.value).splitlines()[0])
    assert 2 == len(set(said))
    assert 1 == len(
        {fingerprint.of(tenant, (), "", text) for tenant, text in zip(("acme", "globex"), said, strict=True)}
    )
