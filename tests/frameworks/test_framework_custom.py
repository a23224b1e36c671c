"""A project's own commands."""

import json

import pytest

from opskit import errors, frameworks, model, testing
from opskit.frameworks import Target, custom

ACME = model.Tenant("acme")
MIGRATED, FAILED, UNKNOWN = model.Status.MIGRATED, model.Status.FAILED, model.Status.UNKNOWN


def spec(**more) -> model.Custom:
    usual = {"list": ("tenants", "--json"), "migrate": ("migrate_one", "--tenant={tenant}"), "success": "^all good$"}
    return model.Custom(**{**usual, **more})


def ended(text: str, **more) -> model.Reply:
    return model.Reply(**{"exit": 0, "out": text, **more})


def judged(chosen: model.Custom, reply: model.Reply) -> model.Outcome:
    made = custom.framework(chosen)
    fleet = testing.ScriptedFleet({"acme": reply})
    return made.judge(ACME, fleet.run(model.Command(()), "acme", made.marks, lambda *_: None))


# ---------------------------------------------------------------- commands

FILLED = [
    (("migrate_one", "--tenant={tenant}"), "acme", Target(), ("migrate_one", "--tenant=acme")),
    (("migrate_one", "{tenant}"), "acme", Target(), ("migrate_one", "acme")),
    (("migrate_one", "{tenant}"), "a b;c", Target(), ("migrate_one", "a b;c")),
    (("m", "{tenant}:{tenant}"), "acme", Target(), ("m", "acme:acme")),
    (("m", "--tenant={tenant}"), "--all", Target(), ("m", "--tenant=--all")),
    (("m", "{tenant}"), "{tenant}", Target(), ("m", "{tenant}")),
    (("m", "{tenant}"), "{0}%s$HOME", Target(), ("m", "{0}%s$HOME")),
    (("m", "{tenant}"), "acme", Target("members", "0004"), ("m", "acme", "members", "0004")),
    (("m", "{tenant}"), "acme", Target("members"), ("m", "acme", "members")),
]


@pytest.mark.parametrize(("template", "name", "target", "expected"), FILLED)
def test_the_template_is_filled_with_data(template, name, target, expected):
    assert expected == custom.migrate(spec(migrate=template), model.Tenant(name), target).args


@pytest.mark.parametrize("name", ["-x", "--all", "-"])
def test_an_id_that_would_be_read_as_an_option_is_refused(name):
    with pytest.raises(errors.UsageError) as raised:
        custom.migrate(spec(migrate=("migrate_one", "{tenant}")), model.Tenant(name), Target())
    expected = "its id would be read as an option: write `--some-option={tenant}` in framework.migrate"
    assert expected == str(raised.value)


def test_without_a_pending_entry_nobody_can_be_asked():
    made = custom.framework(spec())
    assert (None, None, None) == (made.survey, made.read_survey, made.shared)


def test_with_its_entries_it_can_be_asked_and_has_a_shared_database():
    made = custom.framework(spec(pending=("pending", "--json"), shared=("migrate", "--noinput")))
    assert (("pending", "--json"), ("migrate", "--noinput")) == (made.survey.args, made.shared.args)


# ---------------------------------------------------------------- the verdict

SAID = [
    ("a line that matches is a success", spec(), ended("working\nall good\n"), MIGRATED, ""),
    ("a line that holds more is not that line", spec(), ended("not all good\n"), FAILED, "it exited 0 without printing its success pattern `^all good$`"),
    ("a pattern without anchors is found anywhere", spec(success="good"), ended("not all good\n"), MIGRATED, ""),
    ("silence is no success", spec(), ended(""), FAILED, "it exited 0 without printing its success pattern `^all good$`"),
    ("a failure outranks a success", spec(failure=r"ERROR \d+"), ended("ERROR 42 in x\nall good\n"), FAILED, "it printed `ERROR 42`"),
    ("no failure, and a success", spec(failure="ERROR"), ended("all good\n"), MIGRATED, ""),
    ("an exit code outranks a success", spec(), ended("all good\n", exit=2), FAILED, "it exited 2, and said last: all good"),
    ("an exit code after an exception tells the exception", spec(), ended("ValueError: no\nall good\n", exit=2), FAILED, "ValueError: no"),
    ("an exit code without a word says so", spec(), ended("", exit=2), FAILED, "it exited 2, and said last: nothing"),
    ("a lost connection is unknown", spec(), ended("all good\n", exit=None, error="lost app1"), UNKNOWN, "lost app1"),
    ("a timeout is a failure", spec(), ended("all good\n", exit=-15, timed_out=True, seconds=1.0), FAILED, "timed out after 1.0 s: its processes were ended"),
    ("credentials in the failure are not told", spec(failure="ERROR.*"), ended("ERROR password=hunter2\nall good\n"), FAILED, "it printed `ERROR password=[REDACTED]"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "reply", "status", "error"), [row[1:] for row in SAID], ids=[row[0] for row in SAID]
)
def test_exit_failure_and_success_must_agree(chosen, reply, status, error):
    outcome = judged(chosen, reply)
    assert (status, error.rstrip("`")) == (outcome.status, outcome.error.rstrip("`"))


def test_a_success_far_from_the_end_is_remembered():
    noise = "".join(f"row {number}\n" for number in range(20_000))
    assert MIGRATED is judged(spec(), ended(f"all good\n{noise}")).status


def test_a_failure_far_from_the_end_is_remembered():
    noise = "".join(f"row {number}\n" for number in range(20_000))
    assert "it printed `ERROR 42`" == judged(spec(failure=r"ERROR \d+"), ended(f"ERROR 42\n{noise}all good\n")).error


def test_what_django_applied_is_told():
    outcome = judged(spec(), ended("  Applying app.0001_x... OK\n  Applying app.0002_y... OK\nall good\n"))
    assert ("app.0001_x", "app.0002_y") == outcome.applied


# ---------------------------------------------------------------- listing and pending


def test_the_fields_are_those_that_the_inventory_names():
    out = json.dumps([{"slug": "acme", "label": "ACME", "tenant_id": 7, "dsn": "postgres://u:hunter2@db/x"}])
    made = custom.framework(spec(id_field="slug", name_field="label"))
    assert (model.Tenant("acme", "ACME"),) == made.read_list(model.Reply(exit=0, out=out))


def test_a_listing_without_the_field_says_which_fields_it_has():
    made = custom.framework(spec(id_field="slug"))
    with pytest.raises(errors.ListingError) as raised:
        made.read_list(model.Reply(exit=0, out='[{"id": 1, "password": "hunter2"}]'))
    assert "tenant [0] has no `slug`: it has `id`, `password`" == str(raised.value)


def test_a_listing_that_failed_names_the_command():
    with pytest.raises(errors.ListingError) as raised:
        custom.framework(spec()).read_list(model.Reply(exit=1, tail="Unknown command: 'tenants'\n"))
    assert "`manage.py tenants --json` failed: it exited 1: Unknown command: 'tenants'" == str(raised.value)


def test_a_listing_that_timed_out_says_so():
    with pytest.raises(errors.ListingError) as raised:
        custom.framework(spec()).read_list(model.Reply(exit=-15, error="it timed out", tail="working\n"))
    assert "`manage.py tenants --json` failed: it timed out" == str(raised.value)


def test_what_is_pending_is_read_and_of_the_shared_database_nobody_can_say():
    out = 'loading\n{"acme": ["app.0001_x", "app.0002_y"], "zeta": []}\n'
    expected = model.Survey(
        shared=None,
        tenants={"acme": model.TenantState(pending=("app.0001_x", "app.0002_y")), "zeta": model.TenantState()},
    )
    assert expected == custom.read_pending(model.Reply(exit=0, out=out))


BAD_PENDING = [
    ("[]", "asking what is pending gave no object of {tenant id: [migration, …]}"),
    ('{"acme": "app.0001"}', "expected a list of texts at `acme`, found a text"),
    ('{"acme": [1]}', "expected a list of texts at `acme`, found a list"),
    ('{"acme": null}', "expected a list of texts at `acme`, found null"),
    ("", "it is not JSON: it is empty"),
]


@pytest.mark.parametrize(("out", "message"), BAD_PENDING)
def test_pending_that_can_not_be_read_is_an_error(out, message):
    with pytest.raises(errors.ListingError) as raised:
        custom.read_pending(model.Reply(exit=0, out=out))
    assert message == str(raised.value)


# ---------------------------------------------------------------- which framework


def environment(framework: str, chosen: model.Custom | None = None) -> model.Environment:
    return model.Environment("prod", (), model.App("/srv"), framework, custom=chosen)


def test_each_name_has_its_framework():
    names = [frameworks.get(environment(name, spec())).name for name in frameworks.NAMES]
    assert list(frameworks.NAMES) == names
    assert ["django-tenants", "django-pgschemas", "django-tenant-schemas", "databases", "custom"] == names[2:]


def test_an_unknown_name_is_an_inventory_error():
    with pytest.raises(errors.InventoryError) as raised:
        frameworks.get(environment("rails"))
    assert str(raised.value).startswith("framework `rails` is none of `omnitenant`, `opskit`, `django-tenants`, ")


def test_custom_without_its_mapping_is_an_inventory_error():
    with pytest.raises(errors.InventoryError):
        frameworks.get(environment("custom"))
