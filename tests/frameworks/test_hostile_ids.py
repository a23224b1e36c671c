"""Hostile tenant ids, in every framework: one argument of a command, and an answer that is still read."""

import json

import hostile
import pytest

from opskit import model
from opskit.frameworks import Target, custom, omnitenant, tenants_app

EVERYONE = (*hostile.IDS, hostile.LONG, *hostile.IMPOSSIBLE)
SPEC = model.Custom(list=("tenants",), migrate=("one", "--tenant={tenant}", "--noinput"), success="^Migrated ")
BARE = model.Custom(list=("tenants",), migrate=("one", "{tenant}"), success="^Migrated ")

COMMANDS = [
    (custom.framework(SPEC), lambda each: ("one", f"--tenant={each}", "--noinput")),
    (omnitenant.FRAMEWORK, lambda each: ("migratetenant", f"--tenant-id={each}")),
    (tenants_app.FRAMEWORK, lambda each: ("migratetenant", f"--tenant-id={each}", "--format=jsonl")),
]


@pytest.mark.parametrize(("framework", "expected"), COMMANDS, ids=[each.name for each, _ in COMMANDS])
def test_an_id_is_one_argument_and_never_an_option_of_its_own(framework, expected):
    sent = [framework.migrate(model.Tenant(each), Target()).args for each in EVERYONE]
    assert [expected(each) for each in EVERYONE] == sent


def test_a_template_that_would_make_an_option_of_an_id_refuses_that_tenant_alone():
    refused = []
    for each in EVERYONE:
        try:
            args = custom.migrate(BARE, model.Tenant(each), Target()).args
            assert ("one", each) == args
        except custom.errors.UsageError:
            refused.append(each)
    assert [each for each in EVERYONE if each.startswith("-")] == refused


@pytest.mark.parametrize(("framework", "_"), COMMANDS, ids=[each.name for each, _ in COMMANDS])
def test_a_listing_gives_every_id_as_it_is(framework, _):
    listing = json.dumps([{"tenant_id": each, "name": each, "isolation_type": 0} for each in EVERYONE])
    found = framework.read_list(model.Reply(exit=0, out=f"a warning\n{listing}\n"))
    assert list(EVERYONE) == [tenant.id for tenant in found]


def printed_by_omnitenant(each: str) -> str:
    return f"Migrations completed successfully for tenant '{each}'.\n"


def printed_by_opskit(each: str) -> str:
    outcome = {"tenant": each, "status": "migrated"}
    return json.dumps({"v": 1, "seq": 2, "event": "TenantFinished", "outcome": outcome}) + "\n"


ANSWERS = [(omnitenant.FRAMEWORK, printed_by_omnitenant), (tenants_app.FRAMEWORK, printed_by_opskit)]


@pytest.mark.parametrize(("framework", "printed"), ANSWERS, ids=[each.name for each, _ in ANSWERS])
def test_a_success_is_one_whatever_the_id(framework, printed):
    from opskit.transport import lines

    judged = {}
    for each in (*hostile.IDS, hostile.LONG):
        heard = lines.Lines(framework.marks)
        heard.feed(printed(each).encode())
        heard.end()
        judged[each] = framework.judge(model.Tenant(each), model.Reply(0, heard.marks, heard.tail)).status
    assert dict.fromkeys(judged, model.Status.MIGRATED) == judged


@pytest.mark.parametrize(("framework", "printed"), ANSWERS, ids=[each.name for each, _ in ANSWERS])
def test_an_id_that_holds_a_secret_of_the_host_is_known_without_it(framework, printed):
    line = printed("[REDACTED]-prod").strip()
    judged = {
        each: framework.judge(model.Tenant(each), model.Reply(0, (line,), line)).status
        for each in ("acme-prod", "acme-test")
    }
    assert {"acme-prod": model.Status.MIGRATED, "acme-test": model.Status.FAILED} == judged
