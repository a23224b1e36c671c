"""The flags that pace a rollout and stop it, as changes to the inventory's controls."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from opskit import durations, errors, model, redaction, selections
from opskit.rollout import controls
from opskit.tasks import child, gate
from opskit.tasks.task import duration, one_of


def changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of model.Controls that the flags say, and no others. Raises UsageError naming the flag.

    `given` is what a task was called with, {parameter: value}: what is no flag of ours is left alone.
    """
    until, max_duration = given.get("until"), given.get("max_duration")
    if until is not None and max_duration is not None:
        raise errors.UsageError("--until and --max-duration say the same in two ways: give one of them")

    def read(name: str, parse: Callable[[str], Any]) -> Any:
        return _parsed(name.replace("_", "-"), given.get(name), parse)

    said: dict[str, Any] = {
        "stagger": read("stagger", lambda text: duration("stagger", text)),
        "canary": read("canary", _canary),
        "max_failures": read("max_failures", controls.parse_allowance),
        "stop_after_same": read("stop_after_same", controls.parse_same),
        "retries": read("retries", controls.parse_retries),
        "order": read("order", lambda text: one_of("order", text, controls.ORDERS)),
        "deadline": _deadline(until, max_duration),
        "gate": read("gate", _command),
        "pause_after_canary": given.get("pause_after_canary") or None,
        "go_on": given.get("go_on") or None,
        "forks": read("forks", controls.parse_forks),
    }
    return {name: value for name, value in said.items() if value is not None}


def _canary(text: str) -> model.Canary:
    """A canary, for which an `@file` may stand too: what is in it names tenants, digits as well."""
    if any(part.strip().startswith("@") for part in text.split(",")):
        return model.Canary(patterns=selections.patterns("canary", text, mark="="))
    return controls.parse_canary(text)


def _command(text: str) -> str:
    if not text.strip():
        raise errors.UsageError("expected a command, found nothing")
    read = child.run(("/bin/sh", "-n", "-c", text), "", os.environ, ".", gate.LIMIT)  # it runs nothing
    if read.code != 0:  # of a broken command sh itself exits 2, which means `wait`
        raise errors.UsageError(f"/bin/sh can't read it: {redaction.redact(' '.join(read.output.split()))}")
    return text


def one_or_many(how: model.Controls, given: Mapping[str, Any], others: str) -> None:
    """Refuse a pause between tenants that run at the same time. Raises UsageError.

    `given` is what the flags say, and `others` who says what they don't: `the inventory`.
    """
    if how.forks == 1 or not how.stagger:
        return
    many, pause = f"{how.forks} tenants at a time", f"a pause of {durations.show(how.stagger)} between tenants"
    both = "tenants that run at the same time have no pause between them"
    if "stagger" not in given:
        why = f"--forks={how.forks}: {others} asks for {pause}" if "forks" in given else f"{others} asks for {many}"
        also = "" if "forks" in given else f" and for {pause}"
        raise errors.UsageError(
            f"{why}{also}, and {both}", hint="`--stagger=0` leaves the pause out, `--forks=1` migrates one at a time."
        )
    if "forks" in given:
        raise errors.UsageError(f"--forks and --stagger contradict each other: {both}")
    raise errors.UsageError(
        f"--stagger: {others} asks for {many}, and {both}", hint="`--forks=1` with it migrates one at a time."
    )


def someone_to_ask(how: model.Controls) -> None:
    """Refuse a pause after the canary that nobody would end. Raises UsageError."""
    if not how.pause_after_canary:
        return
    if how.canary == model.Canary():
        raise errors.UsageError("--pause-after-canary needs a canary: --canary, or the inventory's `rollout.canary`.")
    if how.gate or how.deadline or (sys.stdin and sys.stdin.isatty()):
        return
    raise errors.UsageError(
        "--pause-after-canary waits for a person, and there is no terminal",
        hint="`--gate` can answer instead; with `--until` or `--max-duration`, `invoke continue` can until then.",
    )


def _deadline(until: str | None, max_duration: str | None) -> datetime | None:
    """When the run must start nothing more; time passes from when the command was typed."""
    here = datetime.now().astimezone()  # the operator's own clock is what `06:00` is read on
    seconds: float | None = _parsed("until", until, lambda text: controls.seconds_until(text, here))
    if max_duration is not None:
        seconds = duration("max-duration", max_duration)
    return None if seconds is None else here + timedelta(seconds=seconds)


def _parsed(flag: str, text: str | None, parse: Callable[[str], Any]) -> Any:
    if text is None:
        return None
    try:
        return parse(text)
    except errors.UsageError as error:
        said = str(error)
        raise errors.UsageError(said if said.startswith("--") else f"--{flag}: {said}") from None
