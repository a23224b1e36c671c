"""The run's record: written, read again, found, and never trusted blindly."""

import contextlib
import json
import resource
import stat
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit import errors, journal, model
from opskit.reporters import summary
from opskit.rollout import run as runs

AT = datetime(2026, 11, 22, 14, 2, 5, 123456, tzinfo=UTC)
RUN = "20261122T140205-prod"
HOSTILE = 'a"b\\\n\u202e\ud800ä{tenant}'

EVENTS = [
    model.RunStarted(
        AT, RUN, "prod", "1.0", "deploy@ops1", "ops1", ("migrate-all", "--env=prod"), "app1", "/srv", "abc"
    ),
    model.RunStarted(
        AT,
        RUN,
        "prod",
        "1.0",
        "deploy@ops1",
        "ops1",
        (),
        app_label="products",
        migration_name="0002",
        applies="0123",
        undoes="20261121T140205-prod",
        override="hotfix",
        rollout=model.Controls(
            60.0, model.Canary(0, ("a*",)), model.Allowance(5, True), 2, "name", AT, "true", True, 3
        ),
    ),
    model.PlanMade(
        AT,
        model.Plan(
            batches=(
                model.Batch((model.Tenant("a", "A", "schema"),), max_failures=0),
                model.Batch((model.Tenant("b"), model.Tenant(HOSTILE)), max_failures=None),
            ),
            pending={"a": ("app.0001_x", "app.0002_y"), "b": None, HOSTILE: ()},
            current=(model.Tenant("c", "C", "database"),),
            refused={"d": "no database"},
            stagger=60.0,
            canaries=1,
            retries=2,
            stop_after_same=3,
            deadline=AT,
            expected={"a": 1.5},
            gate="check-lag",
            pause_after_canary=True,
            code={"app.0001_x": "0123456789abcdef"},
            back={"a": ("app.0001_x",), HOSTILE: ()},
        ),
    ),
    model.PlanMade(AT, model.Plan((), {})),
    model.TenantStarted(AT, "a", 1, "app1", ("app.0001_x",)),
    model.TenantStarted(AT, HOSTILE, 2, "", None),
    model.TenantStarted(AT, "a", 1, "app1", ()),
    model.TenantFinished(AT, model.Outcome("a", model.Status.MIGRATED, ("app.0001_x",), True, "", 1.25, 1, "app1")),
    model.TenantFinished(AT, model.Outcome(HOSTILE, model.Status.FAILED, error="it\nbroke")),
    model.TenantFinished(
        AT,
        model.Outcome(
            "a", model.Status.FAILED, fingerprint=model.Fingerprint("UniqueViolation", "23505", "a.0001_x", HOSTILE)
        ),
    ),
    *(model.TenantVerified(AT, model.Outcome("a", status)) for status in model.Status),
    model.Notice(AT, "something"),
    model.GateAnswered(AT, HOSTILE, 2, "lag", "a\nlag"),
    model.GateAnswered(AT, "a", None),
    model.RunResumed(AT, "1.0", "deploy@ops1", "ops1", ("migrate-all", "--resume"), "app2", "/srv", "abc"),
    model.TenantFollowed(AT, "a", 1, "app1", AT, 4711),
    model.TenantFollowed(AT, HOSTILE, 2, ""),
    model.TenantMoved(AT, "a", 1, "app2"),
    model.TenantMoved(AT, HOSTILE, 2, ""),
    model.RunFinished(AT, "done", {"migrated": 1, "failed": 0}),
]


def written(root: Path, *events: model.Journalled, run_id: str = RUN) -> Path:
    with contextlib.closing(journal.create(root, run_id, sync=False)) as record:
        for event in events:
            record.append(event)
    return record.folder


def lines_of(folder: Path) -> list[str]:
    return (folder / "journal.jsonl").read_text().splitlines()


def put(folder: Path, *lines: str, end: str = "\n") -> Path:
    (folder / "journal.jsonl").write_text("\n".join(lines) + end)
    return folder


# ---------------------------------------------------------------- events as lines


@pytest.mark.parametrize("event", EVENTS, ids=[f"{type(event).__name__}-{at}" for at, event in enumerate(EVENTS)])
def test_an_event_is_read_as_it_was_written(event):
    line = journal.encode(event, 7)
    assert event == journal.decode(line)
    assert "\n" not in line


def test_every_kind_that_is_journalled_is_written_here():
    assert set(model.Journalled.__args__) == {type(event) for event in EVENTS}


def test_a_line_has_its_format_its_number_its_time_and_its_kind():
    expected = {"v": 1, "seq": 3, "event": "Notice", "at": "2026-11-22T14:02:05.123456+00:00", "text": "hello"}
    assert expected == json.loads(journal.encode(model.Notice(AT, "hello"), 3))


def test_fields_that_this_version_does_not_know_are_ignored():
    started = json.loads(journal.encode(EVENTS[0], 1))
    plan = json.loads(journal.encode(EVENTS[2], 1))
    finished = json.loads(journal.encode(EVENTS[7], 1))
    plan["plan"]["new"] = plan["plan"]["batches"][0]["new"] = plan["plan"]["current"][0]["new"] = {"x": []}
    finished["outcome"]["new"] = [1]
    found = [journal.decode(json.dumps({**each, "new": {"a": [1]}})) for each in (started, plan, finished)]
    assert [EVENTS[0], EVENTS[2], EVENTS[7]] == found


def test_a_kind_that_this_version_does_not_know_is_no_event():
    assert None is journal.decode('{"v": 1, "seq": 1, "at": "x", "event": "TenantTeleported", "tenant": "a"}')


# ---------------------------------------------------------------- writing and reading


def test_a_run_is_read_as_it_was_written(tmp_path):
    folder = written(tmp_path, *EVENTS)
    assert EVENTS == list(journal.read(folder))
    assert list(range(1, len(EVENTS) + 1)) == [json.loads(line)["seq"] for line in lines_of(folder)]


def test_a_synced_record_is_the_same(tmp_path):
    with contextlib.closing(journal.create(tmp_path, RUN)) as record:
        record.append(EVENTS[0])
    assert [EVENTS[0]] == list(journal.read(record.folder))


def test_an_event_stands_in_the_file_as_soon_as_it_is_appended(tmp_path):
    with contextlib.closing(journal.create(tmp_path, RUN)) as record:
        record.append(EVENTS[0])
        assert [EVENTS[0]] == list(journal.read(record.folder))


def test_loading_is_folding(tmp_path):
    assert runs.fold(EVENTS) == journal.load(written(tmp_path, *EVENTS))


def test_unknown_kinds_are_passed_over(tmp_path):
    folder = written(tmp_path, EVENTS[0])
    put(folder, *lines_of(folder), '{"v": 1, "seq": 2, "at": "x", "event": "Unheard"}', journal.encode(EVENTS[-1], 3))
    assert [EVENTS[0], EVENTS[-1]] == list(journal.read(folder))


def test_a_later_format_is_refused_naming_file_and_line(tmp_path):
    folder = written(tmp_path, EVENTS[0])
    put(folder, *lines_of(folder), '{"v": 2, "seq": 2, "event": "Notice"}')
    with pytest.raises(errors.JournalError) as raised:
        list(journal.read(folder))
    expected = f"{folder}/journal.jsonl, line 2: it was written by a later opskit (format 2, this one reads 1)"
    assert expected == str(raised.value)


def test_a_last_line_that_was_cut_off_anywhere_is_passed_over(tmp_path):
    folder = written(tmp_path, EVENTS[0])
    whole, last = lines_of(folder), journal.encode(EVENTS[-1], 2)
    for at in range(len(last)):
        put(folder, *whole, last[:at], end="")
        assert [EVENTS[0]] == list(journal.read(folder))


BROKEN = [
    "",
    "not json",
    '{"v": 1',
    "[]",
    '"text"',
    "3",
    "null",
    "{}",
    '{"v": "2", "event": "Notice"}',
    '{"v": 1, "event": ["Notice"]}',
    '{"v": 1, "event": "Notice"}',
    '{"v": 1, "event": "Notice", "at": "yesterday", "text": "x"}',
    '{"v": 1, "event": "Notice", "at": 3, "text": "x"}',
    '{"v": 1, "event": "Notice", "at": "2026-11-22T14:02:00+00:00"}',
    '{"v": 1, "event": "PlanMade", "at": "2026-11-22T14:02:00+00:00", "plan": []}',
    '{"v": 1, "event": "PlanMade", "at": "2026-11-22T14:02:00+00:00", "plan": {"batches": 3, "pending": {}}}',
    '{"v": 1, "event": "PlanMade", "at": "2026-11-22T14:02:00+00:00", "plan": {"batches": ["x"], "pending": {}}}',
    '{"v": 1, "event": "TenantFinished", "at": "2026-11-22T14:02:00+00:00", "outcome": null}',
    '{"v": 1, "event": "TenantFinished", "at": "2026-11-22T14:02:00+00:00", "outcome": {"tenant": "a", "status": "lost"}}',
    "[" * 100_000,
]


@pytest.mark.parametrize("line", BROKEN, ids=[line[:60] for line in BROKEN])
def test_a_broken_line_in_the_middle_is_an_error_that_names_it(tmp_path, line):
    folder = written(tmp_path, EVENTS[0])
    put(folder, *lines_of(folder), line, journal.encode(EVENTS[-1], 3))
    with pytest.raises(errors.JournalError) as raised:
        list(journal.read(folder))
    assert str(raised.value).startswith(f"{folder}/journal.jsonl, line 2 can't be read: ")


def test_what_stands_before_a_broken_line_is_still_told(tmp_path):
    folder = put(written(tmp_path), journal.encode(EVENTS[0], 1), "broken", journal.encode(EVENTS[-1], 3))
    events = journal.read(folder)
    assert EVENTS[0] == next(events)


def test_a_record_that_is_not_there_or_no_text_is_an_error(tmp_path):
    with pytest.raises(errors.JournalError, match=r"journal\.jsonl can't be read"):
        list(journal.read(tmp_path))
    (tmp_path / "journal.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(errors.JournalError, match=r"journal\.jsonl can't be read"):
        list(journal.read(tmp_path))


@contextlib.contextmanager
def files_no_longer_than(size: int):
    """As on a full disk, a write stops in the middle, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_and_leaves_no_half_line_behind(tmp_path):
    with contextlib.closing(journal.create(tmp_path, RUN)) as record:
        record.append(EVENTS[0])
        size = (record.folder / "journal.jsonl").stat().st_size
        with files_no_longer_than(size + 10), pytest.raises(errors.JournalError) as raised:
            record.append(EVENTS[2])
        assert f"{record.folder}/journal.jsonl can't be written: No space left on device" == str(raised.value)
        record.append(EVENTS[-1])
    assert [EVENTS[0], EVENTS[-1]] == list(journal.read(record.folder))


def test_closing_twice_is_no_error(tmp_path):
    record = journal.create(tmp_path, RUN)
    record.close()
    record.close()


def test_writing_after_closing_is_a_journal_error(tmp_path):
    record = journal.create(tmp_path, RUN)
    record.close()
    with pytest.raises(errors.JournalError):
        record.append(EVENTS[0])


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


# ---------------------------------------------------------------- a run that goes on


def test_a_run_goes_on_while_its_record_is_open_and_not_after(tmp_path):
    record = journal.create(tmp_path, RUN, sync=False)
    assert journal.going_on(record.folder)
    assert journal.going_on(record.folder), "looking must not end it"
    record.close()
    assert not journal.going_on(record.folder)
    assert not journal.going_on(tmp_path / "nowhere")


def test_a_record_that_is_open_is_not_opened_twice(tmp_path):
    with contextlib.closing(journal.create(tmp_path, RUN, sync=False)) as record:
        with pytest.raises(errors.JournalError, match="this run is going on"):
            journal.reopen(record.folder)
        assert journal.going_on(record.folder)


def test_a_resumed_record_goes_on_counting(tmp_path):
    folder = written(tmp_path, EVENTS[0], EVENTS[2])
    with contextlib.closing(journal.reopen(folder, sync=False)) as record:
        record.append(EVENTS[-1])
    assert [1, 2, 3] == [json.loads(line)["seq"] for line in lines_of(folder)]
    assert [EVENTS[0], EVENTS[2], EVENTS[-1]] == list(journal.read(folder))


def test_a_record_that_was_cut_at_any_byte_is_its_whole_lines_and_goes_on_from_there(tmp_path):
    """What a kill or a full disk leaves, whatever byte it came at."""
    whole = written(tmp_path, EVENTS[0], EVENTS[2], EVENTS[-1])
    content = (whole / "journal.jsonl").read_bytes()
    after = model.Notice(AT, "after")
    for at in range(len(content)):
        (whole / "journal.jsonl").write_bytes(content[:at])
        kept = [EVENTS[0], EVENTS[2], EVENTS[-1]][: content[:at].count(b"\n")]
        assert kept == list(journal.read(whole))
        with contextlib.closing(journal.reopen(whole, sync=False)) as record:
            record.append(after)
        assert [*kept, after] == list(journal.read(whole))


KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from opskit import journal, model
record = journal.create(Path(sys.argv[1]), sys.argv[2])
for number in range(1_000_000):
    record.append(model.Notice(datetime.now(UTC), f"{number} " + "x" * (number * 37 % 5000)))
"""


@pytest.mark.parametrize("size", [1, 1000, 20_000, 100_000])
def test_a_writer_that_is_killed_leaves_whole_events_in_their_order(tmp_path, size):
    file = tmp_path / ".opskit" / "runs" / RUN / "journal.jsonl"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), RUN]) as writer:
        while not file.exists() or file.stat().st_size < size:
            assert writer.poll() is None
        writer.kill()
    written_ = [event.text.partition(" ")[0] for event in journal.read(file.parent)]
    assert written_ == [str(number) for number in range(len(written_))]
    with contextlib.closing(journal.reopen(file.parent, sync=False)) as record:
        record.append(model.Notice(AT, "after"))
    assert len(list(journal.read(file.parent))) == len(written_) + 1


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_last_line_that_a_crash_cut_off_is_set_aside_and_never_an_event(tmp_path, kept):
    folder = written(tmp_path, EVENTS[0], EVENTS[-1])
    first, last = lines_of(folder)
    (folder / "journal.jsonl").write_text(f"{first}\n{last[:kept]}")
    with contextlib.closing(journal.reopen(folder, sync=False)) as record:
        record.append(model.Notice(AT, "after"))
    assert [EVENTS[0], model.Notice(AT, "after")] == list(journal.read(folder))
    assert f"{last[:kept]}\n" == (folder / "journal.torn").read_text()
    assert (folder / "journal.torn").stat().st_mode & 0o777 == 0o600


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


# ---------------------------------------------------------------- whatever stands there

SPOILT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-11-22T14:02:00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def spoilt_lines(draw) -> list[str]:
    """The lines of a record, one value of which is another."""
    lines = [json.loads(journal.encode(event, number)) for number, event in enumerate(EVENTS, 1)]
    at = draw(st.sampled_from(lines))
    while True:
        key = draw(st.sampled_from(list(at)))
        if not isinstance(at[key], dict) or not at[key] or draw(st.booleans()):
            break
        at = at[key]
    at[key] = draw(SPOILT)
    return [json.dumps(line) for line in lines]


def shown_or_refused(folder, content: str | bytes) -> None:
    """Read a record as `runs` and `show-run` do: a table, or an error that names the file."""
    (folder / RUN).mkdir(exist_ok=True)
    (folder / RUN / "journal.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    with contextlib.suppress(errors.JournalError):
        run = journal.load(folder / RUN)
        shown = summary.as_table(run, folder / RUN, "prod") + summary.as_json(run, RUN, "prod")
        assert harmless(shown)
    assert harmless(summary.history([folder / RUN]))


def harmless(shown: str) -> bool:
    """Whether a terminal may have it; a space is one, however wide."""
    return all(letter.isprintable() or letter == "\n" or unicodedata.category(letter) == "Zs" for letter in shown)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    return tmp_path_factory.mktemp("spoilt")


@settings(max_examples=300, deadline=None)
@given(spoilt_lines())
def test_a_record_that_is_spoilt_is_shown_or_refused(spoilt, lines):
    shown_or_refused(spoilt, "\n".join([*lines, ""]))


@settings(max_examples=100, deadline=None)
@given(st.binary() | st.lists(SPOILT.map(json.dumps)).map("\n".join))
def test_a_record_that_is_none_is_shown_or_refused(spoilt, content):
    shown_or_refused(spoilt, content)


def test_a_value_of_another_sort_is_named(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"v": 1, "event": "Notice", "at": "2026-11-22T14:02:00", "text": "x"}\n')
    with pytest.raises(errors.JournalError) as raised:
        list(journal.read(tmp_path))
    assert f"{tmp_path}/journal.jsonl, line 1 can't be read: `at` is of another sort" == str(raised.value)


# ---------------------------------------------------------------- withdrawn


def test_a_run_that_is_withdrawn_leaves_no_folder(tmp_path):
    with contextlib.closing(journal.create(tmp_path, "20261122T140200-prod", sync=False)) as record:
        record.append(model.Notice(AT, "it began"))
        record.withdraw()
    assert [] == journal.history(tmp_path)


def test_a_run_that_is_reopened_and_withdrawn_is_what_it_was(tmp_path):
    with contextlib.closing(journal.create(tmp_path, "20261122T140200-prod", sync=False)) as record:
        record.append(model.Notice(AT, "it began"))
    before = (record.folder / "journal.jsonl").read_bytes()
    with contextlib.closing(journal.reopen(record.folder, sync=False)) as again:
        again.append(model.Notice(AT, "it was to go on"))
        again.withdraw()
    assert before == (record.folder / "journal.jsonl").read_bytes()
