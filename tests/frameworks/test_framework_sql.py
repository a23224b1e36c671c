"""How the answer about SQL reads, and whom the question goes to."""

from __future__ import annotations

import json

import pytest

from opskit import errors, frameworks, model
from opskit.frameworks import sql


def environment(framework: str, **more) -> model.Environment:
    app = model.App(path="/srv/app", python="python", manage="manage.py")
    return model.Environment("prod", (model.Host("h", "h"),), app, framework, **more)


def read(content) -> dict[str, model.Sql]:
    return sql.read(model.Reply(exit=0, out=f"a warning\n{json.dumps(content)}\n"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"statements": ["SELECT 1;"], "vendor": "postgresql"}, model.Sql(("SELECT 1;",), vendor="postgresql")),
        ({"statements": [], "missing": "a\nb", "atomic": False}, model.Sql(missing="a b", atomic=False)),
        ({"statements": [], "missing": None, "vendor": None, "atomic": None}, model.Sql()),
    ],
)
def test_an_answer(row, expected):
    assert {"a.0001": expected} == read({"migrations": {"a.0001": row}})


@pytest.mark.parametrize(
    "content",
    [{}, {"migrations": []}, {"migrations": {"a.0001": 1}}, {"migrations": {"a.0001": {"statements": [1]}}}],
)
def test_an_answer_of_another_shape(content):
    with pytest.raises(errors.ListingError):
        read(content)


def test_a_question_that_failed_says_why():
    with pytest.raises(errors.ListingError, match=r"^asking for the SQL failed: it exited 1: KeyError: 'X'$"):
        sql.read(model.Reply(exit=1, tail="KeyError: 'X'\n"))


def test_the_question_names_framework_and_places():
    command = sql.command(frameworks.get(environment("omnitenant")), {"a.0001": "acme", "b.0001": ""})

    assert ("sql", "omnitenant") == (command.question, command.args[0])
    assert {"migrations": {"a.0001": "acme", "b.0001": ""}} == json.loads(command.args[1])
