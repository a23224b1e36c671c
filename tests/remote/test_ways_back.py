"""How tenants get back to where they were, asked of a real Django project with an SQLite file a tenant."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import opskit
from opskit.demo import data

REMOTE = Path(opskit.__file__).parent / "remote"
UNDO, STATUS = ((REMOTE / f"{name}.py").read_text() for name in ("undo", "status"))
MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = {dependencies}
    operations = [{operations}]
"""
NOTHING = {"later": [], "gone": [], "irreversible": [], "loses": [], "tangled": ""}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "app"
    data.prepare(folder)
    return folder


@pytest.fixture
def shop(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "app")


def add(shop: Path, app: str, name: str, *dependencies: tuple[str, str], operations: str = "") -> str:
    content = MIGRATION.format(dependencies=list(dependencies), operations=operations)
    (shop / app / "migrations" / f"{name}.py").write_text(content)
    return f"{app}.{name}"


def migrate(shop: Path, *target: str) -> None:
    done = data._run(shop, ["migratetenant", "--tenant-id=acme", *target])
    assert done.returncode == 0, done.stdout + done.stderr


def ask(shop: Path, *sets: list[str], framework: str = "opskit") -> subprocess.CompletedProcess:
    argv = [sys.executable, "-u", "-c", UNDO, framework, "manage.py", json.dumps({"sets": sets}), STATUS]
    return subprocess.run(argv, cwd=shop, capture_output=True, text=True, check=False)


def ways(shop: Path, *sets: list[str]) -> list[dict]:
    """acme's ways back, one for each set."""
    done = ask(shop, *sets)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return [answer["ways"][number] for number in answer["tenants"]["acme"]["ways"]]


def test_each_set_has_a_way_of_its_own_and_what_is_not_applied_has_none(shop):
    migrate(shop)

    last, all_of_it, none = ways(
        shop,
        ["products.0002_category"],
        ["users.0001_initial", "products.0001_initial", "products.0002_category", "users.0002_alter_user_email"],
        ["products.0009_never", "users.0009_never"],
    )

    assert last == {
        **NOTHING,
        "left": ["products.0002_category"],
        "steps": [["products", "0001_initial"]],
        "loses": ["table products.Category", "field products.product.category"],
    }
    assert all_of_it["steps"] == [["users", "zero"]]  # products depends on it
    assert none == {**NOTHING, "left": [], "steps": []}


def test_another_app_that_depends_on_it_goes_with_it_in_one_step(shop):
    first = add(shop, "users", "0003_first", ("users", "0002_alter_user_email"))
    second = add(shop, "products", "0003_second", ("products", "0002_category"), ("users", "0003_first"))
    migrate(shop)

    both, one = ways(shop, [second, first], [first])

    assert (both["left"], both["steps"]) == ([second, first], [["users", "0002_alter_user_email"]])
    assert (one["later"], both["later"]) == ([second], [])


def test_half_of_a_branch_has_no_target(shop):
    one = add(shop, "users", "0003_one", ("users", "0002_alter_user_email"))
    two = add(shop, "users", "0003_two", ("users", "0002_alter_user_email"))
    merge = add(shop, "users", "0004_merge", ("users", "0003_one"), ("users", "0003_two"))
    migrate(shop)

    half, whole = ways(shop, [two, merge], [one, two, merge])

    assert (half["tangled"], half["steps"]) == ("users", [])
    assert (whole["tangled"], whole["steps"]) == ("", [["users", "0002_alter_user_email"]])


def test_a_target_whose_name_is_the_beginning_of_another_is_none(shop):
    add(shop, "users", "0003_a", ("users", "0002_alter_user_email"))
    longer = add(shop, "users", "0003_ab", ("users", "0003_a"))
    migrate(shop)

    assert ways(shop, [longer])[0]["tangled"] == "users"


def test_what_can_not_be_reversed_is_named_with_its_kind_also_inside_another(shop):
    inner = "migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL('SELECT 1')])"
    noop = "migrations.RunPython.noop"
    operations = f"{inner}, migrations.RunPython({noop}), migrations.RunPython({noop}, {noop})"
    name = add(shop, "users", "0003_one_way", ("users", "0002_alter_user_email"), operations=operations)
    migrate(shop)

    assert ways(shop, [name])[0]["irreversible"] == [f"{name} (RunSQL)", f"{name} (RunPython)"]


def test_an_unknown_framework_is_a_reason(shop):
    done = ask(shop, [], framework="custom")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "LookupError: no question for the framework `custom`"
