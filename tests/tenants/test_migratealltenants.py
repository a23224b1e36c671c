"""Every tenant, one at a time: what a person, grep, cron and a program see of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from opskit import journal
from opskit.rollout import run
from opskit.tasks import namespace

WELL = """\
Migrating tenant: acme
users/0001_initial.py ... OK
users/0002_alter_user_email.py ... OK
products/0001_initial.py ... OK
✓ Tenant 'acme' migrated successfully.
Migrating tenant: globex
users/0001_initial.py ... OK
users/0002_alter_user_email.py ... OK
products/0001_initial.py ... OK
✓ Tenant 'globex' migrated successfully.
Migrating tenant: initech
users/0001_initial.py ... OK
users/0002_alter_user_email.py ... OK
products/0001_initial.py ... OK
✓ Tenant 'initech' migrated successfully.
Migration Summary:
✓ acme - migrated successfully
✓ globex - migrated successfully
✓ initech - migrated successfully
Total: 3 tenants migrated
"""

ONE_FAILED = """\
Migrating tenant: acme
products/0001_initial.py ... OK
✓ Tenant 'acme' migrated successfully.
Migrating tenant: globex
products/0001_initial.py ... FAILED
✗ Migrations failed for tenant 'globex': OperationalError: table "products_product" already exists
Continuing with next tenant...
Migrating tenant: initech
products/0001_initial.py ... OK
✓ Tenant 'initech' migrated successfully.
Migration Summary:
✓ acme - successful
✗ globex - FAILED
✓ initech - successful
Total: 2 tenants migrated, 1 failed
"""

WAIT = """\
import sys
def wait(apps, schema_editor):
    print('here', file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def shop(project):
    """The project of the manual's first page: two migrations of `users`, one of `products`."""
    (project.folder / "products" / "migrations" / "0002_category.py").unlink()
    return project


def apply(project, *tenants, target=()):
    """Leave these tenants as after an earlier deploy."""
    for tenant in tenants:
        project.manage("migratetenant", f"--tenant-id={tenant}", *target)


def test_the_output_is_that_of_the_manuals_first_page(shop):
    said = shop.manage("migratealltenants")
    assert (WELL, "") == (said.out, said.err)
    assert all(not row["pending"] for row in shop.status().values())


def test_a_failure_is_told_and_the_next_tenants_turn_comes(shop):
    apply(shop, "acme", "globex", "initech", target=["users"])
    shop.sql("globex", "CREATE TABLE products_product (id integer)")
    said = shop.manage("migratealltenants", expect=1)
    assert ONE_FAILED == said.out
    error, end = said.err.splitlines()
    why = 'OperationalError: table "products_product" already exists'
    assert re.fullmatch(rf"ERROR tenant=globex failed after \d+\.\d s: {re.escape(why)}", error)
    again = "next: fix the cause, then `manage.py migratetenant --tenant-id={}`, or `manage.py migratealltenants` for "
    assert f"CommandError: 1 failed, 0 not started. {again.format('globex')}all that are left" == end


def test_a_tenant_with_nothing_pending_gets_no_command_but_with_all(shop):
    apply(shop, "acme")
    said = shop.manage("migratealltenants", "--tenants=acme").out
    assert (
        "Migration Summary:\n✓ acme - nothing to migrate\nTotal: 0 tenants migrated, 1 with nothing to migrate\n"
        == said
    )
    said = shop.manage("migratealltenants", "--tenants=acme", "--all").out
    assert "Migrating tenant: acme\nNo migrations to apply.\n✓ Tenant 'acme' migrated successfully.\n" in said


def test_tenants_are_selected_as_the_tasks_over_ssh_select_them(shop):
    said = shop.manage("migratealltenants", "--tenants=*", "--exclude=init*,acme").out
    assert "Migration Summary:\n✓ globex - migrated successfully\nTotal: 1 tenant migrated\n" in said
    assert 3 == len(shop.status()["acme"]["pending"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tenants="], "--tenants: expected ids or globs with commas between them, found ``"),
        (
            ["--tenants=hooli"],
            "--tenants: nothing matches `hooli` among 3 tenants. `manage.py showtenants` lists them.",
        ),
        (["--stagger=soon"], "--stagger: expected a duration such as `60`, `60s`, `10m` or `1h30m`, found `soon`"),
        (["--max-failures=x"], "--max-failures: expected a number such as `3`, or a share such as `5%`, found `x`"),
        (["--fail-fast", "--max-failures=1"], "--fail-fast and --max-failures contradict each other"),
        (
            ["--plan", "--format=jsonl"],
            "--plan and --check migrate nothing and have no events: leave out --format=jsonl",
        ),
    ],
)
def test_a_flag_that_cant_be_meant_is_an_exit_of_2(project, flags, said):
    assert f"CommandError: {said}\n" == project.manage("migratealltenants", *flags, expect=2).err


@pytest.mark.parametrize("flag", ["--fail-fast", "--max-failures=0"])
def test_who_comes_after_too_many_failures_is_not_started(project, flag):
    project.sql("acme", "CREATE TABLE users_user (id integer)")
    said = project.manage("migratealltenants", flag, expect=1)
    assert "Continuing with next tenant..." not in said.out
    assert ["✗ acme - FAILED", "✗ globex - not started", "✗ initech - not started"] == said.out.splitlines()[-4:-1]
    stopped = "CommandError: 1 failed, 2 not started (stopped: 1 failed, 0 allowed). next: "
    assert said.err.splitlines()[-1].startswith(stopped)
    assert 4 == len(project.status()["globex"]["pending"])


def test_plan_and_check_look_and_leave_no_trace(shop):
    apply(shop, "acme")
    said = shop.manage("migratealltenants", "--plan").out.splitlines()
    assert ["Planned migrations for tenant: acme", "  No planned migrations."] == said[:2]
    assert ["Planned migrations for tenant: globex", "  users.0001_initial"] == said[2:4]
    assert "" == shop.manage("migratealltenants", "--check", expect=1).out
    assert "" == shop.manage("migratealltenants", "--check", "--tenants=acme").out
    assert 0 == shop.database("globex").stat().st_size


def test_a_program_reads_the_journals_events(project):
    project.sql("globex", "CREATE TABLE users_user (id integer)")
    said = project.manage("migratealltenants", "--format=jsonl", expect=1)
    lines = said.out.splitlines()
    assert [journal.VERSION] * len(lines) == [json.loads(line)["v"] for line in lines]
    assert list(range(1, len(lines) + 1)) == [json.loads(line)["seq"] for line in lines]
    seen = run.fold(journal.decode(line) for line in lines)
    assert {"migrated": 2, "current": 0, "failed": 1, "unknown": 0, "skipped": 0} == seen.counts()
    assert 5 == seen.exit_code()
    assert ("tenants", "done") == (seen.started.environment, seen.finished.reason)
    assert [journal.encode(journal.decode(line), number) for number, line in enumerate(lines, 1)] == lines


def test_a_program_reads_each_event_as_it_happens(project):
    project.add_migration("migrations.RunPython(wait)", WAIT)
    line = [sys.executable, "manage.py", "migratealltenants", "--format=jsonl"]
    command = subprocess.Popen(line, cwd=project.folder, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True)
    begun = [json.loads(command.stdout.readline())["event"] for _ in range(3)]  # while the migration waits
    command.communicate("\n" * 3)
    assert (["RunStarted", "PlanMade", "TenantStarted"], 0) == (begun, command.returncode)


def test_its_flags_are_those_of_the_task_over_ssh(project):
    both = {"tenants", "exclude", "stagger", "fail-fast", "max-failures", "plan", "all", "format"}
    both |= {"lock-timeout", "statement-timeout", "log-file"}
    here = set(re.findall(r"--([a-z-]+)", project.manage("migratealltenants", "--help").out))
    there = {argument.name for argument in namespace.tasks["migrate-all"].get_arguments()}
    assert (set(), set()) == (both - here, both - {name.replace("_", "-") for name in there})


def test_the_log_file_has_a_line_for_each_event_and_grows(shop):
    shop.sql("globex", "CREATE TABLE users_user (id integer)")
    shop.manage("migratealltenants", "--log-file=migrations.log", expect=1)
    file = shop.folder / "migrations.log"
    lines = [line.partition(" ")[2] for line in file.read_text().splitlines()]
    assert ["INFO 3 to migrate, 0 with nothing pending", "INFO tenant=acme migrating (3 pending)"] == lines[:2]
    assert 1 == len([line for line in lines if line.startswith("ERROR tenant=globex failed after ")])
    assert "INFO ended: done: 2 migrated, 1 failed" == lines[-1]
    assert 0o600 == file.stat().st_mode & 0o777
    shop.manage("migratealltenants", "--tenants=acme", "--log-file=migrations.log")
    assert file.read_text().endswith(" INFO ended: done: 1 current\n")


def test_a_log_file_that_cant_be_written_ends_it_before_anything(project):
    said = project.manage("migratealltenants", "--log-file=nowhere/at/all.log", expect=1)
    why = "--log-file: nowhere/at/all.log can't be written: No such file or directory. nothing was migrated"
    assert f"CommandError: {why}\n" == said.err
    assert 0 == project.database("acme").stat().st_size


STAGGERED = """
from opskit import model, testing
from opskit.tenants import rolling
clock = testing.FakeClock()
options = rolling.Options(controls=model.Controls(stagger=60.0))
rollout = rolling.prepare(options)
rolling.roll_out(rollout, options, lambda heard: None, clock=clock)
print(sum(clock.slept))
"""


def test_the_stagger_is_between_two_tenants_and_not_after_the_last(project):
    said = project.manage("shell", "-v", "0", "-c", STAGGERED)
    assert "120.0" == said.out.splitlines()[-1]


def test_the_stagger_is_said_and_waited_for(project):
    said = project.manage("migratealltenants", "--stagger=1s").out
    second, third = (said.index(f"Migrating tenant: {name}\n") for name in ("globex", "initech"))
    pause = "Waiting 1.0 s...\n"
    assert (2, True, True) == (said.count(pause), said[:second].endswith(pause), said[:third].endswith(pause))


def test_a_tenant_that_somebody_else_is_migrating_is_left_alone_and_the_others_are_not(project):
    project.add_migration("migrations.RunPython(wait)", WAIT)
    apply(project, "initech", "acme", target=["users"])
    with project.waiting("migratetenant", "--tenant-id=globex") as other:
        project.add_migration("")
        said = project.manage("migratealltenants", expect=1)
    assert 0 == other.returncode
    taken = (
        rf"✗ Migrations failed for tenant 'globex': tenant `globex` is being migrated by \S+ process {other.pid} since"
    )
    assert re.search(taken, said.out)
    assert ["✓ acme - successful", "✗ globex - FAILED", "✓ initech - successful"] == said.out.splitlines()[-4:-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_tenant_at_work_and_starts_no_other(project, number):
    project.add_migration("migrations.RunPython(wait)", WAIT)
    with project.waiting("migratealltenants") as command:
        command.send_signal(number)
        assert command.stderr.readline().startswith("interrupted: the tenant at work is finished")
    out, err = command.said.out, command.said.err
    assert 130 == command.returncode
    assert ["✓ acme - successful", "✗ globex - not started", "✗ initech - not started"] == out.splitlines()[-4:-1]
    assert "CommandError: interrupted. `manage.py migratealltenants` goes on with what is pending\n" == err
    status = project.status()
    assert (0, 5) == (len(status["acme"]["pending"]), len(status["globex"]["pending"]))


def test_a_second_interrupt_leaves_at_once(project):
    project.add_migration("migrations.RunPython(wait)", WAIT)
    with project.waiting("migratealltenants") as command:
        command.send_signal(signal.SIGINT)
        assert command.stderr.readline().startswith("interrupted: ")
        command.send_signal(signal.SIGINT)
        command.wait()
    assert (130, True) == (command.returncode, command.said.err.startswith("CommandError: left at once, in the middle"))
    assert ["products.0003_more"] == project.status()["acme"]["pending"]


def test_grep_finds_the_failures_in_what_tee_has_written(project):
    project.sql("globex", "CREATE TABLE users_user (id integer)")
    line = f"{sys.executable} manage.py migratealltenants 2>&1 | tee migrations.log; grep ERROR migrations.log"
    said = subprocess.run(["sh", "-c", line], cwd=project.folder, capture_output=True, text=True, check=True).stdout
    why = 'OperationalError: table "users_user" already exists'
    assert re.search(
        rf"^ERROR tenant=globex failed after \d+\.\d s: {why}$", said.rpartition("CommandError")[2], re.MULTILINE
    )


def test_the_master_database_comes_first(project):
    project.manage("migrate", "opskit_tenants", "0001")
    said = project.manage("migratealltenants", expect=1)
    assert said.err.startswith(
        "ERROR the master database has pending migrations (opskit_tenants.0002_schemas_and_servers)"
    )
    assert 0 == project.database("acme").stat().st_size


def test_conflicting_migrations_refuse_before_the_first_tenant(project):
    project.add_migration("", name="0003_here")
    project.add_migration("", name="0003_there")
    said = project.manage("migratealltenants", expect=1)
    assert "" == said.out
    assert said.err.startswith("ERROR conflicting migrations in the code (products: 0003_here, 0003_there)")
    assert 0 == project.database("acme").stat().st_size


def test_an_inconsistent_history_fails_that_tenant_only(project):
    apply(project, "globex")
    project.sql("globex", "DELETE FROM django_migrations WHERE name = '0002_alter_user_email'")
    said = project.manage("migratealltenants", expect=1)
    first, second, third = said.out.splitlines()[:3]
    assert first.startswith("✗ Migrations failed for tenant 'globex': InconsistentMigrationHistory: Migration products")
    assert ("Continuing with next tenant...", "Migrating tenant: acme") == (second, third)
    assert ["✓ acme - successful", "✗ globex - FAILED", "✓ initech - successful"] == said.out.splitlines()[-4:-1]
    assert said.err.startswith("ERROR tenant=globex InconsistentMigrationHistory: ")


def test_two_tenants_on_one_database_are_both_refused(project):
    said = project.manage("shell", "-v", "0", "-c", _SHARING)
    for said in (
        project.manage("migratealltenants", expect=1),
        project.manage("migratetenant", "--tenant-id=acme", expect=1),
    ):
        assert "shares its place with" in said.err
    assert 0 == project.database("acme").stat().st_size
    assert [] == project.status()["initech"]["pending"]


_SHARING = "from opskit.tenants.models import Tenant; Tenant.objects.filter(tenant_id='globex').update(database='acme_db.sqlite3')"


def test_output_never_fails_for_its_encoding_nor_for_who_stopped_reading(project):
    said = project.manage("migratealltenants", "--tenants=acme", PYTHONIOENCODING="ascii:strict")
    assert r"\u2713 acme - migrated successfully" in said.out
    command = [sys.executable, "manage.py", "migratealltenants"]
    unread = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    unread.stdout.close()
    assert (0, b"") == (unread.wait(), unread.stderr.read())
    unread.stderr.close()
    assert [] == project.status()["initech"]["pending"]


def test_no_tenants_are_nothing_to_do(project):
    project.manage("shell", "-c", "from opskit.tenants.models import Tenant; Tenant.objects.all().delete()")
    assert "Migration Summary:\nTotal: 0 tenants migrated\n" == project.manage("migratealltenants").out


def test_a_migration_has_one_name_however_many_tenants_it_is_pending_for(project):
    text = """
from opskit.tenants import rolling
pending = rolling.prepare(rolling.Options()).plan.pending
print(len(pending), len(set(pending.values())), len({id(name) for names in pending.values() for name in names}) - len(pending["acme"]))
"""
    assert "3 1 0\n" == project.manage("shell", "-v", "0", "-c", text).out
