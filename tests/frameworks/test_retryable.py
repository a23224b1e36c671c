"""What a second try may help, in the words of real databases: locks, deadlocks, serialization failures; nothing else."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import traceback

import psycopg
import pytest
from django.db import utils

from opskit import model
from opskit.frameworks import django, omnitenant

ACME = model.Tenant("acme")


@pytest.fixture
def two(postgres):
    """Two connections to one database, which has a table of two rows."""
    database = postgres.new_database("retryable")
    with postgres.connect(database) as one, postgres.connect(database) as other:
        one.execute("CREATE TABLE members (id int PRIMARY KEY, seats int NOT NULL)")
        one.execute("INSERT INTO members VALUES (1, 1), (2, 1)")
        yield one, other


def refused(connection, *statements: str) -> psycopg.Error | None:
    """What the database says no with."""
    try:
        for statement in statements:
            connection.execute(statement)
    except psycopg.Error as error:
        return error
    return None


def lock_timeout(one, other):
    with one.transaction():
        one.execute("LOCK TABLE members")
        return refused(other, "SET lock_timeout = '50ms'", "ALTER TABLE members ADD COLUMN phone text")


def deadlock(one, other):
    """Each holds what the other wants: the server gives one of them up."""
    said, first = [], "UPDATE members SET seats = 2 WHERE id = 1"
    second = first.replace("id = 1", "id = 2")
    for connection, statement in ((one, first), (other, second)):
        connection.execute("SET deadlock_timeout = '50ms'")
        connection.execute("BEGIN")
        connection.execute(statement)
    waits = threading.Thread(target=lambda: said.append(refused(one, second, "COMMIT")))
    waits.start()
    said.append(refused(other, first, "COMMIT"))
    waits.join()
    (error,) = (each for each in said if each)
    return error


def serialization(one, other):
    one.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    one.execute("SELECT seats FROM members")
    other.execute("UPDATE members SET seats = 3")
    return refused(one, "UPDATE members SET seats = 4")


def statement_timeout(one, _):
    return refused(one, "SET statement_timeout = '50ms'", "SELECT pg_sleep(60)")


def twice(one, _):
    return refused(one, "ALTER TABLE members ADD COLUMN seats int")


def terminated(one, other):
    other.execute("SELECT pg_terminate_backend(%s)", [one.info.backend_pid])
    return refused(one, "SELECT 1")


def as_django(error: Exception) -> model.Reply:
    """What manage.py leaves of an error of its database: Django's own exception, on top of the driver's."""
    raised = utils.OperationalError(*error.args)
    raised.__cause__ = error
    return model.Reply(exit=1, tail="".join(traceback.format_exception(raised)))


@pytest.mark.parametrize(
    ("happens", "words", "again"),
    [
        (lock_timeout, "canceling statement due to lock timeout", True),
        (deadlock, "deadlock detected", True),
        (serialization, "could not serialize access due to concurrent update", True),
        (statement_timeout, "canceling statement due to statement timeout", False),
        (twice, 'column "seats" of relation "members" already exists', False),
        (terminated, "terminating connection due to administrator command", False),
    ],
)
def test_postgresql_says_what_may_be_tried_again(two, happens, words, again):
    error = happens(*two)

    alone = django.judge(ACME, as_django(error))
    mark = f"Migrations failed for tenant 'acme': {error}".splitlines()[0]
    caught = omnitenant.FRAMEWORK.judge(ACME, model.Reply(exit=0, marks=(mark,), tail=f"{mark}\n"))

    assert [words in each.error for each in (alone, caught)] == [True, True], (alone.error, caught.error)
    assert [(each.status, each.retryable) for each in (alone, caught)] == [(model.Status.FAILED, again)] * 2


def test_a_locked_sqlite_may_be_tried_again(tmp_path):
    file = tmp_path / "db.sqlite3"
    with contextlib.closing(sqlite3.connect(file)) as one, contextlib.closing(sqlite3.connect(file, timeout=0)) as two:
        one.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            two.execute("CREATE TABLE members (id)")
    assert django.judge(ACME, as_django(caught.value)).retryable


@pytest.mark.parametrize(
    ("error", "again"),
    [
        ("not started: BlockingIOError: [Errno 11] Resource temporarily unavailable", True),
        ("not started: OSError: [Errno 12] Cannot allocate memory", True),
        ("not started: OSError: [Errno 28] No space left on device", True),
        ("not started: ValueError: embedded null byte", False),
        ("not started: OSError: [Errno 7] Argument list too long: '/usr/bin/python3'", False),
        ("it printed `not started: yet`", False),
    ],
)
def test_what_the_host_could_not_start_may_be_tried_again(error, again):
    outcome = django.judge(ACME, model.Reply(exit=127, error=error))
    assert (outcome.status, outcome.retryable) == (model.Status.FAILED, again)
