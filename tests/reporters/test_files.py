"""What a run leaves in files."""

import contextlib
import resource
import stat
from pathlib import Path

import pytest

from opskit import errors, journal, model, testing
from opskit.reporters import files

AT = testing.START
FAILED, UNKNOWN, MIGRATED = model.Status.FAILED, model.Status.UNKNOWN, model.Status.MIGRATED


def logged(path: Path, *events: model.Event) -> list[str]:
    log = files.LogFile(path)
    with contextlib.closing(log._file):
        for event in events:
            log(event)
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n") or not text
    return text.split("\n")[:-1]


def finished(tenant: str, status, **more) -> model.TenantFinished:
    return model.TenantFinished(AT, model.Outcome(tenant, status, **more))


def started(tenant: str) -> model.TenantStarted:
    return model.TenantStarted(AT, tenant, 1, "app1", ("x.1",))


def test_a_line_has_time_level_and_tenant(tmp_path):
    expected = [
        "2026-11-22T14:02:00Z WARNING app1 does not serve",
        "2026-11-22T14:02:00Z INFO tenant=acme migrating, 1 of 0 (1 pending)",
        "2026-11-22T14:02:00Z ERROR tenant=acme failed after 3.2 s: it broke",
        "2026-11-22T14:02:00Z INFO run ended: done: 1 failed",
    ]
    events = [
        model.Notice(AT, "app1 does not serve"),
        started("acme"),
        finished("acme", FAILED, error="it broke", seconds=3.2),
        model.RunFinished(AT, "done", {"failed": 1}),
    ]
    assert expected == logged(tmp_path / "run.log", *events)


def test_every_failure_is_an_error_line(tmp_path):
    events = [
        model.PlanMade(AT, model.Plan((), {}, refused={"refused": "no database"})),
        finished("failed", FAILED, error="it broke"),
        finished("unknown", UNKNOWN, error="lost app1"),
        finished("fine", MIGRATED),
        finished("liar", MIGRATED),
        model.TenantVerified(AT, model.Outcome("fine", MIGRATED, verified=True)),
        model.TenantVerified(AT, model.Outcome("liar", FAILED, verified=True, error="still pending")),
    ]
    lines = [line for line in logged(tmp_path / "run.log", *events) if " ERROR " in line]
    assert ["tenant=refused", "tenant=failed", "tenant=unknown", "tenant=liar"] == [line.split()[2] for line in lines]


HOSTILE = [
    "\x1b[31mred",
    "a\nb",
    "a\r2026-11-22T14:02:00Z ERROR tenant=x",
    "\u2028x",
    "\u202ex",
    "\ud800",
    "[/x]",
    "1e5",
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_an_event_is_one_line_whatever_the_id(tmp_path, name):
    lines = logged(tmp_path / "run.log", finished(name, FAILED, error=f"E: {name}"), model.Notice(AT, name))
    assert 2 == len(lines)
    assert not set("".join(lines)) & set("\x1b\r\u2028\u202e")


def test_output_and_pauses_are_not_logged(tmp_path):
    assert [] == logged(tmp_path / "run.log", model.Output("a", "x\n"), model.Waiting(1.0, "a"))


def test_a_log_goes_on_where_it_ended(tmp_path):
    for name in "ab":
        lines = logged(tmp_path / "run.log", model.Notice(AT, name))
    assert ["2026-11-22T14:02:00Z WARNING a", "2026-11-22T14:02:00Z WARNING b"] == lines


def test_a_line_stands_in_the_file_as_soon_as_it_is_told(tmp_path):
    log = files.LogFile(tmp_path / "run.log")
    with contextlib.closing(log._file):
        log(model.Notice(AT, "now"))
        assert "2026-11-22T14:02:00Z WARNING now\n" == (tmp_path / "run.log").read_text()


def test_a_log_that_can_not_be_opened_names_its_path(tmp_path):
    with pytest.raises(errors.JournalError) as raised:
        files.LogFile(tmp_path / "gone" / "run.log")
    assert f"{tmp_path}/gone/run.log can't be written: No such file or directory" == str(raised.value)


@contextlib.contextmanager
def files_no_longer_than(size: int):
    """As on a full disk, writes fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_log_that_can_not_be_written_is_an_error_that_names_it(tmp_path):
    log = files.LogFile(tmp_path / "run.log")
    with files_no_longer_than(0), pytest.raises(errors.JournalError) as raised:
        log(model.Notice(AT, "now"))
    log._file.close()
    assert f"{tmp_path}/run.log can't be written: File too large" == str(raised.value)


# ---------------------------------------------------------------- a tenant's output


def folder(tmp_path: Path) -> Path:
    (tmp_path / "tenants").mkdir()
    return tmp_path


def output_of(run: Path, tenant: str) -> str:
    return journal.tenant_file(run, tenant).read_text(encoding="utf-8")


def test_each_tenants_whole_output_is_in_a_file_of_its_own(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    for event in (
        started("a"),
        model.Output("a", "one\n", "tw"),
        model.Output("a", "two ✓\n"),
        finished("a", MIGRATED),
        started("../b"),
        model.Output("../b", "three\n"),
        finished("../b", FAILED),
    ):
        keep(event)
    assert ("one\ntwo ✓\n", "three\n") == (output_of(tmp_path, "a"), output_of(tmp_path, "../b"))
    assert 2 == len(list((tmp_path / "tenants").iterdir()))


def test_the_tenants_apps_events_stand_there_in_words(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    event = '{"v": 1, "seq": 1, "event": "TenantStarted", "tenant": "a", "pending": ["x.1"]}'
    for text in (f"one\n{event}\ntwo\n", '{"v": 2}\n'):
        keep(model.Output("a", text))
    keep.close()
    assert 'one\nmigrating (1 pending)\ntwo\n{"v": 2}\n' == output_of(tmp_path, "a")


def test_a_second_attempt_goes_on_in_the_same_file(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    for text in ("one\n", "two\n"):
        for event in (started("a"), model.Output("a", text), finished("a", FAILED)):
            keep(event)
    assert "one\ntwo\n" == output_of(tmp_path, "a")


def test_files_are_their_owners_alone(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    for event in (started("a"), model.Output("a", "one\n"), finished("a", MIGRATED)):
        keep(event)
    logged(tmp_path / "run.log", model.Notice(AT, "x"))
    paths = (journal.tenant_file(tmp_path, "a"), tmp_path / "run.log")
    assert [0o600, 0o600] == [stat.S_IMODE(path.stat().st_mode) for path in paths]


def test_who_prints_nothing_has_no_file(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    for event in (started("a"), model.Output("a", "", "half a li"), finished("a", MIGRATED)):
        keep(event)
    assert [] == list((tmp_path / "tenants").iterdir())


def test_output_of_a_run_that_was_cut_off_is_kept_too(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    keep(model.Output("a", "one\n"))
    keep(model.Output("a", "two\n"))
    keep.close()
    assert "one\ntwo\n" == output_of(tmp_path, "a")


def test_recalled_output_is_not_mixed_with_that_of_the_next_tenant(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    for event in (
        model.Output("a", "recalled of a\n"),
        model.Output("b", "recalled of b\n"),
        started("c"),
        model.Output("c", "said by c\n"),
        finished("c", MIGRATED),
        started("a"),
        model.Output("a", "said by a\n"),
        finished("a", MIGRATED),
    ):
        keep(event)
    keep.close()
    assert ["recalled of a\nsaid by a\n", "recalled of b\n", "said by c\n"] == [
        output_of(tmp_path, name) for name in "abc"
    ]


def test_the_output_of_tenants_at_the_same_time_is_each_ones_own(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    said = [model.Output(name, f"{number} of {name}\n") for number in (1, 2) for name in "ab"]
    for event in (started("a"), started("b"), *said, finished("b", MIGRATED), finished("a", MIGRATED)):
        keep(event)
    assert ["1 of a\n2 of a\n", "1 of b\n2 of b\n"] == [output_of(tmp_path, name) for name in "ab"]


def test_output_that_is_no_text_is_kept(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    for event in (started("a"), model.Output("a", "\ud800\x1b[31m\n"), finished("a", MIGRATED)):
        keep(event)
    assert "\\ud800\x1b[31m\n" == output_of(tmp_path, "a")


def test_a_full_disk_lets_the_tenant_end_and_no_other_start(tmp_path):
    keep = files.TenantFiles(folder(tmp_path))
    keep(started("a"))
    with files_no_longer_than(0):
        keep(model.Output("a", "x" * 100_000 + "\n"))
        keep(model.Output("a", "more\n"))
        keep(finished("a", MIGRATED))
    with pytest.raises(errors.JournalError) as raised:
        keep(started("b"))
    assert f"{tmp_path}/tenants can't be written: File too large" == str(raised.value)


def test_a_file_that_can_not_be_made_lets_the_tenant_end_and_no_other_start(tmp_path):
    keep = files.TenantFiles(tmp_path)  # without a folder for the tenants
    for event in (started("a"), model.Output("a", "x\n"), model.Output("a", "more\n"), finished("a", MIGRATED)):
        keep(event)
    with pytest.raises(errors.JournalError) as raised:
        keep(started("b"))
    assert f"{journal.tenant_file(tmp_path, 'a')} can't be written: No such file or directory" == str(raised.value)


def test_an_id_is_one_word_of_a_line(tmp_path):
    lines = logged(tmp_path / "run.log", finished("a ERROR tenant=b\u3000c\td", FAILED, error="no"))
    assert r"a\x20ERROR\x20tenant=b\x3000c\x09d" == lines[0].split()[2].removeprefix("tenant=")


# ---------------------------------------------------------------- an output that is heard once more


def new_of(folder: Path, known: str, *pieces: str) -> str:
    """What is new of an output that comes in pieces, where the tenant's file holds `known`."""
    (folder / "tenants").mkdir(exist_ok=True)
    journal.tenant_file(folder, "acme").write_text(known, encoding="utf-8")
    new = files.New(folder, "acme")
    found = ""
    for piece in pieces:
        found += new.of(piece)
        journal.tenant_file(folder, "acme").write_text(known + found, encoding="utf-8")  # what is new is kept at once
    return found


@pytest.mark.parametrize("known", ["", "one\n", "one\ntw", "one\ntäwo\n", "one\ntäwo\nthree\n"])
def test_only_what_the_file_does_not_hold_yet_is_new(tmp_path, known):
    whole = "one\ntäwo\nthree\n"
    expected = whole.removeprefix(known) if whole.startswith(known) else whole.removeprefix("one\n")
    assert new_of(tmp_path, known, "one\n", "täwo\n", "three\n") == expected
    assert new_of(tmp_path, known, whole) == (expected if whole.startswith(known) else whole)


def test_what_is_printed_again_and_again_is_new_each_time(tmp_path):
    assert new_of(tmp_path, "dot\n", *["dot\n"] * 3) == "dot\ndot\n"


def test_of_a_tenant_without_a_file_all_is_new(tmp_path):
    assert files.New(tmp_path, "acme").of("one\n") == "one\n"


def test_an_event_stands_in_the_file_in_words_and_is_known_there(tmp_path):
    event = '{"v": 1, "seq": 1, "event": "TenantStarted", "tenant": "acme", "pending": ["x.1"]}\n'
    assert new_of(tmp_path, "migrating (1 pending)\n", event, "one\n") == "one\n"
