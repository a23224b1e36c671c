"""`--forks=N` with the tenants app: what one loaded process was asked, the others find built, too."""

from __future__ import annotations

import contextlib
import re
import sqlite3

import counting
import pytest

ADDED = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("products", "0002_category")]
    operations = [migrations.AddField("product", "sku", models.CharField(max_length=40, null=True))]
"""


@pytest.fixture
def waiting(demo):
    """The demo's tenants, with all they need but one new migration; a command says how many models it rendered."""
    assert demo.run("migrate-all").code == 0
    counting.write(demo.app)
    with (demo.app / "shop" / "settings.py").open("a") as settings:
        settings.write("\nINSTALLED_APPS = ['counting', *INSTALLED_APPS]\n")
    (demo.app / "products" / "migrations" / "0003_sku.py").write_text(ADDED)
    return demo


def gone(desk) -> None:
    """Have an app recorded in the tenants' histories that the code has no more."""
    for file in (desk.app / "data").glob("*.sqlite3"):
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('gone', '0001', '2020-01-01')")


def rendered(desk) -> dict[str, set[int]]:
    """{process that was forked: how many models each of its commands rendered}, of the newest run."""
    found: dict[str, set[int]] = {}
    for output in (desk.runs[-1] / "tenants").glob("*.log"):
        count, parent = re.search(r"rendered (\d+) below (\d+)", output.read_text()).groups()
        found.setdefault(parent, set()).add(int(count))
    return found


def test_each_loaded_process_has_built_what_its_commands_look_at(waiting):
    gone(waiting)
    result = waiting.run("migrate-all", "--forks=3", "--runner=warm")
    assert result.code == 0, result.err
    assert [{0}] * 3 == list(rendered(waiting).values())
