"""What the operator wants of a run that is going on: signals, words from another terminal, Enter on this one."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

from opskit import control
from opskit.rollout import step
from opskit.tasks import interrupts

_LINE = 4096  # bytes: a terminal gives a line at a time, and none is longer


class Desk:
    """Hears all of them. `say` tells the operator what was heard."""

    def __init__(self, folder: Path, interrupted: interrupts.Interrupts, environment: str, operator: str) -> None:
        self._folder = folder
        self._interrupted = interrupted
        self._environment = environment
        self._operator = operator
        self._last = control.NOTHING
        self.say: Callable[[str], None] = lambda _: None

    def word(self) -> step.Word:
        """What the operator wants by now."""
        if self._interrupted.asked:
            return step.Word(stop=step.INTERRUPTED)
        if self._last.word == control.PAUSE:
            self._hear_this_terminal()
        said = control.heard(self._folder)
        if said == control.NOTHING:
            said = self._last  # somebody broke the file: a pause is not over for that
        if said != self._last:
            self._last = said
            self._tell(said)
        if said.word == control.STOP:
            return step.Word(stop=f"{said.by} said stop")
        return step.Word(pause=said.reason if said.word == control.PAUSE else "")

    def pause(self, why: str) -> None:
        """Pause the run by itself, until a person says otherwise."""
        said = control.Said(control.PAUSE, why=why)
        control.say(self._folder, said)
        self._last = said
        _forget_typed()
        self.say(f"{why}: the others wait. {self._how()}")

    def _tell(self, said: control.Said) -> None:
        if said.word == control.PAUSE:
            _forget_typed()
            self.say(f"{said.reason}. {self._how()}")
        elif said.word == control.CONTINUE:
            self.say(f"{said.by} said continue")

    def _how(self) -> str:
        name = self._environment
        elsewhere = f"`invoke continue --env={name}` goes on, `invoke stop --env={name}` ends the run"
        return f"Enter goes on, `stop` and Enter ends the run; or, elsewhere, {elsewhere}." if _typing() else elsewhere

    def _hear_this_terminal(self) -> None:
        """Enter goes on; anything typed before it, or the end of the input, ends the run."""
        if not _typing() or not select.select([sys.stdin], [], [], 0)[0]:
            return
        try:
            typed = os.read(sys.stdin.fileno(), _LINE)
        except OSError:  # the terminal is gone
            typed = b""
        word = control.CONTINUE if typed.endswith(b"\n") and typed.strip() in (b"", b"continue") else control.STOP
        control.say(self._folder, control.Said(word, self._operator))


def _typing() -> bool:
    """Whether somebody types to us.

    Of a run in the background (`&`) the shell has the terminal: touching it from there would stop the process
    (SIGTTIN, SIGTTOU), and with it the run.
    """
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # closed, or no terminal of ours
        return False


def _forget_typed() -> None:
    """An Enter typed an hour ago does not answer what is asked now."""
    if _typing():
        import termios  # noqa: PLC0415 - only where there is a terminal

        termios.tcflush(sys.stdin, termios.TCIFLUSH)
