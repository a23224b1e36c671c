"""No framework in the inventory: the project is asked."""

import json

import pytest

from opskit import errors, frameworks, model
from opskit.frameworks import facts, survey

AUTO = frameworks.get(model.Environment("prod", (), model.App("/srv"), "auto"))


def read(**content) -> model.Survey:
    return survey.read(model.Reply(exit=0, out=json.dumps({"v": 1, **content})))


def test_it_is_found_out_with_the_question_that_is_asked_anyway():
    assert (AUTO.survey.question, AUTO.survey.args) == ("status", ("auto", "{}"))
    assert read(framework="django-tenants", shared={}, tenants=[]).framework == "django-tenants"


def test_every_line_that_one_of_them_would_want_is_kept():
    assert {mark for each in frameworks.KNOWN.values() for mark in each.marks} == set(AUTO.marks)


def test_nobody_migrates_before_it_is_known():
    with pytest.raises(LookupError):
        AUTO.migrate(model.Tenant("acme"), frameworks.Target())


@pytest.mark.parametrize(
    ("found", "there"),
    [
        ([], "has the app of none that opskit knows"),
        (["omnitenant", "opskit"], "has the apps of `omnitenant` and `opskit`"),
    ],
)
def test_none_or_two_are_an_inventory_error(found, there):
    with pytest.raises(errors.InventoryError) as raised:
        read(frameworks=found)
    assert str(raised.value) == f"the inventory names no `framework`, and INSTALLED_APPS {there}"
    assert raised.value.hint == "name it there: `framework: …` (docs/frameworks.md)."


def test_check_asks_for_the_commands_of_all_that_it_may_be():
    asked = facts.about_project(AUTO, deep=False)
    assert asked.args[0] == "auto"
    assert {"showtenants", "migratetenant", "migrate", "migrate_schemas", "migrateschema"} == set(
        json.loads(asked.args[1])["commands"]
    )


def test_a_project_tells_which_apps_it_has():
    part = json.dumps({"part": "code", "frameworks": ["opskit"]})
    assert facts.read_project(model.Reply(exit=0, out=part)).frameworks == ("opskit",)
