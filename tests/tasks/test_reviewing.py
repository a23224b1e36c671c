"""What is written of a plan, and how what differs is told: in few lines, whatever the number of tenants."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from opskit import errors, frameworks, journal, model, testing
from opskit.tasks import planfile, project, reviewing

PENDING = ("c.0001_shared",)


def environment(root) -> model.Environment:
    return model.Environment("prod", (), model.App("/srv"), "opskit", root=str(root), timeout=9.0)


def test_a_plan_that_nobody_could_apply_is_not_written(tmp_path):
    options = project.Options(out=str(tmp_path / "plan.json"))
    survey = model.Survey(PENDING, {})
    made = model.Plan((), {})
    with pytest.raises(errors.SharedPending):
        reviewing.write(environment(tmp_path), options, "", survey, made)
    assert not list(tmp_path.iterdir())

    reviewing.write(environment(tmp_path), replace(options, shared=True), "abc", survey, made)
    written = planfile.read(str(options.out)).plan
    assert (written.shared, written.shared_pending, written.revision) == (True, PENDING, "abc")


def test_eight_hundred_tenants_that_differ_are_a_few_lines_and_a_run_that_began_it_is_named(tmp_path):
    ids = [f"t{number}" for number in range(800)]
    tenants = tuple(map(model.Tenant, ids))
    plan = model.Plan((model.Batch(tenants),), dict.fromkeys(ids, ("a.0001",)))
    file = str(tmp_path / "plan.json")
    reviewing.write(environment(tmp_path), project.Options(out=file), "", model.Survey((), {}), plan)
    applied = planfile.read(file)
    began = model.RunStarted(testing.START, "x", "prod", "1.0", "me", "here", (), applies=applied.digest)
    record = journal.create(tmp_path, "20261122T140203-prod", sync=False)
    record.append(began)
    record.append(model.PlanMade(testing.START, plan))
    record.close()
    states = [{"tenant_id": name, "pending": [] if number < 10 else ["a.0002"]} for number, name in enumerate(ids)]
    fleet = testing.ScriptedFleet({"showtenants": _json([{"tenant_id": name} for name in ids])})
    survey = model.Survey((), {each["tenant_id"]: model.TenantState(pending=tuple(each["pending"])) for each in states})
    asked = project.Project(environment(tmp_path), frameworks.get(environment(tmp_path)), fleet)

    with pytest.raises(errors.PlanDiffers) as caught:
        reviewing.reviewed_plan(project.Options(applies=applied), asked, survey)

    assert caught.value.told("nothing was migrated.").split("\n")[:3] == [
        f"`{file}` is not what would run now:",
        "  790 tenants (t10, t11, t12 and 787 more): pending now, and not then: a.0002, then, and not now: a.0001.",
        "  10 tenants (t0, t1, t2 and 7 more): has nothing pending any more.",
    ]
    assert (
        caught.value.told("nothing was migrated.")
        .split("\n")[3]
        .startswith(
            "nothing was migrated. run 20261122T140203-prod began this plan: "
            "`invoke migrate-all --resume=20261122T140203-prod` goes on with it. or "
        )
    )


def _json(rows: list[dict[str, str]]) -> model.Reply:
    return model.Reply(exit=0, out=json.dumps(rows))
