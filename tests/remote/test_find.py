"""The finder: what it takes for a project, which interpreter it takes for the project's, and when it gives up."""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path

import pytest

from opskit.remote import find

MANAGE = """\
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acme.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def a_project(folder: Path, settings: str | None = "INSTALLED_APPS = ['shop']\nSECRET_KEY = 'x'\n") -> str:
    folder.mkdir(parents=True)
    (folder / "manage.py").write_text(MANAGE)
    if settings is not None:
        (folder / "acme").mkdir()
        (folder / "acme" / "settings.py").write_text(settings)
    return str(folder)


def a_venv(folder: Path) -> str:
    """A virtual environment that sees what this one has: Django among it."""
    venv.create(folder, symlinks=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "here.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return str(folder / "bin" / "python")


def search(*roots: Path, seconds: float = 60.0) -> list[str]:
    return find.Search(seconds).projects([str(root) for root in roots])


def ask(**question) -> dict:
    return find.answer({"path": "", "python": "", "settings": "", "env_file": "", "seconds": 60.0, **question})


# ---------------------------------------------------------------- projects


def test_a_project_is_a_folder_with_djangos_manage_py(tmp_path):
    acme = a_project(tmp_path / "srv" / "acme")
    (tmp_path / "srv" / "other").mkdir()
    (tmp_path / "srv" / "other" / "manage.py").write_text("print('a script of that name')\n")
    assert search(tmp_path) == [acme]


def test_a_link_called_current_is_the_path_and_the_releases_are_passed_over(tmp_path):
    a_project(tmp_path / "acme" / "releases" / "1")
    a_project(tmp_path / "acme" / "releases" / "2")
    (tmp_path / "acme" / "current").symlink_to("releases/2")
    assert search(tmp_path) == [str(tmp_path / "acme" / "current")]


def test_a_circle_of_links_is_walked_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert search(tmp_path) == []


@pytest.mark.parametrize("name", [".hidden", "node_modules", "lib"])
def test_where_no_project_lives_nobody_looks(tmp_path, name):
    a_project(tmp_path / name / "acme")
    assert search(tmp_path) == []


def test_a_virtual_environment_is_not_looked_into(tmp_path):
    a_project(tmp_path / "venv" / "src" / "acme")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    assert search(tmp_path) == []


def test_too_deep_is_too_deep(tmp_path):
    there = a_project(tmp_path.joinpath(*"1234"))
    a_project(tmp_path.joinpath(*"abcde"))
    assert search(tmp_path) == [there]


def test_without_time_the_search_is_cut(tmp_path):
    a_project(tmp_path / "acme")
    hurried = find.Search(0.0)
    assert hurried.projects([str(tmp_path)]) == []
    assert hurried.cut


def test_folders_that_may_not_be_read_are_passed_over(tmp_path):
    assert search(tmp_path / "nowhere") == []
    (tmp_path / "manage.py").mkdir()
    assert search(tmp_path) == []


def test_a_given_path_is_the_project_or_lies_above_it(tmp_path):
    acme = a_project(tmp_path / "acme")
    assert [each["path"] for each in ask(path=acme)["projects"]] == [acme]
    assert [each["path"] for each in ask(path=str(tmp_path))["projects"]] == [acme]
    nothing = ask(path=str(tmp_path / "nowhere"))
    assert (nothing["projects"], nothing["searched"]) == ([], [str(tmp_path / "nowhere")])


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "line",
    [
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acme.settings")',
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE','acme.settings')",
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'acme.settings'",
    ],
)
def test_the_settings_are_those_that_manage_py_names(line):
    assert find.SETTINGS.findall(line) == ["acme.settings"]


def test_the_settings_beside_them_are_named(tmp_path):
    a_project(tmp_path / "acme", settings=None)
    package = tmp_path / "acme" / "acme" / "settings"
    package.mkdir(parents=True)
    for name in ("__init__", "base", "dev", "production"):
        (package / f"{name}.py").write_text("")
    folder = str(tmp_path / "acme")
    assert find.others(folder, "acme.settings.dev") == ["acme.settings.base", "acme.settings.production"]
    assert find.others(folder, "acme.settings") == [
        "acme.settings.base",
        "acme.settings.dev",
        "acme.settings.production",
    ]
    assert find.others(folder, "acme.urls") == []
    assert find.others(folder, "") == []


# ---------------------------------------------------------------- interpreters


@pytest.mark.parametrize("place", ["acme/venv", "acme/.venv", "acme/whatever", "env", "acme-3.11", "shared/venv"])
def test_a_virtual_environment_in_or_beside_the_project_is_its_own(tmp_path, place):
    folder = a_project(tmp_path / "acme")
    python = a_venv(tmp_path / place)
    assert find.interpreters(folder)[0] == python


def test_another_projects_virtual_environment_is_not_ours(tmp_path):
    folder = a_project(tmp_path / "acme")
    python = a_venv(tmp_path / "globex")
    assert python not in find.interpreters(folder)


def test_the_nearest_comes_first_and_each_once(tmp_path):
    folder = a_project(tmp_path / "releases" / "1")
    (tmp_path / "current").symlink_to("releases/1")
    near, far = a_venv(tmp_path / "releases" / "1" / ".venv"), a_venv(tmp_path / "venv")
    through_the_link = str(tmp_path / "current" / ".venv" / "bin" / "python")
    assert find.interpreters(str(tmp_path / "current"))[:2] == [through_the_link, far]
    assert find.interpreters(folder)[:2] == [near, far]


def test_an_interpreter_says_django_its_apps_and_its_version(tmp_path):
    a_project(tmp_path / "acme")
    python = a_venv(tmp_path / "acme" / "venv")
    (found,) = ask(path=str(tmp_path))["projects"]
    best = found["pythons"][0]
    assert (found["settings"], best["path"], best["apps"], best["error"]) == ("acme.settings", python, ["shop"], "")
    assert best["version"] == ".".join(map(str, sys.version_info[:3]))
    assert best["django"]


def test_without_a_virtual_environment_it_is_the_python_that_asks(tmp_path):
    a_project(tmp_path / "acme")
    (found,) = ask(path=str(tmp_path))["projects"]
    assert sys.executable in [each["path"] for each in found["pythons"] if each["django"]]


def test_settings_that_can_not_be_imported_say_why(tmp_path):
    a_project(tmp_path / "acme", "import os\nINSTALLED_APPS = [os.environ['ACME_APP']]\nSECRET_KEY = 'x'\n")
    (without,) = ask(path=str(tmp_path), python=sys.executable)["projects"]
    (tmp_path / "env").write_text("# of the host\nexport ACME_APP='shop'\n\nBROKEN\n")
    (with_it,) = ask(path=str(tmp_path), python=sys.executable, env_file=str(tmp_path / "env"))["projects"]
    assert without["pythons"][0]["error"] == "KeyError: 'ACME_APP'"
    assert (with_it["pythons"][0]["apps"], with_it["pythons"][0]["error"]) == (["shop"], "")


def test_an_env_file_that_is_not_there_is_the_answer(tmp_path):
    assert ask(env_file=str(tmp_path / "env")) == {"error": f"`{tmp_path / 'env'}`: No such file or directory"}


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os; os._exit(3)", "it ended with exit 3 and said nothing"),
        ("print('\\0opskit-probe {}'); INSTALLED_APPS = []; SECRET_KEY = 'x'", ""),
    ],
)
def test_whatever_the_settings_do_there_is_an_answer(tmp_path, settings, error):
    folder = a_project(tmp_path / "acme", settings)
    assert find.probe(sys.executable, folder, "acme.settings", dict(os.environ))["error"] == error


def test_settings_that_hang_are_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(find, "PROBE_SECONDS", 0.5)
    folder = a_project(tmp_path / "acme", "import time\ntime.sleep(600)")
    found = find.probe(sys.executable, folder, "acme.settings", dict(os.environ))
    assert found["error"] == "importing its settings took more than 0 s"


@pytest.mark.parametrize("python", ["/nowhere/python", "a\0b", "/"])
def test_a_python_that_can_not_be_started_says_so(tmp_path, python):
    folder = a_project(tmp_path / "acme")
    (found,) = ask(path=folder, python=python)["projects"]
    assert found["pythons"][0]["error"].startswith("it can't be started: ")


def test_a_relative_interpreter_starts_in_the_login_folder_and_a_command_on_the_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find.as_started("venv/bin/python") == str(tmp_path / "venv" / "bin" / "python")
    assert find.as_started("python3") == "python3"


def test_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    a_project(tmp_path / "acme")
    before = sorted(tmp_path.rglob("*"))
    ask(path=str(tmp_path), python=sys.executable)
    assert sorted(tmp_path.rglob("*")) == before
