"""One question to a host where no agent can be opened yet: nobody knows where the project is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from opskit import errors
from opskit.transport import agent, limits, stream

_LARGEST = 4 * 1024 * 1024  # bytes of an answer, and of what a login shell says before it


def ask(
    line: stream.Stream, program: str, mark: bytes, question: Mapping[str, Any], patience: float = 120.0
) -> dict[str, Any]:
    """What a program of `remote/` answers: it gets the question as a line of JSON, and prints `mark` and JSON.

    Raises RemoteError and ConnectError; after `patience` seconds without an end, too. The line is closed.
    """
    with limits.ended(line.close, patience) as late:
        try:
            with contextlib.suppress(OSError):  # who stops listening may have said why before
                line.send(_program(program) + json.dumps(question).encode() + b"\n")
            said = _all(line)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the line is dead
            said = str(error).encode()
    _, found, told = said.partition(mark)
    if found and not late.is_set():
        line.close()
        return _read(told)
    raise _silent(line, f"it said nothing for {patience:.0f} s" if late.is_set() else "it said nothing")


def _program(name: str) -> bytes:
    text = stream.source(name).encode()
    return b"%d\n" % len(text) + text


def _all(line: stream.Stream) -> bytes:
    data = b""
    while len(data) < _LARGEST:
        more = line.recv()
        if not more:
            break
        data += more
    return data


def _read(told: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(told)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise errors.RemoteError("what came back is not an answer")
    return answer


def _silent(line: stream.Stream, otherwise: str) -> errors.OpskitError:
    """Why there is no answer: the last words of the remote shell, of sudo or of Python tell most."""
    said = agent.last_words(stream.of_others(line.stderr()))
    code = line.exit(1.0)
    refusal = line.refusal()
    line.close()
    if refusal is not None:
        return refusal
    ended = "" if code is None else f" (exit {code})"
    return errors.RemoteError(f"its Python did not start: {said or otherwise}{ended}")
