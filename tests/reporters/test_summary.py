"""The end of a run, for people and for machines."""

import contextlib
import json
from dataclasses import asdict
from datetime import timedelta

import pytest

from opskit import journal, model, testing
from opskit.reporters import summary
from opskit.rollout import run as runs

AT = testing.START
ONCE = model.Fingerprint("UniqueViolation", "23505", "billing.0042_once", "could not create unique index …")
MIGRATED, CURRENT, FAILED, UNKNOWN, SKIPPED = (
    model.Status.MIGRATED,
    model.Status.CURRENT,
    model.Status.FAILED,
    model.Status.UNKNOWN,
    model.Status.SKIPPED,
)


def outcome(tenant: str, status=MIGRATED, **more) -> model.Outcome:
    return model.Outcome(tenant, status, **{"verified": True, "attempt": 1, **more})


def run_of(*outcomes: model.Outcome, reason: str = "done") -> runs.Run:
    events = [model.TenantFinished(AT, each) for each in outcomes]
    return runs.fold([*events, model.RunFinished(AT, reason, {})])


def rows(text: str) -> list[str]:
    """The table's lines under its head."""
    return text.splitlines()[2:]


def ids(*outcomes: model.Outcome) -> list[str]:
    return [row.split()[0] for row in rows(summary.table(outcomes, None))]


# ---------------------------------------------------------------- for machines


def test_the_json_has_exactly_this_shape():
    run = run_of(
        outcome("a", applied=("x.1", "x.2"), seconds=1.23456, host="app1"),
        outcome("b\n", FAILED, error="it broke", verified=False, attempt=0, fingerprint=ONCE),
    )
    expected = {
        "run_id": "20261122T140200-prod",
        "environment": "prod",
        "counts": {"migrated": 1, "current": 0, "failed": 1, "unknown": 0, "skipped": 0},
        "seconds": 0.0,
        "tenants_seconds": 1.235,
        "failures": [
            {
                "count": 1,
                "exception": "UniqueViolation",
                "sqlstate": "23505",
                "migration": "billing.0042_once",
                "text": "could not create unique index …",
                "tenants": ["b\n"],
            }
        ],
        "outcomes": [
            {
                "tenant_id": "a",
                "status": "migrated",
                "applied": ["x.1", "x.2"],
                "error": "",
                "seconds": 1.235,
                "attempt": 1,
                "host": "app1",
                "verified": True,
                "taken_back": [],
                "fingerprint": None,
            },
            {
                "tenant_id": "b\n",
                "status": "failed",
                "applied": [],
                "error": "it broke",
                "seconds": 0.0,
                "attempt": 0,
                "host": "",
                "verified": False,
                "taken_back": [],
                "fingerprint": asdict(ONCE),
            },
        ],
    }
    text = summary.as_json(run, "20261122T140200-prod", "prod")
    assert (expected, 1, True) == (json.loads(text), len(text.splitlines()), text.isascii())


def test_the_json_of_many_leaves_nobody_out():
    run = run_of(*(outcome(str(number), CURRENT) for number in range(200)))
    assert 200 == len(json.loads(summary.as_json(run, "r", "prod"))["outcomes"])


def test_those_never_reached_are_in_the_json():
    run = runs.fold([model.PlanMade(AT, model.Plan((model.Batch((model.Tenant("a"),)),), {}))])
    assert ["skipped"] == [each["status"] for each in json.loads(summary.as_json(run, "r", "prod"))["outcomes"]]


# ---------------------------------------------------------------- the table


def test_a_table():
    outcomes = [
        outcome("acme", applied=("x.1", "x.2"), seconds=3.21),
        outcome("beta", CURRENT, attempt=0),
        outcome("zeta", FAILED, seconds=61.0, error="ProgrammingError: it broke"),
    ]
    expected = """\
tenant    status      applied    seconds  what went wrong
--------  --------  ---------  ---------  --------------------------
acme      migrated          2        3.2
beta      current
zeta      failed            0       61.0  ProgrammingError: it broke"""
    assert expected == "\n".join(line.rstrip() for line in summary.table(outcomes, None).splitlines())


def test_nobody_is_no_table():
    assert "" == summary.table([], None)


def test_what_went_wrong_stands_last_and_the_rest_in_its_order():
    outcomes = [
        outcome("u", UNKNOWN),
        outcome("f1", FAILED),
        outcome("m1"),
        outcome("s", SKIPPED),
        outcome("c", CURRENT),
        outcome("f2", FAILED),
        outcome("m2"),
    ]
    assert ["m1", "c", "m2", "s", "f1", "f2", "u"] == ids(*outcomes)


def test_up_to_fifty_everybody_is_shown():
    outcomes = [outcome(f"t{number:02}", CURRENT, attempt=0) for number in range(50)]
    assert 50 == len(ids(*outcomes))


def test_of_more_than_fifty_those_with_nothing_pending_are_not_shown():
    outcomes = [outcome(f"t{number:02}", CURRENT, attempt=0) for number in range(50)]
    assert ["m", "f"] == ids(*outcomes, outcome("m"), outcome("f", FAILED))


def test_of_more_than_fifty_with_nothing_pending_there_is_no_table():
    assert "" == summary.table([outcome(f"t{number}", CURRENT, attempt=0) for number in range(51)], None)


def test_of_more_than_fifty_that_ran_everybody_is_shown():
    assert 60 == len(ids(*(outcome(f"t{number}") for number in range(60))))


AS_THEY_ARE = ["1e5", "1_000", "12345678901234567890", "0x10", "007", "1.50", "-1", "+1", "nan", "inf", "True", "None"]
AS_THEY_ARE += ["[/x]", "[red]", "-", "--all", "%s", "{0}", "a|b", "表", "müller", "$(id)", "a'b", 'a"b', "\\"]


@pytest.mark.parametrize("width", [None, 80, 60])
def test_ids_stay_as_they_are(width):
    table = summary.table([outcome(name, FAILED, error="1e5") for name in AS_THEY_ARE], width)
    *shown, alike = rows(table)
    assert AS_THEY_ARE == [row.split()[0] for row in shown]
    assert {"1e5"} == {row.split()[-1] for row in shown}
    assert f"{len(AS_THEY_ARE)} tenants: 1e5" == alike


SEEN = [
    ("\x1b[31mred", "\\x1b[31mred"),
    ("a\nb", "a\\nb"),
    ("a\rb", "a\\rb"),
    ("\u202eabc", "\\u202eabc"),
    ("\ud800", "\\ud800"),
    ("\x01", "\\x01"),
    (" acme", "\\x20acme"),
    ("acme  ", "acme\\x20\\x20"),
    (" ", "\\x20"),
    ("\u00a0acme", "\\xa0acme"),
    ("a b", "a b"),
]


@pytest.mark.parametrize(("name", "shown"), SEEN)
def test_ids_that_would_not_be_seen_are_shown(name, shown):
    assert [shown] == [row[: len(shown)] for row in rows(summary.table([outcome(name, FAILED)], None))]


def test_two_ids_never_look_the_same():
    names = ["acme", " acme", "acme ", "acme\n", "acme\u200b", "Acme", "acme\u00a0"]
    shown = [row.split()[0] for row in rows(summary.table([outcome(name) for name in names], None))]
    assert len(names) == len(set(shown))


def test_an_error_is_wrapped_into_what_is_left_of_a_narrow_terminal():
    text = "something went wrong with a sentence that is long enough to be wrapped"
    table = summary.table([outcome("acme", FAILED, error=text)], 70)
    assert max(len(line) for line in table.splitlines()) <= 70
    assert text.split() == " ".join(row[42:] for row in rows(table)).split()


def test_on_a_narrow_terminal_a_tenant_is_a_sentence():
    told = [outcome("acme"), outcome("globex", FAILED, error="something went wrong again")]
    assert [
        ["acme: migrated", "globex: failed: something went wrong", "  again"],
        ["acme: migrated", "globex: failed:", "  something went", "  wrong again"],
    ] == [summary.table(told, width).splitlines() for width in (40, 20)]


def test_without_a_terminal_nothing_is_wrapped():
    assert 1 == len(rows(summary.table([outcome("acme", FAILED, error="word " * 100)], None)))


def test_an_error_does_nothing_to_the_terminal():
    table = summary.table([outcome("acme", FAILED, error="\x1b[2J\nx")], None)
    assert ("\\x1b[2J\\nx", 1) == (rows(table)[0].split()[-1], len(rows(table)))


# ---------------------------------------------------------------- all of it


def after_table(run: runs.Run, folder, environment: str = "prod") -> list[str]:
    return summary.as_table(run, folder, environment).split("\n")[2 + len(run.settled()) :]


def test_all_is_well(tmp_path):
    expected = [
        "2 tenants: 1 migrated, 1 current.",
        f"log: {tmp_path}/run.log",
        "next: `invoke show-tenants --env=prod --status`",
    ]
    assert expected == after_table(run_of(outcome("a"), outcome("b", CURRENT, attempt=0)), tmp_path)


def test_a_failure_names_its_output_and_the_next_command(tmp_path):
    file = journal.tenant_file(tmp_path, "it's")
    file.parent.mkdir()
    file.write_text("")
    expected = [
        "2 tenants: 1 migrated, 1 failed.",
        f"log: {tmp_path}/run.log",
        f"output of it's: {file}",
        (
            "next: fix the cause, then `invoke migrate-tenant --env=prod --tenant-id='it'\"'\"'s'`, "
            "or `invoke migrate-all --env=prod --resume` for all that are left."
        ),
    ]
    assert expected == after_table(run_of(outcome("a"), outcome("it's", FAILED, error="x")), tmp_path)


def test_a_failure_without_output_names_none(tmp_path):
    lines = after_table(run_of(outcome("a", FAILED)), tmp_path)
    assert ["1 tenant: 1 failed.", f"log: {tmp_path}/run.log"] == lines[:2]
    assert lines[2].startswith("next: fix the cause")


def test_an_unknown_outcome_comes_before_the_failures(tmp_path):
    run = run_of(outcome("a", FAILED), outcome("b", UNKNOWN), reason="nobody knows how `b` ended")
    expected = [
        "2 tenants: 1 failed, 1 unknown. the run stopped: nobody knows how `b` ended.",
        f"log: {tmp_path}/run.log",
        (
            "next: `invoke migrate-all --env=prod --resume` asks the host and the databases first, "
            "and starts nothing that may still be at work."
        ),
    ]
    assert expected == after_table(run, tmp_path)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    run = run_of(outcome("a"), outcome("b", SKIPPED, attempt=0, verified=False), reason="interrupted")
    expected = [
        "2 tenants: 1 migrated, 1 skipped. the run stopped: interrupted.",
        f"log: {tmp_path}/run.log",
        "next: `invoke migrate-all --env=prod --resume` goes on with those that are left.",
    ]
    assert expected == after_table(run, tmp_path)


def test_who_was_ended_by_the_operator_has_no_cause_to_fix(tmp_path):
    ended = outcome("a", FAILED, error="interrupted after 1.0 s: its processes were ended")
    left = outcome("b", SKIPPED, attempt=0, verified=False)
    lines = after_table(run_of(ended, left, reason="interrupted"), tmp_path)
    assert "next: `invoke migrate-all --env=prod --resume` goes on with those that are left, `a` included." == lines[-1]
    lines = after_table(run_of(ended, outcome("c", FAILED, error="x"), reason="interrupted"), tmp_path)
    assert lines[-1].startswith("next: fix the cause, then `invoke migrate-tenant --env=prod --tenant-id=c`")


def test_who_is_home_since_is_told_and_is_not_what_comes_next(tmp_path):
    run = run_of(outcome("a", UNKNOWN), outcome("b", FAILED), outcome("c", FAILED))
    since = {"a": ("later", "migrated"), "c": ("later", "migrated"), "b": ("last", "current")}
    lines = summary.as_table(run, tmp_path, "prod", since=since).splitlines()
    assert lines[-4:-2] == ["since then: a, c migrated in run later.", "since then: b current in run last."]
    assert lines[-1] == "next: `invoke show-tenants --env=prod --status`"
    del since["b"]
    lines = summary.as_table(run, tmp_path, "prod", since=since).splitlines()
    assert lines[-1].startswith("next: fix the cause, then `invoke migrate-tenant --env=prod --tenant-id=b`")
    assert json.loads(summary.as_json(run, "r", "prod", since))["since"]["a"] == {
        "run_id": "later",
        "status": "migrated",
    }
    assert "since" not in json.loads(summary.as_json(run, "r", "prod"))


def test_a_failed_shared_database_is_not_migrated_as_a_tenant(tmp_path):
    lines = after_table(run_of(outcome(model.SHARED.id, FAILED)), tmp_path)
    assert "next: fix the cause, then `invoke migrate-all --env=prod --shared`." == lines[-1]


@pytest.mark.parametrize("status", [FAILED, SKIPPED, UNKNOWN])
def test_without_the_shared_database_there_is_no_plan_to_resume(tmp_path, status):
    lines = after_table(run_of(outcome(model.SHARED.id, status), outcome("a", FAILED)), tmp_path)
    assert "next: fix the cause, then `invoke migrate-all --env=prod --shared`." == lines[-1]


def test_unverified_success_is_said_to_be_that(tmp_path):
    lines = after_table(run_of(outcome("a", verified=False), outcome("b", verified=False)), tmp_path)
    assert "2 tenants could not be verified: this framework can't be asked what is pending." == lines[1]
    assert "next: `invoke show-tenants --env=prod`" == lines[-1]


def test_a_run_without_an_end_says_so(tmp_path):
    run = runs.fold([model.TenantFinished(AT, outcome("a"))])
    assert "1 tenant: 1 migrated. the run stopped: it did not end." == after_table(run, tmp_path)[0]


def test_a_run_of_nobody_is_told(tmp_path):
    assert "0 tenants: no tenants." == summary.as_table(run_of(), tmp_path, "prod").splitlines()[0]


# ---------------------------------------------------------------- failures that are one


def alike(number: int, **more) -> list[model.Outcome]:
    return [outcome(f"t{each}", FAILED, **{"error": f'IntegrityError: "t{each}"', **more}) for each in range(number)]


def below(*outcomes: model.Outcome) -> list[str]:
    """What stands under the table's rows."""
    return summary.table(outcomes, None).splitlines()[2 + len(outcomes) :]


def test_tenants_that_failed_alike_are_told_together():
    expected = ["37 tenants: UniqueViolation in billing.0042: could not create unique index …"]
    assert expected == below(*alike(37, fingerprint=ONCE), outcome("other", FAILED, error="another"))


def test_a_failure_alone_has_its_row_and_no_more():
    assert [] == below(*alike(1, fingerprint=ONCE), outcome("other", FAILED, error="another"))


def test_those_whose_sentence_is_the_same_are_told_in_it():
    assert ["2 tenants: no such 7"] == below(
        *alike(2, error="no such 7", fingerprint=model.Fingerprint(text="no such …"))
    )


def test_what_no_command_said_is_told_together_too():
    told = [outcome(name, FAILED, error=f'database "{name}" does not exist (no command was sent)') for name in "ab"]
    assert ["2 tenants: database … does not exist (no command was sent)"] == below(*told)


def test_the_most_frequent_cause_stands_first():
    told = [*alike(2, fingerprint=model.Fingerprint("KeyError", text="x")), *alike(3, fingerprint=ONCE)]
    assert ["3 tenants: Unique", "2 tenants: KeyErr"] == [line[:17] for line in below(*told)]


def test_of_narrow_terminals_too():
    table = summary.table(alike(2, fingerprint=ONCE), 40)
    assert "2 tenants: UniqueViolation in billing.0042: could not create unique index …" == table.splitlines()[-1]


# ---------------------------------------------------------------- history


def written(root, run_id: str, *events: model.Journalled):
    with contextlib.closing(journal.create(root, run_id, sync=False)) as record:
        for event in events:
            record.append(event)
    return record.folder


def test_history_is_a_line_a_run(tmp_path):
    started = model.RunStarted(AT, "x", "prod", "1.0", "dep\x1bloy@ops1", "ops1", ())
    clock = testing.FakeClock()
    clock.advance(125)
    done = written(
        tmp_path,
        "20261122T140200-prod",
        started,
        model.TenantFinished(AT, outcome("a")),
        model.RunFinished(clock.now(), "done", {"migrated": 1}, 125.0, 8.0),
    )
    cut_off = written(tmp_path, "20261122T150000-prod-eu", started)
    later = written(tmp_path, "20261122T160000-prod")
    (later / "journal.jsonl").write_text('{"v": 99}\n')
    table = rows(summary.history([done, cut_off, later]))
    expected = [
        "20261122T140200-prod dep\\x1bloy@ops1 1 migrated 2m05s 8.0 s done",
        "20261122T150000-prod-eu dep\\x1bloy@ops1 no tenants no end recorded: it was killed",
    ]
    assert expected == [" ".join(row.split()) for row in table[:2]]
    assert "line 1: it was written by a later opskit (format 99, this one reads 1)" in table[2]


def test_history_for_machines(tmp_path):
    started = model.RunStarted(AT, "x", "prod", "1.0", "deploy@ops1", "ops1", (), undoes="1")
    ended = model.RunFinished(AT + timedelta(seconds=125), "done", {"migrated": 1}, 125.0, 8.0)
    done = written(tmp_path, "20261122T140200-prod", started, ended)
    cut_off = written(tmp_path, "20261122T150000-prod-eu", started)
    later = written(tmp_path, "20261122T160000-prod")
    (later / "journal.jsonl").write_text('{"v": 99}\n')

    first, second, third = json.loads(summary.history_as_json([done, cut_off, later]))

    assert {
        "run_id": "20261122T140200-prod",
        "environment": "prod",
        "going_on": False,
        "operator": "deploy@ops1",
        "started_at": "2026-11-22T14:02:00+00:00",
        "ended_at": "2026-11-22T14:04:05+00:00",
        "seconds": 125.0,
        "tenants_seconds": 8.0,
        "counts": {"migrated": 1},
        "reason": "done",
        "undoes": "1",
        "error": "",
    } == first
    assert (None, None, "", "prod-eu") == tuple(second[key] for key in ("ended_at", "seconds", "reason", "environment"))
    assert ("", None, True) == (third["operator"], third["started_at"], "a later opskit" in third["error"])


# ---------------------------------------------------------------- how long

PAUSED = [
    model.RunStarted(AT, "2", "prod", "1.0", "deploy@ops1", "ops1", ()),
    model.TenantFinished(AT + timedelta(seconds=130), outcome("a", seconds=4.0)),
    model.RunFinished(AT + timedelta(seconds=130), "interrupted", {}),
]


def test_what_a_run_took_is_told_with_its_pauses_and_without(tmp_path):
    told = summary.as_table(runs.fold(PAUSED), tmp_path, "prod").splitlines()
    assert "it took 2m10s, pauses included; the tenants' commands took 4.0 s." in told


def test_what_lies_between_a_run_and_its_resumption_does_not_count(tmp_path):
    again = AT + timedelta(days=1)
    resumed = [
        model.RunResumed(again, "1.0", "deploy@ops1", "ops1", ()),
        model.TenantFinished(again + timedelta(seconds=50), outcome("b", seconds=6.0)),
    ]
    run = runs.fold([*PAUSED, *resumed])
    ended = run.ends(again + timedelta(seconds=60), "done")
    assert (190.0, 10.0) == (ended.seconds, ended.tenants_seconds)
    run.apply(ended)
    assert "it took 3m10s, pauses included; the tenants' commands took 10.0 s." in summary.as_table(
        run, tmp_path, "prod"
    )


def test_of_a_run_that_was_killed_it_is_what_it_told_last(tmp_path):
    killed = runs.fold(PAUSED[:2])
    assert (130.0, 4.0) == (killed.seconds(), killed.tenants_seconds())


# ---------------------------------------------------------------- many


def test_of_very_many_only_those_that_need_somebody_have_a_row():
    told = [outcome(f"m{number}") for number in range(2000)] + [outcome("bad", FAILED, error="no")]
    told += [outcome(f"s{number}", SKIPPED, attempt=0) for number in range(3)]
    table = summary.table(told, None).splitlines()
    assert [["s0", "skipped"], ["s1", "skipped"], ["s2", "skipped"]] == [row.split()[:2] for row in table[2:5]]
    assert ["bad", "failed"] == table[5].split()[:2]
    assert ["and without a row: 2000 migrated. `invoke show-run --format=json` has everyone."] == table[6:]


def test_of_very_many_failures_the_last_are_shown_and_the_causes_counted():
    words = ("none", "one", "two", "three", "four", "five")
    told = [outcome(f"f{number}", FAILED, error=f"cause {words[number % 7 % 6]}") for number in range(2100)]
    table = summary.table([*told, outcome("lost", UNKNOWN, error="lost app1")], None).splitlines()
    assert (200, ["lost", "unknown"]) == (len(table) - 9, table[201].split()[:2])
    assert [
        "and without a row: 1901 failed. `invoke show-run --format=json` has everyone.",
        "600 tenants: cause none",
        "300 tenants: cause one",
        "300 tenants: cause two",
        "300 tenants: cause three",
        "300 tenants: cause four",
        "and 2 more causes",
    ] == table[202:]


def test_the_id_of_the_next_command_is_one_that_a_shell_gives_back(tmp_path):
    for name, typed in (
        ("a b", "'a b'"),
        ("a\nb", r"$'a\nb'"),
        ("it's\t\\", r"$'it\'s\t\\'"),
        ("\x1b[2J", r"$'\x1b[2J'"),
    ):
        assert f"--tenant-id={typed}`" in summary.as_table(run_of(outcome(name, FAILED)), tmp_path, "prod")
    assert "migrate-tenant" not in summary.as_table(run_of(outcome("x" * 10_000, FAILED)), tmp_path, "prod")


# ---------------------------------------------------------------- a run that takes another one back


def way_back(*outcomes: model.Outcome) -> runs.Run:
    started = model.RunStarted(AT, "2", "prod", "1.0", "deploy@ops1", "ops1", (), undoes="1")
    events = [model.TenantFinished(AT, each) for each in outcomes]
    return runs.fold([started, *events, model.RunFinished(AT, "done", {})])


def test_what_was_taken_back_counts_downwards_and_has_a_word_of_its_own(tmp_path):
    run = way_back(outcome("a", taken_back=("x.1", "x.2"), seconds=1.0), outcome("b", CURRENT, attempt=0))
    lines = summary.as_table(run, tmp_path, "prod").splitlines()
    assert ["a", "taken", "back", "-2", "1.0"] == lines[2].split()
    assert "2 tenants: 1 taken back, 1 current." in lines
    assert "it took back what run 1 applied." in lines
    assert lines[-1].startswith("next: deploy code without these migrations: ")


def test_who_is_not_back_is_gone_on_with_by_undo(tmp_path):
    run = way_back(outcome("a", FAILED, error="it broke"), outcome("b", taken_back=("x.1",)))
    last = summary.as_table(run, tmp_path, "prod").splitlines()[-1]
    assert "next: `invoke undo --run=1` shows what is left; `invoke undo --run=1 --yes` goes on" in last


@pytest.mark.parametrize(
    ("became", "told"),
    [
        (outcome("a", CURRENT, attempt=0), "nothing was left of what run 1 applied."),
        (outcome("a", FAILED, error="it broke"), "nothing of what run 1 applied was taken back."),
    ],
)
def test_what_was_not_taken_back_is_not_said_to_be(tmp_path, became, told):
    assert told in summary.as_table(way_back(became), tmp_path, "prod").splitlines()


def test_an_override_is_shown(tmp_path):
    started = model.RunStarted(AT, "2", "prod", "1.0", "deploy@ops1", "ops1", (), override="hot\x1bfix")
    run = runs.fold([started, model.RunFinished(AT, "done", {})])
    assert "what is required first was overridden: hot\\x1bfix" in summary.as_table(run, tmp_path, "prod").splitlines()
