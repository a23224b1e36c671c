"""`undo` on the real parts: django-omnitenant, PostgreSQL, OpenSSH, and real kills."""

from __future__ import annotations

import json
import signal

import pytest

from e2e import test_frameworks, test_omnitenant, test_resume_postgresql
from e2e.test_omnitenant import by_status, change_env, eventually

operator, project = test_omnitenant.operator, test_omnitenant.project
new, operate = test_frameworks.new, test_frameworks.operate

SLEEPING = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunSQL("SELECT 1", "SELECT pg_sleep(300)")]
"""


def migrate(operator) -> str:
    return operator.json("migrate-all", "--env=prod")["run_id"]


def has_phone(project, tenant: str) -> bool:
    database, schema = project._home(tenant)
    found = "SELECT 1 FROM information_schema.columns WHERE table_schema = %s AND column_name = 'phone'"
    return project.execute(found, schema, database=database) == [(1,)]


def test_schemas_and_databases_go_back_app_by_app(project, operator):
    ids = project.create_tenants(schemas=2, databases=1)
    before = {name: project.history(name) for name in ids}
    added = [project.add_migration(), project.add_migration("invoices", "invoice", "note", "0003_invoice_note")]
    run = migrate(operator)
    assert all(has_phone(project, name) for name in ids)

    shown = operator.json("undo", f"--run={run}")
    report = operator.json("undo", f"--run={run}", "--yes")
    again = operator.types("undo", f"--run={run}")

    assert {each["tenant_id"]: each["steps"] for each in shown["tenants"]} == {
        name: [
            {"app_label": app, "migration_name": migration}
            for app, migration in (
                [("invoices", "0002_invoice_paid"), ("members", "0003_member_joined")]
                if project_order(shown, name)[-1].startswith("invoices")
                else [("members", "0003_member_joined"), ("invoices", "0002_invoice_paid")]
            )
        ]
        for name in ids
    }
    assert by_status(report) == {"migrated": ids}
    assert {each["tenant_id"]: (sorted(each["taken_back"]), each["verified"]) for each in report["outcomes"]} == {
        name: (sorted(added), True) for name in ids
    }
    assert {name: project.history(name) for name in ids} == before
    assert not any(has_phone(project, name) for name in ids)
    assert f"nothing is left to take back of run {run}." in again.stdout


def project_order(shown: dict, name: str) -> list[str]:
    (found,) = [each["takes_back"] for each in shown["tenants"] if each["tenant_id"] == name]
    return found


def test_a_backend_of_an_earlier_try_that_is_still_at_work_keeps_its_tenant_from_being_touched(
    project, operator, tmp_path
):
    project.create_tenants(schemas=2)
    file = project.folder / "members" / "migrations" / "0004_sleep.py"
    file.write_text(SLEEPING)
    run = migrate(operator)
    change_env(operator, PGOPTIONS="-c client_connection_check_interval=0")
    of_s01 = "FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%/s01' AND state = 'active'"
    process = operator.start("undo", f"--run={run}", "--yes")
    eventually(lambda: project.execute(f"SELECT 1 {of_s01} AND query LIKE '%%pg_sleep%%'"))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=test_omnitenant.PATIENCE)
    test_resume_postgresql.end_on_the_host(tmp_path)
    file.write_text(SLEEPING.replace("300", "0"))

    shown = operator.types("undo", f"--run={run}")
    held = operator.json("undo", f"--run={run}", "--yes", code=5)
    backends = project.execute(f"SELECT count(*) {of_s01}")
    project.execute(f"SELECT pg_terminate_backend(pid) {of_s01}")
    eventually(lambda: not project.execute(f"SELECT 1 {of_s01}"))
    done = operator.json("undo", f"--run={run}", "--yes")

    assert "not taken back: 1 tenant (s01): the connection of run " in shown.stdout
    assert (by_status(held), backends) == ({"failed": ["s01"], "migrated": ["s02"]}, [(1,)])
    assert by_status(done) == {"current": ["s02"], "migrated": ["s01"]}
    assert not any("members.0004_sleep" in project.history(name) for name in ("s01", "s02"))


@pytest.mark.parametrize("framework", test_frameworks.EVERY)
def test_a_run_of_another_framework_is_taken_back(new, operate, framework):
    project = new(framework)
    project.create("s01", "s02")
    desk = operate(project)
    added = project.add_migration()
    if framework == "databases":  # without a router, every app is the shared database's, too
        project.manage("migrate", "--noinput")
    shared = project.history()
    run = test_frameworks.report(desk, "migrate-all", "--tenants=s01")["run_id"]

    done = desk.run("undo", f"--run={run}", "--yes", "--format=json")

    assert done.code == 0, done.err
    (outcome,) = json.loads(done.out)["outcomes"]
    assert (outcome["tenant_id"], outcome["status"], outcome["taken_back"]) == ("s01", "migrated", [added])
    assert added not in project.history("s01")
    assert project.history() == shared
