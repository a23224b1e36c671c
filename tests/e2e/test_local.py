"""`hosts: [local]`: cron on the app host, and what `grep ERROR` finds in the morning."""

from __future__ import annotations

import subprocess

import pytest

from e2e import operator

CRON = "cd {folder} && {opskit} migrate-all --env=local --yes >> migrations.log 2>&1"
FAILS = """\
if tenant in ("acme", "initech"):
    print("one line", "another", "ERROR in the last", sep="\\n")
    raise RuntimeError("column exists")
print(f"Migrated {tenant}")
"""


@pytest.fixture
def host(empty):
    """An app host: its own inventory names it `local`, and asks for a confirmation that cron can't give."""
    empty.project()
    empty.inventory("local", confirm="true")
    return empty


def cron(desk) -> int:
    """Run the crontab's line as cron does: by sh, with hardly any environment."""
    line = CRON.format(folder=desk.folder, opskit=operator.BIN / "opskit")
    env = {"HOME": str(desk.home), "PATH": "/usr/bin:/bin", "LOGNAME": "deploy"}
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=env, cwd="/", capture_output=True, check=False, timeout=operator.PATIENCE
    )
    assert done.stdout + done.stderr == b""  # or cron sends a mail
    return done.returncode


def grep(desk, word: str) -> list[str]:
    done = subprocess.run(
        ["grep", word, "migrations.log"], cwd=desk.folder, capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines()


def test_a_night_without_a_failure_has_no_line_with_error(host):
    assert cron(host) == 0
    assert host.migrated == list(operator.TENANTS)
    assert grep(host, "ERROR") == []
    assert len(grep(host, "3 tenants: 3 migrated.")) == 1


def test_each_failure_is_one_line_with_error_that_names_its_tenant(host):
    host.project(migrate=FAILS)

    code = cron(host)

    found = grep(host, "ERROR")
    assert (code, host.migrated) == (5, ["globex"])
    assert [line.split(" ", 1)[1].split(" after ")[0] for line in found] == [
        "ERROR acme: failed",
        "ERROR initech: failed",
    ]
    assert [line.partition(" s: ")[2] for line in found] == ["RuntimeError: column exists"] * 2


def test_the_next_night_is_appended(host):
    host.project(migrate=FAILS)
    cron(host)
    host.project()

    assert cron(host) == 0
    assert len(grep(host, "ERROR")) == 2
    assert len(grep(host, "3 tenants: ")) == 2


def test_a_project_that_can_not_be_asked_leaves_its_reason_in_the_log(host):
    host.project(listing="raise RuntimeError('no such table: tenants')")

    assert cron(host) == 3
    assert "RuntimeError: no such table: tenants" in (host.folder / "migrations.log").read_text()


def test_the_runs_own_log_has_one_error_line_for_each_failure_too(host):
    host.project(migrate=FAILS)
    cron(host)

    errors = [line for line in host.log().splitlines() if " ERROR " in line]
    assert [line.split()[2] for line in errors] == ["tenant=acme", "tenant=initech"]


def test_links_env_and_relative_paths_are_those_of_the_host(host):
    current = host.folder / "current"
    current.symlink_to(host.app)
    host.project(migrate="print(os.getcwd(), os.environ['COLOUR'])\nprint(f'Migrated {tenant}')")
    host.inventory("local", app={"path": "current", "env": {"COLOUR": "green"}})

    result = host.run("migrate-all", "-v", "--tenants=acme")

    assert result.code == 0
    assert f"acme | {host.app} green" in result.err.splitlines()
