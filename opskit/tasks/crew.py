"""Several tenants at a time: workers with a line and a thread each, and the one place where their ends are heard."""

from __future__ import annotations

import collections
import queue
import threading
from collections.abc import Callable, Sequence

from opskit import errors, model
from opskit.rollout import drive
from opskit.tasks import worker


class Crew:
    """A `rollout.drive.Crew`. Hooks run where it is asked, one at a time; commands run in threads.

    `begins` is what comes before a tenant's command, and says what became of it where it gets none. A thread that is
    left alone ends with this process: what it waits for goes on, on its host.
    """

    def __init__(
        self, workers: Sequence[worker.Worker], begins: Callable[[model.Tenant, int], model.Outcome | None]
    ) -> None:
        self._free = collections.deque(workers)
        self._begins = begins
        self._ends: queue.SimpleQueue[tuple[worker.Worker | None, str, model.Outcome | BaseException]] = (
            queue.SimpleQueue()
        )

    @property
    def host(self) -> str:
        """Where the next command is going to run."""
        return self._next().asked.fleet.host

    def start(self, tenant: model.Tenant, attempt: int) -> None:
        held = self._begins(tenant, attempt)
        if held is not None:
            self._ends.put((None, tenant.id, held))
            return
        free = self._next()
        self._free.remove(free)
        thread = threading.Thread(target=self._work, args=(free, tenant, attempt), daemon=True, name="opskit-worker")
        thread.start()

    def ended(self, seconds: float | None) -> drive.Ended | None:
        try:
            who, name, how = self._ends.get(timeout=seconds)
        except queue.Empty:
            return None
        if who is not None:
            self._free.append(who)
        if isinstance(how, model.Outcome | errors.OpskitError):
            return drive.Ended(name, how)
        raise how

    def _work(self, who: worker.Worker, tenant: model.Tenant, attempt: int) -> None:
        how: model.Outcome | BaseException
        try:
            how = who.work(tenant, attempt)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where it is waited for
            how = error
        self._ends.put((who, tenant.id, how))

    def _next(self) -> worker.Worker:
        """Who has waited longest; one whose line is dead comes last, since it has to find another host first."""
        return next((each for each in self._free if each.asked.fleet.serving), self._free[0])
