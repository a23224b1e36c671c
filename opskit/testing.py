"""Public fakes, for tests of opskit and of what is built on it: a clock, and a fleet that answers from a script.

Both keep the real ones' promises: nothing here sleeps, connects or starts anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from opskit import errors, model
from opskit.transport import agent, lines

__all__ = ["Answer", "FakeClock", "ScriptedFleet"]

START = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
_PIECE = 7  # bytes: what a command prints arrives in pieces that split lines and characters


class FakeClock:
    """A `rollout.drive.Clock` on which time passes only by sleeping, at once.

    `slept` is every sleep asked for, in seconds, oldest first.
    """

    def __init__(self, start: datetime = START) -> None:
        self.slept: list[float] = []
        self._start = start
        self._passed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._passed += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass without a sleep: a command that takes its time."""
        self._passed += seconds


Answer = model.Reply | Callable[[model.Command], model.Reply]
"""What a command is answered with. A callable may raise what the real fleet raises: ConnectError, LockHeld, …"""


class ScriptedFleet:
    """Offers what the tasks use of `transport.fleet.Fleet`, and answers from a script.

    `script` is {label: answer}. The label of a migration is its tenant's id; that of a question is the question's
    name (`status`), and that of another command asked its first argument (`showtenants`). `otherwise` answers
    what has no label of its own; without it that is a LookupError, which no code of opskit catches. What the
    command of a record had printed when a run was cut off has the label `recall <its label>`.

    An answer's `out` is what the command prints. For a migration it arrives in small pieces and makes the
    reply's marks and tail as a real one does; to a question it is the answer, and `tail` is what stderr said.
    An answer whose exit is None is a lost connection: `ask` raises ConnectError, and the next command connects again.
    """

    def __init__(
        self,
        script: Mapping[str, Answer] | None = None,
        *,
        otherwise: Answer | None = None,
        host: str = "app1",
        ready: agent.Ready | None = None,
    ) -> None:
        self.commands: list[model.Command] = []  # seen so far, oldest first
        self.labels: list[str] = []  # of each command
        self.recalled: list[Mapping[str, Any]] = []  # records whose output was asked for
        self.forgotten: list[Mapping[str, Any]] = []  # records that were read and written down
        self.connected = 0  # how often
        self.closed = False
        self.notice: Callable[[str], None] = lambda _: None
        self.watch: Callable[[], None] = lambda: None
        self.ended = 0  # how often it was asked to end the command at work
        self.settings: dict[str, str] = {}  # of PostgreSQL
        self.usual: dict[str, dict[str, str]] = {}
        self.left: tuple[Mapping[str, Any], ...] = ()  # nothing is ever left at work here, and nobody else has the lock
        self.heard = ""
        self.host = ""
        self.ready = agent.Ready("", "", "", ())
        self._script = dict(script or {})
        self._otherwise = otherwise
        self._host = host
        self._ready = ready or agent.Ready("/srv/acme/current", "3.11.7", "", ())
        self._serving = False
        self._locked = True

    def open(self) -> agent.Ready:
        self.connected += 1
        self.host, self.ready = self._host, self._ready
        self._serving = True
        return self.ready

    def without_lock(self) -> ScriptedFleet:
        """Another one with the same script, which may only ask. What it is asked is seen in this one's lists, too."""
        asking = ScriptedFleet(self._script, otherwise=self._otherwise, host=self._host, ready=self._ready)
        asking.commands, asking.labels, asking.notice = self.commands, self.labels, self.notice
        asking._locked = False
        return asking

    @property
    def serving(self) -> bool:
        """Whether it is open, and its line lives."""
        return self._serving

    def ask(self, command: model.Command, *, configured: bool = False, usual: bool = False) -> model.Reply:  # noqa: ARG002 - the real one's
        """The scripted answer. Raises ConnectError for one without an exit code."""
        reply = self._answer(command.question or command.args[0], command)
        if reply.exit is None:
            raise errors.ConnectError(f"lost {self.host} while asking: {reply.error}")
        said = lines.Lines()
        _print(said, reply.tail)
        error = "it timed out" if reply.timed_out else reply.error
        return replace(reply, marks=(), tail=said.tail, error=error)

    def take_lock(self) -> None:
        """There is nobody to wait for."""

    def run(
        self,
        command: model.Command,
        label: str,
        patterns: Sequence[re.Pattern[str]],
        hear: lines.Hear,
        *,
        leaves: Callable[[str], None] = lambda _: None,
        cold: bool = False,  # noqa: ARG002 - the real one's
    ) -> model.Reply:
        """The scripted answer, whose `out` is printed: its marks and its tail are those of the text."""
        if not self._locked:
            return model.Reply(exit=agent.NOT_STARTED, error="not started: the agent does not hold the lock")
        leaves(self.host)
        reply = self._answer(label, command)
        printed = lines.Lines(patterns, hear)
        _print(printed, reply.out)
        return replace(reply, marks=printed.marks, tail=printed.tail, out="")

    def end(self) -> None:
        self.ended += 1

    @property
    def at_work(self) -> str:
        return self.host

    def application_name(self, tenant: str, run_id: str = "") -> str:
        """What PostgreSQL would show of a tenant's connection; this run is called `run`."""
        return f"opskit/{run_id or 'run'}/{tenant}"[:63]

    def recall(
        self, record: Mapping[str, Any], patterns: Sequence[re.Pattern[str]], hear: lines.Hear
    ) -> model.Reply | None:
        """What a record's command printed when nobody heard it is the `out` of the script's `recall <label>`.

        It can't be read where that answer has another exit than 0.
        """
        self.recalled.append(record)
        output = lines.Lines(patterns, hear)
        answer = self._script.get(f"recall {record.get('label', '?')}")
        if isinstance(answer, model.Reply):
            _print(output, answer.out)
            if answer.exit != 0:
                return None
        return model.Reply(exit=record.get("exit"), marks=output.marks, tail=output.tail)

    def forget(self, record: Mapping[str, Any]) -> None:
        self.forgotten.append(record)

    def close(self) -> None:
        self._serving = False
        self.closed = True

    def _answer(self, label: str, command: model.Command) -> model.Reply:
        if not self._serving:
            if self.connected:
                self.notice(f"lost {self.host} between two tenants: connecting again")
            self.open()
        self.commands.append(command)
        self.labels.append(label)
        answer = self._script.get(label, self._otherwise)
        if answer is None:
            raise LookupError(f"nothing is scripted for `{label}`: {command}")
        reply = answer(command) if callable(answer) else answer
        self._serving = reply.exit is not None
        return reply


def _print(hearer: lines.Lines, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    for start in range(0, len(data), _PIECE):
        hearer.feed(data[start : start + _PIECE])
    hearer.end()
