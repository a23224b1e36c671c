"""Flags that can't be meant: one message, the exit code, and nothing migrated."""

from __future__ import annotations

import pytest

from e2e import operator

DURATION = "expected a duration such as `60`, `60s`, `10m` or `1h30m`, found"
PATTERNS = "expected ids or globs with commas between them, found"


# ---------------------------------------------------------------- before anything is connected to


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--stagger=soon", f"--stagger: {DURATION} `soon`"),
        ("--stagger=-1", f"--stagger: {DURATION} `-1`"),
        ("--timeout=10 parsecs", f"--timeout: {DURATION} `10 parsecs`"),
        ("--timeout=0", "--timeout: `0` would end every command at once; `none` is no limit"),
        ("--tenants=acme,,globex", f"--tenants: {PATTERNS} `acme,,globex`"),
        ("--exclude=acme,", f"--exclude: {PATTERNS} `acme,`"),
        ("--format=xml", "--format: expected `table` or `json`, found `xml`"),
        ("--log-file=", "--log-file: expected a file's path, found nothing"),
    ],
)
def test_a_value_that_a_flag_does_not_take_is_named_with_what_it_takes(desk, flag, complaint):
    operator.refuses(desk.run("migrate-all", flag), 2, complaint)
    assert desk.asked == []
    assert desk.runs == []


@pytest.mark.parametrize("flag", ["--tenants", "--exclude", "--stagger", "--timeout"])
def test_an_empty_value_is_an_unset_variable_and_never_everyone(desk, flag):
    result = desk.run("migrate-all", f"{flag}=")

    assert (result.code, result.out, desk.asked) == (2, "", [])
    assert result.err.startswith(f"{flag}: expected ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "argv",
    [("--log-file",), ("--plan", "--out"), ("--apply",), ("--gate",), ("--override-requires",)],
    ids=lambda each: each[-1],
)
def test_a_flag_that_swallowed_the_next_one_is_an_unset_variable_and_never_everyone(desk, argv):
    complaint = f"{argv[-1]}: expected a value, found the flag `--tenants=acme`: an unset variable?"
    operator.refuses(desk.run("migrate-all", *argv, "--tenants=acme"), 2, complaint)
    assert desk.asked == []
    assert not (desk.folder / "--tenants=acme").exists()


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ((), "--tenant-id says which tenant. `invoke show-tenants` lists them."),
        (("--tenant-id=",), "--tenant-id says which tenant. `invoke show-tenants` lists them."),
        (("--tenant-id=acme", "--app-label="), "--app-label: expected a name, found ``"),
        (("--tenant-id=acme", "--app-label=--fake"), "--app-label: expected a name, found `--fake`"),
        (
            ("--tenant-id=acme", "--migration-name=0001"),
            "--migration-name needs --app-label: names are an app's own.",
        ),
        (("--tenant-id=acme", "--format=csv"), "--format: expected `table` or `json`, found `csv`"),
        (("--tenant-id=acme", "--timeout=never"), f"--timeout: {DURATION} `never`"),
    ],
)
def test_migrate_tenant_must_know_whom_and_how_far(desk, argv, complaint):
    operator.refuses(desk.run("migrate-tenant", *argv), 2, complaint)
    assert desk.asked == []


@pytest.mark.parametrize("task", ["show-tenants", "show-run"])
def test_other_tasks_know_the_same_formats(desk, task):
    operator.refuses(desk.run(task, "--format=yaml"), 2, "--format: expected `table` or `json`, found `yaml`")


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("migrate-all", "--frmt=json"), "No idea what '--frmt' is!"),
        (("migrat-all",), "No idea what 'migrat-all' is!"),
        (("migrate-all", "acme"), "No idea what 'acme' is!"),
    ],
)
def test_what_invoke_does_not_know_is_its_own_usage_error(desk, argv, complaint):
    assert desk.run(*argv) == operator.Result(1, "", f"{complaint}\n")
    assert desk.asked == []


# ---------------------------------------------------------------- once the tenants are known


@pytest.mark.parametrize(
    ("flag", "complaint", "hint"),
    [
        (
            "--tenants=zz*,acme,yoyodyne",
            "--tenants: nothing matches `zz*`, `yoyodyne` among 3 tenants",
            "`invoke show-tenants` lists them.",
        ),
        (
            "--exclude=zz*,acme,yoyodyne",
            "--exclude: nothing matches `zz*`, `yoyodyne` among 3 tenants",
            "`invoke show-tenants` lists them.",
        ),
        ("--tenants=Acme", "--tenants: nothing matches `Acme` among 3 tenants", "`invoke show-tenants` lists them."),
        ("--exclude=*", "--exclude leaves none of the 3 selected tenants", ""),
    ],
)
def test_a_pattern_that_matches_nothing_is_named(desk, flag, complaint, hint):
    operator.refuses(desk.run("migrate-all", flag), 2, complaint, hint)
    assert desk.asked == []


def test_a_plan_refuses_the_same_patterns(desk):
    operator.refuses(
        desk.run("migrate-all", "--plan", "--tenants=zz*"),
        2,
        "--tenants: nothing matches `zz*` among 3 tenants",
        "`invoke show-tenants` lists them.",
    )


@pytest.mark.parametrize(
    ("tenant", "complaint"),
    [
        ("acmee", "there is no tenant `acmee` among 3. did you mean `acme`?"),
        ("umbrella", "there is no tenant `umbrella` among 3"),
        ("acm*", "there is no tenant `acm*` among 3. did you mean `acme`?"),
    ],
)
def test_an_unknown_tenant_gets_the_nearest_one(desk, tenant, complaint):
    operator.refuses(desk.run("migrate-tenant", f"--tenant-id={tenant}"), 2, complaint)
    assert desk.asked == []


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("migrate-tenant", "--tenant-id=umbrella"), "there is no tenant `umbrella` among 3"),
        (("migrate-all", "--tenants=umbrella"), "--tenants: nothing matches `umbrella` among 3 tenants"),
    ],
)
def test_a_refusal_after_the_listing_is_said_once_and_is_no_run(desk, argv, complaint):
    before = desk.run("migrate-all")
    result = desk.run(*argv, "--log-file=migrations.log")

    began, said = result.err.splitlines()
    assert " of prod on local, by " in began
    assert said.startswith(f"{complaint}. {operator.UNTOUCHED}")
    assert (result.out, result.err.count("umbrella")) == ("", 1)
    assert (before.code, len(desk.runs)) == (0, 1)
    assert desk.run("show-run").out == before.out
    last = (desk.folder / "migrations.log").read_text().splitlines()[-1]
    assert last.endswith(f" ERROR run ended: {complaint}: no tenants")


def test_selected_tenants_are_migrated_in_the_order_of_the_listing(desk):
    result = desk.run("migrate-all", "--tenants=i*,acme", "--exclude=globex")

    assert (result.code, desk.asked) == (0, ["acme", "initech"])


# ---------------------------------------------------------------- a log that can't be written


@pytest.mark.parametrize(
    ("path", "why"),
    [("nowhere/migrations.log", "No such file or directory"), ("inventories", "Is a directory")],
)
def test_a_log_that_can_not_be_written_stops_before_the_first_tenant(desk, path, why):
    operator.refuses(desk.run("migrate-all", f"--log-file={path}"), 3, f"{path} can't be written: {why}")
    assert desk.asked == []
    assert desk.runs == []


def test_a_log_of_ones_own_says_what_the_runs_log_says_and_goes_on_with_the_next_run(desk):
    first = desk.run("migrate-all", "--log-file=migrations.log", "--tenants=acme")
    second = desk.run("migrate-all", "--log-file=migrations.log", "--tenants=globex")

    logs = [(run / "run.log").read_text() for run in desk.runs]
    assert (first.code, second.code) == (0, 0)
    assert (desk.folder / "migrations.log").read_text() == "".join(logs)
    assert (desk.folder / "migrations.log").stat().st_mode & 0o777 == 0o600
