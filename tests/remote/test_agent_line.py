"""The agent's line to its controller, where it needs no agent."""

import contextlib
import os

import pytest

from opskit.remote.agent import frames, line


@contextlib.contextmanager
def lines():
    """A line, the two files of its other end (one to write to, one to read from), and how often it was given up."""
    (incoming, to_it), (from_it, outgoing) = os.pipe(), os.pipe()
    gone = []
    with os.fdopen(to_it, "wb", 0) as saying, os.fdopen(from_it, "rb", 0) as hearing:
        try:
            yield line.Line(incoming, outgoing, lambda: gone.append(1)), saying, hearing, gone
        finally:
            os.close(incoming)
            os.close(outgoing)


def frame(text: str) -> bytes:
    return frames.HEADER.pack(b"J", len(text)) + text.encode()


def test_messages_are_heard_one_by_one_however_they_come():
    said = frame('{"type": "bye"}') + frame('{"type": "lock"}')
    for cut in range(1, len(said)):
        with lines() as (ours, to_it, _, gone):
            heard = []
            for piece in (said[:cut], said[cut:]):
                to_it.write(piece)
                heard += [message["type"] for message in ours.messages()]
            assert (["bye", "lock"], []) == (heard, gone)


def test_nothing_said_is_nothing_heard():
    with lines() as (ours, _, _, gone):
        assert ([], []) == (list(ours.messages()), gone)


@pytest.mark.parametrize("end", ["theirs is closed", "ours is stopped"])
def test_a_controller_that_is_gone_is_given_up_once_and_nothing_more_is_said(end):
    with lines() as (ours, to_it, _, gone):
        ours.say(type="ready")
        if end == "theirs is closed":
            to_it.close()
        else:
            to_it.write(frame('{"type": "run"}'))
            ours.heard -= 2 * ours.silence
        assert [] == list(ours.messages())
        ours.hang_up()
        ours.say(type="ended")
        assert ([1], [], []) == (gone, ours.reads(), ours.writes())


def test_what_the_line_does_not_take_waits_and_comes_in_order():
    with lines() as (ours, _, from_it, _):
        pieces = [bytes([number]) * 100_000 for number in range(20)]
        for piece in pieces:
            ours.send(b"P", piece)
        assert ours.full()
        came = b""
        while ours.writes():
            ours.flush()
            came += from_it.read(frames.CHUNK)
        assert not ours.full()
        while len(came) < 20 * (100_000 + frames.HEADER.size):
            came += from_it.read(frames.CHUNK)
        assert came == b"".join(frames.HEADER.pack(b"P", len(piece)) + piece for piece in pieces)
