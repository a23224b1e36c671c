"""`hooks:` in the inventory: commands on the operator's machine, before, between and after the tenants' own."""

from __future__ import annotations

import json
import resource
import signal

import pytest

from e2e import operator

KINDS = ("before", "after", "failure", "tenant_before", "tenant_after")
WITNESS = 'echo "$OPSKIT_EVENT $OPSKIT_TENANT" >> app/asked'
LISTEN = "cat >> heard && echo >> heard"  # one document a line
BREAKS = "if tenant == 'globex':\n    raise RuntimeError('column exists')\n" + operator.MIGRATE
LOCKED = "if tenant == 'globex':\n    raise RuntimeError('deadlock detected')\n" + operator.MIGRATE


def witnesses(**more):
    """Every kind of hook leaves its name among the tenants' commands."""
    return {**{kind: [WITNESS] for kind in KINDS}, **more}


def order(desk) -> list[str]:
    return [line.strip() for line in desk.asked]


def heard(desk) -> list[dict]:
    return [json.loads(line) for line in (desk.folder / "heard").read_text().splitlines()]


def statuses(result: operator.Result) -> dict[str, str]:
    return {each["tenant_id"]: each["status"] for each in json.loads(result.out)["outcomes"]}


# ---------------------------------------------------------------- when


def test_each_kind_of_hook_has_its_time(desk):
    desk.project(migrate=BREAKS)
    desk.inventory(hooks=witnesses())

    result = desk.run("migrate-all")

    assert result.code == 5
    assert order(desk) == [
        "before",
        "tenant_before acme",
        "acme",
        "tenant_after acme",
        "tenant_before globex",
        "globex",
        "tenant_after globex",
        "failure globex",
        "tenant_before initech",
        "initech",
        "tenant_after initech",
        "after",
    ]


def test_where_nothing_is_to_do_no_hook_runs(desk):
    desk.inventory(hooks=witnesses(), framework={**operator.FRAMEWORK, "pending": ["pending"]})
    desk.run("migrate-all")
    (desk.app / "asked").unlink()

    assert desk.run("migrate-all").code == 0
    assert desk.asked == []


def test_a_plan_runs_no_hook(desk):
    desk.inventory(hooks=witnesses(), notify="http://127.0.0.1:1/s3cr3t")

    result = desk.run("migrate-all", "--plan")

    assert (result.code, desk.asked, result.err) == (0, [], "")


def test_the_confirmation_comes_first(desk):
    desk.inventory(hooks=witnesses(), confirm="true")

    assert desk.run("migrate-all").code == 3
    assert desk.asked == []


def test_the_shared_database_has_its_hooks_and_before_runs_once(desk):
    framework = {**operator.FRAMEWORK, "shared": ["migrate_shared"]}
    desk.inventory(hooks=witnesses(before=[WITNESS, LISTEN], after=[WITNESS, LISTEN]), framework=framework)

    assert desk.run("migrate-all", "--shared", "--tenants=acme").code == 0
    assert order(desk) == [
        "before",
        "tenant_before (shared)",
        "(shared)",
        "tenant_after (shared)",
        "tenant_before acme",
        "acme",
        "tenant_after acme",
        "after",
    ]
    before, after = heard(desk)
    assert (before["plan"]["tenants"], after["plan"]["tenants"]) == (["(shared)"], ["acme"])


def test_a_retry_has_its_own_tenant_hooks_and_only_the_last_failure_is_one(desk):
    desk.project(migrate=LOCKED)
    desk.inventory(hooks=witnesses(before=[], after=[]))

    result = desk.run("migrate-all", "--tenants=globex", "--retries=1")

    assert result.code == 5
    once = ["tenant_before globex", "globex", "tenant_after globex"]
    assert order(desk) == [*once, *once, "failure globex"]


def test_migrate_tenant_has_hooks_too(desk):
    desk.inventory(hooks=witnesses())

    assert desk.run("migrate-tenant", "--tenant-id=acme").code == 0
    assert order(desk) == ["before", "tenant_before acme", "acme", "tenant_after acme", "after"]


def test_who_was_refused_at_the_start_is_the_first_failure(desk):
    pending = {**operator.FRAMEWORK, "pending": ["pending"]}
    desk.inventory(hooks=witnesses(tenant_before=[], tenant_after=[]), framework=pending)
    desk.project(listing='print(json.dumps([{"tenant_id": name} for name in ("new", "acme")]))')

    result = desk.run("migrate-all", "--format=json")

    assert (result.code, statuses(result)) == (5, {"new": "failed", "acme": "migrated"})
    assert order(desk) == ["before", "failure new", "acme", "after"]


# ---------------------------------------------------------------- what a hook knows


def test_the_documents_are_whole(desk):
    desk.project(migrate=BREAKS)
    desk.inventory(hooks={kind: [LISTEN] for kind in KINDS})

    desk.run("migrate-all", "--tenants=globex,acme")

    documents = heard(desk)
    (run,) = desk.runs
    assert {"run_id": run.name, "environment": "prod", "host": "local", "path": str(desk.app)}.items() <= {
        **documents[0]
    }.items()
    assert len({tuple(each) for each in documents}) == 1  # every key is always there
    found = {(each["event"], each["tenant"]): each for each in documents}
    plan = {"tenants": ["acme", "globex"], "current": [], "refused": {}}
    assert found["before", None]["plan"] == plan
    assert found["tenant_before", "acme"]["plan"] is None
    assert found["tenant_before", "acme"]["attempt"] == 1
    assert found["tenant_after", "acme"]["outcome"]["status"] == "migrated"
    assert found["failure", "globex"]["outcome"]["error"] == "RuntimeError: column exists"
    assert found["failure", "globex"]["counts"]["failed"] == 1
    after = found["after", None]
    assert (after["reason"], after["counts"]["migrated"], after["counts"]["failed"]) == ("done", 1, 1)
    assert [each["tenant_id"] for each in after["outcomes"]] == ["acme", "globex"]


def test_a_hook_runs_at_the_root_with_the_operators_environment(desk):
    desk.inventory(hooks={"before": ['echo "$PWD $COLOUR $OPSKIT_ENV $OPSKIT_RUN" > seen', ["touch", "${MARK} $HOME"]]})

    result = desk.run("migrate-all", env={"COLOUR": "green", "MARK": "a b"}, cwd=desk.folder / "inventories")

    assert result.code == 0
    assert (desk.folder / "seen").read_text() == f"{desk.folder} green prod {desk.runs[0].name}\n"
    assert (desk.folder / "a b $HOME").exists()  # a list's words meet no shell


def test_a_hostile_id_is_only_data(desk):
    names = ("a b", "$(touch x)", "'; touch y #", "-x", "\N{PILE OF POO}")
    desk.project(listing=f"print(json.dumps([{{'tenant_id': name}} for name in {names!r}]))")
    desk.inventory(
        hooks={"tenant_before": ['printf "%s\\n" "$OPSKIT_TENANT" >> seen', LISTEN]},
        framework={**operator.FRAMEWORK, "success": "^Migrated "},
    )

    assert desk.run("migrate-all").code == 0
    assert (desk.folder / "seen").read_text().splitlines() == list(names)
    assert [each["tenant"] for each in heard(desk)] == list(names)
    assert not (desk.folder / "x").exists()
    assert not (desk.folder / "y").exists()


@pytest.mark.parametrize("name", ["'a\\0b'", r"'\ud800'", "'x' * 200_000"], ids=["nul", "half", "200kB"])
def test_an_id_that_no_environment_can_hold_fails_alone(desk, name):
    desk.project(listing=f"print(json.dumps([{{'tenant_id': name}} for name in ({name}, 'acme')]))")
    kinds = {kind: [LISTEN] for kind in ("tenant_before", "tenant_after")}
    desk.inventory(hooks={**kinds, "failure": ['test -z "$OPSKIT_TENANT" && cat > failed']})

    result = desk.run("migrate-all", "--format=json", "--gate=echo $OPSKIT_TENANT >> gated")

    failed = json.loads((desk.folder / "failed").read_text())["outcome"]
    assert (result.code, list(statuses(result).values())) == (5, ["failed", "migrated"])
    assert failed["error"].startswith("its id ")
    assert statuses(result)[failed["tenant_id"]] == "failed"
    assert [each["tenant"] for each in heard(desk)] == ["acme", "acme"]
    assert (desk.folder / "gated").read_text() == "acme\n"
    assert " WARNING " not in result.err


# ---------------------------------------------------------------- failures


def test_a_before_that_fails_stops_before_anything_and_after_still_runs(desk):
    desk.inventory(hooks=witnesses(before=[WITNESS, "echo no room >&2; exit 3", WITNESS]))

    result = desk.run("migrate-all")

    operator.refuses(result, 3, "`hooks.before[1]` failed: it exited 3, and said last: no room")
    assert order(desk) == ["before", "after"]
    assert desk.journal()[-1]["reason"] == "`hooks.before[1]` failed: it exited 3, and said last: no room"


def test_a_tenant_before_that_fails_at_the_first_tenant_migrates_nothing(desk):
    desk.inventory(hooks=witnesses(tenant_before=["exit 1"]))

    result = desk.run("migrate-all")

    operator.refuses(result, 3, "`hooks.tenant_before[0]` failed for `acme`: it exited 1")
    assert order(desk) == ["before", "tenant_after acme", "after"]


def test_a_tenant_before_that_fails_stops_the_run_before_its_tenant(desk):
    desk.inventory(hooks=witnesses(tenant_before=['test "$OPSKIT_TENANT" != globex']))

    result = desk.run("migrate-all", "--format=json")

    assert (result.code, desk.migrated) == (5, ["acme"])
    assert statuses(result) == {"acme": "migrated", "globex": "skipped", "initech": "skipped"}
    assert result.message == "`hooks.tenant_before[0]` failed for `globex`: it exited 1. the run stopped there."
    assert order(desk) == ["before", "acme", "tenant_after acme", "tenant_after globex", "after"]


def test_a_tenant_before_that_fails_at_a_retry_lets_the_first_attempts_outcome_stand(desk):
    desk.project(migrate=LOCKED)
    desk.inventory(hooks=witnesses(tenant_before=["test ! -e once && touch once"]))

    result = desk.run("migrate-all", "--tenants=globex", "--retries=1", "--format=json")

    (outcome,) = json.loads(result.out)["outcomes"]
    assert (result.code, outcome["status"], outcome["attempt"]) == (5, "failed", 1)
    failed = "`hooks.tenant_before[0]` failed for `globex`: it exited 1"
    assert outcome["error"] == f"RuntimeError: deadlock detected; not tried again: {failed}"
    assert result.message.splitlines()[-1] == f"{failed}. the run stopped there."
    assert order(desk) == ["before", "globex", *["tenant_after globex"] * 2, "failure globex", "after"]


@pytest.mark.parametrize("kind", ["after", "failure", "tenant_after"])
def test_the_others_only_warn_and_the_next_of_their_kind_run(desk, kind):
    desk.project(migrate=BREAKS)
    desk.inventory(hooks={kind: ["echo oh dear; exit 7", "touch second"]})

    result = desk.run("migrate-all", "--tenants=globex")

    assert result.code == 5
    whom = "" if kind == "after" else " for `globex`"
    warning = f"WARNING `hooks.{kind}[0]` failed{whom}: it exited 7, and said last: oh dear"
    assert result.err.count(warning) == 1
    assert desk.log().count(warning) == 1
    assert (desk.folder / "second").exists()


def test_warnings_change_no_exit_code(desk):
    desk.inventory(hooks={"after": ["exit 1"], "tenant_after": ["exit 1"]})

    assert desk.run("migrate-all").code == 0


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        (["/no/such/program"], "it could not be started: no such file or directory"),
        ("no-such-command", "it exited 127, and said last: "),
        ("echo begun; sleep 1000", "it timed out after 2.0 s: its processes were ended, and said last: begun"),
    ],
)
def test_a_hook_that_can_not_run_or_never_ends_is_a_failed_one(desk, hook, why):
    desk.inventory(hooks={"before": [hook], "timeout": "2s"})

    result = desk.run("migrate-all")

    assert (result.code, desk.asked) == (3, [])
    assert result.message.startswith(f"`hooks.before[0]` failed: {why}")


@pytest.mark.parametrize("whom", ["--tenants=acme", "--canary=acme"])
def test_a_failure_that_the_database_tells_is_the_first_one_and_a_canarys_comes_before_the_others(desk, whom):
    desk.project(migrate='print("Migrated nobody")\nsys.exit(0)')
    desk.inventory(hooks=witnesses(), framework={**operator.FRAMEWORK, "pending": ["pending"]})

    result = desk.run("migrate-all", whom)

    assert result.code == 5
    assert order(desk) == ["before", "tenant_before acme", "acme", "tenant_after acme", "failure acme", "after"]


def test_a_run_that_is_resumed_has_its_hooks_again(desk):
    desk.project(migrate=BREAKS)
    desk.inventory(hooks=witnesses(before=[WITNESS, LISTEN]))
    desk.run("migrate-all", "--fail-fast")
    first = len(desk.asked)
    desk.project()

    assert desk.run("migrate-all", "--resume").code == 0
    assert order(desk)[first:] == [
        "before",
        *("tenant_before globex", "globex", "tenant_after globex"),
        *("tenant_before initech", "initech", "tenant_after initech"),
        "after",
    ]
    again, before = heard(desk)
    assert again["run_id"] == before["run_id"] == desk.runs[0].name
    assert before["plan"]["tenants"] == ["globex", "initech"]


def test_a_record_that_a_hooks_output_does_not_fit_in_stops_the_run_and_the_hooks_still_run(desk):
    desk.inventory(hooks=witnesses(tenant_after=["yes lines of output | head -c 40000", WITNESS]))

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    result = desk.run("migrate-all", "--format=json", preexec_fn=small_files)

    assert (result.code, statuses(result)) == (5, {"acme": "migrated", "globex": "skipped", "initech": "skipped"})
    assert result.message.endswith("/run.log can't be written: File too large. the run stopped there.")
    assert order(desk) == ["before", "tenant_before acme", "acme", "tenant_after acme", "after"]


# ---------------------------------------------------------------- output


def test_output_is_in_the_log_and_with_v_on_the_screen(desk):
    desk.inventory(hooks={"before": ["echo lock the doors; printf 'a\\033[31mb'"]})

    quiet, loud = desk.run("migrate-all"), desk.run("migrate-all", "-v")

    assert " DEBUG hooks.before[0] | lock the doors\n" in desk.log()
    assert "hooks.before[0] | started" in quiet.err
    assert "lock the doors" not in quiet.err
    assert "hooks.before[0] | lock the doors\n" in loud.err
    assert "hooks.before[0] | a\\x1b[31mb\n" in loud.err


def test_secrets_are_in_nothing_that_is_shown_or_kept(desk):
    desk.inventory(
        hooks={
            "before": ['echo "$BACKUP_TOKEN"; echo password=hunter2', ["echo", "${ADDRESS}"]],
            "after": ['echo "$BACKUP_TOKEN"; false'],
        }
    )

    result = desk.run("migrate-all", "-v", env={"BACKUP_TOKEN": "t0ps3cr3t", "ADDRESS": "10.9.8.7"})

    assert result.code == 0
    for secret in ("t0ps3cr3t", "hunter2", "10.9.8.7"):
        assert secret not in result.out + result.err + desk.kept()
    assert "`hooks.after[0]` failed: it exited 1, and said last: [REDACTED]" in result.err


# ---------------------------------------------------------------- Ctrl-C

HANG = "echo $$ > pid.new; mv pid.new pid; while ! test -e go; do sleep 0.05; done"


def hanging(desk, running) -> None:
    operator.until((desk.folder / "pid").exists, "a hook at work", running)


def gone(desk) -> bool:
    pid = (desk.folder / "pid").read_text().strip()
    stat = operator.Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_one_ctrl_c_in_before_ends_it_migrates_nothing_and_after_still_runs(desk):
    desk.inventory(hooks=witnesses(before=[HANG]))
    with desk.running("migrate-all") as running:
        hanging(desk, running)
        running.press_ctrl_c()
        result = running.end()

    operator.refuses(result, 130, "interrupted")
    assert order(desk) == ["after"]
    assert gone(desk)


def test_a_ctrl_c_in_tenant_before_lets_the_hook_finish_and_does_not_start_the_tenant(desk):
    desk.inventory(hooks=witnesses(tenant_before=[HANG]))
    with desk.running("migrate-all", "--format=json") as running:
        hanging(desk, running)
        running.press_ctrl_c()
        running.says("interrupted: finishing what is at work")
        (desk.folder / "go").touch()
        result = running.end()

    assert (result.code, statuses(result)) == (130, dict.fromkeys(operator.TENANTS, "skipped"))
    assert order(desk) == ["before", "tenant_after acme", "after"]


def test_a_stop_said_while_tenant_before_runs_does_not_start_the_tenant(desk):
    desk.inventory(hooks=witnesses(tenant_before=[HANG]))
    with desk.running("migrate-all", "--format=json") as running:
        hanging(desk, running)
        assert desk.run("stop").code == 0
        (desk.folder / "go").touch()
        result = running.end()

    assert (result.code, statuses(result)) == (5, dict.fromkeys(operator.TENANTS, "skipped"))
    assert order(desk) == ["before", "tenant_after acme", "after"]


def test_a_second_ctrl_c_in_tenant_before_ends_it_and_knows_that_nothing_was_started(desk):
    desk.inventory(hooks=witnesses(tenant_before=[HANG]))
    with desk.running("migrate-all") as running:
        hanging(desk, running)
        running.press_ctrl_c()
        running.says("interrupted: finishing what is at work")
        running.press_ctrl_c()
        result = running.end()

    assert (result.code, result.out) == (130, "")
    assert result.message.splitlines()[-1] == "interrupted. nothing was migrated."
    assert order(desk) == ["before", "tenant_after acme", "after"]
    assert gone(desk)


def test_a_ctrl_c_while_a_tenant_is_at_work_does_not_keep_after_from_running(desk):
    desk.inventory(hooks=witnesses())
    with desk.held("migrate-all", "--format=json") as running:
        running.process.send_signal(signal.SIGTERM)
        running.says("interrupted: finishing what is at work")
        desk.let_go()
        result = running.end()

    assert result.code == 130
    assert order(desk) == ["before", "tenant_before acme", "acme", "tenant_after acme", "after"]


@pytest.mark.parametrize(("presses", "became"), [(2, "failed"), (3, "unknown")])
def test_who_ends_a_command_or_leaves_it_has_that_tenant_told_to_the_hooks(desk, presses, became):
    desk.inventory(hooks={**witnesses(), "after": [WITNESS, LISTEN]})
    with desk.held("migrate-all", stubborn=presses > 2) as running:
        running.press_ctrl_c()
        running.says("interrupted: finishing what is at work")
        running.press_ctrl_c()
        if presses > 2:
            running.says(" once more leaves it")
            running.press_ctrl_c()
        result = running.end()

    assert result.code == 130
    assert order(desk) == ["before", "tenant_before acme", "acme", "tenant_after acme", "failure acme", "after"]
    (after,) = heard(desk)
    assert (after["reason"], after["counts"][became]) == ("interrupted", 1)


def test_one_more_ctrl_c_ends_a_tenant_after_and_after_still_runs(desk):
    desk.inventory(hooks=witnesses(tenant_after=[HANG]))
    with desk.held("migrate-all") as running:
        running.press_ctrl_c()
        running.says("interrupted: finishing what is at work")
        running.press_ctrl_c()
        hanging(desk, running)
        running.press_ctrl_c()
        result = running.end()

    assert result.code == 130
    assert order(desk) == ["before", "tenant_before acme", "acme", "failure acme", "after"]
    assert "WARNING `hooks.tenant_after` was interrupted\n" in result.err
    assert gone(desk)


def test_in_after_one_ctrl_c_is_patient_and_the_next_one_leaves(desk):
    desk.inventory(hooks={"after": [HANG, "touch never"]})
    with desk.running("migrate-all", "--format=json") as running:
        hanging(desk, running)
        running.press_ctrl_c()
        running.says("interrupted: finishing what is at work")
        running.press_ctrl_c()
        result = running.end()

    assert (result.code, set(statuses(result).values())) == (0, {"migrated"})
    assert "WARNING `hooks.after` was interrupted\n" in result.err
    assert not (desk.folder / "never").exists()
    assert gone(desk)
    assert desk.journal()[-1]["reason"] == "done"
