"""The manual that opskit was made from: what it tells its reader to type is typed, by sh, and what it shows is seen."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from sys import executable

import pytest

from opskit import journal, model


@pytest.fixture
def typed(project):
    """Type lines into a shell in the project's folder: the exit code of the last one, stdout and stderr."""
    path = f"{Path(executable).parent}:{os.environ['PATH']}"

    def typed(lines):
        done = subprocess.run(
            ["sh", "-c", lines],
            cwd=project.folder,
            env={**os.environ, "PATH": path, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return typed


def test_deploy_a_new_feature(project, typed):
    typed("python manage.py migratealltenants")
    model = project.folder / "users" / "models.py"
    model.write_text(model.read_text() + "    phone = models.CharField(max_length=20, default='')\n")
    code, out, _ = typed("python manage.py makemigrations && python manage.py migratealltenants")
    assert 0 == code
    assert out.endswith("""\
Migrating tenant: acme
users/0003_user_phone.py ... OK
✓ Tenant 'acme' migrated successfully.
Migrating tenant: globex
users/0003_user_phone.py ... OK
✓ Tenant 'globex' migrated successfully.
Migrating tenant: initech
users/0003_user_phone.py ... OK
✓ Tenant 'initech' migrated successfully.
Migration Summary:
✓ acme - migrated successfully
✓ globex - migrated successfully
✓ initech - migrated successfully
Total: 3 tenants migrated
""")
    code, out, _ = typed("python manage.py showtenants --status")
    assert (0, ["acme", "globex", "initech"]) == (code, [line.split()[0] for line in out.splitlines()[1:]])
    assert {"5 0"} == {" ".join(line.split()[-2:]) for line in out.splitlines()[1:]}


def test_a_tenant_that_failed_is_fixed_and_run_again_alone(project, typed):
    project.sql("globex", "CREATE TABLE users_user (id integer)")
    code, out, _ = typed("python manage.py migratealltenants")
    assert 1 == code
    assert "✗ globex - FAILED\n" in out
    project.sql("globex", "DROP TABLE users_user")
    code, out, _ = typed("python manage.py migratetenant --tenant-id=globex")
    assert (0, "✓ Tenant 'globex' migrated successfully.") == (code, out.splitlines()[-1])
    assert all(not row["pending"] for row in project.status().values())


def test_tenants_are_migrated_one_after_the_other(project, typed):
    _, out, _ = typed("python manage.py migratealltenants --format=jsonl")
    seen = [journal.decode(line) for line in out.splitlines()]
    turns = [
        (type(each), each.tenant if isinstance(each, model.TenantStarted) else each.outcome.tenant)
        for each in seen
        if isinstance(each, model.TenantStarted | model.TenantFinished)
    ]
    both = (model.TenantStarted, model.TenantFinished)
    assert [(kind, name) for name in ("acme", "globex", "initech") for kind in both] == turns


def test_the_cron_job(project, typed):
    line = "python manage.py migratealltenants >> migrations.log 2>&1"
    assert (0, "", "") == typed(line)
    assert (0, "", "") == typed(line)
    log = (project.folder / "migrations.log").read_text()
    assert 2 == log.count("Migration Summary:\n")
    assert log.endswith("Total: 0 tenants migrated, 3 with nothing to migrate\n")


def test_the_rolling_deployment(project, typed):
    code, out, err = typed("""\
for tenant_id in $(python manage.py showtenants --format=json | jq -r '.[].tenant_id'); do
python manage.py migratetenant --tenant-id=$tenant_id
sleep 0 # Wait between tenants
done""")
    assert (0, "") == (code, err)
    ends = [line for line in out.splitlines() if line.startswith("✓")]
    assert [f"✓ Tenant '{name}' migrated successfully." for name in ("acme", "globex", "initech")] == ends


def test_the_migration_history(project, typed):
    code, out, _ = typed("python manage.py migratetenant --tenant-id=acme --plan")
    assert (0, "Planned operations:", "users.0001_initial") == (code, *out.splitlines()[:2])
    code, out, _ = typed("python manage.py showmigrations")
    assert 0 == code
    assert " [X] 0001_initial" in out.partition("opskit_tenants")[2].partition("products")[0]


def test_the_log_output(project, typed):
    project.sql("globex", "CREATE TABLE users_user (id integer)")
    typed("python manage.py migratealltenants 2>&1 | tee migrations.log")
    code, out, _ = typed("grep ERROR migrations.log")
    assert (0, 1) == (code, len(out.splitlines()))
    assert out.startswith("ERROR tenant=globex failed after ")
