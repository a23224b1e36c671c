"""`--plan --out` and `--apply`: the plan that was reviewed is the plan that runs, or nothing is."""

from __future__ import annotations

import json
import stat
import subprocess

import pytest

from e2e import operator

ASKABLE = {**operator.FRAMEWORK, "pending": ["pending"]}
ALL = list(operator.TENANTS)
DIFFERS = "`plan.json` is not what would run now:"


@pytest.fixture
def planned(desk):
    """A plan of three tenants with one migration each, in plan.json."""
    desk.inventory(framework=ASKABLE)
    make(desk)
    return desk


def make(desk, *more: str) -> operator.Result:
    made = desk.run("migrate-all", "--plan", "--out=plan.json", *more)
    assert made.code == 0, made.err
    return made


def apply(desk, *more: str) -> operator.Result:
    return desk.run("migrate-all", "--apply=plan.json", *more)


def content(desk) -> dict:
    return json.loads((desk.folder / "plan.json").read_text())


def changes(desk, old: str, new: str) -> None:
    """Change what the project says."""
    manage = desk.app / "manage.py"
    text = manage.read_text()
    assert old in text
    manage.write_text(text.replace(old, new))


def commit(desk) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(desk.app)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "--allow-empty", "-m", "a"]):
        subprocess.run([*git, *words], check=True, env=desk.environ())


# ---------------------------------------------------------------- written


def test_the_plan_is_written_for_its_owner_and_the_next_command_applies_it(planned):
    made = make(planned)

    file = planned.folder / "plan.json"
    assert made.out.endswith("next: `invoke migrate-all --apply=plan.json`\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert content(planned)["plan"]["pending"] == {name: ["members.0001_initial"] for name in ALL}
    assert [each.name for each in planned.folder.iterdir() if "plan" in each.name] == ["plan.json"]
    assert not (planned.folder / ".opskit").exists()


@pytest.mark.parametrize("what", ["other file", "plan of another environment", "link", "folder", "torn plan"])
def test_nothing_but_a_plan_of_the_same_environment_is_written_over(planned, what):
    there = planned.folder / "there.json"
    kept = {"other file": "mine", "torn plan": (planned.folder / "plan.json").read_text()[:-20]}
    if what in kept:
        there.write_text(kept[what])
    elif what == "folder":
        there.mkdir()
    elif what == "link":
        there.symlink_to("plan.json")
    else:
        planned.inventory("staging", framework=ASKABLE)
        planned.run("migrate-all", "--env=staging", "--plan", f"--out={there}")
    before = None if what == "folder" else there.read_text()

    result = planned.run("migrate-all", "--env=prod", "--plan", "--out=there.json")

    why = {
        "plan of another environment": "is a plan of `staging`, not of `prod`",
        "link": "is a link",
        "folder": "can't be read: is a directory",
    }.get(what, "is no plan, or not a whole one")
    hint = "name another file, or move that one away."
    operator.refuses(result, 2, f"--out: `there.json` {why}. it is left as it is", hint)
    assert before == (None if there.is_dir() else there.read_text())


def test_a_plan_that_somebody_edited_is_not_written_over_and_is_said_to_be_edited(planned):
    file = planned.folder / "plan.json"
    edited = file.read_text().replace('"everything": false', '"everything": true')
    file.write_text(edited)

    result = planned.run("migrate-all", "--env=prod", "--plan", "--out=plan.json")

    what = "--out: `plan.json` was changed after opskit wrote it: what was reviewed is not known. it is left as it is"
    operator.refuses(result, 2, what, "name another file, or move that one away.")
    assert file.read_text() == edited


def test_a_plan_that_can_not_be_written_says_so(planned):
    result = planned.run("migrate-all", "--plan", "--out=nowhere/plan.json")

    assert (result.code, result.message) == (
        3,
        "--out: `nowhere/plan.json` can't be written: no such file or directory.",
    )


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--out=a.json",), "--out needs --plan."),
        (("--plan", "--out="), "--out: expected a file's path, found nothing."),
        (("--plan", "--out=a.json", "--apply=plan.json"), "--out writes a new plan: not with --resume or --apply."),
        (
            ("--plan", "--out=a.json", "--max-duration=2h"),
            "--out: a time limit is the run's own: give --until or --max-duration with --apply.",
        ),
        (
            ("--plan", "--out=a.json", "--gate=lag --password=hunter2"),
            "--out: --gate holds a secret, which no plan keeps: let it read that by itself.",
        ),
        (("--apply=",), "--apply: expected a file's path, found nothing."),
        (("--apply=plan.json", "--resume"), "--apply begins a run, and --resume goes on with one: give one of them."),
        (("--apply=none.json",), "--apply: `none.json` can't be read: no such file or directory."),
        (("--apply=tasks.py",), "--apply: `tasks.py` is no plan, or not a whole one."),
        (("--apply=/dev/zero",), "--apply: `/dev/zero` is no plan, or not a whole one."),
    ],
)
def test_what_can_not_be_meant_is_refused(planned, typed, said):
    result = planned.run("migrate-all", *typed)

    assert (result.code, result.out, result.message) == (2, "", said)
    assert planned.asked == []


# ---------------------------------------------------------------- applied


def test_the_plan_runs_as_it_was_reviewed(planned):
    make(planned, "--exclude=acme", "--canary=initech", "--stagger=0.1s", "--max-failures=1", "--timeout=7m")

    result = apply(planned, "--format=json")

    assert (result.code, planned.asked) == (0, ["initech", "globex"])
    started, notice, plan = planned.journal()[:3]
    assert started["applies"] == content(planned)["digest"]
    assert (started["timeout"], started["rollout"]["stagger"]) == (420.0, 0.1)
    assert notice["text"].startswith("applying `plan.json`, which ")
    assert plan["plan"] == content(planned)["plan"]


def test_a_plan_is_applied_from_another_folder_and_by_its_own_environment(planned):
    planned.inventory("staging", framework=ASKABLE)

    result = planned.run("migrate-all", "--apply=../plan.json", cwd=planned.folder / "inventories")

    assert (result.code, planned.asked) == (0, ALL)
    assert planned.runs[0].name.endswith("-prod")


def test_a_plan_of_another_environment_is_refused(planned):
    planned.inventory("staging", framework=ASKABLE)

    result = apply(planned, "--env=staging")

    operator.refuses(result, 3, "`plan.json` is a plan of `prod`, not of `staging`")


@pytest.mark.parametrize(
    "flag", ["--tenants=acme", "--exclude=acme", "--all", "--shared", "--stagger=1s", "--fail-fast", "--timeout=2m"]
)
def test_a_flag_that_contradicts_the_plan_is_refused(planned, flag):
    result = apply(planned, flag)

    operator.refuses(
        result,
        2,
        f"{flag.partition('=')[0]}: the plan that was reviewed says otherwise",
        "leave it out, or make a new plan",
    )


def test_flags_that_say_the_same_and_a_time_limit_go_with_it(planned):
    make(planned, "--tenants=acme,globex", "--stagger=0.1s")

    result = apply(planned, "--tenants=acme,globex", "--stagger=100ms", "--max-duration=1h", "--yes")

    assert (result.code, planned.asked) == (0, ["acme", "globex"])
    assert planned.journal()[2]["plan"]["deadline"] is not None


def test_a_plan_that_is_only_looked_at_again(planned):
    again = planned.run("migrate-all", "--apply=plan.json", "--plan")
    changes(planned, "members.0001_initial", "members.0002_more")
    differs = planned.run("migrate-all", "--apply=plan.json", "--plan")

    assert again.code == 0
    assert "3 of 3 tenants would be migrated" in again.out
    assert again.out.endswith("next: `invoke migrate-all --apply=plan.json --env=prod`\n")
    assert (differs.code, differs.message.splitlines()[0]) == (3, DIFFERS)
    assert planned.asked == []


# ---------------------------------------------------------------- what differs


def test_tenants_that_appeared_and_went(planned):
    changes(planned, "'initech'", "'umbrella'")

    result = apply(planned)

    assert (result.code, result.out) == (3, "")
    assert result.message == (
        f"{DIFFERS}\n"
        "  1 tenant (umbrella): appeared.\n"
        "  1 tenant (initech): gone.\n"
        "nothing was migrated. `invoke migrate-all --plan --out=plan.json` makes a new plan, to be reviewed."
    )
    assert planned.asked == []


def test_tenants_that_the_plan_was_not_about_do_not_matter(planned):
    make(planned, "--tenants=acme,g*")
    changes(planned, "'initech'", "'umbrella'")

    assert (apply(planned).code, planned.asked) == (0, ["acme", "globex"])


def test_what_is_pending_now_and_was_not_then(planned):
    changes(planned, "members.0001_initial", "members.0002_more")

    assert apply(planned).message == (
        f"{DIFFERS}\n"
        "  3 tenants (acme, globex, initech): "
        "pending now, and not then: members.0002_more, then, and not now: members.0001_initial.\n"
        "nothing was migrated. `invoke migrate-all --plan --out=plan.json` makes a new plan, to be reviewed."
    )


def test_another_revision_of_the_code(desk):
    desk.inventory(framework=ASKABLE)
    commit(desk)
    make(desk)
    first = content(desk)["revision"]
    assert first

    commit(desk)
    result = apply(desk)

    assert result.code == 3
    assert f"  the code's revision was {first[:12]}, and is " in result.message
    assert desk.asked == []


def test_somebody_migrated_one_of_them_meanwhile(planned):
    planned.run("migrate-tenant", "--tenant-id=globex")

    result = apply(planned)

    assert result.code == 3
    assert "  1 tenant (globex): has nothing pending any more.\n" in result.message
    assert planned.asked == ["globex"]


def test_half_of_the_plan_was_applied_and_resume_goes_on_with_it(planned):
    with planned.held("migrate-all", "--apply=plan.json") as running:
        planned.run("stop")
        planned.let_go()
        assert running.end().code == 5

    refused = apply(planned)
    run = planned.runs[0].name
    resumed = planned.run("migrate-all", f"--resume={run}")
    over = apply(planned)

    assert refused.code == 3
    assert refused.message.splitlines()[-1].startswith(
        f"nothing was migrated. run {run} began this plan: `invoke migrate-all --resume={run}` goes on with it."
    )
    assert (resumed.code, planned.asked) == (0, ALL)
    assert (over.code, f"nothing was migrated. run {run} has applied this plan." in over.message) == (3, True)


def test_a_framework_that_can_not_be_asked_is_held_to_its_tenants(desk):
    make(desk)
    changes(desk, "'initech'", "'umbrella'")
    refused = apply(desk)
    changes(desk, "'umbrella'", "'initech'")

    assert (refused.code, apply(desk).code, desk.asked) == (3, 0, ALL)


def test_the_shared_database_is_migrated_first_where_the_plan_says_so(desk):
    desk.inventory(framework={**ASKABLE, "shared": ["migrate_shared"]})
    make(desk, "--shared", "--tenants=acme")

    result = apply(desk)

    assert (result.code, desk.asked) == (0, ["(shared)", "acme"])
