"""The main job on the real parts: django-omnitenant from PyPI, PostgreSQL, OpenSSH, and real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import omnitenant
import processes
import pytest

INVOKE = Path(sys.executable).with_name("invoke")
PATIENCE = 120.0  # seconds for whatever is waited for


@pytest.fixture
def project(postgres, tmp_path):
    return omnitenant.new_project(postgres, tmp_path)


@pytest.fixture
def operator(project, sshd, tmp_path):
    """A folder with an inventory of the project, reached over the real sshd."""
    return make_operator(project, sshd, tmp_path / "operator", tmp_path / "state")


def make_operator(project, sshd, folder: Path, state: Path) -> Operator:
    (folder / "inventories").mkdir(parents=True)
    (folder / "tasks.py").write_text("from opskit.tasks import namespace\n")
    inventory = {
        "app": {"path": str(project.folder), "python": sys.executable, "env": project.env, "state_dir": str(state)},
        "framework": "omnitenant",
        "hosts": {
            "app1": {
                "address": sshd.host,
                "port": str(sshd.port),
                "user": sshd.user,
                "identity_file": str(sshd.identity_file),
            }
        },
        "ssh": {"known_hosts": str(sshd.known_hosts)},
    }
    (folder / "inventories" / "prod.yaml").write_text(json.dumps(inventory))  # JSON is YAML
    return Operator(folder, project.postgres.password)


class Operator:
    """Types commands in a folder, and checks that no password ever shows."""

    def __init__(self, folder: Path, password: str) -> None:
        self.folder = folder
        self.password = password

    def start(self, *argv: str) -> subprocess.Popen:
        env = {**os.environ, "HOME": str(self.folder), "COLUMNS": "200"}
        return subprocess.Popen(
            [INVOKE, *argv],
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def types(self, *argv: str) -> subprocess.CompletedProcess:
        process = self.start(*argv)
        out, err = process.communicate(timeout=600)
        assert "Traceback" not in err, err
        assert self.password not in out + err
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def json(self, *argv: str, code: int = 0) -> dict:
        done = self.types(*argv, "--format=json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def files(self) -> dict[str, str]:
        """{path below .opskit: text} of all that the runs left."""
        root = self.folder / ".opskit"
        return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def by_status(report: dict) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for outcome in report["outcomes"]:
        found.setdefault(outcome["status"], []).append(outcome["tenant_id"])
    return found


def eventually(true) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.05)


def test_15_tenants_one_of_them_broken(project, operator):
    ids = project.create_tenants(schemas=12, databases=3)
    added = project.add_migration()
    project.break_tenant("s04")
    others = [name for name in ids if name != "s04"]

    report = operator.json("migrate-all", "--env=prod", code=5)

    assert by_status(report) == {"migrated": others, "failed": ["s04"]}
    assert {each["tenant_id"]: each["applied"] for each in report["outcomes"]} == {
        name: [] if name == "s04" else [added] for name in ids
    }
    (failed,) = [each for each in report["outcomes"] if each["status"] == "failed"]
    assert failed["error"].startswith('column "phone" of relation "members_member" already exists')
    assert all(each["verified"] and each["host"] == "app1" for each in report["outcomes"])
    # the databases agree with the report, tenant by tenant
    assert {name: added in project.history(name) for name in ids} == {name: name != "s04" for name in ids}
    # and nothing that was left behind knows a password
    assert [path for path, text in operator.files().items() if project.postgres.password in text] == []


def test_after_the_fix_one_tenant_is_migrated_again_and_then_all_are_current(project, operator):
    project.create_tenants(schemas=3)
    added = project.add_migration()
    project.break_tenant("s02")
    operator.types("migrate-all", "--env=prod")
    project.mend_tenant("s02")

    again = operator.json("migrate-tenant", "--env=prod", "--tenant-id=s02")
    after = operator.json("migrate-all", "--env=prod")

    assert [(each["tenant_id"], each["status"], each["applied"]) for each in again["outcomes"]] == [
        ("s02", "migrated", [added])
    ]
    assert by_status(after) == {"current": ["s01", "s02", "s03"]}
    assert all(each["attempt"] == 0 for each in after["outcomes"])


def test_one_app_to_one_migration_and_back(project, operator):
    project.create_tenants(schemas=1)
    down = operator.json(
        "migrate-tenant", "--env=prod", "--tenant-id=s01", "--app-label=members", "--migration-name=0002"
    )
    assert by_status(down) == {"migrated": ["s01"]}
    assert "members.0003_member_joined" not in project.history("s01")
    up = operator.json("migrate-tenant", "--env=prod", "--tenant-id=s01", "--app-label=members")
    assert [each["applied"] for each in up["outcomes"]] == [["members.0003_member_joined"]]


def test_a_pending_shared_database_is_refused_by_name_and_migrated_on_request(project, operator):
    project.create_tenants(schemas=2)
    master = project.add_migration(app="companies", model="company", field="motto", name="0002_company_motto")
    added = project.add_migration()

    refused = operator.types("migrate-all", "--env=prod")
    shared = operator.json("migrate-all", "--env=prod", "--shared")

    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.splitlines()[-1] == (
        f"the shared database of `prod` has 1 pending migration: {master}. nothing was migrated. "
        "`invoke migrate-all --env=prod --shared` migrates it first."
    )
    assert [(each["tenant_id"], each["status"]) for each in shared["outcomes"]] == [
        ("(shared)", "migrated"),
        ("s01", "migrated"),
        ("s02", "migrated"),
    ]
    assert master in project.history()
    assert added in project.history("s02")


def test_a_database_tenant_without_a_database_of_its_own_gets_no_command(project, operator):
    project.create(omnitenant.schema_row("s01"), omnitenant.database_row_without_config("d01"))
    before = project.history()
    report = operator.json("migrate-all", "--env=prod", code=5)
    assert by_status(report) == {"migrated": ["s01"], "failed": ["d01"]}
    (failed,) = [each for each in report["outcomes"] if each["tenant_id"] == "d01"]
    assert failed["error"] == (
        "ValueError: db_config has no NAME: its migrations would run on the master database (no command was sent)"
    )
    assert project.history() == before


def test_the_listing_shows_no_credentials(project, operator):
    project.create_tenants(schemas=1, databases=1)
    done = operator.types("show-tenants", "--env=prod", "--format=json")
    assert json.loads(done.stdout) == [
        {"tenant_id": "s01", "name": "S01", "isolation_type": "schema"},
        {"tenant_id": "d01", "name": "D01", "isolation_type": "database"},
    ]
    status = json.loads(operator.types("show-tenants", "--env=prod", "--format=json", "--status").stdout)
    assert [(row["applied"], row["pending"], row["latest"][-1]) for row in status] == [
        (len(project.history("s01")), 0, "members.0003_member_joined"),
        (len(project.history("d01")), 0, "members.0003_member_joined"),
    ]


# ---------------------------------------------------------------- a migration that waits, for real kills

WAITING = """
import os, time
from django.db import migrations


def wait(apps, schema_editor):
    open(os.environ["BEGUN"], "a").close()
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.02)


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunPython(wait, migrations.RunPython.noop)]
"""
SLOW = "members.0004_wait"


@pytest.fixture
def slow(project, operator, tmp_path):
    """Two tenants with a migration pending that waits for the file `go`, and says that it began."""
    project.create_tenants(schemas=2)
    (project.folder / "members" / "migrations" / "0004_wait.py").write_text(WAITING)
    inventory = operator.folder / "inventories" / "prod.yaml"
    content = json.loads(inventory.read_text())
    content["app"]["env"] |= {"BEGUN": str(tmp_path / "begun"), "GO": str(tmp_path / "go")}
    inventory.write_text(json.dumps(content))
    return tmp_path


def test_two_runs_at_once_the_second_is_told_who_holds_it(operator, slow):
    first = operator.start("migrate-all", "--env=prod")
    eventually((slow / "begun").exists)
    second = operator.types("migrate-all", "--env=prod")
    (slow / "go").touch()
    first.communicate(timeout=PATIENCE)
    assert (first.returncode, second.returncode, second.stdout) == (0, 4, "")
    said = second.stderr.splitlines()[-1]
    assert said.startswith("another run holds `prod`: started ")
    assert said.endswith("-prod. nothing was migrated. `invoke status` shows it, where it was started.")


def test_a_killed_controller_leaves_its_tenant_to_its_end_and_the_next_run_hears_of_it(project, operator, slow):
    killed = operator.start("migrate-all", "--env=prod")
    eventually((slow / "begun").exists)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=PATIENCE)
    held = operator.types("migrate-all", "--env=prod")
    (slow / "go").touch()
    eventually(lambda: SLOW in project.history("s01"))
    eventually(lambda: operator.types("migrate-all", "--env=prod", "--tenants=s01").returncode == 0)

    assert held.returncode == 4
    (notice,) = [
        line
        for text in operator.files().values()
        for line in text.splitlines()
        if "was cut off" in line and "WARNING" in line
    ]
    assert "cut off while it migrated `s01`: that command ended with exit 0" in notice
    assert SLOW not in project.history("s02")  # the agent started nothing more
    history = operator.types("runs", "--env=prod").stdout
    assert "no end recorded: it was killed" in history
    recalled = {path: text for path, text in operator.files().items() if "/tenants/s01-" in path}
    cut_off, told = sorted(recalled)
    assert f"Applying {SLOW}..." not in recalled[cut_off]  # nobody was there to hear the end of it
    assert f"  Applying {SLOW}... OK\n" in recalled[told]
    assert "Migrations completed successfully for tenant 's01'" in recalled[told]
    assert [path.name for path in (slow / "state").iterdir() if path.suffix in (".json", ".out")] == []
    rest = operator.json("migrate-all", "--env=prod")
    assert by_status(rest) == {"current": ["s01"], "migrated": ["s02"]}


def agent_and_child(folder: Path) -> tuple[int, int]:
    """The processes of the agent and of the command at work."""
    (record,) = (folder / "state").glob("*.json")
    child = json.loads(record.read_text())["pid"]
    return processes.agent_above(child), child


def notices(operator) -> list[str]:
    return [event["text"] for event in events(operator, "Notice")]


def test_a_killed_agent_is_a_pause_and_its_orphan_is_followed_to_its_end(project, operator, slow):
    process = operator.start("migrate-all", "--env=prod", "--format=json")
    eventually((slow / "begun").exists)
    agent, child = agent_and_child(slow)
    os.kill(agent, signal.SIGKILL)
    eventually(lambda: "app1 is back: `s01` is still at work" in notices(operator))
    held = operator.types("migrate-all", "--env=prod")
    (slow / "go").touch()
    out, _ = process.communicate(timeout=PATIENCE)
    report = json.loads(out)

    assert (process.returncode, by_status(report)) == (0, {"migrated": ["s01", "s02"]})
    assert [(each["applied"], each["verified"]) for each in report["outcomes"]] == [([SLOW], True)] * 2
    assert notices(operator) == [
        "lost app1 while migrating `s01` (the connection was closed): trying again for 5m00s",
        "app1 is back: `s01` is still at work",
        "`s01`: nobody wrote down how it ended. nothing is pending there any more: it is home",
    ]
    assert held.returncode == 4
    assert (
        f"its command for `s01` still runs there (process {child})" in held.stderr
        or "another run holds `prod`: started " in held.stderr  # the agent that follows it holds the lock
    )


def test_an_agent_killed_with_its_command_is_a_failure_that_the_database_tells(project, operator, slow):
    process = operator.start("migrate-all", "--env=prod", "--format=json", "--fail-fast")
    eventually((slow / "begun").exists)
    for each in agent_and_child(slow):
        os.kill(each, signal.SIGKILL)
    out, _ = process.communicate(timeout=PATIENCE)
    report = json.loads(out)

    assert (process.returncode, by_status(report)) == (5, {"failed": ["s01"], "skipped": ["s02"]})
    (failed,) = [each for each in report["outcomes"] if each["status"] == "failed"]
    assert failed["error"] == "nobody wrote down how it ended; it is over, with 1 migration still pending"
    assert SLOW not in project.history("s01")


def test_a_session_that_is_killed_is_a_pause_and_the_command_is_heard_to_its_end(project, operator, slow):
    process = operator.start("migrate-all", "--env=prod", "--format=json")
    eventually((slow / "begun").exists)
    agent, _ = agent_and_child(slow)
    os.kill(session_of(agent), signal.SIGKILL)
    eventually(lambda: "app1 is back: `s01` is still at work" in notices(operator))
    (slow / "go").touch()
    out, _ = process.communicate(timeout=PATIENCE)

    assert (process.returncode, by_status(json.loads(out))) == (0, {"migrated": ["s01", "s02"]})
    (printed,) = [text for path, text in operator.files().items() if "/tenants/s01-" in path]
    assert printed.count(f"Applying {SLOW}...") == 1
    assert "Migrations completed successfully for tenant 's01'" in printed
    assert [path.name for path in (slow / "state").iterdir() if path.suffix in (".json", ".out")] == []


def session_of(process: int) -> int:
    """The sshd that serves a process: the nearest of its ancestors of that name."""
    while True:
        name, _, rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")
        if name.partition("(")[2].startswith("sshd"):
            return process
        process = int(rest.split()[1])


def test_a_host_that_stays_away_leaves_an_unknown_tenant_and_starts_no_other(project, operator, slow):
    change(operator, "ssh", reconnect="1s")
    process = operator.start("migrate-all", "--env=prod", "--format=json")
    eventually((slow / "begun").exists)
    agent, child = agent_and_child(slow)
    change_on_the_host(project, "gone")
    os.kill(session_of(agent), signal.SIGKILL)
    out, _ = process.communicate(timeout=PATIENCE)
    change_on_the_host(project, "")
    report = json.loads(out)
    (slow / "go").touch()
    eventually(lambda: SLOW in project.history("s01"))

    assert (process.returncode, by_status(report)) == (6, {"unknown": ["s01"], "skipped": ["s02"]})
    (unknown,) = [each for each in report["outcomes"] if each["status"] == "unknown"]
    assert unknown["error"].startswith("lost app1 while migrating `s01` (app1 stayed away for 1.0 s: ")
    assert child
    eventually(lambda: operator.types("migrate-all", "--env=prod").returncode == 0)


def change_on_the_host(project, ending: str) -> None:
    """Move manage.py away, or back: no agent gets into the project without it."""
    folder = project.folder
    (folder / "manage.py.gone" if not ending else folder / "manage.py").rename(
        folder / ("manage.py.gone" if ending else "manage.py")
    )


def change(operator, section: str, **keys: str) -> None:
    inventory = operator.folder / "inventories" / "prod.yaml"
    content = json.loads(inventory.read_text())
    content.setdefault(section, {}).update(keys)
    inventory.write_text(json.dumps(content))


def test_a_migration_that_hangs_is_ended_and_the_next_tenant_starts(project, operator, slow):
    report = operator.json("migrate-all", "--env=prod", "--timeout=3", code=5)
    assert by_status(report) == {"failed": ["s01", "s02"]}
    assert report["outcomes"][0]["error"].startswith("timed out after 3.")
    assert project.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%'") == [(0,)]
    assert SLOW not in project.history("s01")


def test_the_first_ctrl_c_finishes_the_tenant_and_starts_no_more(project, operator, slow):
    process = operator.start("migrate-all", "--env=prod", "--format=json")
    eventually((slow / "begun").exists)
    process.send_signal(signal.SIGINT)
    eventually(lambda: "interrupted: finishing" in read_until(process, "interrupted"))
    (slow / "go").touch()
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, by_status(json.loads(out))) == (130, {"migrated": ["s01"], "skipped": ["s02"]})
    assert [SLOW in project.history(name) for name in ("s01", "s02")] == [True, False]


# ---------------------------------------------------------------- locks, and backends that outlive their clients

MEMBERS = '"s01".members_member'
LOCKED = f"LOCK TABLE {MEMBERS} IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
def contended(project, operator):
    """Two tenants with a migration pending, and a connection that holds a lock on the first one's table."""
    project.create_tenants(schemas=2)
    change_env(operator, PGOPTIONS="-c lock_timeout=500ms")
    with project.postgres.connect(project.database) as other:
        other.autocommit = False
        other.execute(LOCKED)
        yield other


def change_env(operator, **env: str) -> None:
    inventory = operator.folder / "inventories" / "prod.yaml"
    content = json.loads(inventory.read_text())
    content["app"]["env"] |= env
    inventory.write_text(json.dumps(content))


def events(operator, kind: str) -> list[dict]:
    """The newest run's events of one kind, as far as they are written."""
    runs = sorted((operator.folder / ".opskit" / "runs").glob("*/journal.jsonl"))
    lines = runs[-1].read_text().splitlines(keepends=True) if runs else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [event for event in found if event["event"] == kind]


def finished(operator) -> list[tuple[str, str, int]]:
    outcomes = [event["outcome"] for event in events(operator, "TenantFinished")]
    return [(each["tenant"], each["status"], each["attempt"]) for each in outcomes]


def test_a_tenant_that_failed_of_a_lock_is_migrated_at_the_second_try(project, operator, contended):
    added = project.add_migration()
    process = operator.start("migrate-all", "--env=prod", "--retries=2", "--format=json")
    eventually(lambda: ("s01", "failed", 1) in finished(operator))
    contended.rollback()
    out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0, err
    assert {
        each["tenant_id"]: (each["status"], each["attempt"], each["applied"], each["verified"])
        for each in json.loads(out)["outcomes"]
    } == {"s01": ("migrated", 2, [added], True), "s02": ("migrated", 1, [added], True)}
    # at the back of the queue, after a pause
    assert finished(operator) == [("s01", "failed", 1), ("s02", "migrated", 1), ("s01", "migrated", 2)]
    (log,) = [text for path, text in operator.files().items() if path.endswith("/run.log")]
    assert [line.partition(" ")[2].partition(" after ")[0] for line in log.splitlines() if " INFO " not in line] == [
        "WARNING tenant=s01 failed"
    ]
    assert "; it is tried again\n" in log
    ended, again = events(operator, "TenantFinished")[1]["at"], events(operator, "TenantStarted")[2]["at"]
    assert 5 <= (datetime.fromisoformat(again) - datetime.fromisoformat(ended)).total_seconds() < 30


def test_without_retries_a_lock_is_a_failure_with_postgresqls_own_sentence(project, operator, contended):
    project.add_migration()

    report = operator.json("migrate-all", "--env=prod", code=5)

    assert by_status(report) == {"failed": ["s01"], "migrated": ["s02"]}
    (failed,) = [each for each in report["outcomes"] if each["status"] == "failed"]
    assert failed["error"].startswith("canceling statement due to lock timeout")
    assert failed["attempt"] == 1
    assert [event["outcome"]["retryable"] for event in events(operator, "TenantFinished")] == [True, False]


def test_a_lock_that_is_never_let_go_of_uses_the_tries_up(project, operator, contended):
    project.add_migration()

    report = operator.json("migrate-all", "--env=prod", "--retries=1", "--tenants=s01", "--fail-fast", code=5)

    assert by_status(report) == {"failed": ["s01"]}
    assert finished(operator) == [("s01", "failed", 1), ("s01", "failed", 2)]


SLEEPING = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunSQL("SELECT pg_sleep(300)")]
"""


def test_a_timed_out_migration_whose_backend_goes_on_is_unknown_and_the_run_stops(project, operator):
    project.create_tenants(schemas=2)
    (project.folder / "members" / "migrations" / "0004_sleep.py").write_text(SLEEPING)
    change_env(operator, PGOPTIONS="-c client_connection_check_interval=0")
    change(operator, "rollout", settle="3s")
    backends = "FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%/s01'"

    report = operator.json("migrate-all", "--env=prod", "--timeout=5", code=6)
    alive = project.execute(f"SELECT state {backends}")
    project.execute(f"SELECT pg_terminate_backend(pid) {backends}")

    assert by_status(report) == {"unknown": ["s01"], "skipped": ["s02"]}
    (unknown,) = [each for each in report["outcomes"] if each["status"] == "unknown"]
    assert alive == [("active",)]
    assert unknown["error"].startswith("timed out after 5.")
    assert unknown["error"].endswith("; its connection is still at work in PostgreSQL, and may yet commit")
    assert notices(operator)[0] == (
        "`s01`: its connection is still at work in PostgreSQL, and may yet commit. waiting for that, 3.0 s at most"
    )
    # the run's own record says it, too
    log = next(text for path, text in operator.files().items() if path.endswith("/run.log"))
    assert " ERROR tenant=s01 unknown after 5." in log


def test_a_backend_whose_client_was_killed_ends_by_itself(project, operator):
    project.create_tenants(schemas=2, databases=1)
    (project.folder / "members" / "migrations" / "0004_sleep.py").write_text(SLEEPING)
    change_env(operator, PGOPTIONS="-c work_mem=5MB")

    report = operator.json("migrate-all", "--env=prod", "--timeout=5", "--tenants=s01", code=5)

    (failed,) = report["outcomes"]
    assert failed["error"].startswith("timed out after 5.")
    assert project.execute("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%/s01'") == []


COMMITS_LATE = """
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunSQL("SELECT pg_sleep(8); INSERT INTO public.audit VALUES ('x')")]
"""


def test_the_outcome_of_a_timed_out_tenant_waits_for_its_backend_to_be_done(project, operator):
    project.create_tenants(schemas=2)
    project.execute("CREATE TABLE public.audit (who text)")
    (project.folder / "members" / "migrations" / "0004_late.py").write_text(COMMITS_LATE)
    change_env(operator, PGOPTIONS="-c client_connection_check_interval=0")

    report = operator.json("migrate-all", "--env=prod", "--timeout=5", "--fail-fast", code=5)

    assert by_status(report) == {"failed": ["s01"], "skipped": ["s02"]}
    assert project.execute("SELECT count(*) FROM public.audit") == [(1,)]  # it went on after its client was killed
    assert project.execute("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'opskit/%%/s01'") == []


def test_a_plan_leaves_no_trace_on_the_host(project, operator, tmp_path):
    project.create_tenants(schemas=1)
    project.add_migration()

    planned = operator.types("migrate-all", "--env=prod", "--plan")
    listed = operator.types("show-tenants", "--env=prod", "--status")

    assert (planned.returncode, listed.returncode) == (0, 0)
    assert "1 of 1 tenant would be migrated; 0 have nothing pending." in planned.stdout
    assert not (tmp_path / "state").exists()
    assert operator.files() == {}


def read_until(process: subprocess.Popen, word: str) -> str:
    """The line of stderr with a word in it."""
    for line in process.stderr:
        if word in line:
            return line
    return ""
