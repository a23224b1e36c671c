"""opskit.tenants: events on stdout, Django's own words beside them."""

import json

import pytest

from opskit import errors, model, testing
from opskit.frameworks import Target, django, events, tenants_app

FRAMEWORK = tenants_app.FRAMEWORK
ACME = model.Tenant("acme")
MIGRATED, FAILED, UNKNOWN = model.Status.MIGRATED, model.Status.FAILED, model.Status.UNKNOWN


def event(
    kind: str = "TenantFinished", tenant: str = "acme", status: str = "migrated", error: str = "", applied=()
) -> str:
    outcome = {"tenant": tenant, "status": status, "applied": list(applied), "verified": True, "error": error}
    return json.dumps({"v": 1, "seq": 2, "at": "2026-11-22T14:02:00+00:00", "event": kind, "outcome": outcome}) + "\n"


def judged(text: str, code: int | None = 0, tenant: model.Tenant = ACME, **more) -> model.Outcome:
    fleet = testing.ScriptedFleet({tenant.id: model.Reply(exit=code, out=text, **more)})
    reply = fleet.run(model.Command(()), tenant.id, FRAMEWORK.marks, lambda *_: None)
    return FRAMEWORK.judge(tenant, reply)


def test_the_commands_are_those_that_the_app_takes():
    assert ("showtenants", "--format=json") == FRAMEWORK.list.args
    expected = ("migratetenant", "--tenant-id=-x y", "--format=jsonl", "members", "0004")
    assert expected == FRAMEWORK.migrate(model.Tenant("-x y"), Target("members", "0004")).args
    assert model.Command(args=("opskit", "{}"), question="status") == FRAMEWORK.survey


APPLYING = "  Applying app.0001_x... OK\n"

SAID = [
    ("a finished event that says migrated", APPLYING + event(), 0, {}, MIGRATED, ""),
    ("a tenant that was current has migrated nothing, and well", event(status="current"), 0, {}, MIGRATED, ""),
    ("text around the events is no matter", f"banner\n{event()}bye\n", 0, {}, MIGRATED, ""),
    ("without an event an exit of 0 is no success", APPLYING, 0, {}, FAILED, "it exited 0 without saying that it finished"),
    ("a started event is not a finished one", event("TenantStarted"), 0, {}, FAILED, "it exited 0 without saying that it finished"),
    ("another tenant's event is not this one's", event(tenant="zeta"), 0, {}, FAILED, "it exited 0 without saying that it finished"),
    ("a failed event is a failure whatever the exit code", event(status="failed", error="E: no"), 0, {}, FAILED, "E: no"),
    ("a failed event's reason is better than the last line", event(status="failed", error="E: no") + "CommandError: see above\n", 1, {}, FAILED, "E: no"),
    ("the last event counts", event(status="failed", error="E: no") + event(), 0, {}, MIGRATED, ""),
    ("an exit code outranks a success", event() + "OSError: disk full\n", 1, {}, FAILED, "OSError: disk full"),
    ("a lost connection is unknown", event(), None, {"error": "lost app1"}, UNKNOWN, "lost app1"),
    ("a timeout says so", event(status="failed", error="E: ended"), -15, {"timed_out": True, "seconds": 2.0}, FAILED, "timed out after 2.0 s: its processes were ended"),
    ("an event that is cut off is none", event()[:60] + "\n", 0, {}, FAILED, "it exited 0 without saying that it finished"),
    ("an outcome that is no object is none", '{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": []}\n', 0, {}, FAILED, "it exited 0 without saying that it finished"),
    ("a list in the place of the status is no success", '{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": {"tenant": "acme", "status": ["migrated"]}}\n', 0, {}, FAILED, "it exited 0 without saying that it finished"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "more", "status", "error"), [row[1:] for row in SAID], ids=[row[0] for row in SAID]
)
def test_the_event_and_the_exit_must_agree(text, code, more, status, error):
    outcome = judged(text, code, **more)
    assert ("acme", status, error) == (outcome.tenant, outcome.status, outcome.error)


@pytest.mark.parametrize(("told", "retryable"), [(True, True), (False, False), ("yes", False), (None, False)])
def test_a_tenant_whose_lock_is_taken_may_be_tried_again(told, retryable):
    said = json.loads(event(status="failed", error="tenant `acme` is being migrated by `cron`. it was left alone"))
    said["outcome"]["retryable"] = told
    outcome = judged(json.dumps(said) + "\n", 1)
    assert (FAILED, retryable) == (outcome.status, outcome.retryable)


def test_a_tenant_with_hundreds_of_migrations_is_understood():
    names = tuple(f"warehouse.{number:04}_with_a_name_of_some_length" for number in range(500))
    text = "".join(f"  Applying {name}... OK\n" for name in names) + event(applied=names)
    outcome = judged(text)
    assert (MIGRATED, names) == (outcome.status, outcome.applied)


@pytest.mark.parametrize("name", ['a"b', "a\nb", "ä", "\\", "{tenant}", "'; drop", "[/x]", "1e5"])
def test_a_hostile_id_is_found_in_its_event(name):
    assert MIGRATED is judged(event(tenant=name), tenant=model.Tenant(name)).status


def test_the_listing_is_read_and_credentials_in_it_are_dropped():
    out = json.dumps(
        [
            {"tenant_id": "acme", "name": "ACME", "isolation_type": "database", "password": "hunter2"},
            {"tenant_id": "zeta", "name": None, "isolation_type": "schema"},
        ]
    )
    found = FRAMEWORK.read_list(model.Reply(exit=0, out=out))
    assert (model.Tenant("acme", "ACME", "database"), model.Tenant("zeta", "", "schema")) == found


def test_an_empty_listing_is_nobody():
    assert () == FRAMEWORK.read_list(model.Reply(exit=0, out="[]\n"))


def test_a_listing_that_failed_says_why():
    reply = model.Reply(exit=1, tail="Traceback …\nModuleNotFoundError: No module named 'acme'\n")
    with pytest.raises(errors.ListingError) as raised:
        FRAMEWORK.read_list(reply)
    expected = "`manage.py showtenants --format=json` failed: it exited 1: ModuleNotFoundError: No module named 'acme'"
    assert expected == str(raised.value)


# ---------------------------------------------------------------- events, to people

STARTED = '{"v": 1, "seq": 1, "event": "TenantStarted", "tenant": "acme", "pending": ["app.0001_x", "app.0002_y"]}'
DONE = '{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": {"status": "migrated", "seconds": 0.14, "applied": ["a.1"]}}'
BROKE = '{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": {"status": "failed", "seconds": 2.0, "applied": [], "error": "E: no"}}'

TOLD = [
    (STARTED, "migrating (2 pending)"),
    ('{"v": 1, "seq": 1, "event": "TenantStarted", "tenant": "acme", "pending": null}', "migrating"),
    (DONE, "migrated after 0.1 s (1 applied)"),
    (BROKE, "failed after 2.0 s (0 applied): E: no"),
    ('{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": {"status": "migrated", "seconds": Infinity}}', "migrated"),
    ("  Applying app.0001_x... OK", "  Applying app.0001_x... OK"),
    ('{"v": 1, "mine": true}', '{"v": 1, "mine": true}'),
    ('{"v": [', '{"v": ['),
    ('{"v": 1, "seq": 3, "event": "Later"}', '{"v": 1, "seq": 3, "event": "Later"}'),
    ('{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": 7}', '{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": 7}'),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), TOLD)
def test_an_event_is_told_in_words_and_any_other_line_as_it_is(line, said):
    assert said == events.told(line)


@pytest.mark.parametrize(
    ("last", "said"),
    [(DONE, "migrated after 0.1 s (1 applied)"), (STARTED, "migrating (2 pending)"), ("bye", "bye")],
)
def test_what_a_command_said_last_is_in_words(last, said):
    assert said == django.reason(f"banner\n{last}\n")


def test_who_ends_behind_its_first_event_fails_in_words():
    assert "it exited 3, and said last: migrating (2 pending)" == judged(f"{STARTED}\n", 3).error
    assert "ended by signal 9: migrating (2 pending)" == judged(f"{STARTED}\n", -9).error
