"""The demo's project: quick to make, honest when broken, and nobody else's folder is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from opskit import errors
from opskit.demo import data


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / ".opskit" / "demo"
    data.prepare(folder)
    return folder


@pytest.fixture
def demo(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "demo")


def manage(folder, *args):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "manage.py", *args], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def status(folder):
    rows = json.loads(manage(folder, "showtenants", "--status", "--format=json").stdout)
    return {row["tenant_id"]: row for row in rows}


def test_a_dozen_tenants_wait_for_their_first_migration(prepared):
    found = status(prepared)
    assert 12 == len(found)
    assert {"acme", "globex", "initech", "umbrella"} < set(found)
    assert {(0, 4)} == {(len(row["applied"]), len(row["pending"])) for row in found.values()}


def test_preparing_twice_changes_nothing(demo):
    manage(demo, "migratetenant", "--tenant-id=acme")
    before = _stamps(demo)
    data.prepare(demo)
    assert before == _stamps(demo)


def test_preparing_leaves_nothing_beside_the_folder(prepared):
    assert ["demo"] == [path.name for path in prepared.parent.iterdir()]


def test_the_template_is_never_written_to(prepared):
    template = data._TEMPLATE
    assert [] == [*template.rglob("__pycache__"), *template.rglob("*.sqlite3")]


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for step in (data.prepare, data.reset, data.add_migration):
        with pytest.raises(errors.CannotStart, match="something that is not opskit's demo"):
            step(tmp_path)
    assert ["thesis.txt"] == [path.name for path in tmp_path.iterdir()]


def test_an_operators_settings_do_not_reach_the_demo(tmp_path, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "somebody.elses.settings")
    data.prepare(tmp_path / "demo")
    assert 12 == len(status(tmp_path / "demo"))


def test_every_added_migration_is_one_more_pending_and_matches_the_models(demo):
    names = [data.add_migration(demo) for _ in range(10)]
    assert ["products.0003_product_sku", "products.0004_product_weight_grams"] == names[:2]
    assert "products.0011_product_sku_2" == names[8]
    assert 0 == manage(demo, "makemigrations", "--check", "--dry-run").returncode
    assert names == status(demo)["wonka"]["pending"][-10:]
    assert 0 == manage(demo, "migratetenant", "--tenant-id=wonka").returncode


def test_a_broken_tenant_fails_and_the_others_do_not(demo):
    said = data.break_tenant(demo, "initech")
    assert "ran the SQL of users.0001_initial by hand in the database of tenant `initech`" in said
    failed = manage(demo, "migratetenant", "--tenant-id=initech")
    assert (1, True) == (failed.returncode, 'table "users_user" already exists' in failed.stderr)
    assert 0 == manage(demo, "migratetenant", "--tenant-id=acme").returncode


def test_breaking_where_nothing_is_pending_adds_a_migration_first(demo):
    manage(demo, "migratetenant", "--tenant-id=globex")
    said = data.break_tenant(demo, None)
    assert said.startswith("added products.0003_product_sku, then ran the SQL of products.0003_product_sku by hand")
    failed = manage(demo, "migratetenant", "--tenant-id=globex")
    assert (1, True) == (failed.returncode, "OperationalError: duplicate column name: sku" in failed.stderr)


def test_a_tenant_that_cannot_be_broken_is_a_usage_error(demo):
    with pytest.raises(errors.UsageError, match=r"tenant `wonk` does not exist\. did you mean `wonka`\?"):
        data.break_tenant(demo, "wonk")
    data.break_tenant(demo, "wonka")
    with pytest.raises(errors.UsageError, match="tenant `wonka` is broken already"):
        data.break_tenant(demo, "wonka")


def test_reset_starts_over(demo):
    data.add_migration(demo)
    manage(demo, "migratetenant", "--tenant-id=acme")
    data.reset(demo)
    assert {(0, 4)} == {(len(row["applied"]), len(row["pending"])) for row in status(demo).values()}


def _stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if "__pycache__" not in path.parts}
