"""Whether time limits hold, asked of the tenants app's own connections: a schema's and a database's."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tenants import test_schemas

import opskit

REMOTE = Path(opskit.__file__).parent / "remote"
OURS = "-c lock_timeout=5000"


def differ(shop):
    params = {"pgoptions": OURS, "wanted": {"lock_timeout": "5000"}, "tenants": True}
    texts = [(REMOTE / f"{name}.py").read_text() for name in ("timeouts", "status")]
    done = subprocess.run(
        [shop.project.python, "-u", "-c", texts[0], "opskit", "manage.py", json.dumps(params), texts[1]],
        cwd=shop.project.folder,
        env={**os.environ, "PGOPTIONS": OURS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return [(row["tenant"], row["found"], row["own"]) for row in json.loads(done.stdout)["differ"]]


shop = test_schemas.shop  # the fixture


@pytest.fixture
def both(shop):
    """A shop with a schema tenant and a database tenant."""
    shop.create("acme")
    shop.create("globex", "--isolation-type=database")
    yield shop
    shop.postgres.execute('DROP DATABASE IF EXISTS "globex_db"')


def test_they_hold_beside_the_options_that_name_a_schema(both):
    assert [] == differ(both)


def test_options_of_the_projects_own_stand_behind_them_and_win(both):
    both.settings("DATABASES['default']['OPTIONS'] = {'options': '-c lock_timeout=7s'}")
    assert [("", {"lock_timeout": "7000"}, True)] == differ(both)


def test_a_tenants_server_with_options_of_its_own_is_named(both):
    database = both.postgres.new_database("elsewhere")
    own = f"'NAME': {database!r}, 'OPTIONS': {{'options': '-c lock_timeout=7s'}}"
    both.settings(f"DATABASES['elsewhere'] = {{**DATABASES['default'], {own}}}")
    both.manage("createtenant", "--tenant-id=initech", "--name=N", "--no-migrate", "--alias=elsewhere")
    assert [("initech", {"lock_timeout": "7000"}, True)] == differ(both)
