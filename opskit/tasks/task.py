"""What every task of opskit shares: its declaration, its errors' exit codes, the environment it means."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import invoke

from opskit import errors, model, redaction
from opskit.tasks import interrupts

ENV = "the environment: a file in inventories/ (default: opskit.env in invoke.yaml, else the only one there is)"
_MONTH = 30 * 86400.0  # seconds: the most that an inventory takes, too
_SELDOM = (50_000, 20, 100)  # the collector's thresholds: what a task imports is many objects, and little garbage
FORMAT = "`table` for people, `json` for machines"


def task(
    help: Mapping[str, str], *, name: str | None = None, optional: tuple[str, ...] = ()
) -> Callable[[Callable[..., int | None]], Any]:
    """Declare a task. An OpskitError becomes one message on stderr and its exit code; an int is the exit code.

    `optional` flags may go without a value: they are True then.

    Short flags are not derived: ours would clash with each other and with Invoke's own (-e, -d, -p, -T, -w).
    """

    def declare(body: Callable[..., int | None]) -> Any:
        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> None:
            gc.set_threshold(*_SELDOM)
            _open_what_is_closed()
            _heed_signals()
            code = _run(functools.partial(_checked, body, *args, **kwargs))
            _flush()
            _ignore_signals()
            if code:
                raise invoke.Exit(code=code)

        return invoke.task(run, name=name, help=dict(help), optional=optional, auto_shortflags=False)

    return declare


_FREE = ("log_file", "out", "apply", "gate", "override_requires")  # flags that any text may follow


def _checked(body: Callable[..., int | None], *args: Any, **kwargs: Any) -> int | None:
    """The task, unless a flag has swallowed the next one: `--log-file $UNSET --tenants=acme` would mean everyone."""
    for name in _FREE:
        value = kwargs.get(name)
        if isinstance(value, str) and value.startswith("--"):
            flag = name.replace("_", "-")
            raise errors.UsageError(f"--{flag}: expected a value, found the flag `{value}`: an unset variable?")
    return body(*args, **kwargs)


_heeded: dict[int, Any] = {}  # {signal: what was done about it, before a task that has said all ignored it}


def _ignore_signals() -> None:
    """All is said: a Ctrl-C while the program ends must not change its exit code."""
    with contextlib.suppress(ValueError):  # not the main thread: there are no signals here
        _heeded.update((number, signal.signal(number, signal.SIG_IGN)) for number in interrupts.SIGNALS)


def _heed_signals() -> None:
    """Another task of the same command line."""
    while _heeded:
        signal.signal(*_heeded.popitem())


def _run(body: Callable[[], int | None]) -> int:
    debugging = bool(os.environ.get("INVOKE_DEBUG")) or "--debug" in sys.argv or "-d" in sys.argv
    try:
        return body() or 0
    except errors.OpskitError as error:
        if debugging:
            return _traced(error)
        for line in error.told().split("\n"):  # an inventory's complaints have a line each
            complain(line)
        return error.exit_code
    except KeyboardInterrupt:
        complain("interrupted.")
        return errors.Interrupted.exit_code
    except Exception as error:  # noqa: BLE001 - it is told, whatever it is
        if debugging:
            return _traced(error)
        complain(f"opskit itself broke: {type(error).__name__}: {redaction.redact(str(error))}. `--debug` shows where.")
        return errors.OpskitError.exit_code


def _traced(error: Exception) -> int:
    """Say where it happened, without secrets: a message may hold one, and so may those that led to it."""
    import traceback  # noqa: PLC0415 - start-up time

    _write(sys.stderr, redaction.redact("".join(traceback.format_exception(error))).rstrip("\n"))
    return errors.OpskitError.exit_code


def _open_what_is_closed() -> None:
    """Where `<&-`, `>&-` or a careless daemon closed a standard stream, Python has None: nobody is there instead."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for as long as we run


def _flush() -> None:
    """What nobody reads any more must not fail once more when Python ends, with an exit code of Python's own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _silence(stream)


def _silence(stream: IO[str]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(message: str) -> None:
    """Say a message on one line of stderr, with the name that this program was started by in its commands."""
    from opskit.reporters import text  # noqa: PLC0415 - start-up time

    _write(sys.stderr, text.printable(redaction.hide(as_called(message))))


def answer(message: str) -> None:
    """Say a result on stdout, for people."""
    _write(sys.stdout, as_called(message))


def answer_data(text: str) -> None:
    """Say a result on stdout, for machines: it stays as it is."""
    _write(sys.stdout, text)


def _write(stream: IO[str], message: str) -> None:
    """Print; a reader that went away (`| head`) must not turn a run's exit code into ours.

    Raises OpskitError where a result can't be written for another reason, such as a full disk.
    """
    from opskit.reporters import text  # noqa: PLC0415 - start-up time

    try:
        text.write(stream, message)
    except OSError as error:
        _silence(stream)
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            reason = (error.strerror or str(error)).lower()
            raise errors.OpskitError(f"the result can't be written to stdout: {reason}") from error


def show_summary(
    run: Any, folder: Path, environment_name: str, *, as_json: bool, since: Any = MappingProxyType({})
) -> None:
    """Say how a run ended, in the form that was asked for and as wide as the terminal is.

    `since` is what later runs made of those that it left open, where somebody looked.
    """
    from opskit.reporters import summary, text  # noqa: PLC0415 - start-up time

    if as_json:
        answer_data(summary.as_json(run, folder.name, environment_name, since))
        return
    colours = text.colourful(sys.stdout)
    answer(summary.as_table(run, folder, environment_name, width(), colours=colours, since=since))


def width() -> int | None:
    """The columns that stdout has; None of a pipe or a file, whose lines stay whole, unless COLUMNS says otherwise."""
    asked = os.environ.get("COLUMNS", "")
    told = asked.isdecimal() and int(asked) > 0
    return shutil.get_terminal_size().columns if told or sys.stdout.isatty() else None


def as_called(message: str) -> str:
    """The commands that a message tells to type, for whoever runs `opskit` instead of `invoke`."""
    if Path(sys.argv[0]).name == "opskit":
        return message.replace("`invoke ", "`opskit ")
    return message


def environment(context: invoke.Context, wanted: str | None) -> model.Environment:
    """The environment that is meant. Raises InventoryError."""
    from opskit import inventory  # noqa: PLC0415 - start-up time

    chosen = inventory.load(*choose(context, wanted), os.environ)
    of_app = {chosen.app.env[name] for name in chosen.app.secrets}
    redaction.know(chosen.hooks.secrets | chosen.app.filled_in | of_app)
    return chosen


def choose(context: invoke.Context, wanted: str | None) -> tuple[Path, str]:
    """The folder that holds inventories/, and the environment that is meant. Raises InventoryError."""
    from opskit import inventory  # noqa: PLC0415 - start-up time

    folder = inventory.find_root(Path.cwd())
    return folder, inventory.choose(folder, wanted, context.config.get("opskit", {}).get("env"))


def root() -> Path:
    """The folder that holds inventories/. Raises InventoryError."""
    from opskit import inventory  # noqa: PLC0415 - start-up time

    return inventory.find_root(Path.cwd())


def one_of(flag: str, value: str, allowed: tuple[str, ...]) -> str:
    """`value` of a flag, which must be one of `allowed`. Raises UsageError."""
    if value not in allowed:
        *first, last = (f"`{each}`" for each in allowed)
        raise errors.UsageError(f"--{flag}: expected {', '.join(first)} or {last}, found `{value}`")
    return value


def duration(flag: str, value: str) -> float:
    """The seconds that a flag gives. Raises UsageError naming the flag."""
    from opskit import durations  # noqa: PLC0415 - start-up time

    try:
        seconds = durations.parse(value)
    except errors.UsageError as error:
        raise errors.UsageError(f"--{flag}: {error}") from None
    if seconds > _MONTH:
        raise errors.UsageError(f"--{flag}: expected 30 days at most, found `{value}`")
    return seconds
