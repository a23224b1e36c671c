"""Sees what really happens, and writes it where no fault reaches it.

The folder WITNESS holds `commands`, a line of JSON for each thing seen: a migration command that began or ended, one
that began while another of its tenant was at work (a kernel lock knows), a statement that met another of its tenant
still at work in PostgreSQL (an advisory lock knows). Its `orders` say who is slow or noisy, and who is broken or lies
the first time; who is held waits, before it is connected to any database, for the file `go`; whose statement is held
waits inside PostgreSQL for an advisory lock.

Every migration writes into the database `audit`, over a connection of its own, when it starts; and into its tenant's
table `members_audit`, in its own transaction, when it has done its work.
"""

import contextlib
import fcntl
import json
import os
import random
import time
from pathlib import Path

import psycopg

FOLDER = Path(os.environ["WITNESS"])
NOISE = "x" * 199 + "\n"
GATE = 4711  # the advisory lock that a held statement waits for


def saw(what, tenant, **more):
    line = {"what": what, "tenant": tenant, "at": time.time(), "pid": os.getpid(), "parent": os.getppid(), **more}
    with (FOLDER / "commands").open("a") as file:
        file.write(json.dumps(line) + "\n")


def orders():
    return json.loads((FOLDER / "orders").read_text())


def once(order, tenant):
    """Whether a tenant is ordered to do something, the first time that this is asked."""
    asked = FOLDER / f"{order}-{tenant}"
    if tenant not in orders()[order] or asked.exists():
        return False
    asked.touch()
    return True


def hold(tenant):
    while tenant in orders()["held"] and not (FOLDER / "go").exists():
        time.sleep(0.02)


@contextlib.contextmanager
def at_work(tenant):
    """One command of a tenant: who else is at work for it, is told by the kernel."""
    with (FOLDER / "locks" / tenant).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            saw("overlap", tenant)
        saw("began", tenant)
        yield
        saw("ended", tenant)


def tenant_of(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema(), current_database()")
        schema, database = cursor.fetchone()
    return database.removesuffix("_db") if schema == "public" else schema.removeprefix("public_")


def begin(connection, migration, sleep=True):
    """A migration starts: it says so where it can't be rolled back, and takes the tenant's advisory lock."""
    tenant, told = tenant_of(connection), orders()
    with audit() as written:
        written.execute(
            "INSERT INTO started (tenant, migration, pid) VALUES (%s, %s, %s)", (tenant, migration, os.getpid())
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [tenant])
        if cursor.fetchone() == (False,):
            saw("overlap", tenant, migration=migration)
    if tenant in told["noisy"]:
        for _ in range(told["noise"]):
            print(NOISE, end="")
    if sleep:
        time.sleep(pause(told, tenant, migration))
    if once("broken", tenant):
        raise ValueError("this tenant is broken")


def end(connection, migration):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO members_audit (migration, pid) VALUES (%s, %s)", [migration, os.getpid()])


def alone(connection, migration, statement):
    """Sleep, `statement` and the audit row in one statement: PostgreSQL needs no client to bring it to its end."""
    told, tenant = orders(), tenant_of(connection)
    wait = (
        f"pg_advisory_lock_shared({GATE})"
        if tenant in told["held_inside"]
        else f"pg_sleep({pause(told, tenant, migration)})"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"DO $$ BEGIN PERFORM {wait}; {statement}; "
            f"INSERT INTO members_audit (migration, pid) VALUES ('{migration}', {os.getpid()}); END $$"
        )


def pause(told, tenant, migration):
    if tenant in told["slow"]:
        return told["slow"][tenant]
    return random.Random(f"{told['seed']} {tenant} {migration}").uniform(0.02, 0.25)  # noqa: S311 - a seed's story


def audit():
    return psycopg.connect(
        dbname="audit",
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        host=os.environ["DB_HOST"],
        port=os.environ["DB_PORT"],
        autocommit=True,
    )
