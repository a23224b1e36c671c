"""A record with every kind of event, for the tests of those who write and read it."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from opskit import journal, model

AT = datetime(2026, 11, 22, 14, 2, 5, 123456, tzinfo=UTC)
RUN = "20261122T140205-prod"
HOSTILE = 'a"b\\\n\u202e\ud800ä{tenant}'

PLAN = model.Plan(
    batches=(
        model.Batch((model.Tenant("a", "A", "schema"),), max_failures=0),
        model.Batch((model.Tenant("b"), model.Tenant(HOSTILE)), max_failures=None),
    ),
    pending={"a": ("app.0001_x", "app.0002_y"), "b": None, HOSTILE: ()},
    current=(model.Tenant("c", "C", "database"),),
    refused={"d": "no database"},
    stagger=60.0,
    canaries=1,
    expected={"a": 1.5},
    code={"app.0001_x": "0123456789abcdef"},
)

EVENTS = [
    model.RunStarted(
        AT, RUN, "prod", "1.0", "deploy@ops1", "ops1", ("migrate-all", "--env=prod"), "app1", "/srv", "abc"
    ),
    model.RunStarted(
        AT,
        RUN,
        "prod",
        "1.0",
        "deploy@ops1",
        "ops1",
        (),
        app_label="products",
        migration_name="0002",
        applies="0123",
        undoes="20261121T140205-prod",
        override="hotfix",
        rollout=model.Controls(
            60.0, model.Canary(0, ("a*",)), model.Allowance(5, True), 2, "name", AT, "true", True, 3
        ),
    ),
    model.PlanMade(
        AT,
        replace(
            PLAN,
            retries=2,
            stop_after_same=3,
            deadline=AT,
            gate="check-lag",
            pause_after_canary=True,
            back={"a": ("app.0001_x",), HOSTILE: ()},
        ),
    ),
    model.PlanMade(AT, model.Plan((), {})),
    model.TenantStarted(AT, "a", 1, "app1", ("app.0001_x",)),
    model.TenantStarted(AT, HOSTILE, 2, "", None),
    model.TenantStarted(AT, "a", 1, "app1", ()),
    model.TenantFinished(AT, model.Outcome("a", model.Status.MIGRATED, ("app.0001_x",), True, "", 1.25, 1, "app1")),
    model.TenantFinished(AT, model.Outcome(HOSTILE, model.Status.FAILED, error="it\nbroke")),
    model.TenantFinished(
        AT,
        model.Outcome(
            "a", model.Status.FAILED, fingerprint=model.Fingerprint("UniqueViolation", "23505", "a.0001_x", HOSTILE)
        ),
    ),
    *(model.TenantVerified(AT, model.Outcome("a", status)) for status in model.Status),
    model.Notice(AT, "something"),
    model.GateAnswered(AT, HOSTILE, 2, "lag", "a\nlag"),
    model.GateAnswered(AT, "a", None),
    model.RunResumed(AT, "1.0", "deploy@ops1", "ops1", ("migrate-all", "--resume"), "app2", "/srv", "abc"),
    model.TenantFollowed(AT, "a", 1, "app1", AT, 4711),
    model.TenantFollowed(AT, HOSTILE, 2, ""),
    model.TenantMoved(AT, "a", 1, "app2"),
    model.TenantMoved(AT, HOSTILE, 2, ""),
    model.RunFinished(AT, "done", {"migrated": 1, "failed": 0}),
]


def written(root: Path, *events: model.Journalled, run_id: str = RUN) -> Path:
    with contextlib.closing(journal.create(root, run_id, sync=False)) as record:
        for event in events:
            record.append(event)
    return record.folder


def lines_of(folder: Path) -> list[str]:
    return (folder / "journal.jsonl").read_text().splitlines()


def put(folder: Path, *lines: str, end: str = "\n") -> Path:
    (folder / "journal.jsonl").write_text("\n".join(lines) + end)
    return folder
