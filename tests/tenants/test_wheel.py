"""The wheel next to Django alone: on an app host none of opskit's other dependencies is needed."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).parents[2]


def run(*argv):
    done = subprocess.run([*map(str, argv)], check=False, capture_output=True, text=True)
    assert 0 == done.returncode, f"{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment that has the wheel and Django, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", ROOT)
    run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("opskit-*.whl")
    run(python, "-m", "pip", "install", "--quiet", f"Django=={django.get_version()}")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    return python


def test_all_commands_run(python, project):
    there = dataclasses.replace(project, python=str(python))
    packages = {each["name"].lower() for each in json.loads(run(python, "-m", "pip", "list", "--format=json"))}
    assert {"django", "asgiref", "sqlparse", "opskit"} == packages - {"pip", "setuptools", "wheel"}
    assert "no issues" in there.manage("check", "--database=default").out
    there.manage("createtenant", "--tenant-id=hooli", "--name=Hooli")
    there.manage("migratetenant", "--tenant-id=acme")
    assert "Total: 2 tenants migrated, 2 with nothing to migrate" in there.manage("migratealltenants").out
    assert "products.0002_category" in there.manage("showtenantmigrations", "--plan").out
    for form in ("table", "json", "csv"):
        assert "hooli" in there.manage("showtenants", "--status", f"--format={form}").out
