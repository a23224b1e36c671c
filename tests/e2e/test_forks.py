"""`--forks=N`: several tenants at a time, over two real servers, as the operator and the hosts see it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import processes
import pytest

from e2e import operator
from e2e.operator import until
from e2e.test_interrupt import ASKED, ENDING

ASKABLE = {**operator.FRAMEWORK, "pending": ["pending"]}
HELD = """\
if tenant == "globex" and (here / "broken").exists():
    raise RuntimeError("column exists")
(here / f"begun-{tenant}").touch()
while not (here / f"go-{tenant}").exists():
    time.sleep(0.01)
print("at last", flush=True)
"""
ALL = dict.fromkeys(operator.TENANTS, "migrated")


@pytest.fixture
def hosts(desk, sshd, second, both_known):
    """An operator whose project is on app1 and app2: a tenant's command waits for its file `go-<id>`."""
    desk.project(migrate=HELD + operator.MIGRATE)
    desk.over_ssh(sshd, second, known_hosts=both_known, framework=ASKABLE, ssh={"reconnect": "1s"})
    yield desk
    go(desk, *operator.TENANTS)


def begun(desk, running, *names: str) -> None:
    for name in names:
        until((desk.app / f"begun-{name}").exists, f"a beginning of {name}", running)


def go(desk, *names: str) -> None:
    for name in names:
        (desk.app / f"go-{name}").touch()


def ended(desk, running, name: str) -> None:
    until(
        lambda: any(f"tenant={name} finished" in line for line in desk.log().splitlines()), f"an end of {name}", running
    )


def outcomes(result: operator.Result) -> dict[str, dict]:
    return {each["tenant_id"]: each for each in json.loads(result.out)["outcomes"]}


def statuses(result: operator.Result) -> dict[str, str]:
    return {name: each["status"] for name, each in outcomes(result).items()}


def record(desk, label: str) -> dict:
    """What the host has written down of a tenant's command, whose process is known."""
    found: list[dict] = []

    def there() -> bool:
        records = [json.loads(path.read_text()) for path in (desk.folder / "state").glob("*.json")]
        found[:] = [each for each in records if each["label"] == label and "pid" in each]
        return bool(found)

    until(there, f"a record of {label}")
    return found[0]


def kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def lost_host(desk, server, label: str, *, command: bool) -> None:
    """What is left of a host that has gone: no server, no agent of this tenant's, and no command of it perhaps."""
    child = record(desk, label)["pid"]
    agent = processes.agent_above(child)
    os.kill(server.pid, signal.SIGTERM)
    kill(agent, *([child] if command else []))


# ---------------------------------------------------------------- all goes well


def test_two_at_a_time_one_on_each_host_and_the_third_where_one_ends_first(hosts):
    with hosts.running("migrate-all", "--forks=2", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        (now,) = json.loads(hosts.run("status", "--format=json").out)
        refused = hosts.run("migrate-all")
        assert not (hosts.app / "begun-initech").exists()
        go(hosts, "globex")
        begun(hosts, running, "initech")
        go(hosts, "initech", "acme")
        result = running.end()

    assert [(each["tenant"], each["host"]) for each in now["at_work"]] == [("acme", "app1"), ("globex", "app2")]
    assert (now["tenant"], now["host"]) == ("acme", "app1")
    assert (refused.code, hosts.runs[0].name in refused.message) == (4, True)
    assert (result.code, statuses(result)) == (0, ALL)
    assert {name: each["host"] for name, each in outcomes(result).items()} == {
        "acme": "app1", "globex": "app2", "initech": "app2"
    }  # fmt: skip
    assert sorted(hosts.asked) == sorted(hosts.migrated) == list(operator.TENANTS)
    assert [path for path in (hosts.folder / "state").iterdir() if path.suffix not in {".lock", ".holder"}] == []


def test_each_line_of_output_names_its_tenant_and_each_tenant_has_its_own_file(hosts):
    with hosts.running("migrate-all", "--forks=3", "-v") as running:
        begun(hosts, running, *operator.TENANTS)
        go(hosts, *operator.TENANTS)
        result = running.end()

    assert result.code == 0
    for name in operator.TENANTS:
        assert f"{name} | at last\n" in result.err
        (file,) = (hosts.runs[0] / "tenants").glob(f"{name}-*.log")
        assert file.read_text() == f"at last\n  Applying members.0001_initial... OK\nMigrated {name}\n"
    nameless = [line for line in result.err.splitlines() if "at last" in line and "|" not in line]
    assert nameless == []


def test_the_view_on_a_terminal_shows_all_that_are_at_work(desk):
    digs = "print(f'digging in {tenant}', flush=True)\n"
    desk.project(migrate=digs + HELD + operator.MIGRATE)
    seen = []

    def meanwhile(said: str, _resize) -> None:
        last = said.rpartition("gone, ETA")[2]  # the view as it was drawn last
        if "acme: digging in acme" in last and "globex: digging in globex" in last and "initech" not in last:
            seen.append(last)
            go(desk, *operator.TENANTS)

    try:
        result = desk.at_a_terminal("migrate-all", "--forks=2", columns=100, meanwhile=meanwhile)
    finally:
        go(desk, *operator.TENANTS)
    assert (result.code, bool(seen)) == (0, True)


def test_the_inventory_may_say_how_many(hosts, sshd, second, both_known):
    more = {"framework": ASKABLE, "rollout": {"forks": "2"}}
    hosts.over_ssh(sshd, second, known_hosts=both_known, **more)
    with hosts.running("migrate-all", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        go(hosts, *operator.TENANTS)
        result = running.end()
    assert (result.code, statuses(result)) == (0, ALL)


def test_a_canary_is_alone_and_first(hosts):
    with hosts.running("migrate-all", "--forks=3", "--canary=globex", "--format=json") as running:
        begun(hosts, running, "globex")
        assert [path.name for path in hosts.app.glob("begun-*")] == ["begun-globex"]
        go(hosts, "globex")
        begun(hosts, running, "acme", "initech")
        go(hosts, *operator.TENANTS)
        result = running.end()
    assert (result.code, hosts.asked[0], statuses(result)) == (0, "globex", ALL)


def test_on_one_machine_without_ssh_and_over_the_systems_own_ssh(desk, sshd):
    desk.project(migrate=HELD + operator.MIGRATE)
    for reach in (lambda: None, lambda: desk.over_ssh(sshd, known_hosts=sshd.known_hosts, ssh={"client": "openssh"})):
        reach()
        with desk.running("migrate-all", "--forks=3", "--format=json") as running:
            begun(desk, running, *operator.TENANTS)
            go(desk, *operator.TENANTS)
            result = running.end()
        assert (result.code, statuses(result)) == (0, ALL)
        for file in [*desk.app.glob("go-*"), *desk.app.glob("begun-*")]:
            file.unlink()


# ---------------------------------------------------------------- it stops


def test_a_failure_that_stops_the_run_lets_the_others_at_work_finish(hosts):
    (hosts.app / "broken").touch()
    with hosts.running("migrate-all", "--forks=2", "--fail-fast", "--format=json") as running:
        begun(hosts, running, "acme")
        until(lambda: "ERROR tenant=globex" in hosts.log(), "a failure", running)
        go(hosts, "acme")
        result = running.end()
    assert (result.code, statuses(result)) == (5, {"acme": "migrated", "globex": "failed", "initech": "skipped"})
    assert hosts.journal()[-1]["reason"] == "1 failed, 0 allowed"


def test_ctrl_c_finishes_all_that_are_at_work_and_resume_goes_on(hosts):
    with hosts.running("migrate-all", "--forks=2", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        running.press_ctrl_c()
        running.says(ASKED)
        go(hosts, "globex")
        ended(hosts, running, "globex")
        go(hosts, "acme", "initech")
        result = running.end()
    assert (result.code, statuses(result)) == (130, {**ALL, "initech": "skipped"})

    result = hosts.run("migrate-all", "--resume", "--format=json")
    assert (result.code, statuses(result)) == (0, ALL)
    assert sorted(hosts.asked) == list(operator.TENANTS)


def test_the_second_ctrl_c_ends_all_that_are_at_work(hosts):
    with hosts.running("migrate-all", "--forks=2", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        running.press_ctrl_c()
        running.says(ASKED)
        running.press_ctrl_c()
        running.says(ENDING)
        result = running.end()
    assert (result.code, statuses(result)) == (130, {"acme": "failed", "globex": "failed", "initech": "skipped"})
    assert hosts.migrated == []


def test_the_third_ctrl_c_says_of_each_where_it_was_left(hosts):
    hosts.project(migrate=operator.STUBBORN + HELD + operator.MIGRATE)
    with hosts.running("migrate-all", "--forks=2", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        children = {name: record(hosts, name)["pid"] for name in ("acme", "globex")}
        running.press_ctrl_c()
        running.says(ASKED)
        running.press_ctrl_c()
        running.says(ENDING)
        running.press_ctrl_c()
        result = running.end()
    assert (result.code, statuses(result)) == (130, {"acme": "unknown", "globex": "unknown", "initech": "skipped"})
    assert f"left `acme` on app1 (process {children['acme']}): it is being ended" in result.err
    assert f"left `globex` on app2 (process {children['globex']}): it is being ended" in result.err
    assert "Traceback" not in result.err
    assert hosts.journal()[-1]["event"] == "RunFinished"


def test_stop_finishes_all_that_are_at_work(hosts):
    with hosts.running("migrate-all", "--forks=2", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        said = hosts.run("stop")
        go(hosts, *operator.TENANTS)
        result = running.end()
    assert "`acme` and `globex` are finished first" in said.out
    assert (result.code, statuses(result)) == (5, {**ALL, "initech": "skipped"})


# ---------------------------------------------------------------- something dies


def test_a_killed_agent_leaves_the_other_at_work_and_the_database_says_what_became_of_its_own(hosts):
    with hosts.running("migrate-all", "--forks=2", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        kill(processes.agent_above(record(hosts, "globex")["pid"]))
        running.says("app2 is back: `globex` is still at work")
        go(hosts, *operator.TENANTS)
        result = running.end()
    assert (result.code, statuses(result)) == (0, ALL)
    assert sorted(hosts.asked) == list(operator.TENANTS)


def test_a_host_that_dies_hands_its_remaining_tenants_to_the_next(hosts, second):
    with hosts.running("migrate-all", "--forks=2", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        agent = processes.agent_above(record(hosts, "globex")["pid"])
        hosts.run("pause")
        go(hosts, "globex")
        ended(hosts, running, "globex")
        os.kill(second.pid, signal.SIGTERM)
        kill(agent)
        hosts.run("continue")
        begun(hosts, running, "initech")
        go(hosts, "acme", "initech")
        result = running.end()
    assert (result.code, statuses(result)) == (0, ALL)
    assert outcomes(result)["initech"]["host"] == "app1"
    assert "lost app2 between two tenants" in result.err


def test_who_was_at_work_on_a_host_that_stays_away_is_unknown_and_nothing_more_starts(hosts, second):
    with hosts.running("migrate-all", "--forks=2", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        lost_host(hosts, second, "globex", command=True)
        until(lambda: "ERROR tenant=globex unknown" in hosts.log(), "an unknown", running)
        go(hosts, "acme", "initech")
        result = running.end()
    assert (result.code, statuses(result)) == (6, {"acme": "migrated", "globex": "unknown", "initech": "skipped"})
    assert sorted(hosts.asked) == ["acme", "globex"]


def test_where_that_was_said_the_others_go_on_from_the_host_that_lives_without_it(hosts, second):
    with hosts.running("migrate-all", "--forks=2", "--go-on", "--format=json") as running:
        begun(hosts, running, "acme", "globex")
        lost_host(hosts, second, "globex", command=True)
        begun(hosts, running, "initech")
        go(hosts, "acme", "initech")
        result = running.end()
    assert (result.code, statuses(result)) == (6, {**ALL, "globex": "unknown"})
    assert outcomes(result)["initech"]["host"] == "app1"
    assert sorted(hosts.asked) == list(operator.TENANTS)


# ---------------------------------------------------------------- the controller is killed


def killed(desk) -> None:
    with desk.running("migrate-all", "--forks=2") as running:
        begun(desk, running, "acme", "globex")
        for name in ("acme", "globex"):
            record(desk, name)
        running.process.kill()
        running.end()


def test_after_a_kill_each_that_was_at_work_is_followed_and_none_is_started_twice(hosts):
    killed(hosts)
    with hosts.running("migrate-all", "--resume", "--format=json", into="again-") as running:
        running.says("still at work on app")
        go(hosts, *operator.TENANTS)
        result = running.end()
    assert (result.code, statuses(result)) == (0, ALL)
    assert sorted(hosts.asked) == list(operator.TENANTS)
    assert [path for path in (hosts.folder / "state").iterdir() if path.suffix not in {".lock", ".holder"}] == []


def test_after_a_kill_what_ended_meanwhile_is_read_from_each_host(hosts):
    killed(hosts)
    go(hosts, *operator.TENANTS)
    until(lambda: len(hosts.migrated) == 2, "an end of both")
    until(lambda: len(list((hosts.folder / "state").glob("*.json"))) == 2, "two records")
    result = hosts.run("migrate-all", "--resume", "--lock-wait=60s", "--format=json")
    assert (result.code, statuses(result)) == (0, ALL)
    assert sorted(hosts.asked) == list(operator.TENANTS)


def test_hosts_with_state_folders_of_their_own_are_both_asked(desk, apart, tmp_path):
    """Two machines: neither sees the other's lock or records."""
    servers, known = apart
    desk.project(migrate=HELD + operator.MIGRATE)
    desk.over_ssh(*servers, known_hosts=known, framework=ASKABLE, app={"state_dir": None})
    folders = [tmp_path / name / ".opskit" for name in ("one", "two")]
    try:
        with desk.running("migrate-all", "--forks=2") as running:
            begun(desk, running, "acme", "globex")
            for folder in folders:
                until(
                    lambda folder=folder: any("pid" in path.read_text() for path in folder.glob("*.json")), "a record"
                )
            running.process.kill()
            running.end()
        with desk.running("migrate-all", "--resume", "--format=json", into="again-") as running:
            running.says("acme: still at work on app1")
            go(desk, "acme")
            running.says("globex: still at work on app2")
            go(desk, "globex", "initech")
            result = running.end()
    finally:
        go(desk, *operator.TENANTS)
    assert (result.code, statuses(result)) == (0, ALL)
    assert sorted(desk.asked) == list(operator.TENANTS)
    assert {name: each["host"] for name, each in outcomes(result).items()}["globex"] == "app2"
    assert [path for folder in folders for path in folder.iterdir() if path.suffix not in {".lock", ".holder"}] == []


# ---------------------------------------------------------------- flags

BOTH = "tenants that run at the same time have no pause between them"
LEAVE = "`--stagger=0` leaves the pause out, `--forks=1` migrates one at a time."


@pytest.mark.parametrize(
    ("flags", "rollout", "said"),
    [
        (["--forks=2", "--stagger=5s"], {}, f"--forks and --stagger contradict each other: {BOTH}."),
        (["--forks=2"], {"stagger": "5s"},
         f"--forks=2: the inventory asks for a pause of 5.0 s between tenants, and {BOTH}. {LEAVE}"),
        (["--stagger=5s"], {"forks": "2"},
         f"--stagger: the inventory asks for 2 tenants at a time, and {BOTH}. `--forks=1` with it migrates one at a time."),
        ([], {"stagger": "5s", "forks": "2"},
         f"the inventory asks for 2 tenants at a time and for a pause of 5.0 s between tenants, and {BOTH}. {LEAVE}"),
        (["--forks=0"], {}, "--forks: expected a number from 1 to 64, found `0`."),
        (["--forks=many"], {}, "--forks: expected a number from 1 to 64, found `many`."),
    ],
)  # fmt: skip
def test_several_at_a_time_and_a_pause_between_them_are_refused(desk, flags, rollout, said):
    desk.inventory(rollout=rollout)
    result = desk.run("migrate-all", *flags)
    assert (result.code, result.out, result.err) == (2, "", f"{said}\n")
    assert desk.runs == []


def test_a_plan_says_how_many_at_a_time(desk):
    said = "2 at a time, spread over the hosts.\n"
    assert said in desk.run("migrate-all", "--plan", "--forks=2").out
    assert said not in desk.run("migrate-all", "--plan").out


@pytest.mark.parametrize(("flags", "rollout"), [(["--forks=2", "--stagger=0"], {"stagger": "5s"}),
                                                (["--forks=1", "--stagger=0.1s"], {"forks": "2"})])  # fmt: skip
def test_a_flag_can_settle_it(desk, flags, rollout):
    desk.inventory(rollout=rollout)
    assert desk.run("migrate-all", *flags).code == 0


def test_one_tenant_has_no_others_at_its_side(desk):
    desk.inventory(rollout={"forks": "2", "stagger": "5s"})
    assert desk.run("migrate-tenant", "--tenant-id=acme").code == 0
    assert Path(desk.folder / "state").exists()
