"""A tenant is made whole or not at all."""

from __future__ import annotations

import os
import pty
import subprocess
import sys


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
    assert b"somebody's" == project.database("hooli").read_bytes()
    assert "hooli" not in project.status()


def test_of_two_at_once_one_wins_and_the_other_says_so(project):
    command = [sys.executable, "manage.py", "createtenant", "--tenant-id=hooli", "--name=Hooli"]
    both = [subprocess.Popen(command, cwd=project.folder, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [0, 1] == sorted(process.returncode for process in both)
    assert "CommandError: tenant `hooli` exists already. nothing was created\n" in said
    assert [] == project.status()["hooli"]["pending"]


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
