"""What a project stands on, asked of real ones: django-omnitenant on PostgreSQL, past and through PgBouncer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import omnitenant
import pytest
import servers
from remote.test_status import edit_manage, everything

import opskit
from opskit.remote import host

REMOTE = Path(opskit.__file__).parent / "remote"
FACTS, STATUS = ((REMOTE / f"{name}.py").read_text() for name in ("facts", "status"))
COMMANDS = ["showtenants", "migratetenant", "migrate", "nosuch"]


def argv(framework="omnitenant", *, deep=True, commands=COMMANDS):
    return ("-u", "-c", FACTS, framework, "manage.py", json.dumps({"commands": commands, "deep": deep}), STATUS)


def ask(project, *, deep=True, framework="omnitenant", **env):
    return project.run(*argv(framework, deep=deep), **env)


def told(project, *, deep=True, **env):
    """The parts of the answer."""
    done = ask(project, deep=deep, **env)
    assert (done.returncode, done.stderr) == (0, "")
    assert project.postgres.password not in done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def the_servers(project, **env):
    return [part for part in told(project, **env) if part["part"] == "server"]


def the_server(project, **env):
    (only,) = the_servers(project, **env)
    return only


@pytest.fixture
def project(postgres, tmp_path):
    return omnitenant.new_project(postgres, tmp_path)


# ---------------------------------------------------------------- the answer


def test_the_code_is_told(project):
    code, _server, end = told(project)
    import django

    assert code == {
        "part": "code",
        "django": django.get_version(),
        "frameworks": ["omnitenant"],
        "package": "1.0.2",
        "commands": {
            "showtenants": "django_omnitenant",
            "migratetenant": "django_omnitenant",
            "migrate": "django.core",
        },
        "migrations": code["migrations"],
    }
    assert set(omnitenant.TENANT + omnitenant.MASTER) < set(code["migrations"])
    assert end == {"part": "end"}


def test_a_command_of_another_app_is_seen(project):
    folder = project.folder / "extra" / "management" / "commands"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent, folder.parent.parent):
        (package / "__init__.py").touch()
    (folder / "migratetenant.py").write_text(
        "from django_omnitenant.management.commands.migratetenant import Command\n"
    )
    settings = project.folder / "acme" / "settings.py"
    settings.write_text(settings.read_text() + '\nINSTALLED_APPS.insert(0, "extra")\n')
    assert told(project)[0]["commands"]["migratetenant"] == "extra"


def test_a_server_tells_its_figures_and_nothing_else(project, postgres):
    said = the_server(project, PGOPTIONS="-c lock_timeout=7s")
    ((version, connections),) = postgres.execute(
        "SELECT current_setting('server_version'), current_setting('max_connections')::int"
    )
    assert (said["server"], said["database"], said["error"]) == (
        f"127.0.0.1:{postgres.port}",
        project.database,
        "",
    )
    assert (said["version"], said["user"], said["standby"]) == (version, "postgres", False)
    assert (said["max_connections"], said["reserved"], said["lock_timeout"]) == (connections, 3, "7s")
    assert (said["pgoptions"], said["pgoptions_set"], said["pooler"]) == ("through", True, "none")
    assert 0 < said["used"] < connections
    assert 0 < said["locks"] < said["lock_slots"] == 64 * connections
    assert 0 < said["largest"] < said["size"]
    assert said["relations"] > 20
    assert set(said) == {
        *("part", "server", "database", "error", "vendor", "version", "user", "standby", "started", "lock_timeout"),
        *("max_connections", "reserved", "used", "lock_slots", "locks", "size", "largest", "relations", "disk_free"),
        *("pgoptions", "pgoptions_set", "pooler"),
    }


def test_the_servers_own_disk_is_seen_where_it_runs_here(project, postgres):
    room = os.statvfs(postgres.log.parent)
    assert the_server(project)["disk_free"] == pytest.approx(room.f_bavail * room.f_frsize, rel=0.2)


def test_a_question_that_is_not_deep_asks_the_masters_server_for_the_least(project):
    project.create(project.database_row("d01", HOST="nowhere.invalid"))
    _code, server, _end = told(project, deep=False)
    assert server["version"]
    assert {"size", "pgoptions", "pooler", "disk_free"} & set(server) == set()


def test_nothing_is_created(project):
    project.create_tenants(schemas=1, databases=1)
    project.create(omnitenant.schema_row("missing"), project.database_row("d02"))
    before = everything(project)
    assert len(the_servers(project)) == 1
    assert everything(project) == before


def test_no_connection_is_left_open(project):
    project.create_tenants(databases=2)
    counting = "import psutil; print(len(psutil.Process().net_connections('tcp')), 'left')"
    edit_manage(project, "execute_from_command_line(sys.argv)", f"execute_from_command_line(sys.argv); {counting}")
    edit_manage(project, "from django.core", "import gc; gc.disable()  # which would close some\n    from django.core")
    assert ask(project).stderr in ("0 left\n", "1 left\n")  # the listing's own goes with the process


# ---------------------------------------------------------------- servers that are elsewhere, or ill


def test_each_server_of_the_tenants_is_asked_once(project):
    with servers.postgres() as other:
        other.new_database(name="x1")
        rows = [{**project.database_row(f"d0{n}"), "config": {"db_config": other.django("x1")}} for n in (1, 2)]
        project.create(*rows)
        first, second = the_servers(project)
    assert (first["server"], second["server"]) == (
        f"127.0.0.1:{project.postgres.port}",
        f"127.0.0.1:{other.port}",
    )
    assert first["started"] != second["started"]
    assert second["database"] == "x1"


def test_one_server_by_two_names_started_at_one_time(project):
    project.new_tenant_database("d01")
    project.create(project.database_row("d01", HOST="localhost", TIME_ZONE="Asia/Tokyo"))
    first, second = the_servers(project)
    assert second["server"].startswith("localhost:")
    assert first["started"] == second["started"]


def test_another_database_of_a_server_is_tried_where_the_first_is_gone(project):
    project.new_tenant_database("d02")
    project.create(project.database_row("d01", HOST="localhost"), project.database_row("d02", HOST="localhost"))
    _, second = the_servers(project)
    assert (second["error"], second["database"]) == ("", project.tenant_database("d02"))


def test_a_server_that_refuses_is_told_without_a_password(project):
    secret = "hunter2-hunter2"
    project.create(
        project.database_row("d01", PORT=str(servers.free_port()), PASSWORD=secret),
        project.database_row("d02", HOST="localhost", PASSWORD=secret),
    )
    done = ask(project)
    _, closed, refused = [json.loads(line) for line in done.stdout.splitlines() if '"server"' in line][:3]
    assert "Connection refused" in closed["error"]
    assert 'password authentication failed for user "postgres"' in refused["error"]
    assert secret not in done.stdout + done.stderr


def test_a_master_that_refuses_is_told_and_the_code_stands(project):
    parts = told(project, DB_PORT=str(servers.free_port()))
    assert [part["part"] for part in parts] == ["code", "server", "end"]
    assert "Connection refused" in parts[1]["error"]


def test_a_frozen_server_is_given_up_after_the_connect_timeout(tmp_path):
    with servers.postgres() as frozen:
        project = omnitenant.new_project(frozen, tmp_path)
        os.kill(frozen.pid, signal.SIGSTOP)
        try:
            parts = told(project, PGCONNECT_TIMEOUT="2")
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
    assert [part["part"] for part in parts] == ["code", "server", "end"]
    assert "timeout" in parts[1]["error"]


def test_a_user_of_little_right_is_told_less(project):
    project.execute("DROP ROLE IF EXISTS little")
    project.execute("CREATE ROLE little LOGIN PASSWORD 'little-secret'")
    said = the_server(project, DB_USER="little", DB_PASSWORD="little-secret")
    assert (said["user"], said["error"], said["disk_free"]) == ("little", "", None)
    assert said["used"] > 0
    assert said["size"] > 0


# ---------------------------------------------------------------- what stands in between


@pytest.mark.parametrize(("mode", "seen"), [("session", "pooler"), ("transaction", "transaction")])
def test_pgbouncer_is_seen(project, postgres, mode, seen):
    with servers.pgbouncer(postgres, mode) as port:
        said = the_server(project, DB_PORT=str(port))
    assert (said["error"], said["pooler"]) == ("", seen)


def test_pgbouncer_refuses_start_options_or_drops_them(project, postgres):
    with servers.pgbouncer(postgres) as port:
        refused = the_server(project, DB_PORT=str(port))
    with servers.pgbouncer(postgres, ignore_startup_parameters="extra_float_digits,options") as port:
        dropped = the_server(project, DB_PORT=str(port))
        asked_for = the_server(project, DB_PORT=str(port), PGOPTIONS="-c lock_timeout=5s")
    assert (refused["pgoptions"], refused["pgoptions_set"]) == ("refused", False)
    assert "unsupported startup parameter" in refused["pgoptions_error"]
    assert (dropped["pgoptions"], dropped["pgoptions_set"]) == ("dropped", False)
    assert (asked_for["pgoptions"], asked_for["pgoptions_set"], asked_for["lock_timeout"]) == ("dropped", True, "0")


def test_options_of_the_project_win_over_pgoptions(project):
    settings = project.folder / "acme" / "settings.py"
    options = 'DATABASES["default"]["OPTIONS"] = {"options": "-c statement_timeout=1h"}'
    settings.write_text(f"{settings.read_text()}\n{options}\n")
    assert the_server(project)["pgoptions"] == "dropped"


def test_nothing_of_ours_stays_in_a_pooled_connection(project, postgres):
    with servers.pgbouncer(postgres) as port:
        the_server(project, DB_PORT=str(port))
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=port, user=postgres.user, password=postgres.password, dbname=project.database
        ) as other:
            assert other.execute("SHOW statement_timeout").fetchone() == ("0",)


# ---------------------------------------------------------------- the start


def test_settings_that_can_not_be_read_end_it_with_the_reason(project):
    done = ask(project, DJANGO_SETTINGS_MODULE="nowhere.settings")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'nowhere'"


def test_a_managepy_that_starts_no_command_is_told(project):
    edit_manage(project, "execute_from_command_line(sys.argv)", "return")
    done = ask(project)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "manage.py never reached execute_from_command_line\n"


def test_a_migration_that_can_not_be_imported_hides_nothing_else(project):
    (project.folder / "members" / "migrations" / "0009_bad.py").write_text("1 / 0\n")
    code, server, _end = told(project)
    assert (code["migrations"], code["error"]) == (None, "ZeroDivisionError: division by zero")
    assert server["error"] == ""


def test_what_the_project_prints_goes_to_stderr(project):
    edit_manage(project, "from django.core", "print('hello')\n    from django.core")
    done = ask(project)
    assert done.stderr == "hello\n"
    assert [json.loads(line)["part"] for line in done.stdout.splitlines()] == ["code", "server", "end"]


def test_a_project_on_sqlite_tells_its_code_and_its_file(tmp_path):
    from opskit.demo import data

    data.prepare(tmp_path / "app")
    done = subprocess.run(
        [sys.executable, *argv("opskit")], cwd=tmp_path / "app", capture_output=True, text=True, check=False
    )
    code, server, _end = map(json.loads, done.stdout.splitlines())
    assert code["package"] == opskit.__version__
    assert (server["vendor"], server["error"]) == ("sqlite", "")
    assert server["database"].endswith("shared.sqlite3")
    assert host.existing(server["database"]) == server["database"]


def test_a_database_file_that_is_not_there_is_not_made(tmp_path):
    from opskit.demo import data

    data.prepare(tmp_path / "app")
    file = tmp_path / "app" / "data" / "shared.sqlite3"
    file.unlink()
    done = subprocess.run(
        [sys.executable, *argv("opskit")], cwd=tmp_path / "app", capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout.splitlines()[1])["error"].startswith("FileNotFoundError: there is no database file")
    assert not file.exists()
