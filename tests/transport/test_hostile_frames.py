"""Whatever comes over the line, it is an answer, a lost line or a refusal: never a traceback."""

from __future__ import annotations

import json
import queue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit import errors, model
from opskit.transport import agent, lines, stream

FAST = agent.Timing(beat=60.0, silence=5.0, start=5.0)
OPENING = {"path": "/srv", "lock": True}
READY = {"type": "ready", "path": "/srv", "python": "3.11.7", "revision": "", "records": []}


class Line:
    """A stream that says `first`, and `then` when it is asked to run something, in pieces, and then closes."""

    def __init__(self, first: bytes, then: bytes | None = None, piece: int = 1000) -> None:
        self._pieces: queue.Queue[bytes] = queue.Queue()
        self._piece = piece
        self._then = then
        self._say(first)
        if then is None:
            self.close()

    def _say(self, said: bytes) -> None:
        for at in range(0, len(said), self._piece):
            self._pieces.put(said[at : at + self._piece])

    def send(self, data: bytes) -> None:
        if b'"type": "run"' in data and self._then is not None:
            self._say(self._then)
            self.close()

    def recv(self) -> bytes:
        return self._pieces.get()

    def close(self) -> None:
        self._pieces.put(b"")

    def stderr(self) -> str:
        return ""

    def exit(self, timeout: float) -> int | None:
        return None

    def refusal(self) -> None:
        return None


def frame(kind: bytes, payload: bytes) -> bytes:
    return agent.HEADER.pack(kind, len(payload)) + payload


def said(message: object) -> bytes:
    return frame(b"J", json.dumps(message).encode())


def heard(ready: bytes, *frames: bytes, piece: int = 1000) -> model.Reply | errors.OpskitError:
    """What becomes of a command whose agent says this."""
    spoken = agent.Agent(Line(stream.MAGIC + ready, b"".join(frames), piece), FAST)
    try:
        spoken.open(OPENING)
        return spoken.run({"args": []}, lines.Lines())
    except errors.OpskitError as error:
        return error
    finally:
        spoken.close()


ENDED = {"type": "ended", "id": 1, "exit": 0, "seconds": 0.1}
NO_AGENT = [
    b"not json",
    b"[]",
    b"null",
    b"{}",
    b'{"type": []}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"type": "ended", "id": 1}',
    b'{"type": "ended", "id": 1, "exit": "0", "seconds": 1}',
    b'{"type": "ended", "id": 1, "exit": NaN, "seconds": 1}',
    b'{"type": "ended", "id": 1, "exit": 0, "seconds": Infinity}',
    b'{"type": "ended", "id": 1, "exit": 1' + b"0" * 5000 + b', "seconds": 1}',
]


@pytest.mark.parametrize("payload", NO_AGENT, ids=[each[:40].decode("latin-1") for each in NO_AGENT])
def test_a_message_that_no_agent_says_loses_the_line_and_nobody_knows_how_the_command_ended(payload):
    reply = heard(said(READY), frame(b"J", payload), said(ENDED))
    assert (None, "what came is not a message of the agent's") == (reply.exit, reply.error)


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_frames_arrive_in_any_pieces(piece):
    reply = heard(said(READY), frame(b"O", b"one\n"), said({"type": "new", "x": 1}), said(ENDED), piece=piece)
    assert (0, "one\n") == (reply.exit, reply.tail)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["ended", "ready", "refused", "", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*READY, *ENDED, "error"]), inner, max_size=4)
    ),
    max_leaves=8,
)
NEAR = st.builds(
    lambda base, key, value: {**base, key: value},
    st.sampled_from(
        [READY, ENDED, {"type": "refused", "why": "locked", "holder": {}}, {"type": "not_started", "id": 1}]
    ),
    st.sampled_from([*READY, *ENDED, "why", "holder", "message", "error", "record", "timed_out"]),
    JSON,
)
FRAMES = st.one_of(
    st.builds(said, JSON | NEAR),
    st.builds(frame, st.sampled_from([b"O", b"E", b"J"]), st.binary(max_size=40)),
    st.binary(max_size=20),
)


@settings(max_examples=300, deadline=None)
@given(st.just(said(READY)) | st.builds(said, NEAR), st.lists(FRAMES, max_size=5))
def test_no_frames_raise_anything_else(ready, frames):
    assert isinstance(heard(ready, *frames), model.Reply | errors.OpskitError)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    spoken = agent.Agent(Line(data, piece=50), FAST)
    with pytest.raises(errors.OpskitError):
        spoken.open(OPENING)
