"""What every benchmark shares: its flags, the machine's size, its table, and the servers of the tests.

Nothing here asserts: a benchmark prints what it measured beside what was aimed at, and people judge.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent
MB = 1_000_000

sys.path.insert(0, str(ROOT / "tests"))
os.environ.pop(
    "PYTHONDONTWRITEBYTECODE", None
)  # what is installed somewhere has its bytecode: so has all that runs here


# ---------------------------------------------------------------- what is said


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    target: str = ""  # "" is for orientation only
    met: bool | None = None  # None is for people to judge


@dataclass(frozen=True)
class Lap:
    """How long a contender took for all tenants of a case: the whole command.

    Where only some of them were measured, `seconds` is theirs, multiplied.
    """

    contender: str
    seconds: float
    measured: int  # tenants
    least: float | None = None  # what it should take at least, in times of the race's first lap


@dataclass(frozen=True)
class Race:
    """A case and those that ran it one after the other; the first is opskit, and the others are compared with it."""

    case: str
    tenants: int
    laps: tuple[Lap, ...]

    def rows(self) -> list[Row]:
        """A row a contender: seconds a tenant, and how many times opskit's that is."""
        first, *others = self.laps
        what = f"{self.case}, {self.tenants} tenants"
        return [Row(f"{what}: {first.contender}", self._each(first)), *(self._row(first, lap) for lap in others)]

    def _row(self, first: Lap, lap: Lap) -> Row:
        ratio = lap.seconds / first.seconds
        target, met = ("", None) if lap.least is None else (f"at least {lap.least:.2f}", ratio >= lap.least)
        return Row(f"… {lap.contender}", f"{self._each(lap)}, {ratio:.2f} times", target, met)

    def _each(self, lap: Lap) -> str:
        some = "" if lap.measured == self.tenants else f" ({lap.measured} of them measured)"
        return f"{lap.seconds:.2f} s, {ms(lap.seconds / self.tenants)} a tenant{some}"


def flags(about: str | None) -> argparse.ArgumentParser:
    """A parser with the flag that `benchmarks/all` sets, and the module's docstring as its help."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too, for benchmarks/page.py")
    return parser


def report(given: argparse.Namespace, *found: Row | Race) -> None:
    """Print what was found under the machine's size and load, and write it down where `--json` says so."""
    rows = [row for each in found for row in (each.rows() if isinstance(each, Race) else [each])]
    cells = [("what", "measured", "target", "met"), *((r.what, r.measured, r.target or "-", _met(r)) for r in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(4)]
    print(f"{machine()}. {load()}")
    for row in (cells[0], tuple("-" * width for width in widths), *cells[1:]):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if given.json:
        given.json.parent.mkdir(exist_ok=True)
        given.json.write_text(json.dumps(_written(given, found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _met(row: Row) -> str:
    return "-" if row.met is None else "yes" if row.met else "no"


def _written(given: argparse.Namespace, found: Sequence[Row | Race]) -> dict[str, Any]:
    return {
        "machine": machine(),
        "load": load(),
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "flags": {name: value for name, value in vars(given).items() if name != "json" and value is not None},
        "rows": [asdict(each) for each in found if isinstance(each, Row)],
        "races": [asdict(each) for each in found if isinstance(each, Race)],
    }


def load() -> str:
    """What else the machine was doing: processes that wanted a core, while this ran and when it began."""
    after = os.getloadavg()[0]
    return f"load {_BEFORE:.1f} when it began, {after:.1f} when it ended, this benchmark included"


_BEFORE = os.getloadavg()[0]


def machine() -> str:
    """`2 cores, 24 GiB, Python 3.11.7, Linux x86_64`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation().replace('CPython', 'Python')} {platform.python_version()}"
    return f"{cores} cores, {memory:.0f} GiB, {python}, {platform.system()} {platform.machine()}"


def progress(text: str) -> None:
    """Say on stderr what is being measured: some of it takes a minute."""
    print(f"… {text}", file=sys.stderr, flush=True)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def spread(seconds: Sequence[float]) -> str:
    """Median, 95th percentile and maximum."""
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"median {ms(statistics.median(ordered))}, 95 % {ms(high)}, max {ms(ordered[-1])}"


# ---------------------------------------------------------------- what is measured


def timed(body: Callable[[], Any]) -> float:
    """The seconds that `body` takes."""
    began = time.perf_counter()
    body()
    return time.perf_counter() - began


def alternately(times: int, *bodies: Callable[[], Any]) -> list[float]:
    """The median seconds of each body, run in turns after one run each that does not count."""
    for body in bodies:
        body()
    taken = [[timed(body) for body in bodies] for _ in range(times)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def peak_mb() -> float:
    """The most memory that this process has had, in MB.

    On Linux not ru_maxrss: a new program inherits that from whoever started it.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / MB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def in_a_process(program: str, **given: Any) -> dict[str, Any]:
    """Run a benchmark's own part in a fresh process, for its memory: {name: figure} that it printed last."""
    done = subprocess.run(
        [sys.executable, program, "--part", json.dumps(given)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        missing(f"a part of {Path(program).name} ended with exit {done.returncode}: what it said stands above.")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def ran(argv: Sequence[str | Path], **more: Any) -> str:
    """Run a command that must succeed, and return its stdout."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        missing(f"{Path(argv[0]).name} ended with exit {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


# ---------------------------------------------------------------- what is needed


def missing(sentence: str) -> None:
    """End this benchmark, non-zero, with what it lacks."""
    raise SystemExit(sentence)


def _needs(*modules: str) -> None:
    """End here rather than in a traceback where this is not the Python that opskit is installed for."""
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    if lacking:
        again = (
            f"`scripts/setup test` installs what is needed for `.venv/bin/python benchmarks/{Path(sys.argv[0]).name}`"
        )
        missing(f"{sys.executable} has no {' and no '.join(lacking)}: {again}.")


_needs("opskit", "fabric", "paramiko", "tabulate")


def program(name: str) -> str:
    """The path of a console script beside this Python."""
    found = BIN / name
    if not found.exists():
        missing(f"`{name}` is not installed beside {sys.executable}: `scripts/setup test` installs it.")
    return str(found)


def of_the_tests(module: str) -> Any:
    """A module of tests/, which has the servers."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing(f"{error.name} is not installed beside {sys.executable}: `scripts/setup test` installs it.")


@contextlib.contextmanager
def server(name: str) -> Iterator[Any]:
    """A running server of tests/servers.py, `postgres` or `sshd`; ends the benchmark where it can't run."""
    servers = of_the_tests("servers")
    pytest = of_the_tests("pytest")
    try:
        with getattr(servers, name)() as running:
            yield running
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        missing(f"no {name} to measure with: {error}")


if __name__ == "__main__":
    print(machine())
