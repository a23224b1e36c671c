"""`check`: before the first migration, on real hosts and databases. Nothing is changed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import termios

import omnitenant
import pytest
import servers

from e2e import operator, test_omnitenant
from opskit import model
from opskit.reporters import checks as reporter
from opskit.rollout import checks

HOST = {"connection", "host key", "python", "path", "manage.py", "user", "state folder", "disk", "clock", "MaxStartups"}
CODE = {"django", "framework", "commands", "database"}
ENVIRONMENT = {"revision", "listing", "shared database", "tenants", "master", "places", "names"}
SERVER = {"connections", "locks", "database size", "database disk", "PGOPTIONS", "pooler"}
REVISION = "1a2b3c4d5e6f" + "0" * 28


def table(report: dict) -> dict[tuple[str, str], tuple[str, str]]:
    """{(check, of): (status, found)}."""
    found = {(each["name"], each["of"]): (each["status"], each["found"]) for each in report["checks"]}
    assert len(found) == len(report["checks"])
    return found


def ill(report: dict) -> dict[str, str]:
    """{check: what was found} of those that failed or warn."""
    return {each["name"]: each["found"] for each in report["checks"] if each["status"] in ("failed", "warning")}


def failed(report: dict) -> list[str]:
    return [each["name"] for each in report["checks"] if each["status"] == "failed"]


def checkout(project_folder, revision: str = REVISION) -> None:
    (project_folder / ".git").mkdir()
    (project_folder / ".git" / "HEAD").write_text(f"{revision}\n")


# ---------------------------------------------------------------- django-omnitenant on PostgreSQL


@pytest.fixture
def project(postgres, tmp_path):
    project = omnitenant.new_project(postgres, tmp_path)
    checkout(project.folder)
    return project


@pytest.fixture
def typist(project, sshd, tmp_path):
    return test_omnitenant.make_operator(project, sshd, tmp_path / "operator", tmp_path / "state")


def test_where_all_is_well_it_is_said_of_every_check(project, typist, tmp_path):
    project.create_tenants(schemas=2, databases=1)
    before = project.execute("SELECT datname FROM pg_database ORDER BY 1")

    report = typist.json("check", "--env=prod")

    assert {name for name, _ in table(report)} == HOST | CODE | ENVIRONMENT | SERVER
    assert set(checks.NAMES) == HOST | CODE | ENVIRONMENT | SERVER | {"sudo", "env file"}
    assert {name: status for (name, _), (status, _) in table(report).items() if status != "ok"} == {
        "MaxStartups": "not known"  # the sshd of the tests is not the system's
    }
    found = {name: found for (name, _), (_, found) in table(report).items()}
    assert found["revision"] == REVISION[:12]
    assert found["listing"] == "3 tenants"
    assert found["framework"] == "omnitenant 1.0.2"
    assert found["tenants"] == "3 asked, 0 with something pending"
    # nothing was changed, neither there nor here
    assert project.execute("SELECT datname FROM pg_database ORDER BY 1") == before
    assert not (tmp_path / "state").exists()
    assert typist.files() == {}


def test_the_table_has_a_line_for_each_check_and_ends_with_what_to_type(project, typist):
    project.create_tenants(schemas=1)
    done = typist.types("check", "--env=prod")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].split() == ["check", "of", "status", "found"]
    names = [line.partition("  ")[0] for line in lines[2 : 2 + 27]]
    assert sorted(names) == sorted(set(checks.NAMES) - {"sudo", "env file"})
    assert lines[-2:] == ["27 checks: 26 ok, 1 not known.", "next: `invoke migrate-all --env=prod --plan`"]


def test_tenants_that_would_do_harm_are_found_each_under_its_own_check(project, typist):
    project.create_tenants(schemas=1, databases=1)
    project.create(
        omnitenant.schema_row("twin", schema_name="s01"),
        omnitenant.schema_row("public"),
        omnitenant.schema_row("long", schema_name="x" * 70),
        omnitenant.database_row_without_config("lost"),
        project.database_row("same", HOST="localhost", NAME=project.tenant_database("d01")),
        project.database_row("gone"),
    )
    database, server = project.database, f"127.0.0.1:{project.postgres.port}"

    report = typist.json("check", "--env=prod", code=3)

    found = ill(report)
    assert failed(report) == ["tenants", "master", "places"]
    assert found["tenants"].startswith("2 of 8: lost: ValueError: db_config has no NAME")
    assert found["tenants"].endswith(f'FATAL: database "{project.tenant_database("gone")}" does not exist')
    assert found["master"] == "their database is the shared one: `lost`"
    assert found["places"] == (
        f"schema `s01` in database `{database}` on {server}: `s01`, `twin`; "
        f"database `{project.tenant_database('d01')}` on {server}: `d01`, `same`"
    )
    assert found["names"] == "cut after 63 bytes, of `long`"


def test_a_schema_that_is_not_there_yet_is_a_warning(project, typist):
    project.create(omnitenant.schema_row("new"), omnitenant.schema_row("public"))
    found = ill(typist.json("check", "--env=prod"))
    assert found == {
        "tenants": "1 schema missing: `new`",
        "master": "in the shared schema `public`: `public`",
    }


def test_a_pending_shared_database_is_a_warning_and_keeps_no_tenant_from_being_listed(project, typist):
    project.create_tenants(schemas=1)
    added = project.add_migration(app="companies", model="company", field="motto", name="0002_company_motto")
    report = typist.json("check", "--env=prod")
    assert ill(report) == {"shared database": f"1 pending migration: `{added}`"}
    done = typist.types("check", "--env=prod")
    assert "shared database: `invoke migrate-all --env=prod --shared` migrates it first" in done.stdout


@pytest.fixture
def crowded(project):
    """The server with one connection free for those who are no superusers."""
    ((most, used),) = project.execute(
        "SELECT current_setting('max_connections')::int, (SELECT sum(numbackends)::int FROM pg_stat_database)"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(most - 3 - used):
            stack.enter_context(project.postgres.connect())
        yield


def test_a_server_of_which_nearly_all_connections_are_taken_fails(project, typist, crowded):
    project.create_tenants(schemas=1)
    report = typist.json("check", "--env=prod", code=3)
    assert failed(report) == ["connections"]
    assert ill(report)["connections"] in ("0 of 200 free", "1 of 200 free")


def test_a_database_behind_pgbouncer_is_told_with_what_gets_lost(project, typist, postgres):
    project.create_tenants(schemas=1)
    with servers.pgbouncer(postgres) as port:
        test_omnitenant.change_env(typist, DB_PORT=str(port))
        report = typist.json("check", "--env=prod", code=3)
    assert failed(report) == ["pooler"]
    assert ill(report)["pooler"] == "one in between, which hands a connection on between transactions"
    assert "unsupported startup parameter" in ill(report)["PGOPTIONS"]


def test_a_frozen_database_ends_the_check_and_hides_no_host(sshd, tmp_path):
    with servers.postgres() as frozen:
        project = omnitenant.new_project(frozen, tmp_path)
        typist = test_omnitenant.make_operator(project, sshd, tmp_path / "operator", tmp_path / "state")
        test_omnitenant.change_env(typist, PGCONNECT_TIMEOUT="2")
        os.kill(frozen.pid, signal.SIGSTOP)
        try:
            report = typist.json("check", "--env=prod", code=3)
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
    assert failed(report) == ["database", "listing", "shared database"]
    assert "timeout" in ill(report)["database"]
    assert ill(report)["listing"] == "the shared database does not answer"
    assert table(report)["django", "app1"][0] == "ok"


def test_a_tenant_table_that_somebody_locks_ends_the_check_too(project, typist):
    project.create_tenants(schemas=1)
    with project.postgres.connect(project.database) as other:
        other.autocommit = False
        other.execute("LOCK TABLE companies_company IN ACCESS EXCLUSIVE MODE")
        report = typist.json("check", "--env=prod", "--timeout=3s", code=3)
        other.rollback()
    assert failed(report) == ["listing", "shared database"]
    assert table(report)["database", "app1"][0] == "ok"
    assert table(report)["database", "prod"] == ("not known", "not every server has been asked: it timed out")
    assert {each["hint"] for each in report["checks"] if each["status"] == "failed"} == {
        "`--timeout` gives each question more time."
    }


def test_a_project_that_does_not_come_to_an_end_is_given_up_after_the_time_limit(project, typist):
    settings = project.folder / "acme" / "settings.py"
    settings.write_text("import time\ntime.sleep(600)\n" + settings.read_text())
    report = typist.json("check", "--env=prod", "--timeout=2s", code=3)
    assert ill(report) == {"django": "it timed out"}
    assert table(report)["user", "app1"][0] == "ok"


# ---------------------------------------------------------------- what migrate-all does by itself


def test_migrate_all_refuses_tenants_that_share_a_place_and_takes_the_one_that_is_meant(project, typist):
    project.create_tenants(schemas=2)
    project.create(omnitenant.schema_row("twin", schema_name="s01"))
    added = project.add_migration()

    report = typist.json("migrate-all", "--env=prod", code=5)
    outcomes = {each["tenant_id"]: (each["status"], each["attempt"]) for each in report["outcomes"]}
    why = {each["tenant_id"]: each["error"] for each in report["outcomes"] if each["error"]}
    untouched = added not in project.history("s01")
    chosen = typist.json("migrate-all", "--env=prod", "--exclude=twin")

    assert outcomes == {"s01": ("failed", 0), "s02": ("migrated", 1), "twin": ("failed", 0)}
    place = f"schema `s01` in database `{project.database}` on 127.0.0.1:{project.postgres.port}"
    assert why == {
        "s01": f"{place} is also that of `twin` (no command was sent)",
        "twin": f"{place} is also that of `s01` (no command was sent)",
    }
    assert untouched
    assert test_omnitenant.by_status(chosen) == {"migrated": ["s01"], "current": ["s02"]}
    assert added in project.history("s01")


# ---------------------------------------------------------------- several hosts


def check(desk, code: int, *flags: str) -> dict:
    result = desk.run("check", "--format=json", *flags)
    assert (result.code, result.err) == (code, ""), result
    return json.loads(result.out)


def test_the_demos_project_on_this_machine(demo):
    report = check(demo, 0)
    assert {each["status"] for each in report["checks"]} == {"ok", "not known"}
    found = table(report)
    assert found["framework", "local"][1].startswith("opskit ")
    assert found["database", "local"][1].startswith("sqlite, ")
    assert found["shared database", "prod"] == ("ok", "nothing is pending")
    assert found["tenants", "prod"] == ("ok", "12 asked, 12 with something pending")
    assert demo.kept() == ""
    assert not (demo.folder / "state").exists()


def test_a_host_that_is_down_hides_no_other(demo, sshd, known_hosts):
    down = {"address": servers.LOOPBACK, "port": servers.free_port(), "user": "deploy"}
    known_hosts.write_text(sshd.known_hosts_line())
    over_ssh(demo, down, sshd, known_hosts=known_hosts)
    report = check(demo, 3)
    assert failed(report) == ["connection"]
    status, found = table(report)["connection", "app1"]
    assert (status, found.rpartition(": ")[2]) == ("failed", "connection refused")
    assert table(report)["listing", "prod"] == ("ok", "12 tenants")


def test_a_host_whose_key_is_not_known_is_no_other_hosts_business(demo, sshd, known_hosts):
    other = sshd.another()
    known_hosts.write_text(other.known_hosts_line())
    over_ssh(demo, sshd, other, known_hosts=known_hosts)
    report = check(demo, 3)
    assert failed(report) == ["host key"]
    assert table(report)["host key", "app1"][1].startswith(f"the host key of [{sshd.host}]:{sshd.port} is not known")
    assert table(report)["listing", "prod"] == ("ok", "12 tenants")
    assert "ssh-keyscan" in next(each["hint"] for each in report["checks"] if each["status"] == "failed")


@pytest.fixture
def known_hosts(demo):
    """A known_hosts of the test's own, empty at first."""
    file = demo.folder / "known_hosts"
    file.write_text("")
    return file


def over_ssh(demo, *hosts, **more) -> None:
    demo.over_ssh(*hosts, framework="opskit", **more)


@pytest.fixture
def two(demo, sshd, known_hosts):
    """The demo's project on two hosts, each with a copy of its own below its HOME."""
    homes = [demo.folder / "app1", demo.folder / "app2"]
    hosts = [sshd.another(options=(f"SetEnv HOME={home}",)) for home in homes]
    known_hosts.write_text("".join(host.known_hosts_line() for host in hosts))
    for home in homes:
        shutil.copytree(demo.app, home / "project")
    over_ssh(demo, *hosts, known_hosts=known_hosts, app={"path": "~/project"})
    return homes


def test_two_hosts_with_one_revision_are_well(demo, two):
    for home in two:
        checkout(home / "project")
    assert table(check(demo, 0))["revision", "prod"] == ("ok", REVISION[:12])


def test_two_hosts_with_two_revisions_fail(demo, two):
    for home, revision in zip(two, (REVISION, "f" * 40), strict=True):
        checkout(home / "project", revision)
    report = check(demo, 3)
    assert ill(report) == {"revision": f"app1 {REVISION[:12]}, app2 ffffffffffff"}


def test_without_a_checkout_the_migrations_are_compared(demo, two):
    from opskit.demo import data

    assert table(check(demo, 0))["revision", "prod"][0] == "not known"
    added = data.add_migration(two[1] / "project")
    assert ill(check(demo, 3)) == {"revision": f"app1 lacks what app2 has: `{added}`"}


def test_where_one_hosts_project_does_not_start_the_other_answers(demo, two):
    (two[0] / "project" / "shop" / "settings.py").write_text("import nowhere\n")
    report = check(demo, 3)
    assert failed(report) == ["django"]
    assert table(report)["django", "app1"] == ("failed", "ModuleNotFoundError: No module named 'nowhere'")
    assert table(report)["listing", "prod"] == ("ok", "12 tenants")


def test_ctrl_c_ends_it_with_one_word(desk):
    with desk.held("check", listing=True) as running:
        running.press_ctrl_c()
        result = running.end()
    assert (result.code, result.out, result.err) == (130, "", "interrupted.\n")


def test_a_terminal_of_few_columns_keeps_every_line_within_them(demo):
    primary, secondary = os.openpty()
    termios.tcsetwinsize(secondary, (24, 72))
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), secondary)
    process = subprocess.Popen([operator.BIN / "invoke", "check"], cwd=demo.folder, env=demo.environ(), **streams)
    os.close(secondary)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", read_all(primary))
    assert process.wait(operator.PATIENCE) == 0
    rows = shown.partition(" checks: ")[0].splitlines()
    assert rows[0].split() == ["check", "of", "status", "found"]
    assert max(map(len, rows)) <= 72


def test_what_was_found_is_broken_where_a_row_would_be_too_wide():
    where = "app.path `/srv/acme/releases/2026-11-22T14-02-03/current/backend`: No such file or directory"
    found = [model.Check("path", "app1", model.CheckStatus.FAILED, where)]
    assert where in reporter.as_table(found, "prod")
    shown, *_ = reporter.as_table(found, "prod", 72).partition("1 check: ")
    assert max(map(len, shown.splitlines())) <= 72
    assert where.replace(" ", "") == "".join(line[24:].replace(" ", "") for line in shown.splitlines()[2:])


def read_all(primary: int) -> str:
    """What is printed on a terminal until nobody has it open any more."""
    pieces = []
    with contextlib.suppress(OSError):  # so Linux says it
        while piece := os.read(primary, 65536):
            pieces.append(piece)
    os.close(primary)
    return b"".join(pieces).decode().replace("\r\n", "\n")


# ---------------------------------------------------------------- what is wrong with one host


def refused(desk, name: str, says: str) -> None:
    """Assert that this check is the last of its host, failed, and that nothing else did."""
    report = check(desk, 3)
    assert failed(report) == [name]
    assert report["checks"][-1]["name"] == name
    assert says in report["checks"][-1]["found"]
    assert report["checks"][-1]["hint"]


@pytest.mark.parametrize(
    ("app", "name", "says"),
    [
        ({"path": "/nowhere"}, "path", "app.path `/nowhere`: No such file or directory"),
        ({"manage": "nope.py"}, "manage.py", "app.manage `nope.py`: there is no such file"),
        ({"python": "/nowhere/python"}, "python", "/nowhere/python: "),
        ({"env_file": "/nowhere/env"}, "env file", "app.env_file `/nowhere/env`: No such file or directory"),
        ({"run_as": "nosuchuser"}, "sudo", "sudo: "),
        ({"wrapper": ["/nowhere/wrapper"]}, "python", "/nowhere/wrapper: "),
    ],
)
def test_a_wrong_app_is_told_by_the_check_that_it_failed(demo, sshd, app, name, says):
    over_ssh(demo, sshd, known_hosts=sshd.known_hosts, app=app)
    refused(demo, name, says)


@pytest.mark.parametrize(
    ("app", "name", "says"),
    [
        ({"path": "/nowhere"}, "path", "app.path `/nowhere`"),
        ({"python": "/nowhere/python"}, "python", "cannot start `/nowhere/python` on local"),
        ({"run_as": "nosuchuser"}, "sudo", "sudo: "),
    ],
)
def test_it_is_the_same_on_this_machine(demo, app, name, says):
    demo.inventory(framework="opskit", app=app)
    refused(demo, name, says)


def test_a_key_that_the_host_refuses_is_a_connection_that_failed(demo, sshd):
    host = {"address": sshd.host, "port": sshd.port, "user": sshd.user, "identity_file": str(sshd.refused_key())}
    over_ssh(demo, host, known_hosts=sshd.known_hosts)
    refused(demo, "connection", "the host refused the key")


def test_openssh_as_the_client_tells_an_unknown_key_too(demo, sshd, known_hosts):
    over_ssh(demo, sshd, known_hosts=known_hosts, ssh={"client": "openssh"})
    refused(demo, "host key", "Host key verification failed")


def test_a_state_folder_that_is_a_file_fails_and_is_left_as_it_is(demo):
    (demo.folder / "state").write_text("mine")
    report = check(demo, 3)
    assert ill(report) == {"state folder": f"{demo.folder / 'state'}: it is not a folder"}
    assert (demo.folder / "state").read_text() == "mine"


def test_a_managepy_that_is_not_djangos_fails_with_opskits_own_app_and_not_with_a_custom_framework(desk):
    custom = check(desk, 0)
    assert table(custom)["listing", "prod"] == ("ok", "3 tenants")
    assert table(custom)["django", "local"][0] == "not known"
    desk.inventory(framework="opskit")
    report = check(desk, 3)
    assert failed(report) == ["django"]


def test_a_managepy_that_comes_to_no_command_fails(demo):
    (demo.app / "manage.py").write_text("")
    report = check(demo, 3)
    assert ill(report) == {"manage.py": "manage.py never reached execute_from_command_line"}


def test_an_app_without_the_frameworks_commands_fails(demo):
    settings = demo.app / "shop" / "settings.py"
    settings.write_text(settings.read_text().replace('"opskit.tenants", ', ""))
    report = check(demo, 3)
    assert ill(report)["commands"] == "manage.py has no `showtenants`, `migratetenant`"


# ---------------------------------------------------------------- flags


@pytest.mark.parametrize(
    ("flag", "what"),
    [
        ("--timeout=0", "--timeout: `0` would end every question at once"),
        ("--timeout=soon", "--timeout: expected a duration such as `60`, `60s`, `10m` or `1h30m`, found `soon`"),
        ("--format=xml", "--format: expected `table` or `json`, found `xml`"),
    ],
)
def test_a_flag_that_can_not_be_meant_asks_nobody(desk, flag, what):
    operator.refuses(desk.run("check", flag), 2, what)
    assert desk.asked == []


def test_the_console_script_says_what_to_type_in_its_own_name(demo):
    result = demo.run("check", program="opskit")
    assert result.code == 0
    assert result.out.splitlines()[-1] == "next: `opskit migrate-all --env=prod --plan`"


def test_the_keys_of_the_json_are_those_of_a_check():
    assert json.loads(reporter.as_json((), "prod")) == {
        "environment": "prod",
        "counts": {"ok": 0, "warning": 0, "failed": 0, "not known": 0},
        "checks": [],
    }
