"""Whether time limits hold, asked of real projects on every framework that has a question of ours."""

import json
from pathlib import Path

import pytest
import tenancies
from remote.test_status import STATUS
from remote.test_status_frameworks import EVERY

import opskit

TIMEOUTS = (Path(opskit.__file__).parent / "remote" / "timeouts.py").read_text()
OURS = "-c lock_timeout=5000"
OWN = "\nDATABASES[{!r}]['OPTIONS'] = {{'options': '-c lock_timeout=7s'}}\n"


def differ(run, framework, **env):
    params = {"pgoptions": OURS, "wanted": {"lock_timeout": "5000"}, "tenants": True}
    done = run("-u", "-c", TIMEOUTS, framework, "manage.py", json.dumps(params), STATUS, PGOPTIONS=OURS, **env)
    assert 0 == done.returncode, done.stderr
    return [(row["tenant"], row["found"], row["own"]) for row in json.loads(done.stdout)["differ"]]


def append(project, text):
    """Write at the end of the settings that this framework has."""
    (file,) = (project.folder / "acme" / "settings").glob(f"{tenancies.SETTINGS[project.framework]}.py")
    file.write_text(file.read_text() + text)


@pytest.fixture(params=EVERY)
def project(request, postgres, tmp_path):
    made = tenancies.new_project(request.param, postgres, tmp_path)
    made.create("s01", "s02")
    return made


def test_they_hold_on_every_connection(project):
    assert [] == differ(project.run, project.framework)


def test_options_of_the_default_database_stand_before_them(project):
    append(project, OWN.format("default"))
    assert [("", {"lock_timeout": "7000"}, True)] == differ(project.run, project.framework)


def test_of_many_databases_the_one_is_named(postgres, tmp_path):
    project = tenancies.new_project("databases", postgres, tmp_path)
    project.create("s01", "s02")
    append(project, OWN.format("s02"))
    assert [("s02", {"lock_timeout": "7000"}, True)] == differ(project.run, "databases")
