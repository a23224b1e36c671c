"""An inventory that names no framework."""

from __future__ import annotations

import json

import pytest
import yaml

FOUND = "`prod` is on opskit, as its INSTALLED_APPS say."


@pytest.fixture
def unnamed(demo):
    """The demo's project, whose inventory says nothing of a framework."""
    file = demo.folder / "inventories" / "prod.yaml"
    content = yaml.safe_load(file.read_text())
    del content["framework"]
    file.write_text(yaml.safe_dump(content))
    return demo


def second_framework(desk) -> None:
    package = desk.app / "tenant_schemas"
    package.mkdir()
    (package / "__init__.py").write_text("")
    settings = desk.app / "shop" / "settings.py"
    settings.write_text(settings.read_text() + '\nINSTALLED_APPS = [*INSTALLED_APPS, "tenant_schemas"]\n')


def test_the_projects_own_framework_is_found_said_and_used(unnamed):
    listed = unnamed.run("show-tenants", "--format=json")
    planned = unnamed.run("migrate-all", "--plan", "--tenants=acme")
    report = unnamed.run("migrate-all", "--tenants=acme", "--format=json")
    glance = unnamed.run("show-migrations", "--format=json")

    assert [each.code for each in (listed, planned, report, glance)] == [0, 0, 0, 0], report.err
    assert len(json.loads(listed.out)) == 12
    assert [each.err.count(FOUND) for each in (listed, planned, report, glance)] == [1, 1, 1, 1]
    (outcome,) = json.loads(report.out)["outcomes"]
    assert (outcome["tenant_id"], outcome["status"], outcome["verified"]) == ("acme", "migrated", True)
    assert FOUND in unnamed.log()


def test_the_inventory_shows_where_it_comes_from(unnamed):
    shown = json.loads(unnamed.run("inventory", "--format=json").out)
    assert shown["framework"] == {"value": "auto", "from": "default"}


def test_check_names_it_and_needs_its_commands(unnamed):
    found = {each["name"]: each for each in json.loads(unnamed.run("check", "--format=json").out)["checks"]}
    assert (found["framework"]["status"], found["framework"]["found"].split()[0]) == ("ok", "opskit")
    assert found["commands"]["found"] == "showtenants, migratetenant, migrate"
    assert found["tenants"]["status"] == "ok"


def test_two_frameworks_are_one_clear_message_and_nothing_is_done(unnamed):
    second_framework(unnamed)
    result = unnamed.run("migrate-all")
    checked = unnamed.run("check", "--format=json")

    assert (result.code, result.out) == (2, "")
    assert result.message == (
        "the inventory names no `framework`, and INSTALLED_APPS has the apps of `opskit` and "
        "`django-tenant-schemas`. nothing was migrated. name it there: `framework: …` (docs/frameworks.md)."
    )
    found = {each["name"]: each for each in json.loads(checked.out)["checks"]}
    assert (checked.code, found["framework"]["status"]) == (3, "failed")
    assert found["framework"]["found"] == (
        "the inventory names none, and INSTALLED_APPS has opskit and django-tenant-schemas"
    )
