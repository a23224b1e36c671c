"""How a rollout is paced and stopped: who goes first, how many may fail, in which order, until when."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from e2e import operator

SKIPPED = {"acme": "failed", "globex": "skipped", "initech": "skipped"}


def breaks(desk, *tenants: str, **project) -> None:
    """Let the migration of these tenants fail."""
    broken = f"if tenant in {tenants!r}:\n    raise RuntimeError('column exists')\n"
    desk.project(migrate=broken + operator.MIGRATE, **project)


def listing(*tenants: str) -> str:
    return f"print(json.dumps([{{'tenant_id': name}} for name in {tenants!r}]))"


def statuses(result: operator.Result) -> dict[str, str]:
    return {each["tenant_id"]: each["status"] for each in json.loads(result.out)["outcomes"]}


# ---------------------------------------------------------------- who goes first


@pytest.mark.parametrize("canary", ["1", "acme", "ac*"])
def test_a_failed_canary_stops_before_the_second_tenant(desk, canary):
    breaks(desk, "acme")

    result = desk.run("migrate-all", f"--canary={canary}", "--format=json")

    assert (result.code, statuses(result), desk.asked) == (5, SKIPPED, ["acme"])
    assert desk.journal()[-1]["reason"] == "1 failed, 0 allowed"
    assert desk.log().splitlines()[-1].endswith(" WARNING run ended: 1 failed, 0 allowed: 1 failed, 2 skipped")
    assert [" tenant=acme failed after " in line for line in desk.log().splitlines() if " ERROR " in line] == [True]


def test_the_summary_says_why_the_run_stopped_and_how_to_go_on(desk):
    breaks(desk, "acme")

    result = desk.run("migrate-all", "--canary=1")

    assert result.code == 5
    assert "3 tenants: 1 failed, 2 skipped. the run stopped: 1 failed, 0 allowed." in result.out.splitlines()
    assert result.out.splitlines()[-1] == (
        "next: fix the cause, then `invoke migrate-tenant --env=prod --tenant-id=acme`, "
        "or `invoke migrate-all --env=prod --resume` for all that are left."
    )


def test_a_failure_after_the_canary_stops_nobody(desk):
    breaks(desk, "globex")

    result = desk.run("migrate-all", "--canary=1", "--format=json")

    assert (result.code, desk.asked) == (5, list(operator.TENANTS))
    assert statuses(result) == {"acme": "migrated", "globex": "failed", "initech": "migrated"}


@pytest.mark.parametrize(
    ("canary", "asked"),
    [
        ("globex", ["globex", "acme", "initech"]),
        ("initech,globex", ["globex", "initech", "acme"]),
        ("*e*", ["acme", "globex", "initech"]),
        ("=globex", ["globex", "acme", "initech"]),
        ("9", ["acme", "globex", "initech"]),
    ],
)
def test_the_canary_goes_first_and_then_all_the_others(desk, canary, asked):
    result = desk.run("migrate-all", f"--canary={canary}")

    assert (result.code, desk.asked) == (0, asked)


def test_a_canary_may_stand_in_a_file(desk):
    (desk.folder / "first.txt").write_text("initech\nglob*\n")

    assert desk.run("migrate-all", "--canary=@first.txt").code == 0
    assert desk.asked == ["globex", "initech", "acme"]
    nobody = desk.run("migrate-all", "--canary=@gone.txt")
    operator.refuses(nobody, 2, "--canary: `@gone.txt` can't be read: no such file or directory")


def test_a_canary_that_looks_like_a_count_is_a_tenant_where_it_is_written_so(desk):
    breaks(desk, "1", listing=listing("7", "1", "2"))

    result = desk.run("migrate-all", "--canary==1", "--format=json")

    assert (result.code, desk.asked) == (5, ["1"])
    assert statuses(result) == {"1": "failed", "7": "skipped", "2": "skipped"}


def test_the_plan_shows_who_the_canary_is(desk):
    result = desk.run("migrate-all", "--canary=globex", "--plan")

    assert (result.code, desk.asked) == (0, [])
    assert "the canary goes first, and a failure there stops the run: globex" in result.out.splitlines()


@pytest.mark.parametrize(
    ("canary", "complaint"),
    [
        ("0", "--canary: expected a count from 1 on, or ids and globs, found `0`"),
        ("", "--canary: expected a count, or ids and globs with commas between them, found ``"),
        ("acme,", "--canary: expected a count, or ids and globs with commas between them, found `acme,`"),
        ("=", "--canary: expected a count, or ids and globs with commas between them, found `=`"),
    ],
)
def test_a_canary_that_is_nobody_is_refused(desk, canary, complaint):
    operator.refuses(desk.run("migrate-all", f"--canary={canary}"), 2, complaint)
    assert desk.asked == []


def test_a_canary_that_matches_nobody_migrates_nobody(desk):
    operator.refuses(
        desk.run("migrate-all", "--canary=globecks"),
        2,
        "--canary: nothing matches `globecks` among 3 tenants",
        "`invoke show-tenants` lists them.",
    )
    assert desk.asked == []


def test_the_inventorys_canary_is_honoured_and_the_flag_overrides_it(desk):
    desk.inventory(rollout={"canary": ["globex"]})

    desk.run("migrate-all")
    desk.run("migrate-all", "--canary=initech")

    assert desk.asked == ["globex", "acme", "initech", "initech", "acme", "globex"]


def test_the_inventorys_canary_stops_the_run(desk):
    desk.inventory(rollout={"canary": "1", "max_failures": "100%"})
    breaks(desk, "acme")

    result = desk.run("migrate-all", "--format=json")

    assert (result.code, statuses(result)) == (5, SKIPPED)


def test_one_tenant_alone_needs_no_canary(desk):
    desk.inventory(rollout={"canary": ["globex"]})

    result = desk.run("migrate-tenant", "--tenant-id=acme")

    assert (result.code, desk.asked) == (0, ["acme"])


def test_a_canary_need_not_be_among_the_selected(desk):
    desk.inventory(rollout={"canary": ["globex"]})

    result = desk.run("migrate-all", "--tenants=acme,initech")

    assert (result.code, desk.asked) == (0, ["acme", "initech"])


# ---------------------------------------------------------------- how many may fail


@pytest.mark.parametrize(
    ("flag", "asked", "reason"),
    [
        ("--fail-fast", ["acme"], "1 failed, 0 allowed"),
        ("--max-failures=0", ["acme"], "1 failed, 0 allowed"),
        ("--max-failures=33%", ["acme"], "1 failed, 0 allowed"),  # 0.99 of three, rounded down
        ("--max-failures=1", ["acme", "globex"], "2 failed, 1 allowed"),
        ("--max-failures=34%", ["acme", "globex"], "2 failed, 1 allowed"),
        ("--max-failures=2", list(operator.TENANTS), "done"),
        ("--max-failures=100%", list(operator.TENANTS), "done"),
    ],
)
def test_the_run_stops_when_more_have_failed_than_may(desk, flag, asked, reason):
    breaks(desk, "acme", "globex")

    result = desk.run("migrate-all", flag, "--format=json")

    found = statuses(result)
    assert (result.code, desk.asked, desk.journal()[-1]["reason"]) == (5, asked, reason)
    assert [name for name, status in found.items() if status == "skipped"] == [
        name for name in operator.TENANTS if name not in asked
    ]


def test_as_many_as_may_fail_stop_nobody(desk):
    breaks(desk, "acme")

    result = desk.run("migrate-all", "--max-failures=1", "--format=json")

    assert (result.code, desk.asked, desk.journal()[-1]["reason"]) == (5, list(operator.TENANTS), "done")


def test_the_inventorys_allowance_is_honoured_and_the_flag_overrides_it(desk):
    desk.inventory(rollout={"max_failures": "0"})
    breaks(desk, "acme")

    desk.run("migrate-all")
    desk.run("migrate-all", "--max-failures=3")

    assert desk.asked == ["acme", *operator.TENANTS]


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("--fail-fast", "--max-failures=3"), "--fail-fast and --max-failures contradict each other"),
        (
            ("--max-failures=101%",),
            "--max-failures: expected a number such as `3`, or a share such as `5%`, found `101%`",
        ),
        (("--max-failures=-1",), "--max-failures: expected a number such as `3`, or a share such as `5%`, found `-1`"),
        (("--max-failures=",), "--max-failures: expected a number such as `3`, or a share such as `5%`, found ``"),
        (("--retries=11",), "--retries: expected a number from 0 to 10, found `11`"),
        (("--retries=",), "--retries: expected a number from 0 to 10, found ``"),
    ],
)
def test_an_allowance_that_can_not_be_meant_is_refused(desk, argv, complaint):
    operator.refuses(desk.run("migrate-all", *argv), 2, complaint)
    assert desk.asked == []


def test_what_no_second_try_can_help_is_not_tried_again(desk):
    breaks(desk, "acme")

    result = desk.run("migrate-all", "--retries=3", "--format=json")

    assert (result.code, desk.asked) == (5, list(operator.TENANTS))


# ---------------------------------------------------------------- who, from a file


def test_tenants_may_stand_in_a_file(desk):
    (desk.folder / "some.txt").write_text("# who is due\n\ninitech\n  ac*  \n#globex\n")

    result = desk.run("migrate-all", "--tenants=@some.txt")

    assert (result.code, desk.asked) == (0, ["acme", "initech"])


def test_a_file_may_stand_beside_ids_and_may_name_who_is_left_out(desk):
    (desk.folder / "some.txt").write_text("initech")
    (desk.folder / "not.txt").write_text("init*\n")

    desk.run("migrate-all", "--tenants=acme,@some.txt")
    desk.run("migrate-all", f"--exclude=@{desk.folder}/not.txt")

    assert desk.asked == ["acme", "initech", "acme", "globex"]


@pytest.mark.parametrize("flag", ["tenants", "exclude"])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "`@some.txt` can't be read: no such file or directory"),
        (b"", "`@some.txt` names nobody"),
        (b"# acme\n\n  \n", "`@some.txt` names nobody"),
        (b"caf\xe9\n", "`@some.txt` can't be read: it is not UTF-8"),
    ],
)
def test_a_file_that_names_nobody_never_means_everyone(desk, flag, content, complaint):
    if content is not None:
        (desk.folder / "some.txt").write_bytes(content)

    operator.refuses(desk.run("migrate-all", f"--{flag}=@some.txt"), 2, f"--{flag}: {complaint}")
    assert desk.asked == []


def test_an_id_of_a_file_that_matches_nobody_is_named(desk):
    (desk.folder / "some.txt").write_text("acme\numbrella\n")

    operator.refuses(
        desk.run("migrate-all", "--tenants=@some.txt"),
        2,
        "--tenants: nothing matches `umbrella` among 3 tenants",
        "`invoke show-tenants` lists them.",
    )
    assert desk.asked == []


# ---------------------------------------------------------------- in which order


@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        ((), ["zeta", "acme", "Beta"]),
        (("--order=listed",), ["zeta", "acme", "Beta"]),
        (("--order=name",), ["Beta", "acme", "zeta"]),
        (("--order=name", "--canary=zeta"), ["zeta", "Beta", "acme"]),
    ],
)
def test_tenants_run_as_listed_or_by_name(desk, flags, asked):
    desk.project(listing=listing("zeta", "acme", "Beta"))

    result = desk.run("migrate-all", *flags)

    assert (result.code, desk.asked) == (0, asked)


def test_tenants_run_by_how_long_they_took_the_last_time(desk):
    pauses = "time.sleep({'acme': 0.4, 'globex': 0.0, 'initech': 0.8}[tenant])\n"
    desk.project(migrate=pauses + operator.MIGRATE)
    desk.run("migrate-all")
    desk.project()
    (desk.app / "asked").unlink()

    desk.run("migrate-all", "--order=slowest-first", "--tenants=acme,initech,globex")
    slowest_first = desk.asked
    for run in desk.runs[1:]:  # in this one everybody was fast
        (run / "journal.jsonl").unlink()
    (desk.app / "asked").unlink()
    desk.run("migrate-all", "--order=smallest-first")

    assert slowest_first == ["initech", "acme", "globex"]
    assert desk.asked == ["globex", "acme", "initech"]


def test_an_order_that_is_none_is_refused(desk):
    operator.refuses(
        desk.run("migrate-all", "--order=random"),
        2,
        "--order: expected `listed`, `name`, `smallest-first` or `slowest-first`, found `random`",
    )


# ---------------------------------------------------------------- until when


def test_without_any_time_nobody_is_started(desk):
    result = desk.run("migrate-all", "--max-duration=0s")

    assert (result.code, desk.asked) == (5, [])
    assert [line.split() for line in result.out.splitlines()[2:5]] == [[name, "skipped"] for name in operator.TENANTS]
    assert "3 tenants: 3 skipped. the run stopped: its time is up." in result.out.splitlines()
    assert desk.journal()[-1]["reason"] == "its time is up"


def test_who_usually_takes_longer_than_is_left_is_not_started(desk):
    desk.project(migrate="time.sleep(1.5)\n" + operator.MIGRATE)
    desk.run("migrate-all", "--tenants=acme")
    desk.project()

    result = desk.run("migrate-all", "--max-duration=1s", "--format=json")

    assert (result.code, desk.asked) == (5, ["acme"])
    assert statuses(result) == dict.fromkeys(operator.TENANTS, "skipped")
    assert desk.journal()[-1]["reason"].startswith("`acme` usually takes 1.")
    assert desk.journal()[-1]["reason"].endswith(" s are left")


def test_nobody_is_started_after_the_time_is_up(desk):
    desk.project(migrate="time.sleep(1.2)\n" + operator.MIGRATE)

    result = desk.run("migrate-all", "--max-duration=1s", "--format=json")

    assert (result.code, desk.asked) == (5, ["acme"])
    assert statuses(result) == {"acme": "migrated", "globex": "skipped", "initech": "skipped"}
    assert desk.journal()[-1]["reason"] == "its time is up"


def test_with_time_enough_everybody_is_migrated(desk):
    later = (datetime.now().astimezone() + timedelta(hours=2)).strftime("%H:%M")

    result = desk.run("migrate-all", f"--until={later}")

    assert (result.code, desk.asked) == (0, list(operator.TENANTS))


@pytest.mark.parametrize("value", ["25:00", "6am", "06:60", "6", ""])
def test_a_time_of_day_that_is_none_is_refused(desk, value):
    operator.refuses(
        desk.run("migrate-all", f"--until={value}"),
        2,
        f"--until: expected a time of day such as `06:00`, found `{value}`",
    )
    assert desk.asked == []


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (
            ("--until=06:00", "--max-duration=2h"),
            "--until and --max-duration say the same in two ways: give one of them",
        ),
        (("--max-duration=31d",), "--max-duration: "),
        (("--max-duration=800h",), "--max-duration: expected 30 days at most, found `800h`"),
    ],
)
def test_a_limit_that_can_not_be_meant_is_refused(desk, argv, complaint):
    result = desk.run("migrate-all", *argv)

    assert (result.code, result.out, desk.asked) == (2, "", [])
    assert result.message.startswith(complaint)
