"""The environment's hosts, of which one serves: the next one steps in when it can't be reached."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opskit import durations, errors, model
from opskit.transport import agent, lines, local, openssh, starts, stream

_CAT = (  # a file that somebody took away has nothing to say
    "import os,shutil,sys\nif os.path.exists(sys.argv[1]): shutil.copyfileobj(open(sys.argv[1],'rb'),sys.stdout.buffer)"
)
_RECALL = 600.0  # seconds that reading a kept output may take
_SUDO_HINT = "`app.sudo_password: ask`, or a file of yours there, gives it one."
_RETRY = 1.0  # seconds between tries for a lock that our own lost agent is about to let go of
_NOT_AT_ONCE = 2  # tries that it usually takes: no news
_ASKED = 2  # times, where the line is lost meanwhile
_LONGEST = 30.0  # seconds between two tries to reach a lost host again
_TRIES = 10  # at least, to be let in by an sshd that turns some away
_APART = 1_000_000  # between the numbers of two workers' commands: their records are files in one folder


@dataclass(frozen=True)
class Hold:
    """Who asks for the lock, as the next one to ask will be told: {run, operator, at}. None in `Fleet` is no lock."""

    run: str
    operator: str
    at: str  # ISO 8601, UTC

    def frame(self) -> dict[str, str]:
        return {"run": self.run, "operator": self.operator, "at": self.at}


def connect(environment: model.Environment, host: model.Host) -> stream.Stream:
    """Open a stream to a host. Fabric is imported only where SSH is spoken: it is slow to import."""
    if host.kind is model.HostKind.LOCAL:
        return local.connect(environment, host)
    if environment.ssh.client == "openssh":
        return openssh.connect(environment, host)
    from opskit.transport import ssh  # noqa: PLC0415

    return ssh.connect(environment, host)


def pgoptions(settings: Mapping[str, str]) -> str:
    """`-c name=value …`, as PGOPTIONS has it: of a name that comes twice, the last one wins.

    A blank or a backslash in a value is escaped (libpq 18, "options").
    """
    escaped = {name: re.sub(r"([\\\s])", r"\\\1", value) for name, value in settings.items()}
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


class Fleet:
    """Connects on demand, and keeps one connection for the whole run.

    Of a run with several tenants at a time each worker has one, in a thread of its own. `worker` is its number, from
    0 on; None is the run that has no others. `end`, `close` and what is only read may be called from another thread.
    """

    def __init__(
        self,
        environment: model.Environment,
        hold: Hold | None = None,
        *,
        lock_wait: float = 0.0,
        resumes: bool = False,
        notice: Callable[[str], None] = lambda _: None,
        connector: stream.Connector = connect,
        timing: agent.Timing = agent.USUAL,
        worker: int | None = None,
    ) -> None:
        self._environment = environment
        self._worker = worker
        self._hold = hold
        self._lock_wait = lock_wait  # seconds to wait for a lock that another run holds
        self._resumes = resumes  # an earlier part of this run may have left something at work, and have the lock
        self.notice = notice  # hears what the operator should know
        self.settings: dict[str, str] = {}  # of PostgreSQL, for the commands of tenants: {name: value}
        self.usual: dict[
            str, dict[str, str]
        ] = {}  # the same for one host, where nothing there says otherwise: {host: …}
        self._connector = connector
        self._timing = timing
        self.ahead: model.Command | None = None  # the first question, where it is known: it goes with the opening
        self.waits: tuple[tuple[str, ...], ...] = ()  # with which histories tenants wait: a loaded project builds ahead
        self.watch: Callable[[], None] = lambda: None  # called every now and then while a tenant's command is at work
        self._agent: agent.Agent | None = None
        self._before: agent.Agent | None = None  # the one before it, where that was lost
        self._at: model.Host | None = None  # where it is
        self._away: set[str] = set()  # hosts that stayed away with a command at work: others are tried first
        self._starts = starts.Starts()
        self._ending = False  # the command at work is to be ended
        self._closed = False
        self._run = hold.run if hold else ""
        self.host = ""
        self.ready = agent.Ready("", "", "", ())

    def without_lock(self) -> Fleet:
        """Another fleet of the same run, which may only ask."""
        asking = Fleet(self._environment, notice=self.notice, connector=self._connector, timing=self._timing)
        asking._run, asking._starts = self._run, self._starts
        return asking

    def colleague(self, worker: int) -> Fleet:
        """The same run's for another worker, which begins with another host: they are taken in turn."""
        hosts = self._environment.hosts
        first = worker % len(hosts)
        there = replace(self._environment, hosts=(*hosts[first:], *hosts[:first]))
        other = Fleet(
            there,
            self._hold,
            lock_wait=self._lock_wait,
            resumes=self._resumes,
            notice=self.notice,
            connector=self._connector,
            timing=self._timing,
            worker=worker,
        )
        other.settings, other.usual, other.waits = self.settings, self.usual, self.waits
        other._starts = self._starts
        return other

    # -- who serves

    def open(self) -> agent.Ready:
        """Connect to the first host that answers.

        Raises ConnectError when none does, and RemoteError, HostKeyError or LockHeld of the first that does.
        """
        refused: dict[str, str] = {}  # {why: what to type next}
        hosts = sorted(self._environment.hosts, key=lambda host: host.name in self._away)
        for host in hosts:
            last = host is hosts[-1]
            try:
                self._admitted(host, last=last)
                return self.ready
            except errors.ConnectError as error:
                refused[str(error)] = error.hint
                if not last:
                    self.notice(f"{host.name} does not serve: {error}")
        raise errors.ConnectError("; ".join(refused), hint=next(filter(None, refused.values()), ""))

    def _admitted(self, host: model.Host, *, last: bool) -> None:
        """Start an agent on a host, and ask again where its sshd turns us away, as one does that is busy.

        There is more patience with the last host, where a run goes on that has been let in before.
        """
        settings = self._environment.ssh
        limit = settings.reconnect if last and self._starts.let_in else settings.connect_timeout
        until = time.monotonic() + limit
        for tried, pause in enumerate(self._pauses(limit / _TRIES)):
            try:
                self._start(host)
                return
            except errors.TurnedAway as error:
                if self._closed or time.monotonic() + pause > until:
                    raise
                if not tried:
                    self.notice(f"{host.name} turned us away: {error}. asking again for {durations.show(limit)}")
            self._rest(pause)

    def _start(self, host: model.Host, *, patient: bool = False) -> None:
        """Start an agent on a host. Where it is `patient`, our lost agent there may still hold the lock.

        For a lock that another run holds it is waited as long as was said.
        """
        self._agent, self._before = None, self._agent or self._before
        ours = patient or self._resumes
        started, held = self._log_in(host, waits=ours or self._lock_wait > 0)
        if held and not (ours and held.run == self._run):
            self._wait_for_lock(started, host, held, 0.0 if patient else self._lock_wait)
        self._starts.let_in = True
        self._agent, self._at, self.host, self.ready = started, host, host.name, started.ready

    def _log_in(self, host: model.Host, *, waits: bool) -> tuple[agent.Agent, errors.LockHeld | None]:
        """An agent on a host, and who has the lock where it has not got it. `waits` is to go on without the lock."""
        with self._starts.turn(self.watch):
            if self._closed:
                raise errors.ConnectError(f"{host.name}: this run has hung up")
            line = self._connector(self._environment, host)
            started = agent.Agent(line, self._timing, self._before, last=_APART * (self._worker or 0))
            started.remark = self._remark
            # Where it waits, it is not known who answers, and when.
            ahead = None if self.ahead is None or waits else {**self._request(self.ahead), **self._options()}
            try:
                started.open(self._opening(patient=waits), self._environment.app.sudo_password, ahead)
            except errors.LockHeld as error:
                return started, error
            except errors.RemoteError as error:
                started.close()
                hint = error.hint or (_SUDO_HINT if "sudo: a password is required" in str(error) else "")
                raise errors.RemoteError(f"{host.name}: {error}", hint, error.why) from None
            except errors.ConnectError as error:
                raise type(error)(f"{host.name}: {error}", hint=error.hint) from None
        return started, None

    def _wait_for_lock(self, started: agent.Agent, host: model.Host, error: errors.LockHeld, limit: float) -> None:
        """Ask again for the lock until it is ours. Raises LockHeld, with who has it in the end."""
        until = time.monotonic() + limit
        said = ""
        while True:
            if time.monotonic() >= until:
                started.close()
                raise self._held(error, host.name)
            if said != str(error):
                said = str(error)
                self.notice(f"{self._held(error, host.name)}. waiting for it, {durations.show(limit)} at most")
            time.sleep(min(_RETRY, max(0.0, until - time.monotonic())))
            try:
                started.lock(self._opening())
                return
            except errors.LockHeld as still:
                error = still

    def _remark(self, text: str) -> None:
        self.notice(f"{self.host}: {text}")

    def _held(self, error: errors.LockHeld, host: str) -> errors.LockHeld:
        whose = "this run itself" if error.run == self._run else "another run"
        where = f" on {host}" if error.lone else ""
        what = f"{whose} holds `{self._environment.name}`{where}: {error}"
        return errors.LockHeld(what, error.hint, error.run, lone=error.lone)

    def _opening(self, *, patient: bool = False) -> dict[str, Any]:
        app = self._environment.app
        return {
            "path": app.path,
            "manage": app.manage,
            "env": dict(app.env),
            "secrets": sorted(app.secrets),
            "values": sorted(app.filled_in),
            "env_file": app.env_file,
            "state_dir": app.state_dir,
            "lock": self._hold is not None,
            "holder": self._hold.frame() if self._hold else {},
            "run": self._hold.run if self._hold else "",
            "worker": self._worker,
            "patient": patient,
            "warm": self._warm(),
        }

    def _warm(self) -> dict[str, Any] | None:
        """What the agent needs for the warm runner; None where every command is to start by itself."""
        how = self._environment.runner
        if how is model.Runner.COLD:
            return None
        return {
            "source": stream.source("warm"),
            "still": self._timing.still,
            "everywhere": how is model.Runner.WARM,
            "waits": self.waits,
        }

    @property
    def serving(self) -> bool:
        """Whether there is an agent, and its line lives."""
        return self._agent is not None and self._agent.lost is None

    def _alive(self) -> agent.Agent:
        """The agent, or a new one where the line died between two commands. Raises what `open` raises."""
        if self._agent is not None and self._agent.lost:
            self.notice(f"lost {self.host} between two tenants ({self._agent.lost}): connecting again")
            self._agent.close()
            self._patiently(self.open)
        if self._agent is None:
            self.open()
        assert self._agent is not None  # noqa: S101 - for mypy
        return self._agent

    def _holding(self) -> agent.Agent:
        """The agent, with the lock: whoever follows what a lost agent started has yet to get it."""
        self.take_lock()
        return self._alive()

    def take_lock(self, *, at_once: bool = False) -> None:
        """Take the lock, where it is not ours yet: an agent that this run lost may have it. Raises what `open` does.

        It is waited for that agent, but not where it should be `at_once`.
        """
        serving = self._alive()
        if self._hold is None or serving.holds:
            return
        if at_once:
            self._lock(serving)
        else:
            self._patiently(lambda: self._lock(serving))

    def _lock(self, serving: agent.Agent) -> None:
        try:
            self.ready = serving.lock(self._opening())
        except errors.LockHeld as error:
            raise self._held(error, self.host) from None

    def _patiently(self, take: Callable[[], Any]) -> None:
        """Our lost agent lets go of the lock as soon as it notices; until then it is we who hold it."""
        patience = self._timing.silence + 2 * self._timing.beat
        until = time.monotonic() + patience
        for tried in itertools.count():
            try:
                take()
                return
            except errors.LockHeld as error:
                if error.run != self._run or time.monotonic() > until:
                    raise
                if tried == _NOT_AT_ONCE:
                    self.notice(f"{error}. waiting for it, {durations.show(patience)} at most")
                time.sleep(_RETRY)

    # -- commands

    def ask(self, command: model.Command, *, configured: bool = False, usual: bool = False) -> model.Reply:
        """Ask the project something. Raises what `open` raises, and ConnectError when the answer does not come.

        Where the line is lost meanwhile, it is asked once more, over another one: a question changes nothing.
        Where it is `configured`, it is asked with the settings of PostgreSQL that a tenant's command has; with the
        `usual` ones, with those alone.
        """
        for _ in range(_ASKED):
            serving = self._alive()
            more = self._options(settings=configured, usual=configured or usual)
            self.ahead = None
            reply = serving.ask({**self._request(command), **more})
            if reply.exit is not None:
                return reply
        raise errors.ConnectError(f"lost {self.host} while asking: {reply.error}")

    def run(
        self,
        command: model.Command,
        label: str,
        patterns: Sequence[re.Pattern[str]],
        hear: lines.Hear,
        *,
        leaves: Callable[[str], None] = lambda _: None,
        cold: bool = False,
    ) -> model.Reply:
        """Run a management command that may change something. `leaves` hears for which host, before it does.

        A line that dies after it was sent is taken up again, for as long as `ssh.reconnect` says. Where the host stays
        away, that is a Reply without an exit code.
        """
        output = lines.Lines(patterns, hear)
        of_it: dict[str, Any] = {
            "label": label,
            "env": {"PGAPPNAME": self.application_name(label)},
        }
        if cold:
            of_it["warm"] = False
        self._ending = False
        serving = self._watched(self._holding())
        of_it |= self._options(settings=True, usual=True)
        leaves(self.host)
        reply = serving.run({**self._request(command), **of_it}, output)
        return self._to_its_end(serving, reply, label, output, timeout=command.timeout)

    def _to_its_end(
        self, serving: agent.Agent, reply: model.Reply, label: str, output: lines.Lines, *, timeout: float | None
    ) -> model.Reply:
        """The Reply of a command, however often the line to it is lost meanwhile; `reply` is how far it came so far."""
        began = time.monotonic() - reply.seconds
        while reply.exit is None and not reply.over and serving.lost and not self._closed:
            again = self._regain(label, reply.error)
            if isinstance(again, str):
                reply = replace(reply, error=again)
                break
            left = None if timeout is None else max(1.0, timeout - (time.monotonic() - began))
            again.found = self._back(label)
            serving, reply = again, again.follow(serving.at, left, output)
            reply = replace(reply, seconds=time.monotonic() - began)
        output.end()
        return replace(reply, marks=output.marks, tail=output.tail)

    @property
    def left(self) -> list[Mapping[str, Any]]:
        """The records of what an earlier part of this run left at work, of each worker, while the lock is not ours."""
        if self._hold is None or self._agent is None or self._agent.holds:
            return []
        ours = [each for each in self.ready.records if each.get("run") == self._run and type(each.get("number")) is int]
        newest = {each["number"] // _APART: each for each in ours}
        return [each for each in newest.values() if "ended" not in each]

    @property
    def heard(self) -> str:
        """The record of the command that was heard last; "" where nothing is left of that."""
        return self._agent.record if self._agent is not None else ""

    def take_up(
        self,
        record: Mapping[str, Any],
        patterns: Sequence[re.Pattern[str]],
        hear: lines.Hear,
        timeout: float | None,
    ) -> model.Reply:
        """Hear a command that was left at work to its end, from the first byte of its output on.

        What it printed before decides on its outcome, too, and who heard that is gone. The agent that started it, where
        that lives, ends it when its time is up; where it does not, its time begins again here.
        """
        assert self._agent is not None  # noqa: S101 - for mypy
        output = lines.Lines(patterns, hear)
        self._ending = False
        serving, label = self._watched(self._agent), str(record.get("label"))
        before, serving.number = serving.number, record["number"]
        so_far = serving.follow(0, timeout, output)
        reply = self._to_its_end(serving, so_far, label, output, timeout=timeout)
        if self._worker is not None:  # the next number may be another worker's
            self._agent.number = before
        return reply

    def _options(self, *, settings: bool = False, usual: bool = False) -> dict[str, str]:
        """The settings of PostgreSQL that a command gets on the host that serves."""
        return {
            "pgoptions": pgoptions(self.settings) if settings else "",
            "pgusual": pgoptions(self.usual.get(self.host, {})) if usual else "",
        }

    def end(self) -> None:
        """End the command at work, as soon as its host hears it: SIGTERM to its process group, then SIGKILL."""
        if not self._ending and self._agent is not None:
            self._agent.end()
        self._ending = True

    @property
    def at_work(self) -> str:
        """`app1 (process 1234)`: where a command was left at work, as far as anybody knows."""
        process = f" (process {self._agent.pid})" if self._agent and self._agent.pid else ""
        return f"{self.host}{process}"

    # -- a host that was lost in mid-command

    def _regain(self, label: str, why: str) -> agent.Agent | str:
        """A new agent on the same host, or why there is none."""
        lost, host, limit = self._agent, self._at, self._environment.ssh.reconnect
        assert lost is not None and host is not None  # noqa: S101, PT018 - for mypy
        lost.close()
        if not limit:
            return why
        self.notice(f"lost {host.name} while migrating `{label}` ({why}): trying again for {durations.show(limit)}")
        until = time.monotonic() + limit
        for pause in self._pauses():
            try:
                self._start(host, patient=True)
                assert self._agent is not None  # noqa: S101 - for mypy
                return self._watched(self._agent)
            except (errors.ConnectError, errors.RemoteError) as error:
                why = str(error)
            except errors.OpskitError as error:  # another run has the lock, the key has changed: waiting is no help
                return str(error)
            finally:
                self._agent = self._agent or lost
            if self._closed:
                return why
            if time.monotonic() + pause > until:
                self._away.add(host.name)
                return f"{host.name} stayed away for {durations.show(limit)}: {why}"
            self._rest(pause)
        raise AssertionError  # the pauses have no end

    def _pauses(self, longest: float = _LONGEST) -> Iterator[float]:
        """Seconds between tries: each twice as long as the last, and of no two operators the same."""
        for number in itertools.count():
            pause = min(longest, self._timing.again * 2.0 ** min(number, 16))
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.watch()
            time.sleep(min(agent.WATCH, left))

    def _watched(self, serving: agent.Agent) -> agent.Agent:
        serving.watch = self.watch
        return serving

    def _back(self, label: str) -> Callable[[bool], None]:
        def found(alive: bool) -> None:
            became = "is still at work" if alive else "ended meanwhile"
            self.notice(f"{self.host} is back: `{label}` {became}")
            if self._ending and self._agent is not None:
                self._agent.end()

        return found

    # -- what is sent

    def _request(self, command: model.Command) -> dict[str, Any]:
        """The `run` frame of a command; a question gets its programs, and is told where manage.py is."""
        request: dict[str, Any] = {"args": list(command.args), "timeout": command.timeout}
        if command.question:
            request["source"] = stream.source(command.question)
            request["args"].insert(1, self._environment.app.manage)
            request["args"] += map(stream.source, stream.TEXTS.get(command.question, ()))
        if command.question in stream.WARM:
            request["warm"] = True
        return request

    def application_name(self, tenant: str, run_id: str = "") -> str:
        """What pg_stat_activity shows of this run's, or another's: 63 bytes, and only printable ASCII."""
        shown = "".join(letter if " " < letter <= "~" else "?" for letter in tenant)
        return f"opskit/{run_id or self._run}/{shown}"[:63]

    def recall(
        self, record: Mapping[str, Any], patterns: Sequence[re.Pattern[str]], hear: lines.Hear
    ) -> model.Reply | None:
        """How the command of a record ended, and all that it printed, when nobody was there to hear it.

        None where what it printed can't be read. `exit` is None where its end is not recorded.
        """
        output = lines.Lines(patterns, hear)
        outputs = record.get("outputs")
        for path in outputs[:1] if isinstance(outputs, list) else []:
            request = {"source": _CAT, "args": [str(path)], "timeout": _RECALL, "reads": True}
            if self._alive().run(request, output).exit != 0:
                return None
        code, began, ended = (record.get(name) for name in ("exit", "started", "ended"))
        return model.Reply(
            exit=code if isinstance(code, int) else None,  # a record is a file, and files get broken
            marks=output.marks,
            tail=output.tail or str(record.get("tail", "")),
            seconds=max(0.0, _seconds(ended) - _seconds(began)),
            timed_out=record.get("timed_out") is True,
        )

    def forget(self, record: Mapping[str, Any]) -> None:
        """What an earlier run left behind has been read and written down."""
        if self._agent is not None:
            self._agent.collected(str(record["path"]))

    def close(self) -> None:
        self._closed = True
        if self._agent is not None:
            self._agent.close()
            self._agent = None
