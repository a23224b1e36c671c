"""Plain lines for pipes, cron and CI: each names its tenant."""

from __future__ import annotations

from typing import IO

from opskit import durations, model
from opskit.reporters import telling
from opskit.reporters.text import colourful, named, painted, printable, spoken, write


class Plain:
    """A line an event; with `verbose`, all that the commands print."""

    def __init__(self, stream: IO[str], *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._teller = telling.Teller()
        self._waiting_for = ("", "")
        self._deaf = False
        self._colourful = colourful(stream)

    def __call__(self, event: model.Event) -> None:
        match event:
            case model.Output(tenant, text) if self._verbose:
                for printed in spoken(text):
                    self._say(f"{named(tenant)} | {printed}")
            case model.Waiting(seconds, tenant, why):
                if (tenant, why) != self._waiting_for:
                    self._waiting_for = (tenant, why)
                    self._say(waiting(seconds, tenant, why))
            case _:
                for line in shown(self._teller.tell(event), verbose=self._verbose):
                    text = f"{line.at:%H:%M:%S} {formatted(line)}"
                    self._say(painted(text, line.level) if self._colourful else text)

    def _say(self, text: str) -> None:
        if self._deaf:
            return
        try:
            write(self._stream, text)
        except (OSError, ValueError):
            self._deaf = True  # nobody reads any more; the run goes on


def shown(lines: list[telling.Line], *, verbose: bool) -> list[telling.Line]:
    """The lines for a screen: what is for the log alone shows with `verbose`."""
    return [line for line in lines if verbose or line.level != "DEBUG"]


def waiting(seconds: float | None, tenant: str, why: str) -> str:
    """`waiting 10s before acme: the gate said wait`."""
    time = f" {durations.show(seconds)}" if seconds is not None else ""
    return f"waiting{time} before {named(tenant)}{f': {printable(why)}' if why else ''}"


def formatted(line: telling.Line) -> str:
    """`ERROR acme: failed …`; a level only where it is worth an eye."""
    level = "" if line.level == "INFO" else f"{line.level} "
    tenant = f"{named(line.tenant)}: " if line.tenant else ""
    return f"{level}{tenant}{printable(line.text)}"
