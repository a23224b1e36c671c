"""The controller's end of the agent: frames, heartbeats, and the Reply of one command."""

from __future__ import annotations

import contextlib
import json
import queue
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opskit import errors, model
from opskit.frameworks import django
from opskit.transport import stream
from opskit.transport.lines import Lines

HEADER = struct.Struct(">cI")
PLACE = struct.Struct(">Q")
BEAT = b'{"type": "beat"}'  # being heard is all that it is for
LARGEST = 16 * 1024 * 1024  # bytes of one frame; more is not the agent speaking
PREAMBLE = 64 * 1024  # bytes that a login shell may print before the agent speaks
ANSWER = 256 * 1024 * 1024  # bytes of one answer to a question
WATCH = 0.25  # seconds between two looks at what the operator wants, while a command is at work
_FULL = "the host's disk is full where opskit keeps the output (`app.state_dir`): the command may have failed of that"
_ANSWERED = {"reads": True, "apart": True}  # what makes a command a question
_MOST = 2.0**53  # of any number that an agent says
PIECE = 32 * 1024  # bytes that are sent at once: of each it is watched whether the host takes it
GOODBYE = 2.0  # seconds for the agent to hang up, once it was told to
NOT_STARTED = 127  # the exit code of a command that could not be started, as a shell gives it


@dataclass(frozen=True)
class Timing:
    """Seconds: between beats, of silence until the other end is given up, and for the agent to appear."""

    beat: float = 5.0
    silence: float = 60.0
    start: float = 30.0
    again: float = 1.0  # the first pause between two tries to reach a host again; each is longer
    still: float = (
        120.0  # without a word and a database, before a forked command is taken for stuck; or 3 times the longest
    )


USUAL = Timing()


class Lost(Exception):  # noqa: N818 - it is a state of the line
    """The line is dead; the message says how."""


class Dead(errors.ConnectError):
    """The line was dead before the command was sent: it has not been started, and may go elsewhere."""


@dataclass(frozen=True)
class Ready:
    """What the agent says of itself once it is in the project, also where it was refused the lock that was asked for.

    `records` are commands whose end no controller has heard: {run, label, started, ended?, exit?, tail?, path}.
    """

    path: str
    python: str
    revision: str
    records: tuple[Mapping[str, Any], ...]


class Agent:
    """One agent process on one host. Not for use from several threads at once.

    `after` is the agent whose place this one takes: commands are numbered on, and what it heard last may be forgotten.
    Without one they are numbered from behind `last` on.
    """

    def __init__(
        self, line: stream.Stream, timing: Timing = USUAL, after: Agent | None = None, *, last: int = 0
    ) -> None:
        self.holds = False  # the lock
        self.ready = Ready("", "", "", ())
        self.pid: int | None = None  # of the command at work
        self.at = 0  # how far its output has been heard
        self.watch: Callable[[], None] = lambda: None  # called every now and then while a command is at work
        self.found: Callable[[bool], None] = lambda _: None  # hears whether a followed command still runs
        self.remark: Callable[[str], None] = lambda _: None  # hears what the host has to say beside commands
        self._line = line
        self._timing = timing
        self._frames: queue.Queue[tuple[bytes, bytes] | Lost] = queue.Queue(maxsize=32)
        self._sending = threading.Lock()
        self._beats = False  # not before the agent has answered: a sudo would take them for passwords
        self._pushing: float | None = None  # since when a piece waits for the host to take it
        self._stalled = False
        self._closed = threading.Event()
        self._heard = time.monotonic()
        self._lost: Lost | None = None
        self.number: int = after.number if after else last  # of the last command
        self.record: str = after.record if after else ""  # of a command whose end was heard, until it may be forgotten
        self._ahead: Mapping[str, Any] | None = None  # a question that was sent with the opening, and not heard yet
        self._sent = False  # whether the other end was told anything
        self._preamble = b""  # what came on stdout while the agent had not spoken
        self._reader = threading.Thread(target=self._read, daemon=True, name="opskit-reader")
        self._reader.start()
        threading.Thread(target=self._beat, daemon=True, name="opskit-beat").start()

    # -- the start

    def open(
        self,
        opening: Mapping[str, Any],
        sudo_password: str | None = None,
        ahead: Mapping[str, Any] | None = None,
    ) -> Ready:
        """Send the agent, enter the project. Raises ConnectError, RemoteError or LockHeld.

        `opening` is the `open` frame without its timing; `sudo_password` is for a sudo that was told to ask. `ahead` is
        a question that goes with it, for the next `ask` to be answered at once: an agent that refuses the opening
        refuses that, too.
        """
        try:
            if sudo_password and not stream.admit(self._line, sudo_password, self._timing.start):
                self.close()
                raise errors.RemoteError("sudo did not take the password. it was tried once")
            kind, _ = self._next(self._timing.start)  # before it nobody is told anything: the opening may hold secrets
            if kind != b"M":
                raise Lost("it spoke out of turn")
            self._sent = True
            self._send(stream.agent_source())
            self._say(type="open", beat=self._timing.beat, silence=self._timing.silence, **opening)
            if ahead is not None:
                self._ahead = ahead
                self.number += 1
                self._say(type="run", id=self.number, **ahead, **_ANSWERED)
            kind, payload = self._next(self._timing.start)
            if kind != b"J":
                raise Lost("it spoke out of turn")
            answer = self._told(_message(payload))
        except (Lost, OSError) as error:
            raise self._no_start(error) from error
        self._beats = True
        return self._entered(answer, opening)

    def lock(self, opening: Mapping[str, Any]) -> Ready:
        """Ask again for the lock that was refused, where the opening was patient. Raises LockHeld, or Dead."""
        try:
            self._say(type="lock")
            kind, payload = self._next(self._timing.silence)
            answer = self._told(_message(payload) if kind == b"J" else {"type": ""})
        except (Lost, OSError) as error:
            self._lost = self._lost or Lost(str(error))
            raise Dead(str(error)) from error
        return self._entered(answer, opening)

    def _told(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer to `open` or `lock`, kept as `ready` where it says what is here."""
        if answer["type"] != "refused" or answer.get("why") == "locked":
            self.ready = _ready(answer)
        return answer

    def _entered(self, answer: Mapping[str, Any], opening: Mapping[str, Any]) -> Ready:
        if answer["type"] == "refused":
            raise _refusal(answer)
        self.holds = bool(opening.get("lock"))
        return self.ready

    def _no_start(self, error: Exception) -> errors.OpskitError:
        """Why there is no agent: the last words of the remote shell, of sudo or of Python tell most."""
        said = last_words(stream.of_others(self._line.stderr()))
        code = self._line.exit(1.0)
        if code is not None:  # nologin, say, speaks on stdout
            said = said or last_words(self._preamble.decode("utf-8", "replace"))
        refusal = self._line.refusal()
        self.close()
        if refusal is not None:
            return refusal
        if code is None and not said:
            return errors.ConnectError(f"the agent did not start: {error}")
        ended = "" if code is None else f" (exit {code})"
        why = "sudo" if said.startswith("sudo: ") else "python"
        return errors.RemoteError(f"the agent did not start: {said or 'app.python said nothing'}{ended}", why=why)

    # -- commands

    def run(self, request: Mapping[str, Any], lines: Lines, errors_: Lines | None = None) -> model.Reply:
        """Run one command and hear it to its end.

        `request` is a `run` frame without type and id. Raises Dead where the line was dead before
        anything was sent; once it was sent, a dead line is a Reply without an exit code.
        """
        if self._ahead is not None:  # nobody wants to know any more
            self._answer(None)
        if self.lost:
            raise Dead(str(self.lost))
        self._collect()
        self.number += 1
        self.at = 0
        return self._to_its_end({"type": "run", **request}, lines, errors_ or lines)

    def follow(self, at: int, timeout: float | None, lines: Lines) -> model.Reply:
        """Hear the last command of the agent before this one to its end, from byte `at` of its output on.

        A Reply without an exit code is `over` where the command is known not to run any more.
        """
        self.at = at
        return self._to_its_end({"type": "follow", "at": at, "timeout": timeout}, lines, lines)

    def end(self) -> None:
        """End the command at work: SIGTERM to its process group, after a grace SIGKILL. How it ended comes as usual."""
        with contextlib.suppress(OSError):
            self._say(type="end", id=self.number)

    def _to_its_end(self, message: Mapping[str, Any] | None, lines: Lines, errors_: Lines) -> model.Reply:
        """Say it, unless it was said, and hear what comes.

        The lines are ended where nothing more can come: a lost line may be regained.
        """
        began = time.monotonic()
        self.pid = None
        try:
            if message is not None:
                self._say(id=self.number, **message)
            ended = self._hear(lines, errors_)
        except (Lost, OSError) as error:
            self._lost = error if isinstance(error, Lost) else Lost(str(error))
            ended = {"exit": None, "error": str(error)}
        if ended["exit"] is not None or ended.get("over"):
            self.pid = None
            end_all(lines, errors_)
        return model.Reply(
            exit=ended["exit"],
            marks=lines.marks,
            tail=errors_.tail or lines.tail,
            seconds=ended.get("seconds", time.monotonic() - began),
            timed_out=ended.get("timed_out") is True,
            asked=ended.get("asked") is True,
            over=ended.get("over") is True,
            stuck=ended.get("stuck") is True,
            error=ended.get("error", "") or (_FULL if ended.get("full") else ""),
        )

    def ask(self, request: Mapping[str, Any]) -> model.Reply:
        """Run a question: a command that changes nothing, whose stdout is wanted whole and apart from stderr."""
        return self._answer(None if request == self._ahead else request)

    def _answer(self, request: Mapping[str, Any] | None) -> model.Reply:
        """The Reply to a question, None for the one that was sent ahead."""
        answer, said = _Answer(), Lines()
        if request is None:
            self._ahead = None
            reply = self._to_its_end(None, answer, said)
        else:
            reply = self.run({**request, **_ANSWERED}, answer, said)
        if answer.full:
            return model.Reply(exit=NOT_STARTED, error=f"its answer is longer than {ANSWER // 2**20} MB")
        return model.Reply(
            exit=reply.exit,
            tail=reply.tail,
            out=answer.text(),
            seconds=reply.seconds,
            timed_out=reply.timed_out,
            error="it timed out" if reply.timed_out else reply.error,
        )

    def collected(self, path: str) -> None:
        """The end of the command with this record has been heard and written down: the host may forget it."""
        with contextlib.suppress(OSError):
            self._say(type="collected", path=path)

    def _collect(self) -> None:
        """Whoever asks for the next command, or says goodbye, has written down how the last one ended."""
        record, self.record = self.record, ""
        if record:
            self.collected(record)

    @property
    def lost(self) -> Lost | None:
        """Why the line is dead; None while it lives. An end that was read and not yet heard counts."""
        if self._lost is None and time.monotonic() - self._heard > self._timing.silence:
            self._lost = Lost(f"nothing was heard for {self._timing.silence:.0f} s")
        if self._lost is None and self._ahead is None and self._frames.qsize():  # else an answer may be among them
            with contextlib.suppress(Lost):
                self._next(self._timing.silence)
        return self._lost

    def close(self) -> None:
        """Say goodbye and hang up; a command at work goes on to its end without us."""
        self._closed.set()
        if self._lost is None:  # else the agent that comes after this one does
            self._collect()
        if self._ahead is not None:
            self.end()
        if self._sent:  # to a sudo that still asks, a goodbye would be a password
            with contextlib.suppress(OSError):
                self._say(type="bye")
        if self.holds and self.pid is None and self._lost is None:
            # Whoever closes a line with something unread in it resets it, and what was said last may be lost with it.
            self._reader.join(GOODBYE)
        self._line.close()

    # -- frames

    def _say(self, **message: Any) -> None:
        payload = json.dumps(message).encode()
        self._send(HEADER.pack(b"J", len(payload)) + payload)

    def _send(self, data: bytes) -> None:
        """Send it all. Raises OSError, also where a piece of it is not taken for as long as nobody may be silent."""
        with self._sending:
            try:
                for at in range(0, len(data), PIECE):
                    self._pushing = time.monotonic()
                    self._line.send(data[at : at + PIECE])
            except OSError:
                if not self._stalled:
                    raise
            finally:
                self._pushing = None
        if self._stalled:
            raise TimeoutError(f"it took nothing for {self._timing.silence:.0f} s")

    def _beat(self) -> None:
        """The thread that says that we are here, and hangs up where the host takes nothing more of what is said."""
        while not self._closed.wait(self._timing.beat):
            began = self._pushing
            if began is not None and time.monotonic() - began > self._timing.silence:
                self._stalled = True
                self._line.close()
                return
            if self._beats and began is None:
                try:
                    self._say(type="beat")
                except OSError:
                    return

    def _hear(self, lines: Lines, errors_: Lines) -> dict[str, Any]:
        """The frames of one command, until its end."""
        while True:
            kind, payload = self._next(self._timing.silence)
            if kind == b"P":
                if len(payload) < PLACE.size:
                    raise Lost("what came is not a piece of output")
                lines.feed(payload[PLACE.size :])
                (self.at,) = PLACE.unpack_from(payload)
            elif kind == b"O":
                lines.feed(payload)
            elif kind == b"E":
                errors_.feed(payload)
            else:
                ended = self._judge_message(_message(payload))
                if ended is not None:
                    return ended

    def _judge_message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["type"] == "remark":
            self.remark(str(message.get("text")))
        if message.get("id") != self.number:
            return None
        if message["type"] in ("started", "following"):
            self.pid = int(_number(message["pid"])) if message.get("pid") is not None else None
            if message["type"] == "following":
                self.found(message.get("alive") is True)
        if message["type"] == "ended":
            return self._ended(message)
        if message["type"] == "not_started":
            return {"exit": NOT_STARTED, "error": f"not started: {message.get('error')}", "seconds": 0.0}
        return None

    def _ended(self, message: dict[str, Any]) -> dict[str, Any]:
        seconds = _number(message.get("seconds"))
        if message.get("exit") is None and message.get("over") is False:  # its agent may yet stir
            return {**message, "exit": None, "seconds": seconds, "error": "its agent does not stir"}
        self.record = str(message.get("record") or "")
        if message.get("exit") is None and message.get("over") is True:
            return {**message, "exit": None, "seconds": seconds, "error": "nobody wrote down how it ended"}
        return {**message, "exit": int(_number(message.get("exit"))), "seconds": seconds}

    def _next(self, patience: float) -> tuple[bytes, bytes]:
        """The next frame. Raises Lost at the end, and after `patience` seconds without a byte."""
        while True:
            left = self._heard + patience - time.monotonic()
            self.watch()
            try:
                frame = self._frames.get(timeout=min(WATCH, max(0.05, left)))
            except queue.Empty:
                if time.monotonic() - self._heard >= patience:
                    self._line.close()
                    raise Lost(f"nothing was heard for {patience:.0f} s") from None
                continue
            if isinstance(frame, Lost):
                self._lost = frame
                raise frame
            return frame

    def _read(self) -> None:
        """The reader's thread: bytes to frames. Full queues slow the host down, not us."""
        try:
            data = self._skip_preamble()
            while True:
                data = self._frames_of(data)
                more = self._line.recv()
                if not more:
                    raise Lost("the connection was closed")
                self._heard = time.monotonic()
                data += more
        except Lost as lost:
            self._frames.put(lost)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the line is dead
            self._frames.put(Lost(f"{type(error).__name__}: {error}"))

    def _skip_preamble(self) -> bytes:
        """Everything before the agent's first word is somebody else's: a login shell's banner, say."""
        data = b""
        while stream.MAGIC not in data:
            self._preamble = data
            if len(data) > PREAMBLE:
                raise Lost(f"it printed {len(data)} bytes that are not the agent's")
            more = self._line.recv()
            if not more:
                raise Lost("the connection was closed before the agent spoke")
            self._heard = time.monotonic()
            data += more
        preamble, _, rest = data.partition(stream.MAGIC)
        self._frames.put((b"M", preamble))
        return rest

    def _frames_of(self, data: bytes) -> bytes:
        """Queue the whole frames of `data`; what is left over is the beginning of the next."""
        at = 0
        while len(data) - at >= HEADER.size:
            kind, length = HEADER.unpack_from(data, at)
            if kind not in b"JOPE" or length > LARGEST:
                raise Lost("what came is not a frame")
            if len(data) - at < HEADER.size + length:
                break
            payload = data[at + HEADER.size : at + HEADER.size + length]
            at += HEADER.size + length
            if payload != BEAT:
                self._frames.put((kind, payload))
        return data[at:]


def _message(payload: bytes) -> dict[str, Any]:
    """A JSON frame. Raises Lost for what no agent says: something between us speaks, or changes what is said."""
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise Lost("what came is not a message of the agent's")
    return message


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
        raise Lost("what came is not a message of the agent's")
    return value


def _ready(answer: Mapping[str, Any]) -> Ready:
    records = answer.get("records")
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise Lost("what came is not a message of the agent's")
    path, python, revision = (str(answer.get(name, "")) for name in ("path", "python", "revision"))
    return Ready(path, python, revision, tuple(records))


def end_all(*lines: Lines) -> None:
    """There is no more of these, each of them once."""
    for each in dict.fromkeys(lines):
        each.end()


class _Answer(Lines):
    """A whole stdout, up to a bound."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def full(self) -> bool:
        return self._size > ANSWER

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if not self.full:
            self._pieces.append(data)

    def text(self) -> str:
        return b"".join(self._pieces).decode("utf-8", "replace")


def last_words(stderr: str) -> str:
    """What a message needs of a stderr: sudo says first what is wrong, everybody else last."""
    sudo = next((line for line in stderr.splitlines() if line.startswith("sudo: ")), "")
    return django.one_line(sudo) if sudo else django.reason(stderr)


def _refusal(answer: Mapping[str, Any]) -> errors.OpskitError:
    if answer.get("why") == "locked":
        holder = answer.get("holder")
        return _held(holder if isinstance(holder, dict) else {})
    return errors.RemoteError(str(answer.get("message")), why=str(answer.get("why", "")))


def _held(holder: Mapping[str, Any]) -> errors.LockHeld:
    """Who holds the lock, as far as the host knows, and what to type."""
    run = str(holder.get("run", ""))
    at_work = holder.get("at_work")
    doing = f"`{at_work.get('label')}` (process {at_work.get('pid')})" if isinstance(at_work, dict) else ""
    if holder.get("orphan"):
        command = f"its command for `{holder.get('label')}` still runs there (process {holder.get('pid')})"
        return errors.LockHeld(f"the agent of run {run} was killed, and {command}", _follows(run), run, lone=True)
    if holder.get("stopped"):
        there = f", with {doing} at work" if doing else ""
        hint = f"there, `kill -CONT {holder.get('pid')}` lets it go on, and `kill -KILL {holder.get('pid')}` ends it."
        what = f"the agent of run {run} (process {holder.get('pid')}) is stopped there (SIGSTOP){there}"
        return errors.LockHeld(what, hint, run, lone=True)
    if holder.get("gone"):
        ends = f"finishes {doing} there" if doing else "is about to end"
        what = f"run {run} by {_operator(holder)} is cut off from whoever started it, and {ends}"
        return errors.LockHeld(what, _follows(run), run, lone=True)
    since = str(holder.get("at", ""))[:16].replace("T", " ")
    what = f"started {since} UTC by {_operator(holder)}, run {run or 'unknown'}"
    return errors.LockHeld(what, "`invoke status` shows it, where it was started.", run)


def _operator(holder: Mapping[str, Any]) -> str:
    return str(holder.get("operator", "somebody"))


def _follows(run: str) -> str:
    """What to type where a run has something at work, and nobody who waits for it."""
    return f"`invoke migrate-all --resume={run}`, where it was started, follows it; `--lock-wait=1h` waits for its end."
