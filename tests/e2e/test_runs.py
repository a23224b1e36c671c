"""`runs` and `show-run`: what the journals say, long after."""

from __future__ import annotations

import json

import pytest

from e2e import operator

FAILS = """\
if tenant == "globex":
    raise RuntimeError("column exists")
print("  Applying members.0001_initial... OK")
print(f"Migrated {tenant}")
"""


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """A run of `prod` in which globex failed, then one of `staging` in which it did not. To be read only."""
    desk = operator.Desk(tmp_path_factory.mktemp("two-runs"))
    desk.inventory("prod")
    desk.inventory("staging")
    desk.project(migrate=FAILS)
    failed = desk.run("migrate-all", "--env=prod")
    desk.project()
    went_well = desk.run("migrate-all", "--env=staging", "--format=json")
    return desk, failed, went_well


def test_before_the_first_run_there_is_none(desk):
    assert desk.run("runs") == operator.Result(0, "there are no runs yet.\n", "")
    operator.refuses(desk.run("show-run"), 2, "there are no runs yet", "`invoke migrate-all` makes the first.")


def test_runs_are_listed_newest_first_with_their_counts(two_runs):
    desk, _, _ = two_runs

    every, only = desk.run("runs"), desk.run("runs", "--env=prod")

    older, newer = (run.name for run in desk.runs)
    rows = [line.split() for line in every.out.splitlines()[2:]]
    assert (every.code, only.code, every.err, only.err) == (0, 0, "", "")
    assert every.out.splitlines()[0].split("  ")[0] == "run"
    assert [(row[0], row[-1]) for row in rows] == [(newer, "done"), (older, "done")]
    assert " 2 migrated, 1 failed " in every.out.splitlines()[3]
    assert [line.split()[0] for line in only.out.splitlines()[2:]] == [older]


def test_runs_for_machines(two_runs):
    desk, _, went_well = two_runs

    listed = json.loads(desk.run("runs", "--format=json").out)
    none = desk.run("runs", "--env=prod", "--format=json", cwd=desk.folder)

    newest, oldest = listed
    assert [each["run_id"] for each in listed] == [run.name for run in reversed(desk.runs)]
    assert (newest["environment"], newest["reason"], newest["going_on"]) == ("staging", "done", False)
    assert newest["seconds"] == json.loads(went_well.out)["seconds"]
    assert oldest["counts"] == {"migrated": 2, "current": 0, "failed": 1, "unknown": 0, "skipped": 0}
    assert [each["run_id"] for each in json.loads(none.out)] == [desk.runs[0].name]


def test_no_runs_are_an_empty_list(desk):
    assert desk.run("runs", "--format=json") == operator.Result(0, "[]\n", "")


@pytest.mark.parametrize("columns", [40, 80])
def test_the_runs_fit_a_terminal_and_a_pipe_is_never_cut(two_runs, columns):
    desk, _, _ = two_runs

    shown = desk.at_a_terminal("runs", columns=columns)
    asked = desk.run("runs", env={"COLUMNS": str(columns)})

    assert shown.code == asked.code == 0
    assert max(map(len, asked.out.splitlines())) <= columns
    assert shown.out.replace("\r\n", "\n") == asked.out
    assert desk.run("runs", env={"COLUMNS": "many"}) == desk.run("runs")


def test_a_run_is_shown_as_it_ended(two_runs):
    desk, failed, went_well = two_runs

    newest = desk.run("show-run", "--format=json")
    named = desk.run("show-run", f"--run={desk.runs[0].name}")
    begun = desk.run("show-run", f"--run={desk.runs[0].name[:-1]}")

    assert (newest.code, newest.err, newest.out) == (0, "", went_well.out)
    assert (named.code, named.err, named.out) == (0, "", failed.out)
    assert begun == named


@pytest.mark.parametrize(
    ("run", "complaint"),
    [("20", "--run=`20` names more than one run"), ("1999", "--run=`1999` names no run")],
)
def test_a_run_that_is_not_one_is_refused(two_runs, run, complaint):
    desk, _, _ = two_runs

    operator.refuses(desk.run("show-run", f"--run={run}"), 2, complaint, "`invoke runs` lists them.")


def test_a_failure_ends_in_5_with_the_table_the_counts_the_log_and_the_next_command(two_runs):
    desk, failed, _ = two_runs

    folder = desk.runs[0].relative_to(desk.folder)
    table, rest = failed.out.splitlines()[:5], failed.out.splitlines()[5:]
    assert failed.code == 5
    assert [line.split()[:2] for line in table[2:]] == [
        ["acme", "migrated"],
        ["initech", "migrated"],
        ["globex", "failed"],
    ]
    assert table[-1].endswith("  RuntimeError: column exists")
    assert rest[0] == "3 tenants: 2 migrated, 1 failed."
    assert f"log: {folder}/run.log" in rest
    assert f"output of globex: {folder}/tenants/{next((desk.runs[0] / 'tenants').glob('globex-*')).name}" in rest
    assert rest[-1].startswith(
        "next: fix the cause, then `invoke migrate-tenant --env=prod --tenant-id=globex`, "
        "or `invoke migrate-all --env=prod --resume` for all that are left."
    )


def test_the_json_of_a_run_names_every_tenant_and_nothing_else_is_on_stdout(desk):
    desk.project(migrate=FAILS)

    result = desk.run("migrate-all", "--format=json", "-v")

    run = json.loads(result.out)
    acme, globex, initech = run.pop("outcomes")
    run_seconds, tenants_seconds = run.pop("seconds"), run.pop("tenants_seconds")
    assert result.code == 5
    assert run == {
        "run_id": desk.runs[0].name,
        "environment": "prod",
        "counts": {"migrated": 2, "current": 0, "failed": 1, "unknown": 0, "skipped": 0},
        "failures": [
            {
                "count": 1,
                "exception": "RuntimeError",
                "sqlstate": "",
                "migration": "",
                "text": "column exists",
                "tenants": ["globex"],
            }
        ],
    }
    assert acme.pop("seconds") > 0
    assert run_seconds > tenants_seconds > 0
    assert acme == {
        "tenant_id": "acme",
        "status": "migrated",
        "applied": ["members.0001_initial"],
        "error": "",
        "attempt": 1,
        "host": "local",
        "verified": False,
        "fingerprint": None,
        "taken_back": [],
    }
    assert (globex["status"], globex["error"], initech["status"]) == (
        "failed",
        "RuntimeError: column exists",
        "migrated",
    )


def test_with_a_question_for_what_is_pending_the_second_run_has_nothing_to_do(desk):
    desk.inventory(framework={**operator.FRAMEWORK, "pending": ["pending"]})

    first, second = desk.run("migrate-all", "--format=json"), desk.run("migrate-all", "--format=json")

    def statuses(result):
        return [(each["status"], each["verified"]) for each in json.loads(result.out)["outcomes"]]

    assert (first.code, second.code) == (0, 0)
    assert (statuses(first), statuses(second)) == ([("migrated", True)] * 3, [("current", True)] * 3)
    assert desk.asked == list(operator.TENANTS)


def test_a_tenant_that_said_ok_and_still_has_something_pending_is_failed(desk):
    desk.inventory(framework={**operator.FRAMEWORK, "pending": ["pending"]})
    desk.project(migrate="print(f'Migrated {tenant}')\nos._exit(0)  # before it is written down as migrated")

    result = desk.run("migrate-all", "--tenants=acme", "--format=json")

    (acme,) = json.loads(result.out)["outcomes"]
    assert (result.code, acme["status"], acme["verified"]) == (5, "failed", True)
    assert "members.0001_initial" in acme["error"]


def test_migrate_tenant_runs_one_tenant_again_with_the_same_journal(desk):
    result = desk.run("migrate-tenant", "--tenant-id=globex", "--app-label=members", "--migration-name=0001")

    assert (result.code, desk.asked, len(desk.runs)) == (0, ["globex"], 1)
    assert [each["event"] for each in desk.journal()][-1] == "RunFinished"
    assert "1 tenant: 1 migrated." in result.out


def test_who_came_home_in_a_later_run_is_named_with_it(desk):
    desk.project(migrate=FAILS)
    assert desk.run("migrate-all").code == 5
    desk.project()
    assert desk.run("migrate-tenant", "--tenant-id=globex").code == 0
    first, second = (run.name for run in desk.runs)

    shown, as_json = desk.run("show-run", f"--run={first}"), desk.run("show-run", f"--run={first}", "--format=json")

    assert f"since then: globex migrated in run {second}." in shown.out.splitlines()
    assert shown.out.splitlines()[-1] == "next: `invoke show-tenants --env=prod`"
    assert json.loads(as_json.out)["since"] == {"globex": {"run_id": second, "status": "migrated"}}
    assert "since then" not in desk.run("show-run", f"--run={second}").out
