"""How ways back are shown: few tenants with a command each, many together, and what is not taken back."""

from __future__ import annotations

from opskit import model, testing
from opskit.rollout import run as runs
from opskit.tasks import undoing

RUN = "20261122T140203-prod"
STEPS = (("a", "0001_x"), ("b", "zero"))
BACK = model.WayBack(("b.0001_y", "a.0002_z"), STEPS, "", ("table b.Y",))


def shown(found: dict[str, model.WayBack], *outcomes: model.Outcome) -> list[str]:
    run = runs.fold([model.TenantVerified(testing.START, each) for each in outcomes])
    return undoing.as_text(RUN, run, "prod", found).splitlines()


def test_few_tenants_have_a_command_for_each_step():
    assert shown({"it's": BACK}) == [
        "1 tenant (it's): b.0001_y, a.0002_z",
        """  `invoke migrate-tenant --env=prod --tenant-id='it'"'"'s' --app-label=a --migration-name=0001_x`""",
        """  `invoke migrate-tenant --env=prod --tenant-id='it'"'"'s' --app-label=b --migration-name=zero`""",
        "with it goes what was written there since: table b.Y.",
        f"next: `invoke undo --run={RUN} --yes` takes 1 tenant back.",
    ]


def test_eight_hundred_tenants_that_go_the_same_way_are_a_few_lines():
    other = model.WayBack(("a.0002_z",), STEPS[:1])
    lines = shown({**{f"t{number}": BACK for number in range(790)}, **{f"u{number}": other for number in range(10)}})
    assert len(lines) == 7
    assert lines[0] == "790 tenants (t0, t1, t2, t3, t4 and 785 more): b.0001_y, a.0002_z"
    assert lines[1] == "  `invoke migrate-tenant --env=prod --tenant-id=… --app-label=a --migration-name=0001_x`"
    assert lines[-1] == f"next: `invoke undo --run={RUN} --yes` takes 800 tenants back."


def test_who_is_not_taken_back_is_told_with_what_to_do():
    refused = model.WayBack(("a.0002_z",), (), "it can't be reversed: a.0002_z (RunPython)")
    lost = model.Outcome("lost", model.Status.UNKNOWN, attempt=1)
    shared = model.Outcome("(shared)", model.Status.MIGRATED, ("c.0001_s",), verified=True, attempt=1)
    assert shown({"x": refused, "y": refused, "z": model.WayBack()}, lost, shared) == [
        "not taken back: 2 tenants (x, y): it can't be reversed: a.0002_z (RunPython).",
        "not taken back: 1 tenant (lost): nobody knows what the run did there. "
        f"`invoke migrate-all --env=prod --resume={RUN}` finds out.",
        "the shared database keeps c.0001_s: that is taken back by hand, and last.",
        "1 of 3 tenants has nothing left of it.",
    ]


def test_a_run_that_changed_nothing():
    assert shown({}) == [f"nothing is left to take back of run {RUN}."]
