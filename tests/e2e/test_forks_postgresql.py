"""`--forks` on the real parts: django-omnitenant, PostgreSQL, two sshds, warm and cold, and kills in mid-statement."""

from __future__ import annotations

import json
import os
import shutil
import signal

import processes
import pytest

from e2e import test_omnitenant
from e2e.test_omnitenant import by_status, change_env, eventually
from e2e.test_resume_postgresql import AUDITED, NAME, audit

project = test_omnitenant.project


@pytest.fixture
def operator(project, sshd, second, both_known, tmp_path):
    """An inventory of the project on two hosts."""
    made = test_omnitenant.make_operator(project, sshd, tmp_path / "operator", tmp_path / "state")

    def both(inventory: dict) -> None:
        app1 = inventory["hosts"]["app1"]
        inventory["hosts"]["app2"] = {**app1, "address": second.host, "port": str(second.port)}
        inventory["ssh"] = {"known_hosts": str(both_known), "reconnect": "2s"}

    change(made, both)
    return made


def change(operator, how) -> None:
    file = operator.folder / "inventories" / "prod.yaml"
    inventory = json.loads(file.read_text())
    how(inventory)
    file.write_text(json.dumps(inventory))


@pytest.mark.parametrize("runner", ["warm", "cold"])
def test_four_at_a_time_on_two_hosts_and_one_of_the_tenants_is_broken(project, operator, runner):
    ids = project.create_tenants(schemas=10, databases=2)
    added = project.add_migration()
    project.break_tenant("s04")
    others = [name for name in ids if name != "s04"]

    report = operator.json("migrate-all", "--env=prod", "--forks=4", f"--runner={runner}", code=5)

    assert {status: sorted(names) for status, names in by_status(report).items()} == {
        "migrated": sorted(others), "failed": ["s04"]
    }  # fmt: skip
    assert {each["host"] for each in report["outcomes"]} == {"app1", "app2"}
    assert all(each["verified"] for each in report["outcomes"])
    assert {name: added in project.history(name) for name in ids} == {name: name != "s04" for name in ids}
    assert [path for path, text in operator.files().items() if project.postgres.password in text] == []


@pytest.fixture
def slow(project, operator, tmp_path):
    """Four tenants with a migration that says whose it is, and then waits for the file `go`."""
    project.create_tenants(schemas=4)
    (project.folder / "members" / "migrations" / "0004_wait.py").write_text(AUDITED)
    change_env(operator, AUDIT=str(tmp_path / "audit"), GO=str(tmp_path / "go"))
    yield tmp_path
    (tmp_path / "go").touch()


def record(folder, label: str) -> dict:
    records = [json.loads(path.read_text()) for path in (folder / "state").glob("*.json")]
    (found,) = [each for each in records if each["label"] == label]
    return found


def test_two_at_work_are_followed_after_the_controller_was_killed(project, operator, slow):
    change(operator, lambda inventory: inventory.pop("framework"))  # it is found out, by one worker for all
    process = operator.start("migrate-all", "--env=prod", "--forks=2")
    eventually(lambda: sorted(audit(slow)) == ["s01", "s02"])
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=test_omnitenant.PATIENCE)

    process = operator.start("migrate-all", "--env=prod", "--resume", "--format=json")
    eventually(
        lambda: any(": following" in text for path, text in operator.files().items() if path.endswith("run.log"))
    )
    (slow / "go").touch()
    out, _ = process.communicate(timeout=test_omnitenant.PATIENCE)
    report = json.loads(out)

    assert (process.returncode, by_status(report).keys()) == (0, {"migrated"})
    assert {each["tenant_id"]: (each["applied"], each["verified"]) for each in report["outcomes"]} == {
        name: ([NAME], True) for name in ("s01", "s02", "s03", "s04")
    }
    assert sorted(audit(slow)) == ["s01", "s02", "s03", "s04"]


def test_a_host_killed_with_its_command_is_settled_by_the_database_while_the_other_goes_on(project, operator, slow):
    process = operator.start("migrate-all", "--env=prod", "--forks=2", "--format=json")
    eventually(lambda: sorted(audit(slow)) == ["s01", "s02"])
    child = record(slow, "s02")["pid"]
    for pid in (processes.agent_above(child), child):
        os.kill(pid, signal.SIGKILL)
    (slow / "go").touch()
    out, _ = process.communicate(timeout=test_omnitenant.PATIENCE)
    report = json.loads(out)

    assert process.returncode == 5
    assert {status: sorted(names) for status, names in by_status(report).items()} == {
        "migrated": ["s01", "s03", "s04"], "failed": ["s02"]
    }  # fmt: skip
    assert NAME not in project.history("s02")
    assert sorted(audit(slow)) == ["s01", "s02", "s03", "s04"]


def test_a_host_with_other_migrations_refuses_the_run(project, sshd, apart, tmp_path):
    """Two machines, of which the second has the code of tomorrow."""
    operator = test_omnitenant.make_operator(project, sshd, tmp_path / "operator", tmp_path / "state")
    project.create_tenants(schemas=2)
    project.add_migration()
    servers, known = apart
    for name in ("one", "two"):
        shutil.copytree(project.folder, tmp_path / name / "app")
    (tmp_path / "two" / "app" / "members" / "migrations" / "0005_tomorrow.py").write_text(
        AUDITED.replace("0003_member_joined", "0004_member_phone")
    )

    def both(inventory: dict) -> None:
        app1 = inventory["hosts"]["app1"]
        inventory["hosts"] = {
            f"app{number}": {**app1, "port": str(server.port)} for number, server in enumerate(servers, 1)
        }
        inventory["ssh"] = {"known_hosts": str(known)}
        inventory["app"]["path"] = "~/app"

    change(operator, both)
    done = operator.types("migrate-all", "--env=prod", "--forks=2")
    assert done.returncode == 3
    assert "app2 has other migrations than app1: members.0005_tomorrow (new). nothing was migrated." in done.stderr
    assert all("members.0004_member_phone" not in project.history(name) for name in ("s01", "s02"))
