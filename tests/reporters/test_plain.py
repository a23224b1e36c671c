"""Plain lines, for pipes, cron and CI."""

import io

import pytest

from opskit import model, testing
from opskit.reporters import plain

AT = testing.START
HOSTILE = ["\x1b[31mred", "a\nb", "[/x]", "1e5", "12345678901234567890", "\u202eabc", "\ud800", "ä", " "]


@pytest.fixture(autouse=True)
def _without_colours(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")


def printed(*events: model.Event, verbose: bool = False) -> list[str]:
    stream = io.StringIO()
    reporter = plain.Plain(stream, verbose=verbose)
    for event in events:
        reporter(event)
    assert stream.getvalue().endswith("\n") or not stream.getvalue()
    return stream.getvalue().split("\n")[:-1]


def finished(tenant: str, status=model.Status.FAILED, **more) -> model.TenantFinished:
    return model.TenantFinished(AT, model.Outcome(tenant, status, **more))


def test_a_level_stands_only_where_it_is_worth_an_eye():
    expected = [
        "14:02:00 WARNING app1 does not serve",
        "14:02:00 a: migrating, 1 of 0 (1 pending)",
        "14:02:00 a: finished: 1 migration, 2.0 s",
        "14:02:00 ERROR b: failed: it broke",
        "14:02:00 run ended: done: 1 migrated, 1 failed",
    ]
    events = [
        model.Notice(AT, "app1 does not serve"),
        model.TenantStarted(AT, "a", 1, "app1", ("x.1",)),
        finished("a", model.Status.MIGRATED, applied=("x.1",), seconds=2.0),
        finished("b", error="it broke"),
        model.RunFinished(AT, "done", {"migrated": 1, "failed": 1}),
    ]
    assert expected == printed(*events)


def test_a_pause_is_told_once_for_each_tenant():
    events = [model.Waiting(float(left), name) for name in "ab" for left in (90, 89, 88)]
    assert ["waiting 1m30s before a", "waiting 1m30s before b"] == printed(*events)


def test_what_commands_print_is_told_only_when_that_is_asked_and_names_its_tenant():
    events = [model.Output("a", "one\ntwo\n", "thr"), model.Output("b", "", "x"), model.Output("a", "three\n")]
    assert [] == printed(*events)
    assert ["a | one", "a | two", "a | three"] == printed(*events, verbose=True)


def test_what_commands_print_does_nothing_to_the_terminal():
    assert ["a | \\x1b[2Jone", "a | two"] == printed(model.Output("a", "\x1b[2Jone\rtwo\n"), verbose=True)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_event_is_one_line_whatever_the_id(name):
    events = [
        model.TenantStarted(AT, name, 1, "app1", None),
        finished(name, error=f"it broke: {name}"),
        model.Waiting(1.0, name),
        model.Notice(AT, name),
        model.Output(name, "text\n"),
    ]
    lines = printed(*events, verbose=True)
    assert len(events) == len(lines)
    assert not set("".join(lines)) & set("\x1b\r\u202e\ud800")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_no_encoding_fails(encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    reporter = plain.Plain(stream, verbose=True)
    reporter(finished("表\ud800", error="✓ müller"))
    reporter(model.Output("表", "✓\n"))
    stream.detach()
    assert 2 == raw.getvalue().count(b"\n")


def test_a_closed_stream_does_not_end_the_run():
    stream = io.StringIO()
    reporter = plain.Plain(stream, verbose=True)
    stream.close()
    for event in (finished("a"), model.Output("a", "x\n"), model.Waiting(1.0, "a")):
        reporter(event)


class Broken(io.StringIO):
    """A pipe whose reader is gone, and which counts the tries."""

    tries = 0

    def write(self, _text):
        self.tries += 1
        raise BrokenPipeError


def test_a_reader_that_is_gone_is_not_spoken_to_again():
    stream = Broken()
    reporter = plain.Plain(stream)
    reporter(finished("a"))
    reporter(finished("b"))
    assert 1 == stream.tries


def test_what_a_hook_prints_is_told_only_when_that_is_asked_and_its_beginning_always():
    events = [
        model.Said(AT, "hooks.before[0]", "started", quiet=False),
        model.Said(AT, "hooks.before[0]", "one\ntwo\n"),
        model.Said(AT, "hooks.tenant_before[0]", "three", "a"),
    ]
    quietly = ["14:02:00 hooks.before[0] | started"]
    aloud = [f"14:02:00 DEBUG {text}" for text in ("hooks.before[0] | one", "hooks.before[0] | two")]
    assert quietly == printed(*events)
    assert [*quietly, *aloud, "14:02:00 DEBUG a: hooks.tenant_before[0] | three"] == printed(*events, verbose=True)
