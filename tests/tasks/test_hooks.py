"""What the hooks of a run keep: what has begun is ended, once."""

from __future__ import annotations

import json

import pytest

from opskit import model, testing
from opskit.reporters import webhook
from opskit.tasks import desk, hooks, interrupts, wiring

STARTED = model.RunStarted(
    testing.START, "20261122T140200-prod", "prod", "1.0", "deploy@ops1", "ops1", (), host="app1", path="/srv/acme"
)
PLAN = model.Plan((model.Batch((model.Tenant("acme"),)),), {"acme": ("members.0001_initial",)})


@pytest.fixture
def around(tmp_path):
    line = ("/bin/sh", "-c", "echo $OPSKIT_EVENT $OPSKIT_TENANT >> witness")
    kinds = ("before", "after", "failure", "tenant_before", "tenant_after")
    environment = model.Environment(
        "prod",
        (),
        model.App("/srv"),
        "opskit",
        root=str(tmp_path),
        hooks=model.Hooks(**dict.fromkeys(kinds, (line,))),
    )
    record = wiring.Record(tmp_path, "20261122T140200-prod", log_file=None, verbose=False)
    record.emit(STARTED)
    interrupted = interrupts.Interrupts(print)
    watch = desk.Desk(record.folder, interrupted, "prod", "deploy@ops1")
    made = hooks.Hooks(environment, record, watch, interrupted, wiring.Clock(), webhook.Webhook(""))
    made.heard(STARTED)
    yield made
    record.close()


def witness(tmp_path) -> list[str]:
    file = tmp_path / "witness"
    return [line.strip() for line in file.read_text().splitlines()] if file.exists() else []


def test_what_was_not_begun_is_not_ended(around, tmp_path):
    around.end("done")
    assert [] == witness(tmp_path)


def test_a_plan_without_work_begins_nothing(around, tmp_path):
    around.begin(model.Plan((), {}, current=(model.Tenant("acme"),)))
    around.end("done")
    assert [] == witness(tmp_path)


def test_it_begins_once_and_ends_once(around, tmp_path):
    around.begin(PLAN)
    around.begin(PLAN)
    around.end("done")
    around.end("opskit itself broke")
    assert ["before", "after"] == witness(tmp_path)


def test_a_tenant_whose_end_nobody_heard_is_ended_with_the_run(around, tmp_path):
    around.begin(PLAN)
    around.record.emit(model.PlanMade(testing.START, PLAN))
    around.record.emit(model.TenantStarted(testing.START, "acme", 1, "app1", None))
    assert around.tenant_begins(model.Tenant("acme"), 1) is None
    around.end("interrupted")
    assert ["before", "tenant_before acme", "tenant_after acme", "failure acme", "after"] == witness(tmp_path)


def test_a_document_has_all_its_keys_and_is_json():
    made = hooks.document("before", "prod", STARTED.run_id, STARTED, PLAN)
    other = hooks.document("tenant_after", "prod", STARTED.run_id, STARTED, None, "acme", attempt=1, outcome={})
    assert json.loads(json.dumps(made)) == made
    assert list(made) == list(other)
    assert (made["v"], made["event"], made["host"], made["tenant"]) == (1, "before", "app1", None)
