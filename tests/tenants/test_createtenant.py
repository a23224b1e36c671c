"""A tenant is made whole or not at all."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys

import pytest

WAIT = """
import sys
def wait(apps, schema_editor):
    print('here', file=sys.stderr, flush=True)
    sys.stdin.readline()
"""
INTERRUPTED = "interrupted: what was created is being removed. once more leaves at once.\n"


def test_a_new_tenant_has_a_row_and_a_migrated_database(project):
    said = project.manage("createtenant", "--tenant-id=hooli", "--name=Hooli Inc.")
    assert "✓ Tenant 'hooli' created." == said.out.splitlines()[-1]
    row = project.status()["hooli"]
    assert ("Hooli Inc.", 4, []) == (row["name"], len(row["applied"]), row["pending"])


def test_no_migrate_leaves_the_database_empty(project):
    project.manage("createtenant", "--tenant-id=hooli", "--name=Hooli", "--no-migrate")
    assert 4 == len(project.status()["hooli"]["pending"])
    assert 0 == project.database("hooli").stat().st_size


def test_a_failed_migration_leaves_neither_row_nor_database(project):
    project.add_migration("migrations.RunPython(fail)", "def fail(apps, schema_editor):\n    raise ValueError('no')\n")
    said = project.manage("createtenant", "--tenant-id=hooli", "--name=Hooli", expect=1)
    reason = "tenant `hooli` could not be migrated, and what was created is removed: ValueError: no"
    assert f"CommandError: {reason}" == said.err.splitlines()[-1]
    assert "hooli" not in project.status()
    assert not project.database("hooli").exists()


def test_a_tenant_that_exists_keeps_its_database(project):
    project.manage("migratetenant", "--tenant-id=acme")
    said = project.manage("createtenant", "--tenant-id=acme", "--name=Again", expect=1)
    assert "CommandError: tenant `acme` exists already. nothing was created\n" == said.err
    assert [] == project.status()["acme"]["pending"]


def test_a_database_that_exists_is_neither_taken_nor_removed(project):
    project.database("hooli").write_bytes(b"somebody's")
    said = project.manage("createtenant", "--tenant-id=hooli", "--name=Hooli", expect=1)
    assert "database `hooli_db.sqlite3` can't be created: File exists" in said.err
    assert said.err.endswith("what is there is no tenant's: remove it, or give another --database\n")
    assert b"somebody's" == project.database("hooli").read_bytes()
    assert "hooli" not in project.status()


def test_of_two_at_once_one_wins_and_the_other_says_so(project):
    command = [sys.executable, "manage.py", "createtenant", "--tenant-id=hooli", "--name=Hooli"]
    both = [subprocess.Popen(command, cwd=project.folder, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [0, 1] == sorted(process.returncode for process in both)
    loser = next(text for text in said if text)
    why = r"tenant `hooli` (exists already|is being migrated by .*)\. nothing was created"
    assert re.fullmatch(rf"CommandError: {why}\n", loser)
    assert [] == project.status()["hooli"]["pending"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_undoes_what_was_created(project, number):
    project.add_migration("migrations.RunPython(wait)", WAIT)
    with project.waiting("createtenant", "--tenant-id=hooli", "--name=Hooli") as command:
        command.send_signal(number)
        assert INTERRUPTED == command.stderr.readline()
        command.wait()
    assert (130, "CommandError: interrupted. nothing of it is left\n") == (command.returncode, command.said.err)
    assert "hooli" not in project.status()
    assert not project.database("hooli").exists()


def test_a_migration_that_catches_everything_keeps_no_signal_away(project):
    catch = "    try:\n        sys.stdin.readline()\n    except BaseException:\n        pass\n"
    project.add_migration("migrations.RunPython(wait)", WAIT.replace("    sys.stdin.readline()\n", catch))
    with project.waiting("createtenant", "--tenant-id=hooli", "--name=Hooli") as command:
        command.send_signal(signal.SIGTERM)
        command.wait()
    assert 130 == command.returncode
    assert "hooli" not in project.status()


def test_a_signal_while_it_asks_ends_it(project):
    ours, theirs = pty.openpty()
    line = [sys.executable, "manage.py", "createtenant"]
    command = subprocess.Popen(line, cwd=project.folder, stdin=theirs, stdout=-1, stderr=-1, text=True)
    os.close(theirs)
    assert "Tenant ID: " == command.stdout.read(len("Tenant ID: "))
    command.send_signal(signal.SIGINT)
    said = command.communicate()[1]
    os.close(ours)
    assert (130, "CommandError: interrupted. nothing of it is left") == (command.returncode, said.splitlines()[-1])


def test_a_second_one_is_told_who_is_at_it(project):
    project.add_migration("migrations.RunPython(wait)", WAIT)
    with project.waiting("createtenant", "--tenant-id=hooli", "--name=Hooli") as first:
        said = project.manage("createtenant", "--tenant-id=hooli", "--name=Hooli", expect=1)
    who = rf"CommandError: tenant `hooli` is being migrated by \S+ process {first.pid} since .*"
    assert re.fullmatch(rf"{who}\. it was left alone\. nothing was created\n", said.err)
    assert 0 == first.returncode


def test_after_a_kill_the_next_one_says_what_there_is_and_what_to_type(project):
    project.add_migration("migrations.RunPython(wait)", WAIT)
    with project.waiting("createtenant", "--tenant-id=hooli", "--name=Hooli") as killed:
        killed.kill()
        killed.wait()
    said = project.manage("createtenant", "--tenant-id=hooli", "--name=Hooli", expect=1).err
    what = "tenant `hooli` exists already, with 1 migration pending. nothing was created"
    assert f"CommandError: {what}. `manage.py migratetenant --tenant-id=hooli` goes on\n" == said
    project.manage("migratetenant", "--tenant-id=hooli")
    said = project.manage("createtenant", "--tenant-id=hooli", "--name=Hooli", expect=1).err
    assert "CommandError: tenant `hooli` exists already. nothing was created\n" == said


def test_a_row_without_its_database_is_deleted_with_the_line_that_is_told(project):
    name = 'it\'s "hers" $(id)'
    project.manage("createtenant", f"--tenant-id={name}", "--name=N", "--no-migrate")
    (file,) = project.folder.rglob("it_s__hers*.sqlite3")
    file.unlink()
    said = project.manage("createtenant", f"--tenant-id={name}", "--name=N", expect=1).err
    begun, _, line = said.partition(". to begin anew, delete its row: ")
    there = f"tenant `{name}` exists already, and there is no database `{file.name}`"
    assert f"CommandError: {there}. nothing was created" == begun
    typed = line.strip().strip("`").replace("manage.py", f"{shlex.quote(sys.executable)} manage.py", 1)
    subprocess.run(["sh", "-c", typed], cwd=project.folder, capture_output=True, check=True)
    assert name not in project.status()
    project.manage("createtenant", f"--tenant-id={name}", "--name=N")


def test_any_id_gets_a_file_beside_the_others(project):
    before = set(project.folder.rglob("*.sqlite3"))
    names = ["../../escape", "-dash", "Acme", "x" * 255, "a b'\"$(id)"]
    for name in names:
        project.manage("createtenant", f"--tenant-id={name}", "--name=N", "--no-migrate")
        project.manage("migratetenant", f"--tenant-id={name}")
    made = set(project.folder.rglob("*.sqlite3")) - before
    assert {project.folder / "data"} == {file.parent for file in made}
    assert len(names) == len({file.name.lower() for file in made})
    assert set(names) < set(project.status())


def test_an_empty_or_too_long_id_is_refused(project):
    assert "tenant_id: This field cannot be blank." in _refused(project, "")
    assert "tenant_id: Ensure this value has at most 255 characters" in _refused(project, "x" * 256)


def _refused(project, tenant_id):
    return project.manage("createtenant", f"--tenant-id={tenant_id}", "--name=N", expect=1).err


def test_at_a_terminal_it_asks_for_what_the_flags_do_not_say(project):
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "manage.py", "createtenant", "--no-migrate"],
        cwd=project.folder,
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.write(ours, b"hooli\nHooli Inc.\ndatabase\n")
    said = command.communicate()[0]
    os.close(ours)
    assert "Tenant ID: Name: Isolation (database or schema): " == said.splitlines()[0].partition("✓")[0]
    assert ("Hooli Inc.", "database") == tuple(project.status()["hooli"][key] for key in ("name", "isolation_type"))


def test_without_a_terminal_nothing_is_asked(project):
    said = project.manage("createtenant", "--name=N", expect=1)
    assert "CommandError: --tenant-id must be given: there is nobody to ask\n" == said.err
