"""A createtenant on PostgreSQL that is told to end, or killed, in the middle of what the server does for it."""

from __future__ import annotations

import secrets
import shlex
import signal
import subprocess
import sys
import time

import pytest
from tenants import test_schemas

SLEEPS = "migrations.RunSQL('SELECT pg_sleep(600)')"
SCHEMA = ("--tenant-id=hooli", "--name=N", "--isolation-type=schema")
UNDONE = "CommandError: interrupted. nothing of it is left"

shop = test_schemas.shop  # the fixture


@pytest.fixture
def begin(shop):
    """Start a createtenant, and wait until the server has a statement like that of it, that waits for a lock or runs."""
    started = []

    def begin(*args, like):
        line = [shop.project.python, "-W", "error", "manage.py", "createtenant", *args]
        started.append(subprocess.Popen(line, cwd=shop.project.folder, stdout=-1, stderr=-1, text=True))
        return started[-1], until(shop, like)

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def until(shop, like, waits=False):
    """The server's process that is at such a statement (and waits for a lock), once there is one."""
    asked = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE %s"
    limit = time.monotonic() + 60
    while not (found := shop.postgres.execute(asked + " AND wait_event_type = 'Lock'" * waits, like)):
        assert time.monotonic() < limit, f"nobody came to {like}"
        time.sleep(0.02)
    return found[0][0]


def last(process):
    return process.returncode, process.communicate()[1].splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drops_the_database_that_was_created(shop, begin, number):
    tenant = f"t{secrets.token_hex(4)}"
    shop.project.add_migration(SLEEPS)
    process, _ = begin(f"--tenant-id={tenant}", "--name=N", like="SELECT pg_sleep%")
    process.send_signal(number)
    process.wait()
    assert (130, UNDONE) == last(process)
    assert [] == shop.sql(f"SELECT 1 FROM pg_database WHERE datname = '{tenant}_db'")
    assert {} == shop.project.status()


def test_a_signal_drops_the_schema_that_was_created(shop, begin):
    shop.project.add_migration(SLEEPS)
    process, _ = begin(*SCHEMA, like="SELECT pg_sleep%")
    process.send_signal(signal.SIGTERM)
    process.wait()
    assert (130, UNDONE) == last(process)
    assert [] == shop.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'public_hooli'")
    assert {} == shop.project.status()


BUSY = """
import time
from django.db import connections


def busy(apps, schema_editor):
    connections["default"].ensure_connection()
    connections["default"].connection.pgconn.send_query(b"SELECT pg_sleep(600)")
    while True:
        time.sleep(0.05)
"""


def test_a_signal_in_the_middle_of_a_statement_of_the_masters_connection_undoes_it_all_the_same(shop, begin):
    shop.project.add_migration("migrations.RunPython(busy)", BUSY)
    process, backend = begin(*SCHEMA, like="SELECT pg_sleep%")
    process.send_signal(signal.SIGTERM)
    process.wait()
    shop.sql(f"SELECT pg_terminate_backend({backend})")  # which sleeps on
    assert (130, UNDONE) == last(process)
    assert {} == shop.project.status()


def test_a_signal_while_the_schema_is_made_waits_and_undoes_it(shop, begin):
    with shop.postgres.connect(shop.database) as other:
        other.autocommit = False
        other.execute("LOCK TABLE pg_namespace IN SHARE MODE")
        process, _ = begin(*SCHEMA, like="CREATE SCHEMA%")
        process.send_signal(signal.SIGTERM)
        assert (
            "interrupted: what was created is being removed. once more leaves at once.\n" == process.stderr.readline()
        )
        other.rollback()
    process.wait()
    assert (130, UNDONE) == last(process)
    assert [] == shop.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'public_hooli'")
    assert {} == shop.project.status()


def test_a_second_signal_leaves_what_there_is_and_the_next_one_says_what_that_is(shop, begin):
    shop.project.add_migration(SLEEPS)
    process, _ = begin(*SCHEMA, like="SELECT pg_sleep%")
    with shop.postgres.connect(shop.database) as other:
        other.autocommit = False
        other.execute("LOCK TABLE public_hooli.users_user")
        process.send_signal(signal.SIGTERM)
        until(shop, "DROP SCHEMA%", waits=True)
        process.send_signal(signal.SIGTERM)
        process.wait()
        other.rollback()
    said = "left at once: a part of it may be there. `manage.py createtenant` with the same id says what"
    assert (130, f"CommandError: {said}") == last(process)
    shop.project.add_migration("")
    said = shop.manage("createtenant", *SCHEMA, expect=1).err
    assert "exists already, with 1 migration pending. nothing was created" in said
    shop.manage("migratetenant", "--tenant-id=hooli")
    assert [] == shop.project.status()["hooli"]["pending"]


def test_killed_before_its_schema_was_made_it_left_a_row_and_the_next_one_says_so(shop, begin):
    with shop.postgres.connect(shop.database) as other:
        other.autocommit = False
        other.execute("LOCK TABLE pg_namespace IN SHARE MODE")
        killed, backend = begin(*SCHEMA, like="CREATE SCHEMA%")
        killed.kill()
        killed.wait()
        shop.sql(f"SELECT pg_terminate_backend({backend}, 10000)")  # which would go on without it
        other.rollback()
    said = shop.manage("createtenant", *SCHEMA, expect=1).err
    begun, _, line = said.partition(". to begin anew, delete its row: ")
    there = "tenant `hooli` exists already, and there is no schema `public_hooli`. nothing was created"
    assert f"CommandError: {there}" == begun
    typed = line.strip().strip("`").replace("manage.py", f"{shlex.quote(sys.executable)} manage.py", 1)
    subprocess.run(["sh", "-c", typed], cwd=shop.project.folder, capture_output=True, check=True)
    shop.manage("createtenant", *SCHEMA)
    assert [] == shop.project.status()["hooli"]["pending"]


def test_killed_in_the_middle_of_a_migration_it_is_gone_on_with(shop, begin):
    shop.project.add_migration(SLEEPS)
    killed, backend = begin(*SCHEMA, like="SELECT pg_sleep%")
    killed.kill()
    killed.wait()
    shop.sql(f"SELECT pg_terminate_backend({backend}, 10000)")
    shop.project.add_migration("")
    said = shop.manage("createtenant", *SCHEMA, expect=1).err
    word = "`manage.py migratetenant --tenant-id=hooli` goes on"
    assert f"tenant `hooli` exists already, with 1 migration pending. nothing was created. {word}\n" in said
    shop.manage("migratetenant", "--tenant-id=hooli")
    assert [] == shop.project.status()["hooli"]["pending"]
