"""Puts the pieces together: a reachable environment, a fleet, a record that hears every event."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from opskit import errors, journal, model
from opskit.reporters import files, text
from opskit.rollout import drive
from opskit.rollout import run as runs
from opskit.tasks import secrets


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@contextlib.contextmanager
def reachable(environment: model.Environment, *, answered: bool = False) -> Iterator[model.Environment]:
    """The environment with all that its hosts will ask for; where it is the demo, with its SSH server running.

    Where that was `answered` before, nothing is asked. Raises CannotStart where something has to be asked, and nobody
    answers.
    """
    if environment.hosts[0].kind is not model.HostKind.DEMO:
        yield environment if answered else secrets.asked(environment)
        return
    from opskit.demo import data, server  # noqa: PLC0415 - start-up time

    data.prepare(Path(environment.root) / ".opskit" / "demo")
    with server.running(Path(environment.root)) as at:
        host = model.Host("demo", at.host, user=at.user, port=at.port, identity_file=str(at.identity_file))
        ssh = replace(environment.ssh, known_hosts=(str(at.known_hosts),))
        yield replace(environment, hosts=(host,), ssh=ssh)


def operator() -> str:
    """Who runs this, and where: `deploy@ops1`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        name = str(os.getuid())
    return f"{name}@{platform.node()}"


def progress(verbose: bool) -> drive.Emit:
    """The reporter for stderr: live on a terminal, plain lines elsewhere."""
    if text.is_terminal(sys.stderr):
        from opskit.reporters import live  # noqa: PLC0415 - rich is slow to import

        return live.Live(sys.stderr, verbose=verbose)
    from opskit.reporters import plain  # noqa: PLC0415 - start-up time

    return plain.Plain(sys.stderr, verbose=verbose)


class Record:
    """Everything that hears the run: first the journal, then the fold, then those who tell people."""

    def __init__(
        self, root: Path, run_id: str, *, log_file: str | None, verbose: bool, resumed: Path | None = None
    ) -> None:
        """`resumed` is the folder of the run that goes on; a new run has none."""
        self._logs: list[files.LogFile | files.TenantFiles] = [files.LogFile(Path(log_file))] if log_file else []
        self.journal = journal.reopen(resumed) if resumed else journal.create(root, run_id)
        self.run = journal.load(resumed) if resumed else runs.Run()
        self.started: dict[str, None] = {}  # the tenants whose command this process has started or followed
        self.folder = self.journal.folder
        self._logs += [files.LogFile(self.folder / "run.log"), files.TenantFiles(self.folder)]
        self._screen = progress(verbose)
        self._broken = False
        self._resumed = resumed is not None
        self._went_on = self._hooked = False  # since this process writes it
        self._emitting = threading.RLock()
        self._only: int | None = None  # the thread that is still heard; None: all of them

    def emit(self, event: model.Event) -> None:
        """Tell everybody. Raises JournalError once where something can't be written: no tenant starts after that.

        For use from several threads at once.
        """
        with self._emitting:
            if self._only not in (None, threading.get_ident()):
                return
            try:
                self._write(event)
            finally:
                if isinstance(event, model.TenantStarted | model.TenantFollowed):
                    self.started[event.tenant] = None
                self._went_on = self._went_on or isinstance(event, model.PlanMade | model.TenantFollowed)
                self._hooked = self._hooked or isinstance(event, model.Said)
                self.run.apply(event)
                self._screen(event)

    def hear_only_me(self) -> None:
        """What other threads have to say from here on is not heard: they are left alone."""
        with self._emitting:
            self._only = threading.get_ident()

    def _write(self, event: model.Event) -> None:
        if self._broken:
            return
        try:
            if not isinstance(event, model.Output | model.Said | model.Waiting):
                self.journal.append(event)
            for log in self._logs:
                log(event)
        except errors.JournalError:
            self._broken = True
            raise

    def refuse(self, reason: str) -> None:
        """Write down that nothing was started: the error is the whole answer.

        What never came to a plan is no run: a new one leaves no folder, unless it is all that tells what hooks printed,
        and one that was to go on is left as it was, unless it has heard a command to its end.
        """
        if self._went_on or (self._hooked and not self._resumed):
            self.finish(reason, quietly=True)
            return
        now = datetime.now(UTC)
        said = model.Notice(now, f"the run does not go on: {reason}") if self._resumed else None
        for log in self._logs:
            with contextlib.suppress(errors.JournalError):
                log(said or model.RunFinished(now, reason, {}))
        self.journal.withdraw()

    def finish(self, reason: str, *, quietly: bool = False) -> None:
        """Write down how the run ended; a full disk must not keep the summary from the operator."""
        finished = self.run.ends(datetime.now(UTC), reason)
        with contextlib.suppress(errors.JournalError):
            self._write(finished)
        self.run.apply(finished)
        if not quietly:
            self._screen(finished)

    def close(self) -> None:
        """Give the terminal back, whatever happened."""
        stop = getattr(self._screen, "stop", None)
        if stop:
            stop()
        self.journal.close()
        for log in self._logs:
            log.close()
