"""A real Django project with three tenants, and its manage.py run as a person would run it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from opskit.demo import data

TENANTS = ("acme", "globex", "initech")


@dataclass(frozen=True)
class Project:
    folder: Path
    python: str = sys.executable

    def manage(self, *args, expect=0, **env):
        """Run a command, and give what it printed; its exit code must be the expected one."""
        done = subprocess.run(
            [self.python, "-W", "error", "manage.py", *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
            capture_output=True,
            check=False,
        )
        assert (expect, b"") == (done.returncode, done.stderr if done.returncode != expect else b"")
        return Said(done.stdout.decode(), done.stderr.decode())

    @contextlib.contextmanager
    def waiting(self, *args):
        """Run a command whose migration says `here` and waits; it goes on when the block ends."""
        command = subprocess.Popen(
            [self.python, "manage.py", *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert command.stderr.readline() == "here\n"
            yield command
        finally:
            command.said = Said(*command.communicate("\n"))

    def status(self):
        """{tenant_id: row} as showtenants gives it."""
        rows = json.loads(self.manage("showtenants", "--status", "--format=json").out)
        return {row["tenant_id"]: row for row in rows}

    def database(self, tenant_id):
        return self.folder / "data" / f"{tenant_id}_db.sqlite3"

    def sql(self, tenant_id, *statements):
        """Run SQL in a tenant's database, and give the last statement's rows."""
        with contextlib.closing(sqlite3.connect(self.database(tenant_id))) as connection, connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
            return rows

    def add_migration(self, operations, before="", name="0003_more"):
        """Write a migration of `products` with these operations."""
        file = self.folder / "products" / "migrations" / f"{name}.py"
        file.write_text(
            f"from django.db import migrations, models\n{before}\n\nclass Migration(migrations.Migration):\n"
            f"    dependencies = [('products', '0002_category')]\n    operations = [{operations}]\n"
        )


@dataclass(frozen=True)
class Said:
    out: str
    err: str

    @property
    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tenants") / "project"
    data.prepare(folder)
    project = Project(folder)
    names = ", ".join(repr(name) for name in TENANTS)
    for row in project.status():
        if row not in TENANTS:
            project.database(row).unlink()
    with contextlib.closing(sqlite3.connect(folder / "data" / "shared.sqlite3")) as connection, connection:
        connection.execute(f"DELETE FROM opskit_tenants_tenant WHERE tenant_id NOT IN ({names})")
    return project


@pytest.fixture
def project(template, tmp_path):
    """Three tenants with empty databases."""
    return Project(shutil.copytree(template.folder, tmp_path / "project"))
