"""The faults: each does its harm, waits, and undoes what can be undone."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time

import psycopg

from faults import scenario, world

GAP = 0.25  # seconds between two Ctrl-C of somebody impatient
FOR_GOOD = 300.0  # seconds


class Injector(threading.Thread):
    """Waits for the moment of one fault and does it; `done` is what it did, "" where its moment never came."""

    def __init__(self, at: world.World, planned: scenario.Planned, sitting: world.Sitting) -> None:
        super().__init__(daemon=True, name=planned.kind)
        self.planned = planned
        self.done = ""
        self.broke: Exception | None = None
        self._world = at
        self._sitting = sitting

    def run(self) -> None:
        try:
            if self._moment():
                self.done = self.planned.kind
                (KINDS | DIRECTED)[self.planned.kind](self._world, self._sitting, self.planned.lasts)
        except Exception as error:  # noqa: BLE001 - the machine's own trouble is not opskit's: it is told apart
            self.broke = error

    def _moment(self) -> bool:
        """Whether it came before the sitting was over."""
        wanted = self._sitting.began + self.planned.after
        while self._world.begun() < wanted:
            if self._sitting.process.poll() is not None:
                return False
            time.sleep(0.02)
        time.sleep(self.planned.delay)
        return self._sitting.process.poll() is None


# ---------------------------------------------------------------- the line


def session_killed(at: world.World, _sitting, _lasts: float) -> None:
    for host in at.hosts:
        world.send(host.sessions(), signal.SIGKILL)


def sshd_stopped(at: world.World, _sitting, lasts: float) -> None:
    stopped = [pid for host in at.hosts for pid in host.sshd()]
    world.send(stopped, signal.SIGSTOP)
    time.sleep(lasts)
    world.send(stopped, signal.SIGCONT)


def sshd_restarted(at: world.World, _sitting, lasts: float) -> None:
    for host in at.hosts:
        host.stop()
    time.sleep(lasts)
    for host in at.hosts:
        host.start()


def network_silent(at: world.World, _sitting, lasts: float) -> None:
    for host in at.hosts:
        host.line.hole()
    time.sleep(lasts)
    for host in at.hosts:
        host.line.mend()


def packets_lost_for_good(at: world.World, sitting: world.Sitting, _lasts: float) -> None:
    """For longer than opskit waits: they arrive again when it has given up."""
    for host in at.hosts:
        host.line.hole()
    world.until(lambda: sitting.process.poll() is not None, FOR_GOOD)
    for host in at.hosts:
        host.line.mend()


def network_cut(at: world.World, _sitting, _lasts: float) -> None:
    for host in at.hosts:
        host.line.cut()


def network_away(at: world.World, _sitting, lasts: float) -> None:
    for host in at.hosts:
        host.line.refuse()
    time.sleep(lasts)
    for host in at.hosts:
        host.line.mend()


# ---------------------------------------------------------------- the operator's side


def opskit_killed(_at, sitting: world.Sitting, _lasts: float) -> None:
    sitting.taken = True
    sitting.process.kill()


def opskit_stopped(_at, sitting: world.Sitting, lasts: float) -> None:
    sitting.process.send_signal(signal.SIGSTOP)
    time.sleep(lasts)
    sitting.process.send_signal(signal.SIGCONT)


def _pressed(times: int):
    def press(_at, sitting: world.Sitting, _lasts: float) -> None:
        for number in range(times):
            time.sleep(GAP if number else 0.0)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(sitting.process.pid, signal.SIGINT)

    return press


def _signalled(number: int):
    return lambda _at, sitting, _lasts: sitting.process.send_signal(number)


def disk_full_here(at: world.World, sitting: world.Sitting, _lasts: float) -> None:
    """No file of opskit's can grow any more: what it is writing now is cut off in the middle."""
    sizes = [file.stat().st_size for run in at.runs for file in [run / "journal.jsonl"] if file.exists()]
    _no_larger(sitting.process.pid, (sizes[-1] if sizes else 0) + 60)


def second_opskit(at: world.World, _sitting, _lasts: float) -> None:
    at.type("migrate-all", "--env=prod", "--format=json")


def second_opskit_and_let_go(at: world.World, sitting, lasts: float) -> None:
    """What is held is let go when the second one has ended, or has begun a command of its own."""
    begun = at.begun()
    other = at.type("migrate-all", "--env=prod", "--format=json")
    world.until(lambda: other.process.poll() is not None or at.begun() > begun, lasts)
    at.let_go()


def clocks_wrong(at: world.World, _sitting, lasts: float) -> None:
    """Both clocks jump, in opposite directions, by hours: and stay so."""
    (at.folder / "clock").write_text(str(-3600 * lasts))
    for host in at.hosts:
        (host.home / "clock").write_text(str(7200 * lasts))


# ---------------------------------------------------------------- the host's side


def agent_killed(at: world.World, _sitting, _lasts: float) -> None:
    for host in at.hosts:
        world.send(host.agents(), signal.SIGKILL)


def agent_stopped(at: world.World, _sitting, lasts: float) -> None:
    stopped = [pid for host in at.hosts for pid in host.agents()]
    world.send(stopped, signal.SIGSTOP)
    time.sleep(lasts)
    world.send(stopped, signal.SIGCONT)


def command_killed(at: world.World, _sitting, _lasts: float) -> None:
    command = at.at_work()
    if command:
        world.send([command["pid"]], signal.SIGKILL)


def runner_killed(at: world.World, _sitting, _lasts: float) -> None:
    """The loaded project goes, and with it who would know how its fork ends."""
    world.send(_runners(at), signal.SIGKILL)


def runner_stopped(at: world.World, _sitting, lasts: float) -> None:
    stopped = _runners(at)
    world.send(stopped, signal.SIGSTOP)
    time.sleep(lasts)
    world.send(stopped, signal.SIGCONT)


def _runners(at: world.World) -> list[int]:
    """The warm runners, without what they have forked, which has a session of its own."""
    return [pid for host in at.hosts for pid in host.runners()]


def agent_and_command_killed(at: world.World, sitting, lasts: float) -> None:
    agent_killed(at, sitting, lasts)
    command_killed(at, sitting, lasts)


def agent_and_opskit_killed(at: world.World, sitting: world.Sitting, lasts: float) -> None:
    """The command is alone."""
    opskit_killed(at, sitting, lasts)
    agent_killed(at, sitting, lasts)


def everything_killed(at: world.World, sitting: world.Sitting, lasts: float) -> None:
    """The power goes, here and there; the database is elsewhere."""
    opskit_killed(at, sitting, lasts)
    agent_and_command_killed(at, sitting, lasts)


def everything_killed_in_a_statement(at: world.World, sitting: world.Sitting, lasts: float) -> None:
    """The same, as soon as a backend waits at the gate: it goes on without its client."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory'"
    world.until(lambda: at.database.server.execute(waiting), lasts)
    everything_killed(at, sitting, lasts)


def let_go_when_followed(at: world.World, sitting: world.Sitting, lasts: float) -> None:
    """What is held is let go as soon as opskit follows it, or has ended without."""
    world.until(lambda: at.followed() or sitting.process.poll() is not None, lasts)
    at.let_go()


def journal_torn(at: world.World, sitting: world.Sitting, lasts: float) -> None:
    """opskit is killed, and of a line that it had not synced yet only the half has come to the disk."""
    opskit_killed(at, sitting, lasts)
    sitting.process.wait()
    with (at.runs[-1] / "journal.jsonl").open("r+b") as file:
        last = file.read().splitlines()[-1]
        file.write(last[: len(last) // 2])


def disk_full_there(at: world.World, _sitting, lasts: float) -> None:
    agents = [pid for host in at.hosts for pid in host.agents()]
    for pid in agents:
        _no_larger(pid, 0)
    time.sleep(lasts)
    for pid in agents:
        _no_larger(pid, resource.RLIM_INFINITY)


def output_flood(_at, _sitting, _lasts: float) -> None:
    """The witness does it, as it was ordered."""


def host_died(at: world.World, _sitting, lasts: float) -> None:
    """The host that serves, and all that runs there, is gone at once; it comes back later."""
    host = at.hosts[0]
    host.line.refuse()
    host.stop()
    world.send(host.processes(), signal.SIGKILL)
    time.sleep(lasts)
    host.start()
    host.line.mend()


def host_away(at: world.World, _sitting, lasts: float) -> None:
    """The host that serves can't be reached; what runs there goes on."""
    host = at.hosts[0]
    host.line.refuse()
    time.sleep(lasts)
    host.line.mend()


def host_away_until_let_go(at: world.World, _sitting, lasts: float) -> None:
    host = at.hosts[0]
    host.line.refuse()
    world.until(lambda: at.gone, lasts)
    host.line.mend()


# ---------------------------------------------------------------- the database


def postgresql_restarted(at: world.World, _sitting, lasts: float) -> None:
    at.database.stop()
    time.sleep(lasts / 2)
    at.database.start()


def postgresql_crashed(at: world.World, _sitting, lasts: float) -> None:
    at.database.stop(signal.SIGQUIT)
    time.sleep(lasts / 2)
    at.database.start()


def out_of_connections(at: world.World, _sitting, lasts: float) -> None:
    taken = []
    until = time.monotonic() + lasts
    while time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError):
            taken.append(at.database.server.connect())
        time.sleep(0.01)
    for connection in taken:
        connection.close()


def table_locked(at: world.World, _sitting, lasts: float) -> None:
    """Somebody else's transaction holds the table of the tenant that is next, or at work.

    Where another fault takes the server away, it takes that transaction, too.
    """
    command = at.at_work()
    tenant = command["tenant"] if command else world.TENANTS[0]
    with contextlib.suppress(psycopg.OperationalError):
        database, schema = at.database.home_of(tenant)
        with at.database.server.connect(database) as connection, connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '3s'")
            connection.execute(f'LOCK TABLE "{schema}".members_member IN ACCESS EXCLUSIVE MODE')
            time.sleep(lasts)


def _no_larger(pid: int, size: int) -> None:
    """No file that this process, or one that it starts, writes may be larger."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


KINDS = {
    "session killed": session_killed,
    "sshd stopped": sshd_stopped,
    "sshd restarted": sshd_restarted,
    "network silent": network_silent,
    "network cut": network_cut,
    "network away": network_away,
    "opskit killed": opskit_killed,
    "opskit stopped": opskit_stopped,
    "Ctrl-C once": _pressed(1),
    "Ctrl-C twice": _pressed(2),
    "Ctrl-C three times": _pressed(3),
    "SIGTERM": _signalled(signal.SIGTERM),
    "SIGHUP": _signalled(signal.SIGHUP),
    "agent killed": agent_killed,
    "agent stopped": agent_stopped,
    "command killed": command_killed,
    "runner killed": runner_killed,
    "runner stopped": runner_stopped,
    "agent and command killed": agent_and_command_killed,
    "everything killed": everything_killed,
    "PostgreSQL restarted": postgresql_restarted,
    "PostgreSQL crashed": postgresql_crashed,
    "out of connections": out_of_connections,
    "table locked": table_locked,
    "disk full here": disk_full_here,
    "disk full there": disk_full_there,
    "second opskit": second_opskit,
    "output flood": output_flood,
    "host died": host_died,
    "host away": host_away,
    "clocks wrong": clocks_wrong,
    "packets lost": network_silent,
    "packets lost for good": packets_lost_for_good,
}
"""{name: fault(world, sitting, lasts)}: all that scenario.KINDS and PACKETS name."""

DIRECTED = {
    "agent and opskit killed": agent_and_opskit_killed,
    "second opskit, and let go": second_opskit_and_let_go,
    "host away until let go": host_away_until_let_go,
    "everything killed in a statement": everything_killed_in_a_statement,
    "journal torn": journal_torn,
    "let go when followed": let_go_when_followed,
}
"""More of them, for the scenarios that are written by hand."""
