"""The file of a plan: read as it was written, or refused with one message, whatever became of it."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import journals
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opskit import errors, model
from opskit.tasks import planfile

PLAN = model.Reviewed(
    at=journals.AT,
    opskit="1.0",
    operator="deploy@ops1",
    machine="ops1",
    args=("migrate-all", "--plan"),
    environment="prod",
    revision="abc",
    code={"app.0001_x": "0123456789abcdef"},
    shared=True,
    shared_pending=None,
    only=("a*", journals.HOSTILE),
    exclude=(),
    everything=False,
    rollout=model.Controls(60.0, model.Canary(0, ("a*",)), model.Allowance(5, True), 2, "name", None, "true", True),
    timeout=None,
    plan=journals.PLAN,
)
TEXT = planfile.encode(PLAN)
BARE = {"shared_pending": (), "timeout": 3.0, "only": (), "plan": model.Plan((), {}), "rollout": model.Controls()}


def read(tmp_path, content: bytes | str):
    file = tmp_path / "plan.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return planfile.read(str(file))


def refusal(tmp_path, content: bytes | str) -> str:
    with pytest.raises(errors.UsageError) as caught:
        read(tmp_path, content)
    return str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, **BARE)])
def test_a_plan_is_read_as_it_was_written(tmp_path, plan):
    planfile.write(str(tmp_path / "plan.json"), plan)
    assert plan == planfile.read(str(tmp_path / "plan.json")).plan


def test_two_plans_have_two_digests(tmp_path):
    other = planfile.encode(replace(PLAN, revision="abd"))
    assert read(tmp_path, TEXT).digest != read(tmp_path, other).digest


def test_an_edited_plan(tmp_path):
    said = "--apply: `/plan.json` was changed after opskit wrote it: what was reviewed is not known"
    assert said == refusal(tmp_path, TEXT.replace("app.0002_y", "app.0003_z"))


def test_a_later_format(tmp_path):
    assert "--apply: `/plan.json` was written by a later opskit (format 7, this one reads 1)" == refusal(
        tmp_path, TEXT.replace('"opskit_plan": 1', '"opskit_plan": 7')
    )


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", "7", "[" * 100_000, '{"opskit_plan": "1", "digest": ""}', b"\xff", TEXT[:-30], "\0"],
)
def test_what_is_no_plan(tmp_path, content):
    assert "--apply: `/plan.json` is no plan, or not a whole one" == refusal(tmp_path, content)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "plan.json")
    with pytest.raises(errors.UsageError, match="is no plan"):
        planfile.read(str(tmp_path / "plan.json"))


def test_a_plan_that_can_not_be_written_leaves_the_one_that_was_there(tmp_path):
    file = tmp_path / "plan.json"
    planfile.write(str(file), PLAN)
    with pytest.raises(TypeError):
        planfile.write(str(file), replace(PLAN, timeout=object()))
    assert PLAN == planfile.read(str(file)).plan
    assert ["plan.json"] == [each.name for each in tmp_path.iterdir()]


# ---------------------------------------------------------------- whatever became of it

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def answer(tmp_path, content: bytes | str) -> model.Reviewed | str:
    """The plan in a file, or the message in its place."""
    try:
        return read(tmp_path, content).plan
    except errors.UsageError as error:
        return str(error)


def survives(tmp_path, content: bytes | str) -> None:
    found = answer(tmp_path, content)
    assert found == PLAN or (isinstance(found, str) and "\n" not in found)


@FUZZ
@given(at=st.integers(0, len(TEXT)), length=st.integers(0, 40), instead=st.binary(max_size=10))
def test_a_torn_or_edited_file_gives_one_message(tmp_path, at, length, instead):
    survives(tmp_path, TEXT.encode()[:at] + instead + TEXT.encode()[at + length :])


@FUZZ
@given(content=st.binary(max_size=200) | JSON.map(json.dumps))
def test_a_foreign_file_gives_one_message(tmp_path, content):
    survives(tmp_path, content)


@FUZZ
@given(data=st.data())
def test_a_file_of_other_sorts_with_a_digest_that_fits_gives_one_message(tmp_path, data):
    """Whoever reckons the digest anew can write what they like: a plan, or one message."""
    content = json.loads(TEXT)
    del content["digest"]
    at = content
    while isinstance(at, dict) and at:
        key = data.draw(st.sampled_from(sorted(at)))
        if isinstance(at[key], dict) and data.draw(st.booleans()):
            at = at[key]
        else:
            at[key] = data.draw(JSON)
            break
    found = answer(tmp_path, json.dumps({**content, "digest": planfile._digest(content)}))
    assert isinstance(found, model.Reviewed) or "\n" not in found
