"""The folders of runs: made, kept, found, with a file for each tenant."""

import contextlib
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from journals import AT, EVENTS, HOSTILE, RUN, put, written

from opskit import errors, journal, model

# ---------------------------------------------------------------- folders


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_folders_and_files_are_their_owners_alone(tmp_path):
    folder = written(tmp_path, EVENTS[0])
    folders = [tmp_path / ".opskit", tmp_path / ".opskit" / "runs", folder, folder / "tenants"]
    assert ["0o700"] * 4 == [mode(each) for each in folders]
    assert "0o600" == mode(folder / "journal.jsonl")


def test_a_run_has_the_folder_of_its_id(tmp_path):
    with contextlib.closing(journal.create(tmp_path, RUN)) as record:
        assert (RUN, tmp_path / ".opskit" / "runs" / RUN) == (record.run_id, record.folder)


def test_two_runs_can_not_have_one_id(tmp_path):
    written(tmp_path)
    with pytest.raises(errors.JournalError) as raised:
        journal.create(tmp_path, RUN)
    assert f"{tmp_path}/.opskit/runs can't be written: File exists" in str(raised.value)


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / ".opskit").write_text("")
    with pytest.raises(errors.JournalError, match=r"runs can't be written: File exists"):
        journal.create(tmp_path, RUN)


def test_an_id_sorts_by_time_and_names_its_environment(tmp_path):
    assert "20261122T140205-prod" == journal.new_id(tmp_path, "prod", AT)
    assert "prod-eu-1" == journal.environment_of(journal.new_id(tmp_path, "prod-eu-1", AT))


def test_runs_that_begin_in_one_second_have_ids_of_their_own_in_their_order(tmp_path):
    ids = []
    for second, environment in ((0, "staging"), (0, "prod"), (0, "prod"), (1, "prod")):
        ids.append(journal.new_id(tmp_path, environment, AT + timedelta(seconds=second)))
        written(tmp_path, run_id=ids[-1])
    assert [
        "20261122T140205-staging",
        "20261122T140205.2-prod",
        "20261122T140205.3-prod",
        "20261122T140206-prod",
    ] == ids
    assert sorted(ids) == ids
    assert ["staging", "prod", "prod", "prod"] == [journal.environment_of(each) for each in ids]


def made(root: Path, count: int, environment: str = "prod") -> list[str]:
    ids = [f"20261122T{number:06}-{environment}" for number in range(count)]
    for each in ids:
        (root / ".opskit" / "runs" / each / "tenants").mkdir(parents=True)
    return ids


def test_the_newest_fifty_are_kept(tmp_path):
    ids = made(tmp_path, 60)
    written(tmp_path, run_id="20261123T000000-prod")
    left = sorted(path.name for path in (tmp_path / ".opskit" / "runs").iterdir())
    assert [*ids[-49:], "20261123T000000-prod"] == left


def test_up_to_fifty_none_goes(tmp_path):
    made(tmp_path, 49)
    written(tmp_path, run_id="20261123T000000-prod")
    assert 50 == len(journal.history(tmp_path))


def test_what_is_no_run_is_neither_pruned_nor_history(tmp_path):
    made(tmp_path, 60)
    base = tmp_path / ".opskit" / "runs"
    (base / "notes").mkdir()
    (base / "20261122T000000-file").write_text("")
    written(tmp_path, run_id="20261123T000000-prod")
    assert (True, True) == ((base / "notes").is_dir(), (base / "20261122T000000-file").is_file())
    assert {"prod"} == {journal.environment_of(each.name) for each in journal.history(tmp_path)}


def test_history_is_newest_first_and_of_one_environment_where_that_is_asked(tmp_path):
    for each in ("20261122T140000-prod", "20261122T150000-demo", "20261122T160000-prod-eu", "20261122T170000.2-prod"):
        written(tmp_path, run_id=each)
    every = ["20261122T170000.2-prod", "20261122T160000-prod-eu", "20261122T150000-demo", "20261122T140000-prod"]
    assert every == [each.name for each in journal.history(tmp_path)]
    assert [every[0], every[3]] == [each.name for each in journal.history(tmp_path, "prod")]


def test_without_runs_there_is_no_history(tmp_path):
    assert [] == journal.history(tmp_path)


# ---------------------------------------------------------------- finding a run

THREE = ("20261122T140000-demo", "20261122T150000-prod", "20261122T150000-prod-eu")

FOUND = [
    (None, THREE[2]),
    (THREE[0], THREE[0]),
    ("20261122T14", THREE[0]),
    (THREE[1], THREE[1]),
    (THREE[2], THREE[2]),
]


@pytest.mark.parametrize(("asked", "expected"), FOUND)
def test_a_run_is_found_by_its_id_or_its_beginning_and_the_newest_without_either(tmp_path, asked, expected):
    for each in THREE:
        written(tmp_path, run_id=each)
    assert expected == journal.find(tmp_path, asked).name


NOT_FOUND = [
    ("20261122", "--run=`20261122` names more than one run. `invoke runs` lists them."),
    ("2027", "--run=`2027` names no run. `invoke runs` lists them."),
    ("", "--run=`` names no run. `invoke runs` lists them."),
    ("../../etc", "--run=`../../etc` names no run. `invoke runs` lists them."),
]


@pytest.mark.parametrize(("asked", "message"), NOT_FOUND)
def test_what_names_no_run_or_several_is_a_usage_error(tmp_path, asked, message):
    for each in THREE:
        written(tmp_path, run_id=each)
    with pytest.raises(errors.UsageError) as raised:
        journal.find(tmp_path, asked)
    assert message == str(raised.value)


def test_where_there_are_no_runs_that_is_said(tmp_path):
    with pytest.raises(errors.UsageError) as raised:
        journal.find(tmp_path, None)
    assert "there are no runs yet. `invoke migrate-all` makes the first." == str(raised.value)


# ---------------------------------------------------------------- what a list of runs reads


def test_no_older_run_is_read_once_everybody_wanted_is_known(tmp_path):
    def run(stamp, *names):
        events = [
            model.TenantFinished(AT, model.Outcome(name, model.Status.MIGRATED, seconds=2.0, attempt=1))
            for name in names
        ]
        return written(tmp_path, *events, run_id=f"{stamp}-prod")

    put(run("20261101T000000", "b"), "not a journal")
    run("20261102T000000", "a", "b")
    assert {"a": 2.0, "b": 2.0} == journal.durations(tmp_path, "prod", wanted=["a"])
    assert {"a": 2.0, "b": 2.0} == journal.durations(tmp_path, "prod", wanted=["a", "new"])


def test_a_list_needs_no_more_of_a_run_that_ended_than_its_ends(tmp_path):
    (tmp_path / RUN).mkdir()
    lines = [journal.encode(event, number) for number, event in enumerate(EVENTS, 1)]
    middle = ["not even JSON " * 10_000]
    (tmp_path / RUN / "journal.jsonl").write_text("\n".join([lines[0], *middle, lines[-1], ""]))
    seen = journal.glance(tmp_path / RUN)
    assert (EVENTS[0], EVENTS[-1], {}) == (seen.started, seen.finished, seen.outcomes)


def test_of_a_run_without_an_end_a_list_needs_all(tmp_path):
    (tmp_path / RUN).mkdir()
    lines = [journal.encode(event, number) for number, event in enumerate(EVENTS, 1)]
    (tmp_path / RUN / "journal.jsonl").write_text("\n".join([*lines[:-1], ""]))
    assert journal.load(tmp_path / RUN) == journal.glance(tmp_path / RUN)


# ---------------------------------------------------------------- a tenant's file

IDS = [
    "acme",
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a\0b",
    "a\nb",
    "ä",
    "\ud800",
    "-rf",
    "x" * 300,
    HOSTILE,
]


@pytest.mark.parametrize("name", IDS)
def test_a_tenants_file_stands_in_its_folder_whatever_its_id(tmp_path, name):
    file = journal.tenant_file(tmp_path, name)
    file.parent.mkdir()
    file.write_text("")
    assert (tmp_path / "tenants", 1) == (file.parent, len(list(file.parent.iterdir())))
    assert (True, True) == (file.name.isascii(), len(file.name) <= 40 + 1 + 8 + 4)


def test_the_name_is_readable():
    expected = Path("run/tenants/acme-eu-1-2d1c3a9e.log")
    file = journal.tenant_file(Path("run"), "acme-eu-1")
    assert (expected.parent, "acme-eu-1-") == (file.parent, file.name[:10])


def test_different_ids_have_different_files_even_where_case_does_not_count():
    ids = [*IDS, "ACME", "Acme", "a/b", "a_b", "a.b", "x" * 299, "x" * 41, "x" * 40]
    assert len(ids) == len({journal.tenant_file(Path("run"), each).name.lower() for each in ids})
