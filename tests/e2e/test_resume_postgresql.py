"""`--resume` on the real parts: a tenant is started only when PostgreSQL, too, has nothing of it at work."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import processes
import pytest

from e2e import test_omnitenant
from e2e.test_interrupt import _lock_is_free as lock_is_free
from e2e.test_omnitenant import by_status, change_env, eventually

operator, project = test_omnitenant.operator, test_omnitenant.project

AUDITED = """
import os, time
from django.db import connection, migrations


def wait(apps, schema_editor):
    with open(os.environ["AUDIT"], "a") as audit:
        audit.write(os.environ["PGAPPNAME"].rpartition("/")[2] + chr(10))
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.02)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunPython(wait, migrations.RunPython.noop)]
"""
SLEEPING = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunSQL("SELECT pg_sleep(300)")]
"""
NAME = "members.0004_wait"


def audit(folder: Path) -> list[str]:
    file = folder / "audit"
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def slow(project, operator, tmp_path):
    """Three tenants with a migration that says whose it is, and then waits for the file `go`."""
    project.create_tenants(schemas=3)
    (project.folder / "members" / "migrations" / "0004_wait.py").write_text(AUDITED)
    change_env(operator, AUDIT=str(tmp_path / "audit"), GO=str(tmp_path / "go"))
    return tmp_path


def kill_controller(operator, folder: Path, *, host: bool) -> None:
    process = operator.start("migrate-all", "--env=prod")
    eventually(lambda: audit(folder))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=test_omnitenant.PATIENCE)
    if host:
        end_on_the_host(folder)


def end_on_the_host(folder: Path) -> None:
    """Kill the agent and the command at work: nobody writes down how it ended."""
    (record,) = (folder / "state").glob("*.json")
    child = json.loads(record.read_text())["pid"]
    agent = processes.agent_above(child)
    for process in (agent, child):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    eventually(lambda: lock_is_free(folder / "state"))


def test_a_tenant_that_comes_home_after_the_kill_is_followed_and_not_started_twice(project, operator, slow):
    kill_controller(operator, slow, host=False)
    process = operator.start("migrate-all", "--env=prod", "--resume", "--format=json")
    eventually(lambda: any("s01 still at work" in text for text in followed(operator)))
    (slow / "go").touch()
    out, _ = process.communicate(timeout=test_omnitenant.PATIENCE)
    report = json.loads(out)

    assert (process.returncode, by_status(report)) == (0, {"migrated": ["s01", "s02", "s03"]})
    assert {each["tenant_id"]: (each["applied"], each["verified"]) for each in report["outcomes"]} == {
        name: ([NAME], True) for name in ("s01", "s02", "s03")
    }
    assert audit(slow) == ["s01", "s02", "s03"]


def followed(operator) -> list[str]:
    """The lines of the logs that say who is followed."""
    logs = [text for path, text in operator.files().items() if path.endswith("run.log")]
    return [line.replace("tenant=", "") for text in logs for line in text.splitlines() if line.endswith(": following")]


def test_a_tenant_that_came_home_unseen_is_not_started_twice(project, operator, slow):
    kill_controller(operator, slow, host=False)
    (slow / "go").touch()
    eventually(lambda: NAME in project.history("s01"))
    eventually(lambda: lock_is_free(slow / "state"))

    report = operator.json("migrate-all", "--env=prod", "--resume")

    assert by_status(report) == {"migrated": ["s01", "s02", "s03"]}
    assert {each["tenant_id"]: (each["applied"], each["verified"]) for each in report["outcomes"]} == {
        name: ([NAME], True) for name in ("s01", "s02", "s03")
    }
    assert audit(slow) == ["s01", "s02", "s03"]


def test_a_tenant_whose_end_nobody_wrote_down_is_asked_about_and_runs_again(project, operator, slow):
    kill_controller(operator, slow, host=True)
    (slow / "go").touch()
    eventually(lambda: not project.execute("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%'"))

    report = operator.json("migrate-all", "--env=prod", "--resume")

    assert by_status(report) == {"migrated": ["s01", "s02", "s03"]}
    assert audit(slow) == ["s01", "s01", "s02", "s03"]  # nothing of the first one was committed


def test_a_backend_of_the_run_that_is_still_at_work_keeps_its_tenant_from_being_started(project, operator, tmp_path):
    project.create_tenants(schemas=2)
    (project.folder / "members" / "migrations" / "0004_sleep.py").write_text(SLEEPING)
    change_env(operator, PGOPTIONS="-c client_connection_check_interval=0")
    of_s01 = "FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%/s01' AND state = 'active'"
    process = operator.start("migrate-all", "--env=prod", "--fail-fast")
    eventually(lambda: project.execute(f"SELECT 1 {of_s01} AND query LIKE '%%pg_sleep%%'"))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=test_omnitenant.PATIENCE)
    end_on_the_host(tmp_path)
    (project.folder / "members" / "migrations" / "0004_sleep.py").write_text(SLEEPING.replace("300", "0"))

    held = operator.json("migrate-all", "--env=prod", "--resume", "--changed-code", code=6)
    again = operator.json("migrate-all", "--env=prod", "--resume", code=6)
    backends = project.execute(f"SELECT count(*) {of_s01}")
    project.execute(f"SELECT pg_terminate_backend(pid) {of_s01}")
    eventually(lambda: not project.execute(f"SELECT 1 {of_s01}"))
    home = operator.json("migrate-all", "--env=prod", "--resume", "--changed-code")

    assert by_status(held) == {"unknown": ["s01"], "migrated": ["s02"]}
    assert backends == [(1,)]
    for report in (held, again):
        (unknown,) = [each for each in report["outcomes"] if each["status"] == "unknown"]
        assert unknown["error"] == (
            "the run ended while it was at work: it may still be running on the host; "
            "its connection is still at work in PostgreSQL, and may yet commit"
        )
    assert by_status(home) == {"migrated": ["s01", "s02"]}


def test_a_new_run_leaves_a_tenant_alone_that_an_earlier_run_is_still_at_work_on(project, operator, tmp_path):
    project.create_tenants(schemas=2)
    (project.folder / "members" / "migrations" / "0004_sleep.py").write_text(SLEEPING)
    change_env(operator, PGOPTIONS="-c client_connection_check_interval=0")
    of_s01 = "FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%/s01' AND state = 'active'"
    process = operator.start("migrate-all", "--env=prod")
    eventually(lambda: project.execute(f"SELECT 1 {of_s01} AND query LIKE '%%pg_sleep%%'"))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=test_omnitenant.PATIENCE)
    end_on_the_host(tmp_path)
    (project.folder / "members" / "migrations" / "0004_sleep.py").write_text(SLEEPING.replace("300", "0"))

    held = operator.json("migrate-all", "--env=prod", code=5)
    backends = project.execute(f"SELECT count(*) {of_s01}")
    project.execute(f"SELECT pg_terminate_backend(pid) {of_s01}")
    eventually(lambda: not project.execute(f"SELECT 1 {of_s01}"))
    home = operator.json("migrate-all", "--env=prod")

    (failed,) = [each for each in held["outcomes"] if each["status"] == "failed"]
    assert (by_status(held), backends) == ({"failed": ["s01"], "migrated": ["s02"]}, [(1,)])
    assert failed["error"].endswith("is still at work there in PostgreSQL, and may yet commit (no command was sent)")
    assert by_status(home) == {"migrated": ["s01"], "current": ["s02"]}


def test_a_tenant_that_was_refused_and_can_be_asked_again_is_no_change_of_the_code(project, operator):
    project.create_tenants(schemas=1, databases=1)
    added = project.add_migration()
    database = project.tenant_database("d01")
    project.execute(f'ALTER DATABASE "{database}" RENAME TO "{database}_away"')
    report = operator.json("migrate-all", "--env=prod", code=5)
    assert by_status(report) == {"migrated": ["s01"], "failed": ["d01"]}
    project.execute(f'ALTER DATABASE "{database}_away" RENAME TO "{database}"')

    report = operator.json("migrate-all", "--env=prod", "--resume")

    rows = {each["tenant_id"]: (each["status"], each["applied"]) for each in report["outcomes"]}
    assert rows == {"s01": ("migrated", [added]), "d01": ("migrated", [added])}


def test_a_tenant_whose_database_can_not_be_asked_stays_unknown(project, operator, tmp_path):
    project.create_tenants(schemas=1, databases=1)
    (project.folder / "members" / "migrations" / "0004_wait.py").write_text(AUDITED)
    change_env(operator, AUDIT=str(tmp_path / "audit"), GO=str(tmp_path / "go"))
    process = operator.start("migrate-all", "--env=prod", "--canary=d01")
    eventually(lambda: audit(tmp_path))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=test_omnitenant.PATIENCE)
    end_on_the_host(tmp_path)
    (tmp_path / "go").touch()
    database = project.tenant_database("d01")
    renamed = f'ALTER DATABASE "{database}" RENAME TO "{database}_away"'
    eventually(lambda: not project.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", database))
    project.execute(renamed)

    report = operator.json("migrate-all", "--env=prod", "--resume", "--canary=s01", code=6)

    assert by_status(report) == {"unknown": ["d01"], "migrated": ["s01"]}
    (unknown,) = [each for each in report["outcomes"] if each["status"] == "unknown"]
    assert unknown["error"].startswith("its command is over, and nobody knows how it ended: ")
    assert f'database "{database}" does not exist' in unknown["error"]
    assert audit(tmp_path) == ["d01", "s01"]
