"""A record that is open, that was cut off, that is gone on with, or withdrawn."""

import contextlib
import json
import subprocess
import sys

import pytest
from journals import AT, EVENTS, RUN, lines_of, written

from opskit import errors, journal, model

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
