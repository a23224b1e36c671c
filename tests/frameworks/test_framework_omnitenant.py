"""django-omnitenant 1.0.2, by the replies that were captured from it."""

import captured
import pytest

from opskit import errors, model, testing
from opskit.frameworks import Target, omnitenant

FRAMEWORK = omnitenant.FRAMEWORK
MIGRATED, FAILED, UNKNOWN = model.Status.MIGRATED, model.Status.FAILED, model.Status.UNKNOWN
PASSWORD = "correct-horse-battery"  # in the captured listing


def golden(name: str) -> captured.Captured:
    return captured.read(f"omnitenant-1.0.2/{name}")


def printed(tenant: str, text: str, code: int | None = 0, **more) -> model.Reply:
    """The reply of a `migratetenant` that printed `text`, with the marks that a transport makes of it."""
    fleet = testing.ScriptedFleet({tenant: model.Reply(exit=code, out=text, **more)})
    return fleet.run(model.Command(()), tenant, FRAMEWORK.marks, lambda *_: None)


def judged(tenant: str, text: str, code: int | None = 0, **more) -> tuple[model.Status, str, tuple[str, ...]]:
    outcome = FRAMEWORK.judge(model.Tenant(tenant), printed(tenant, text, code, **more))
    assert tenant == outcome.tenant
    return outcome.status, outcome.error, outcome.applied


def test_the_commands_are_those_that_it_takes():
    tenant = model.Tenant("a b; rm -rf /")
    assert ("showtenants", "--format=json") == FRAMEWORK.list.args
    assert ("migratetenant", "--tenant-id=a b; rm -rf /") == FRAMEWORK.migrate(tenant, Target()).args
    target = Target("members", "0004")
    assert ("migratetenant", "--tenant-id=s02", "members", "0004") == FRAMEWORK.migrate(
        model.Tenant("s02"), target
    ).args
    assert ("migrate", "--noinput") == FRAMEWORK.shared.args
    assert model.Command(args=("omnitenant", "{}"), question="status") == FRAMEWORK.survey


def test_an_id_that_starts_with_a_dash_stays_inside_its_option():
    assert ("migratetenant", "--tenant-id=--all") == FRAMEWORK.migrate(model.Tenant("--all"), Target()).args


@pytest.mark.parametrize("name", ["migratetenant-ok", "migratetenant-ok-one-migration"])
def test_the_captured_commands_are_the_ones_that_we_send(name):
    reply = golden(name)
    tenant = reply.args[1].removeprefix("--tenant-id=")
    assert reply.args == FRAMEWORK.migrate(model.Tenant(tenant), Target(*reply.args[2:])).args


EVERYTHING = (
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
    "companies.0001_initial",
    "members.0001_initial",
    "members.0002_member_email",
    "invoices.0001_initial",
    "invoices.0002_invoice_paid",
    "members.0003_member_joined",
    "members.0004_member_phone",
)
PHONE = ("members.0004_member_phone",)

OUTCOMES = [
    ("migratetenant-ok", "s01", MIGRATED, "", PHONE),
    ("migratetenant-ok-database", "d01", MIGRATED, "", PHONE),
    ("migratetenant-ok-one-migration", "s02", MIGRATED, "", PHONE),
    ("migratetenant-ok-everything", "s05", MIGRATED, "", EVERYTHING),
    ("migratetenant-nothing-to-do", "s01", MIGRATED, "", ()),
    (
        "migratetenant-failed-column-exists",
        "s04",
        FAILED,
        (
            'column "phone" of relation "members_member" already exists '
            "(it exited 0, but printed `Migrations failed for tenant 's04'`)"
        ),
        (),
    ),
    (
        "migratetenant-failed-lock-timeout",
        "s03",
        FAILED,
        "canceling statement due to lock timeout (it exited 0, but printed `Migrations failed for tenant 's03'`)",
        (),
    ),
    (
        "migratetenant-failed-no-database",
        "d04",
        FAILED,
        (
            'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
            "FATAL: database \"acme_d04\" does not exist (it exited 0, but printed `Migrations failed for tenant 'd04'`)"
        ),
        (),
    ),
    (
        "migratetenant-failed-in-python",
        "d02",
        FAILED,
        "42 members have no email (it exited 0, but printed `Migrations failed for tenant 'd02'`)",
        (),
    ),
    (
        "migratetenant-unknown-app",
        "s01",
        FAILED,
        "No installed app with label 'nothing'. (it exited 0, but printed `Migrations failed for tenant 's01'`)",
        (),
    ),
    (
        "migratetenant-unknown-tenant",
        "nobody",
        FAILED,
        (
            "CommandError: Tenant 'nobody' does not exist. Please create one with the tenant id 'nobody' first using: "
            "python manage.py createtenant"
        ),
        (),
    ),
    (
        "migratetenant-bad-option",
        "s01",
        FAILED,
        "it exited 2, and said last: manage.py migratetenant: error: unrecognized arguments: --no-input",
        (),
    ),
    (
        "migratetenant-connection-refused",
        "s01",
        FAILED,
        'OperationalError: connection failed: connection to server at "127.0.0.1", port 5432 failed: Connection refused',
        (),
    ),
]


@pytest.mark.parametrize(("name", "tenant", "status", "error", "applied"), OUTCOMES, ids=[row[0] for row in OUTCOMES])
def test_a_captured_reply_is_judged(name, tenant, status, error, applied):
    reply = golden(name)
    assert (status, error, applied) == judged(tenant, reply.output, reply.exit)


def test_every_captured_migratetenant_is_judged_here_or_has_its_reason():
    every = {path.stem for path in (captured.GOLDEN / "omnitenant-1.0.2").glob("migratetenant-*.txt")}
    ours_never = {
        "migratetenant-no-tenant",  # a command that we don't send
        "migratetenant-master-by-mistake",  # its reply is a good one: the survey refuses such a tenant
    }
    assert every == {row[0] for row in OUTCOMES} | ours_never


SUCCESS = "Migrations completed successfully for tenant 's01'.\n"

SAID = [
    ("the sentence alone is enough", SUCCESS, MIGRATED, ""),
    (
        "what others print while the process ends is not its word",
        f"{SUCCESS}Sentry is flushing 2 events\n",
        MIGRATED,
        "",
    ),
    (
        "another tenant's success is not this one's",
        "Migrations completed successfully for tenant 's011'.\n",
        FAILED,
        (
            "it exited 0 without its success sentence, and ended with "
            "`Migrations completed successfully for tenant 's011'.`"
        ),
    ),
    (
        "a success inside a line is somebody quoting",
        f"log: {SUCCESS}",
        FAILED,
        (
            "it exited 0 without its success sentence, and ended with "
            "`log: Migrations completed successfully for tenant 's01'.`"
        ),
    ),
    (
        "a failure outranks a success after it",
        f"Migrations failed for tenant 's01': no\n{SUCCESS}",
        FAILED,
        "no (it exited 0, but printed `Migrations failed for tenant 's01'`)",
    ),
    (
        "a migration after the sentence is not the end",
        f"{SUCCESS}  Applying app.0001_x... OK\n",
        FAILED,
        "it exited 0 without its success sentence, and ended with `  Applying app.0001_x... OK`",
    ),
    ("silence is no success", "", FAILED, "it exited 0 without its success sentence, and ended with `nothing`"),
    ("a sentence without its newline counts", SUCCESS.rstrip("\n"), MIGRATED, ""),
]


@pytest.mark.parametrize(("text", "status", "error"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_what_it_said_last_decides(text, status, error):
    assert (status, " ".join(error.split())) == judged("s01", text)[:2]


ENDS = [
    ("a lost connection is unknown", SUCCESS, None, {"error": "lost app1"}, UNKNOWN, "lost app1"),
    ("a lost connection is unknown without a word too", "", None, {}, UNKNOWN, "nobody knows how it ended"),
    (
        "a timeout is a failure whatever was said",
        SUCCESS,
        -15,
        {"timed_out": True, "seconds": 61.0},
        FAILED,
        "timed out after 1m01s: its processes were ended",
    ),
    (
        "a timeout that ended with 0 is one too",
        SUCCESS,
        0,
        {"timed_out": True, "seconds": 5.0},
        FAILED,
        "timed out after 5.0 s: its processes were ended",
    ),
    ("a signal is a failure", "working\n", -9, {}, FAILED, "ended by signal 9: working"),
    (
        "a start that failed is a failure",
        "",
        127,
        {"error": "not started: no such file"},
        FAILED,
        "not started: no such file",
    ),
    (
        "an exit code outranks the success sentence",
        SUCCESS,
        3,
        {},
        FAILED,
        f"it exited 3, and said last: {SUCCESS.strip()}",
    ),
    ("an exit code without a word says so", "", 3, {}, FAILED, "it exited 3, and said last: nothing"),
]


@pytest.mark.parametrize(
    ("text", "code", "more", "status", "error"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS]
)
def test_how_it_ended_comes_first(text, code, more, status, error):
    assert (status, error) == judged("s01", text, code, **more)[:2]


def test_the_success_is_found_behind_a_gigantic_output():
    noise = "".join(f"row {number}\n" for number in range(20_000))
    assert (MIGRATED, "", PHONE) == judged("s01", f"  Applying {PHONE[0]}... OK\n{noise}{SUCCESS}{noise}")


def test_faked_migrations_are_applied_and_broken_off_ones_are_not():
    text = f"  Applying a.0001_x... FAKED\n  Applying a.0002_y... OK\n  Applying a.0003_z...\n{SUCCESS}"
    assert (MIGRATED, "", ("a.0001_x", "a.0002_y")) == judged("s01", text)


def test_a_password_in_the_failure_is_not_told():
    text = "Migrations failed for tenant 's01': cannot reach postgres://acme:hunter2@db/acme\n"
    status, error, _ = judged("s01", text)
    assert (FAILED, True, False) == (status, "postgres://acme:[REDACTED]@db/acme" in error, "hunter2" in error)


# ---------------------------------------------------------------- the listing


def listed(name: str) -> model.Reply:
    reply = golden(name)
    return model.Reply(exit=reply.exit, out=reply.stdout, tail=reply.stderr)


def test_the_captured_listing_is_read_in_its_order_with_words_for_isolation():
    expected = (
        *(model.Tenant(f"s{number:02}", f"S{number:02}", "schema") for number in (1, 2, 3, 4)),
        *(model.Tenant(f"d{number:02}", f"D{number:02}", "database") for number in (1, 2)),
        model.Tenant("s05", "S05", "schema"),
    )
    assert expected == FRAMEWORK.read_list(listed("showtenants"))


def test_the_password_in_the_captured_listing_is_dropped():
    reply = listed("showtenants")
    assert PASSWORD in reply.out
    assert PASSWORD not in repr(FRAMEWORK.read_list(reply))


def test_a_listing_cut_off_anywhere_is_an_error_that_tells_no_password():
    out = golden("showtenants").stdout
    for at in range(len(out.rstrip())):
        with pytest.raises(errors.ListingError) as raised:
            FRAMEWORK.read_list(model.Reply(exit=0, out=out[:at]))
        assert "correct" not in str(raised.value)


def test_noise_around_the_listing_is_skipped():
    out = golden("showtenants").stdout
    noise = "[SCHEMA BACKEND] Schema 's01' ensured.\nCache with alias s01 added to settings.CACHES.\n"
    assert FRAMEWORK.read_list(listed("showtenants")) == FRAMEWORK.read_list(
        model.Reply(exit=0, out=f"{noise}{out}{noise}")
    )


def test_no_tenants_is_a_sentence_and_not_an_empty_list():
    assert () == FRAMEWORK.read_list(listed("showtenants-none"))


def test_no_tenants_is_understood_behind_noise_too():
    assert () == FRAMEWORK.read_list(model.Reply(exit=0, out="warming up\n  No tenants found.  \n"))


REFUSED = [
    (
        "showtenants-isolation-type",
        (
            "`manage.py showtenants --format=json` failed: it exited 1: "
            "TypeError: sequence item 0: expected str instance, int found"
        ),
    ),
    (
        "showtenants-unmigrated-master",
        (
            "`manage.py showtenants --format=json` failed: it exited 1: "
            'ProgrammingError: relation "companies_company" does not exist'
        ),
    ),
]


@pytest.mark.parametrize(("name", "message"), REFUSED)
def test_a_listing_that_failed_says_why(name, message):
    with pytest.raises(errors.ListingError) as raised:
        FRAMEWORK.read_list(listed(name))
    assert message == str(raised.value)
