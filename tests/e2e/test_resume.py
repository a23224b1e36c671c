"""`--resume`: a run goes on where it stopped, with those that are not home, and nothing runs twice."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from pathlib import Path

import processes
import pytest

from e2e import operator
from e2e.test_interrupt import _lock_is_free as lock_is_free
from opskit.demo import data

ASKABLE = {**operator.FRAMEWORK, "pending": ["pending"]}
BREAKS = "if tenant == 'globex' and not (here / 'mended').exists():\n    raise RuntimeError('column exists')\n"
BROKEN = BREAKS + operator.MIGRATE
ALL = dict.fromkeys(operator.TENANTS, "migrated")


def statuses(result: operator.Result) -> dict[str, str]:
    return {each["tenant_id"]: each["status"] for each in json.loads(result.out)["outcomes"]}


def errors(result: operator.Result) -> dict[str, str]:
    return {each["tenant_id"]: each["error"] for each in json.loads(result.out)["outcomes"]}


def resume(desk, *more: str) -> operator.Result:
    return desk.run("migrate-all", "--resume", "--format=json", *more)


def record(desk) -> dict:
    (found,) = (desk.folder / "state").glob("*.json")
    return json.loads(found.read_text())


def killed(desk, *argv: str, also_on_the_host: bool = False) -> None:
    """A run whose controller is killed while its first tenant is at work, which comes to its end, or does not."""
    with desk.held("migrate-all", *argv) as running:
        operator.until(lambda: "pid" in record(desk), "a process in the record", running)
        child = record(desk)["pid"]
        agent = processes.agent_above(child)
        running.process.kill()
        running.end()
        if also_on_the_host:
            for process in (agent, child):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
    operator.until(lambda: lock_is_free(desk.folder / "state"), "an end of what ran on the host")


@pytest.fixture(params=["pending", "nobody can say"])
def either(desk, request):
    """A framework that can be asked what is pending, and one that can't."""
    desk.inventory(framework=ASKABLE if request.param == "pending" else operator.FRAMEWORK)
    return desk


# ---------------------------------------------------------------- after what


def test_after_ctrl_c_those_that_were_left_run_in_the_same_journal(either):
    with either.held("migrate-all", "--stagger=0") as running:
        running.press_ctrl_c()
        running.says("interrupted: finishing")
        either.let_go()
        assert running.end().code == 130

    result = resume(either)

    assert (result.code, statuses(result)) == (0, ALL)
    assert either.asked == list(operator.TENANTS)
    (folder,) = either.runs
    assert [each["event"] for each in either.journal()].count("RunResumed") == 1
    assert [each["seq"] for each in either.journal()] == list(range(1, len(either.journal()) + 1))
    assert json.loads(result.out)["run_id"] == folder.name
    assert "the run goes on" in either.log()


def test_after_stop(desk):
    with desk.held("migrate-all") as running:
        desk.run("stop")
        desk.let_go()
        assert running.end().code == 5

    result = resume(desk)

    assert (result.code, statuses(result), desk.asked) == (0, ALL, list(operator.TENANTS))


def test_a_tenant_that_came_home_unseen_is_believed_by_its_hosts_record_and_not_started_again(either):
    killed(either)
    assert either.migrated == ["acme"]

    result = resume(either)

    assert (result.code, statuses(result)) == (0, ALL)
    assert either.asked == list(operator.TENANTS)
    (acme,) = [each for each in json.loads(result.out)["outcomes"] if each["tenant_id"] == "acme"]
    assert (acme["attempt"], acme["host"]) == (1, "local")
    assert "`acme`: that command ended with exit 0" in either.log()
    assert list((either.folder / "state").glob("*.json")) == []


def test_a_tenant_that_failed_unseen_is_tried_again(desk):
    desk.project(migrate=operator.HELD + BROKEN.replace("globex", "acme"))
    with desk.running("migrate-all") as running:
        operator.until((desk.app / "begun").exists, "a beginning", running)
        running.process.kill()
        running.end()
    desk.let_go()
    operator.until(lambda: lock_is_free(desk.folder / "state"), "an end of what ran on the host")
    (desk.app / "mended").touch()

    result = resume(desk)

    assert (result.code, statuses(result)) == (0, ALL)
    assert desk.asked == ["acme", *operator.TENANTS]
    assert desk.migrated == list(operator.TENANTS)


def test_a_tenant_whose_end_nobody_wrote_down_runs_again_once_the_database_says_what_is_pending(desk):
    desk.inventory(framework=ASKABLE)
    killed(desk, also_on_the_host=True)

    result = resume(desk)

    assert (result.code, statuses(result)) == (0, ALL)
    assert desk.asked == ["acme", *operator.TENANTS]
    assert desk.migrated == list(operator.TENANTS)
    assert "acme: failed: its command is over, with 1 migration still pending" in result.err


def test_where_nobody_can_say_what_is_pending_it_stays_unknown_and_is_not_started(desk):
    killed(desk, also_on_the_host=True)

    result = resume(desk)

    assert (result.code, statuses(result)) == (6, {**ALL, "acme": "unknown"})
    assert desk.asked == list(operator.TENANTS)
    assert errors(result)["acme"] == (
        "its command is over, and nobody knows how it ended: this framework can't be asked what is pending"
    )
    assert "`invoke migrate-tenant --env=prod --tenant-id=…` tries one" in result.err
    desk.run("migrate-tenant", "--tenant-id=acme")
    operator.refuses(
        resume(desk),
        2,
        "--resume: no run of `prod` left a tenant behind",
        "`invoke migrate-all --env=prod` starts one.",
    )


def test_a_tenant_that_the_answer_does_not_mention_stays_unknown(desk):
    desk.inventory(framework=ASKABLE)
    killed(desk, also_on_the_host=True)
    manage = desk.app / "manage.py"
    asks = 'else ["members.0001_initial"] for name in '
    manage.write_text(manage.read_text().replace(f"{asks}('acme', ", f"{asks}("))

    result = resume(desk)

    assert (result.code, statuses(result)) == (6, {**ALL, "acme": "unknown"})
    assert errors(result)["acme"].endswith(": asking what is pending did not mention it")


# ---------------------------------------------------------------- what is still at work

SPEAKS = 'print("  Applying early.0001_initial... OK")\nprint("half of it", flush=True)\n'
FOLLOWS = "acme: still at work on "


@contextlib.contextmanager
def followed(desk, *argv: str, also_the_agent: bool = False, **held):
    """A run whose controller was killed while its first tenant is at work, and another that follows that."""
    with desk.held("migrate-all", *argv, migrate=SPEAKS, **held) as first:
        operator.until(lambda: "half of it" in desk.kept(), "its first output", first)
        child = record(desk)["pid"]
        above = processes.agent_above(child)
        first.process.kill()
        first.end()
        if also_the_agent:
            os.kill(above, signal.SIGKILL)
        with desk.running("migrate-all", "--resume", "--format=json", into="second") as running:
            running.says(f"(process {child}): following")
            yield running


@pytest.mark.parametrize("also_the_agent", [False, True])
def test_a_tenant_that_is_still_at_work_is_followed_to_its_end_and_not_started_again(desk, also_the_agent):
    desk.inventory(framework=ASKABLE)
    with followed(desk, also_the_agent=also_the_agent) as running:
        desk.let_go()
        result = running.end()

    assert (result.code, statuses(result)) == (0, ALL)
    assert desk.asked == desk.migrated == list(operator.TENANTS)
    (acme,) = [each for each in json.loads(result.out)["outcomes"] if each["tenant_id"] == "acme"]
    assert (acme["attempt"], acme["host"], acme["verified"]) == (1, "local", True)
    assert [each["event"] for each in desk.journal()].count("TenantFollowed") == 1
    assert f"{FOLLOWS}local since 2" in result.err
    assert list((desk.folder / "state").glob("*.json")) == []


def test_what_the_killed_run_heard_is_not_shown_or_kept_twice_and_decides_on_the_outcome(desk):
    desk.project()
    with followed(desk) as running:
        desk.let_go()
        result = running.end()

    (kept,) = (desk.runs[0] / "tenants").glob("acme-*")
    assert kept.read_text().splitlines() == [
        "  Applying early.0001_initial... OK",
        "half of it",
        "  Applying members.0001_initial... OK",
        "Migrated acme",
    ]
    (acme,) = [each for each in json.loads(result.out)["outcomes"] if each["tenant_id"] == "acme"]
    assert acme["applied"] == ["early.0001_initial", "members.0001_initial"]


def test_a_new_run_meanwhile_is_told_whose_command_it_is_and_what_follows_it(desk):
    with followed(desk) as running:
        other = desk.run("migrate-all")
        desk.let_go()
        assert running.end().code == 0

    name, child = desk.runs[0].name, r"\(process \d+\)"
    said = (
        rf"another run holds `prod` on local: run {name} by \S+ is cut off from whoever started it, and finishes `acme`"
    )
    said += (
        rf" {child} there\. nothing was migrated\. `invoke migrate-all --resume={name}`, where it was started, follows"
    )
    assert (other.code, desk.asked) == (4, list(operator.TENANTS))
    assert re.fullmatch(rf"{said} it; `--lock-wait=1h` waits for its end\.", other.message)


def test_a_run_whose_host_has_not_noticed_yet_that_its_operator_is_gone_is_named_as_ones_own(desk):
    with desk.held("migrate-all") as running:
        operator.until(lambda: "pid" in record(desk), "a process in the record", running)
        os.kill(processes.agent_above(record(desk)["pid"]), signal.SIGSTOP)
        running.process.kill()
        running.end()
        (holder,) = (desk.folder / "state").glob("*.holder")
        signed = json.loads(holder.read_text())
        holder.write_text(json.dumps({**signed, "pid": None}))  # where nobody can see that it is stopped
        other = desk.run("migrate-all")
        os.kill(signed["pid"], signal.SIGCONT)

    name = desk.runs[0].name
    assert other.code == 4
    assert f", run {name}, which is not going on here any more. nothing was migrated. " in other.message
    assert other.message.endswith(
        f" `invoke migrate-all --resume={name}` takes it up; `--lock-wait=1h` waits for its end."
    )


def test_over_ssh_it_is_the_same(desk, sshd):
    desk.over_ssh(sshd, known_hosts=sshd.known_hosts, framework=ASKABLE)
    with followed(desk) as running:
        desk.let_go()
        result = running.end()

    assert (result.code, statuses(result)) == (0, ALL)
    assert desk.asked == list(operator.TENANTS)
    assert f"{FOLLOWS}app1 since 2" in result.err


def test_ctrl_c_while_a_tenant_is_followed_means_what_it_always_means(desk):
    desk.inventory(framework=ASKABLE)
    with followed(desk) as running:
        running.press_ctrl_c()
        running.says("interrupted: finishing")
        desk.let_go()
        result = running.end()

    assert (result.code, statuses(result)) == (130, {**dict.fromkeys(ALL, "skipped"), "acme": "migrated"})
    assert desk.asked == ["acme"]
    assert resume(desk).code == 0
    assert desk.asked == list(operator.TENANTS)


def test_a_second_ctrl_c_ends_the_tenant_that_is_followed(desk):
    with followed(desk) as running:
        running.press_ctrl_c()
        running.says("interrupted: finishing")
        running.press_ctrl_c()
        result = running.end()

    assert (result.code, statuses(result), desk.migrated) == (
        130,
        {**dict.fromkeys(ALL, "skipped"), "acme": "failed"},
        [],
    )


def test_a_run_that_is_killed_while_it_follows_is_resumed_all_the_same(desk):
    desk.inventory(framework=ASKABLE)
    with followed(desk) as running:
        running.process.kill()
        running.end()
        with desk.running("migrate-all", "--resume", "--format=json", into="third") as third:
            third.says(": following")
            desk.let_go()
            result = third.end()

    assert (result.code, statuses(result)) == (0, ALL)
    assert desk.asked == list(operator.TENANTS)


# ---------------------------------------------------------------- what went wrong


def test_a_failure_that_was_mended_and_those_behind_it(desk):
    desk.project(migrate=BROKEN)
    first = desk.run("migrate-all", "--fail-fast", "--stagger=1")
    assert (first.code, desk.asked) == (5, ["acme", "globex"])
    again = resume(desk)
    assert (again.code, desk.asked[2:]) == (5, ["globex"])
    (desk.app / "mended").touch()

    result = resume(desk)

    assert (result.code, statuses(result)) == (0, ALL)
    assert desk.asked == ["acme", "globex", "globex", "globex", "initech"]
    assert len(desk.runs) == 1
    assert [each["event"] for each in desk.journal()].count("RunResumed") == 2
    assert "waiting 1.0 s before initech" in result.err


def test_a_failure_that_somebody_else_mended_needs_no_command(desk):
    desk.inventory(framework=ASKABLE)
    desk.project(migrate=BROKEN)
    assert desk.run("migrate-all", "--fail-fast").code == 5
    (desk.app / "mended").touch()
    assert desk.run("migrate-tenant", "--tenant-id=globex").code == 0

    result = resume(desk)

    assert (result.code, statuses(result)) == (0, {**ALL, "globex": "current"})
    assert desk.asked == ["acme", "globex", "globex", "initech"]


def test_nobody_is_touched_whom_the_run_was_not_about(desk):
    desk.project(migrate=BROKEN)
    desk.run("migrate-all", "--tenants=globex,acme")

    result = resume(desk)

    assert statuses(result) == {"acme": "migrated", "globex": "failed"}
    assert desk.asked == ["acme", "globex", "globex"]


def test_a_torn_last_line_is_set_aside(desk):
    desk.project(migrate=BROKEN)
    desk.run("migrate-all", "--fail-fast")
    journal = desk.runs[0] / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    (desk.app / "mended").touch()

    result = resume(desk)

    assert (result.code, statuses(result)) == (0, ALL)
    last = whole.splitlines()[-1] + b"\n"
    assert (desk.runs[0] / "journal.torn").read_bytes() == last[:-20] + b"\n"


def test_a_tenant_that_is_gone_says_so_and_keeps_nobody_waiting(desk):
    desk.project(migrate=BROKEN)
    desk.run("migrate-all", "--fail-fast")
    desk.project(listing="print(json.dumps([{'tenant_id': 'acme'}, {'tenant_id': 'initech'}]))")

    for _ in range(2):
        result = resume(desk)
        assert (result.code, statuses(result)) == (5, {"acme": "migrated", "globex": "failed", "initech": "migrated"})
        assert errors(result)["globex"] == "RuntimeError: column exists; the project does not list it any more"
        assert "1 tenant of the run is gone: globex" in result.err
    assert desk.asked == ["acme", "globex", "initech"]


def test_another_host_serves_now_and_knows_nothing_of_the_first_ones_commands(desk, sshd):
    desk.over_ssh(sshd, sshd, known_hosts=sshd.known_hosts, framework=ASKABLE)
    killed(desk, also_on_the_host=True)
    dead = {"address": "127.0.0.1", "port": 1, "user": sshd.user, "identity_file": str(sshd.identity_file)}
    desk.over_ssh(dead, sshd, known_hosts=sshd.known_hosts, framework=ASKABLE)

    result = resume(desk)

    assert (result.code, statuses(result)) == (6, {**ALL, "acme": "unknown"})
    assert errors(result)["acme"] == (
        "it was at work on app1, and app2 serves now: nobody can say that it is over there"
    )
    assert desk.asked == list(operator.TENANTS)


def test_a_shared_database_that_came_home_is_not_migrated_again(desk):
    desk.inventory(framework={**operator.FRAMEWORK, "shared": ["migrate_shared"]})
    desk.project(migrate=BROKEN)
    desk.run("migrate-all", "--shared", "--fail-fast")
    (desk.app / "mended").touch()

    result = resume(desk)

    assert (result.code, statuses(result)) == (0, {"(shared)": "migrated", **ALL})
    assert desk.asked == ["(shared)", "acme", "globex", "globex", "initech"]


# ---------------------------------------------------------------- how


def test_the_runs_own_pace_holds_and_a_canary_that_came_home_is_none_again(either):
    desk = either
    framework = ASKABLE if "pending:" in (desk.folder / "inventories/prod.yaml").read_text() else operator.FRAMEWORK
    desk.project(migrate=BROKEN)
    desk.run("migrate-all", "--canary=1", "--max-failures=0", "--stagger=1", "--timeout=7m", "--gate=true")
    desk.inventory(framework=framework, rollout={"canary": "1", "max_failures": "9", "stagger": "1h"})

    result = resume(desk)

    assert (result.code, statuses(result)) == (5, {"acme": "migrated", "globex": "failed", "initech": "skipped"})
    plan = [each["plan"] for each in desk.journal() if each["event"] == "PlanMade"][-1]
    assert (plan["canaries"], plan["stagger"], plan["gate"], plan["batches"][0]["max_failures"]) == (0, 1, "true", 0)
    assert desk.journal()[0]["timeout"] == 420
    typed = resume(desk, "--stagger=0", "--max-failures=1")
    assert (typed.code, desk.asked) == (5, ["acme", "globex", "globex", "globex", "initech"])


def test_the_runs_own_time_for_a_tenant_holds(desk):
    desk.project(migrate="time.sleep(60)")
    desk.run("migrate-all", "--tenants=acme", "--timeout=1s")

    result = resume(desk)

    assert (result.code, errors(result)["acme"][:16]) == (5, "timed out after ")


def test_a_gate_with_a_secret_is_not_kept_and_has_to_be_typed_again(desk):
    desk.project(migrate=BROKEN)
    desk.run("migrate-all", "--fail-fast", "--gate=true password=hunter2hunter2")
    assert "hunter2" not in desk.kept()

    named = desk.run("migrate-all", f"--resume={desk.runs[0].name}")
    operator.refuses(named, 2, "--resume: the run's --gate held a secret, which no journal keeps", "give --gate again.")
    assert resume(desk, "--gate=true password=hunter2hunter2").code == 5


def test_a_plan_of_it_shows_who_would_run_and_touches_nothing(desk):
    desk.project(migrate=BROKEN)
    desk.run("migrate-all", "--fail-fast")
    before = desk.journal()

    result = desk.run("migrate-all", "--resume", "--plan")

    assert (result.code, desk.asked, desk.journal()) == (0, ["acme", "globex"], before)
    assert [line.split()[0] for line in result.out.splitlines()[2:4]] == ["globex", "initech"]
    assert result.out.splitlines()[-1] == f"next: `invoke migrate-all --resume={desk.runs[0].name} --env=prod`"


def test_a_plan_says_of_a_tenant_that_was_lost_that_a_proof_is_wanted(desk):
    desk.inventory(framework=ASKABLE)
    killed(desk, also_on_the_host=True)

    result = desk.run("migrate-all", "--resume", "--plan")

    said = "they start only once their host's lock proves that their commands are over: acme"
    assert result.message.splitlines()[1:] == [said]


def test_one_app_of_one_tenant(desk):
    desk.project(migrate=BROKEN)
    desk.run("migrate-tenant", "--tenant-id=globex", "--app-label=members", "--migration-name=0001")
    (desk.app / "mended").touch()
    desk.project(migrate="print(*words)\n" + BROKEN)

    result = resume(desk)

    assert (result.code, statuses(result), desk.asked) == (0, {"globex": "migrated"}, ["globex", "globex"])
    (kept,) = (desk.runs[0] / "tenants").glob("globex-*")
    assert "--tenant=globex members 0001\n" in kept.read_text()


# ---------------------------------------------------------------- which


def broken_run(desk, name: str = "prod") -> str:
    desk.project(migrate=BROKEN)
    desk.run("migrate-all", f"--env={name}", "--fail-fast")
    return desk.runs[-1].name


def test_a_run_by_its_beginning_and_its_environment_is_known_from_it(desk):
    name = broken_run(desk)
    desk.inventory("staging")
    (desk.app / "mended").touch()

    result = desk.run("migrate-all", f"--resume={name[:-2]}")

    assert (result.code, desk.asked) == (0, ["acme", "globex", "globex", "initech"])


def test_a_run_of_another_environment(desk):
    name = broken_run(desk)
    desk.inventory("staging")
    operator.refuses(
        desk.run("migrate-all", "--env=staging", f"--resume={name}"),
        2,
        f"--resume: `{name}` is a run of another environment than `staging`",
    )


@pytest.mark.parametrize("wanted", ["1999", "../../etc"])
def test_a_run_that_never_was(desk, wanted):
    broken_run(desk)
    result = desk.run("migrate-all", f"--resume={wanted}")
    operator.refuses(result, 2, f"--resume=`{wanted}` names no run. `invoke runs` lists them")


def test_no_run_yet(desk):
    operator.refuses(
        resume(desk),
        2,
        "--resume: no run of `prod` left a tenant behind",
        "`invoke migrate-all --env=prod` starts one.",
    )


def test_a_run_that_left_nobody(desk):
    desk.run("migrate-all")
    result = desk.run("migrate-all", f"--resume={desk.runs[0].name}", program="opskit")
    operator.refuses(
        result,
        2,
        f"--resume: `{desk.runs[0].name}` left no tenant behind",
        "`opskit migrate-all --env=prod` starts a new run.",
    )
    assert resume(desk).code == 2
    assert desk.asked == list(operator.TENANTS)


def test_a_run_whose_tenants_a_later_one_brought_home_is_over(desk):
    broken_run(desk)
    (desk.app / "mended").touch()
    desk.run("migrate-all")

    assert resume(desk).code == 2
    assert desk.asked == ["acme", "globex", *operator.TENANTS]


def test_a_run_that_is_going_on(desk):
    with desk.held("migrate-all"):
        operator.refuses(
            resume(desk), 2, f"--resume: `{desk.runs[0].name}` is going on", "`invoke status --env=prod` shows it."
        )


def test_a_run_without_a_plan(desk):
    with desk.held("migrate-all", listing=True) as running:
        running.process.kill()
        running.end()
    name = desk.runs[0].name
    operator.refuses(
        desk.run("migrate-all", f"--resume={name}"),
        2,
        f"--resume: `{name}` ended before it had a plan",
        "`invoke migrate-all --env=prod` makes one.",
    )


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--resume="], "--resume: expected a run's id, found nothing"),
        (["--changed-code"], "--changed-code needs --resume"),
        *(
            (["--resume", flag], "--resume goes on with a run's own tenants: not with --tenants, --exclude or --all")
            for flag in ("--tenants=acme", "--exclude=acme", "--all")
        ),
    ],
)
def test_flags_that_contradict_it(desk, flags, complaint):
    operator.refuses(desk.run("migrate-all", *flags), 2, complaint)


# ---------------------------------------------------------------- the code has changed (real Django)


@pytest.fixture
def stopped(demo):
    """The demo, stopped at its second tenant, which is broken."""
    data.add_migration(demo.app)
    data.break_tenant(demo.app, "aperture")
    assert demo.run("migrate-all", "--fail-fast").code == 5
    return demo


def added(desk) -> Path:
    return max((desk.app / "products" / "migrations").glob("0*.py"))


def test_an_edited_migration_is_refused_unless_told(stopped):
    file = added(stopped)
    file.write_text(file.read_text() + "\n# mended\n")
    before = len(stopped.journal())

    name = stopped.runs[0].name
    refused = stopped.run("migrate-all", f"--resume={name}")
    forced = resume(stopped, "--changed-code")

    assert (refused.code, refused.out) == (3, "")
    assert refused.message == (
        f"the migrations have changed since `{name}` was planned: products.{file.stem} (edited). nothing more was "
        "migrated. `--changed-code` goes on with what is there now."
    )
    assert len(stopped.journal()) > before
    assert forced.code == 5
    assert list(statuses(forced).items())[:2] == [("acme", "migrated"), ("aperture", "failed")]


def test_a_new_migration_is_refused_unless_told_and_is_among_what_was_applied(stopped):
    first = added(stopped)
    data.add_migration(stopped.app)
    second = added(stopped)

    refused = stopped.run("migrate-all", "--resume")
    forced = resume(stopped, "--changed-code", "--max-failures=1")

    assert refused.code == 3
    assert f": products.{second.stem} (new)." in refused.message
    rows = {each["tenant_id"]: each["applied"] for each in json.loads(forced.out)["outcomes"]}
    assert rows["acme"][-1] == f"products.{first.stem}"
    assert rows["wonka"][-2:] == [f"products.{first.stem}", f"products.{second.stem}"]


def test_a_migration_that_is_gone_is_refused_unless_told_and_nobody_is_said_to_have_it(stopped):
    file = added(stopped)
    file.unlink()

    refused = stopped.run("migrate-all", "--resume")
    forced = resume(stopped, "--changed-code", "--max-failures=1")

    assert refused.code == 3
    assert f": products.{file.stem} (gone)." in refused.message
    rows = {each["tenant_id"]: (each["status"], each["applied"][-1:]) for each in json.loads(forced.out)["outcomes"]}
    assert rows["acme"] == ("migrated", [f"products.{file.stem}"])
    assert rows["wonka"] == ("migrated", ["products.0002_category"])


# ---------------------------------------------------------------- a refusal


def test_a_bare_one_says_first_which_run_it_means(desk):
    broken_run(desk)
    (run,) = desk.runs
    said = f"--resume: this is run {run.name}, which left 2 tenants behind."

    planned, result = desk.run("migrate-all", "--resume", "--plan"), resume(desk)

    assert (planned.err.splitlines()[0], result.err.splitlines()[0]) == (said, said)
    assert planned.out.splitlines()[-1] == f"next: `invoke migrate-all --resume={run.name} --env=prod`"


def test_a_refusal_leaves_the_run_as_it_was(desk):
    """Also where it had learned meanwhile how a tenant ended that the run lost: the host keeps that for the next time."""
    desk.inventory(confirm="true")
    killed(desk, "--yes")
    (folder,) = desk.runs
    before = (folder / "journal.jsonl").read_bytes(), desk.run("runs").out, desk.run("show-run").out

    refused = desk.run("migrate-all", "--resume")

    assert (refused.code, "there is no terminal to ask" in refused.err) == (3, True)
    assert ((folder / "journal.jsonl").read_bytes(), desk.run("runs").out, desk.run("show-run").out) == before
    assert (
        desk.log()
        .splitlines()[-1]
        .endswith("the run does not go on: `prod` asks for a confirmation, and there is no terminal to ask")
    )
    assert statuses(resume(desk, "--yes")) == ALL
    assert desk.asked == list(operator.TENANTS)


def test_what_a_refused_run_heard_of_an_earlier_one_is_told_to_the_next(desk):
    killed(desk)

    refused = desk.run("migrate-all", "--tenants=umbrella")
    result = desk.run("migrate-all")

    assert (refused.code, result.code, len(desk.runs)) == (2, 0, 2)
    assert refused.err.count("was cut off while it migrated `acme`") == 1
    assert result.err.count("was cut off while it migrated `acme`") == 1
