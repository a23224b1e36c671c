"""The live view on a terminal: overall bar, count, ETA, the tenants at work and the last line of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO, Any

from rich.console import Console
from rich.live import Live as RichLive
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from opskit import durations, model
from opskit.reporters import plain, telling
from opskit.reporters.text import named, printable, sayable, spoken
from opskit.rollout import eta

_STYLES = {"ERROR": "bold red", "WARNING": "yellow"}
_REFRESH = 8  # times a second
_LOOK = 2000  # characters of new output that the last line is looked for in
_NARROW, _WIDE = 50, 84  # columns that the time gone, and the bar, need


class _Left(ProgressColumn):
    """What is left of the run, as its tenants' history tells."""

    def __init__(self, left: Callable[[], float | None]) -> None:
        super().__init__()
        self._seconds = left

    def render(self, task: Task) -> Text:  # noqa: ARG002 - rich passes it
        seconds = self._seconds()
        return Text("?" if seconds is None else durations.show(seconds))


class Live:
    """Draws while the run goes on; what is worth keeping scrolls by above. Data is never markup."""

    def __init__(self, stream: IO[str], *, verbose: bool = False) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._verbose = verbose
        self._teller = telling.Teller()
        self._stream = stream
        count, left = MofNCompleteColumn(), _Left(self._left)
        whole = (count, TextColumn("tenants,"), TimeElapsedColumn(), TextColumn("gone, ETA"), left)
        self._columns = {0: (count, TextColumn("ETA"), left), _NARROW: whole, _WIDE: (BarColumn(bar_width=30), *whole)}
        self._bar = Progress(console=self._console)
        self._task = self._bar.add_task("", total=0)
        self._eta = eta.Eta()
        self._since = time.monotonic()  # the last command ended
        self._at_work: dict[str, float] = {}  # {tenant_id: when it began}
        self._begun = False
        self._total = 0
        self._done: set[str] = set()
        self._now: dict[str, Text] = {}  # a line for each that is at work
        self._next = Text("")  # who waits, or what a hook does
        self._live = RichLive(
            console=self._console, refresh_per_second=_REFRESH, transient=True, get_renderable=self._view
        )
        self._started = False

    def __call__(self, event: model.Event) -> None:
        told = self._teller.tell(event)
        # A start shows below the bar.
        for line in [] if isinstance(event, model.TenantStarted) else plain.shown(told, verbose=self._verbose):
            self._console.print(self._text(plain.formatted(line), style=_STYLES.get(line.level, "")), soft_wrap=True)
        match event:
            case model.PlanMade(_, plan):
                self._total += sum(len(batch.tenants) for batch in plan.batches)
                self._bar.update(self._task, total=self._total)
                self._eta.take(plan)
                self._start()
            case model.TenantStarted(_, tenant):
                self._at_work[tenant], self._begun, self._next = time.monotonic(), True, Text("")
                self._show(tenant, "starting")
            case model.TenantFollowed(_, tenant):
                self._at_work[tenant] = time.monotonic()
                self._show(tenant, "followed")
            case model.Output(tenant, text, partial):
                self._output(tenant, text, partial)
            case model.Waiting(seconds, tenant, why):
                starts = f"starts in {durations.show(seconds)}" if seconds is not None else "waits"
                self._show(tenant, f"{starts}: {printable(why)}" if why else starts)
            case model.Said(_, source, text, tenant) if tenant:
                self._show(tenant, f"{source}: {printable(text.strip().rpartition(chr(10))[2])}")
            case model.TenantFinished(_, outcome):
                self._done.add(outcome.tenant)  # a retry is no further tenant
                self._bar.update(self._task, completed=len(self._done))
                self._eta.done(outcome)
                self._at_work.pop(outcome.tenant, None)
                self._now.pop(outcome.tenant, None)
                self._next = Text("")
                self._since = time.monotonic()
            case model.RunFinished():
                self.stop()

    def _left(self) -> float | None:
        now = time.monotonic()
        if self._at_work:
            return self._eta.seconds(at_work={tenant: now - began for tenant, began in list(self._at_work.items())})
        return self._eta.seconds(idle=now - self._since if self._begun else None)

    def stop(self) -> None:
        if self._started:
            self._live.stop()
            self._started = False

    def _start(self) -> None:
        if not self._started and self._total:
            self._live.start()
            self._started = True

    def _output(self, tenant: str, text: str, partial: str) -> None:
        lines = spoken(text[-_LOOK:] if not self._verbose else text)
        if self._verbose and lines:  # at once: each print draws the view anew, and of a flood that would take hours
            said = "\n".join(f"{named(tenant)} | {line}" for line in lines)
            self._console.print(self._text(said), soft_wrap=True)
        last = printable(partial.strip()) or (lines[-1].strip() if lines else "")
        if last:
            self._show(tenant, last)

    def _show(self, tenant: str, text: str) -> None:
        line = self._text(f"{named(tenant)}: {text}", no_wrap=True, overflow="crop")
        if tenant in self._at_work:
            self._now[tenant] = line
        else:
            self._next = line

    def _text(self, text: str, **style: Any) -> Text:
        """`text` as wide as it will be: an escape that is made later would wrap, and the view not find back."""
        return Text(sayable(self._stream, text), **style)

    def _view(self) -> Table:
        """Drawn anew each time, as wide as the terminal is by now."""
        self._bar.columns = self._columns[max(width for width in self._columns if width <= self._console.width)]
        view = Table.grid()
        view.add_row(self._bar)
        for line in list(self._now.values()):  # another thread draws than the one that hears
            view.add_row(line)
        if self._next or not self._now:
            view.add_row(self._next)
        return view
