"""The run's record: written, and read again."""

import contextlib
import json
import resource

import pytest
from journals import AT, EVENTS, RUN, lines_of, put, written

from opskit import errors, journal, model
from opskit.rollout import run as runs

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
