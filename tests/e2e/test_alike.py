"""Failures that are one: told together, and enough to stop a run. The real django-omnitenant on a real PostgreSQL."""

from __future__ import annotations

import json

import omnitenant
import pytest

from e2e import test_omnitenant

SAID = "UniqueViolation in members.0004: could not create unique index …"
ONCE = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunSQL("CREATE UNIQUE INDEX once ON members_member (name)")]
"""


@pytest.fixture
def project(postgres, tmp_path):
    """Six tenants, of which all but s05 have two members of one name, and an index that allows one."""
    made = omnitenant.new_project(postgres, tmp_path)
    made.create_tenants(schemas=6)
    (made.folder / "members" / "migrations" / "0004_once.py").write_text(ONCE)
    for name in ("s01", "s02", "s03", "s04", "s06"):
        made.execute(
            f"INSERT INTO {name}.members_member (name, email, joined) VALUES ('{name}', '', now()), ('{name}', '', now())"
        )
    return made


@pytest.fixture
def typist(project, sshd, tmp_path):
    return test_omnitenant.make_operator(project, sshd, tmp_path / "operator", tmp_path / "state")


def test_one_cause_is_told_once_and_so_it_is_when_the_run_is_shown_again(project, typist):
    done = typist.types("migrate-all", "--env=prod")
    shown = typist.types("show-run")
    report = typist.json("show-run")

    assert (5, 0) == (done.returncode, shown.returncode)
    assert f"5 tenants: {SAID}" in done.stdout.splitlines()
    assert f"5 tenants: {SAID}" in shown.stdout.splitlines()
    tenants = ["s01", "s02", "s03", "s04", "s06"]
    assert report["failures"] == [
        {
            "count": 5,
            "exception": "UniqueViolation",
            "sqlstate": "23505",
            "migration": "members.0004_once",
            "text": "could not create unique index …",
            "tenants": tenants,
        }
    ]
    assert {each["tenant_id"]: bool(each["fingerprint"]) for each in report["outcomes"]} == {
        **dict.fromkeys(tenants, True),
        "s05": False,
    }


def test_a_journal_without_fingerprints_is_told_by_its_sentences(project, typist):
    typist.types("migrate-all", "--env=prod", "--tenants=s01,s02,s05")
    (journal,) = typist.folder.glob(".opskit/runs/*/journal.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        line.get("outcome", {}).pop("fingerprint", None)
        line.get("plan", {}).pop("stop_after_same", None)
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    shown = typist.types("show-run").stdout.splitlines()

    assert "2 tenants: could not create unique index … (it exited …, but printed …)" in shown


def test_so_many_alike_in_a_row_stop_the_run_and_a_success_begins_a_new_row(project, typist):
    stopped = typist.types("migrate-all", "--env=prod", "--stop-after-same=3")
    assert stopped.returncode == 5
    why = f"the run stopped: 3 tenants in a row failed alike, which is no single tenant's fault: {SAID}."
    assert f"6 tenants: 3 failed, 3 skipped. {why}" in stopped.stdout.splitlines()

    between = typist.json("migrate-all", "--env=prod", "--tenants=s04,s05,s06", "--stop-after-same=2", code=5)
    assert {"failed": ["s04", "s06"], "migrated": ["s05"]} == test_omnitenant.by_status(between)
