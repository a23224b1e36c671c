"""What a run hears: signals before words, words from another terminal, and nothing that nobody said."""

from __future__ import annotations

import io
import os
import pty
import sys

import pytest

from opskit import control
from opskit.rollout import step
from opskit.tasks import desk, interrupts

PAUSE = control.Said(control.PAUSE, "ann@ops2")
HOW = "`invoke continue --env=prod` goes on, `invoke stop --env=prod` ends the run"


@pytest.fixture
def watch(tmp_path):
    made = desk.Desk(tmp_path, interrupts.Interrupts(lambda _: None), "prod", "deploy@ops1")
    made.told = []
    made.say = made.told.append
    return made


@pytest.fixture
def typing(monkeypatch):
    """A terminal for stdin, as if it were ours: its other end, to type at."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
        yield ours
    os.close(ours)
    os.close(theirs)


def test_nothing_said_is_nothing_wanted(watch, tmp_path):
    assert watch.word() == step.NOTHING_SAID
    (tmp_path / "control.json").write_text('{"word": "dance", "by": "x", "why": ""}')
    assert watch.word() == step.NOTHING_SAID
    assert watch.told == []


def test_pause_continue_and_stop_are_heard_and_told_once(watch, tmp_path):
    control.say(tmp_path, PAUSE)
    assert [watch.word(), watch.word()] == [step.Word(pause="paused by ann@ops2")] * 2
    control.say(tmp_path, control.Said(control.CONTINUE, "bob@ops3"))
    assert [watch.word(), watch.word()] == [step.NOTHING_SAID] * 2
    control.say(tmp_path, control.Said(control.STOP, "bob@ops3"))
    assert watch.word() == step.Word(stop="bob@ops3 said stop")
    assert watch.told == [f"paused by ann@ops2. {HOW}", "bob@ops3 said continue"]


def test_a_word_that_somebody_broke_changes_nothing(watch, tmp_path):
    control.say(tmp_path, PAUSE)
    assert watch.word().pause
    (tmp_path / "control.json").write_text("")
    assert watch.word().pause
    (tmp_path / "control.json").unlink()
    assert watch.word().pause
    assert len(watch.told) == 1


def test_ctrl_c_outranks_a_pause(tmp_path):
    interrupted = interrupts.Interrupts(lambda _: None)
    watch = desk.Desk(tmp_path, interrupted, "prod", "deploy@ops1")
    control.say(tmp_path, PAUSE)
    interrupted.asked = True
    assert watch.word() == step.Word(stop=step.INTERRUPTED)


def test_a_pause_of_its_own_is_ended_like_any_other(watch, tmp_path):
    watch.pause("the canary is home")
    assert watch.word() == step.Word(pause="the canary is home")
    assert control.heard(tmp_path).reason == "the canary is home"
    control.say(tmp_path, control.Said(control.CONTINUE, "ann@ops2"))
    assert watch.word() == step.NOTHING_SAID
    assert watch.told == [f"the canary is home: the others wait. {HOW}", "ann@ops2 said continue"]


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        (b"\n", step.NOTHING_SAID),
        (b" continue \n", step.NOTHING_SAID),
        (b"stop\n", step.Word(stop="deploy@ops1 said stop")),
        (b"no\n", step.Word(stop="deploy@ops1 said stop")),
        (b"\x04", step.Word(stop="deploy@ops1 said stop")),
        (b"conti\x04", step.Word(stop="deploy@ops1 said stop")),
        (b"\xff\xfe\n", step.Word(stop="deploy@ops1 said stop")),
    ],
)
def test_what_is_typed_at_a_pause_answers_it(watch, typing, typed, word):
    watch.pause("the canary is home")
    assert watch.word() == step.Word(pause="the canary is home")
    os.write(typing, typed)
    assert watch.word() == word
    assert watch.told[0].startswith("the canary is home: the others wait. Enter goes on, `stop` and Enter ends the run")


def test_half_a_line_is_no_answer_yet(watch, typing):
    watch.pause("the canary is home")
    os.write(typing, b"sto")
    assert watch.word() == step.Word(pause="the canary is home")
    os.write(typing, b"p\n")
    assert watch.word().stop


def test_an_enter_typed_before_the_pause_is_no_answer(watch, typing, tmp_path):
    os.write(typing, b"\n\n")
    watch.pause("the canary is home")
    assert watch.word() == step.Word(pause="the canary is home")
    os.write(typing, b"\n")
    assert watch.word() == step.NOTHING_SAID
    os.write(typing, b"\n")  # nothing is asked, and this is kept for no later question
    control.say(tmp_path, PAUSE)
    assert [watch.word(), watch.word()] == [step.Word(pause="paused by ann@ops2")] * 2


def test_a_terminal_that_hung_up_says_nothing_more(watch, typing):
    """Its SIGHUP ends the run; under nohup there is `invoke continue`."""
    watch.pause("the canary is home")
    ours, theirs = pty.openpty()
    os.dup2(ours, typing)
    os.close(ours)
    try:
        assert watch.word() == step.Word(pause="the canary is home")
    finally:
        os.close(theirs)


@pytest.mark.parametrize("stdin", [None, io.StringIO("\n")])
def test_without_a_terminal_nothing_is_read(watch, monkeypatch, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    watch.pause("the canary is home")
    assert watch.word() == step.Word(pause="the canary is home")
    assert watch.told == [f"the canary is home: the others wait. {HOW}"]


def test_a_terminal_that_another_process_has_in_front_is_not_touched(watch, typing, monkeypatch):
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    watch.pause("the canary is home")
    os.write(typing, b"\n")
    assert watch.word() == step.Word(pause="the canary is home")
    assert watch.told == [f"the canary is home: the others wait. {HOW}"]
