"""Several tenants at a time: workers with a line and a thread each, and the one place where their ends are heard."""

from __future__ import annotations

import collections
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from opskit import errors, model
from opskit.rollout import drive


class Line(Protocol):
    """What a crew needs to know of a worker's fleet."""

    @property
    def host(self) -> str: ...

    @property
    def serving(self) -> bool: ...


@dataclass(frozen=True)
class Worker:
    """Runs one command at a time, over a line of its own."""

    line: Line
    work: drive.Runner


class Crew:
    """A `rollout.drive.Crew`. Hooks run where it is asked, one at a time; commands run in threads.

    `begins` is what comes before a tenant's command, and says what became of it where it gets none. A thread that is
    left alone ends with this process: what it waits for goes on, on its host.
    """

    def __init__(self, workers: Sequence[Worker], begins: Callable[[model.Tenant, int], model.Outcome | None]) -> None:
        self._free = collections.deque(workers)
        self._begins = begins
        self._ends: queue.SimpleQueue[tuple[Worker | None, str, model.Outcome | BaseException]] = queue.SimpleQueue()

    @property
    def host(self) -> str:
        """Where the next command is going to run."""
        return self._next().line.host

    def start(self, tenant: model.Tenant, attempt: int) -> None:
        held = self._begins(tenant, attempt)
        if held is not None:
            self._ends.put((None, tenant.id, held))
            return
        worker = self._next()
        self._free.remove(worker)
        thread = threading.Thread(target=self._work, args=(worker, tenant, attempt), daemon=True, name="opskit-worker")
        thread.start()

    def ended(self, seconds: float | None) -> drive.Ended | None:
        try:
            worker, name, how = self._ends.get(timeout=seconds)
        except queue.Empty:
            return None
        if worker is not None:
            self._free.append(worker)
        if isinstance(how, model.Outcome | errors.OpskitError):
            return drive.Ended(name, how)
        raise how

    def _work(self, worker: Worker, tenant: model.Tenant, attempt: int) -> None:
        how: model.Outcome | BaseException
        try:
            how = worker.work(tenant, attempt)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where it is waited for
            how = error
        self._ends.put((worker, tenant.id, how))

    def _next(self) -> Worker:
        """Who has waited longest; one whose line is dead comes last, since it has to find another host first."""
        return next((each for each in self._free if each.line.serving), self._free[0])
