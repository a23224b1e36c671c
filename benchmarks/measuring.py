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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent
MB = 1_000_000

sys.path.insert(0, str(ROOT / "tests"))


# ---------------------------------------------------------------- what is said


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    target: str = ""  # "" is for orientation only


def flags(about: str | None) -> argparse.ArgumentParser:
    """A parser with the flag that `benchmarks/all` sets, and the module's docstring as its help."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="rows of a Markdown table, and nothing else")
    return parser


def report(rows: Sequence[Row], *, markdown: bool) -> None:
    """Print the rows: a plain table under the machine's size, or Markdown."""
    if markdown:
        print("\n".join(f"| {row.what} | {row.measured} | {row.target or '-'} |" for row in rows), flush=True)
        return
    cells = [("what", "measured", "target"), *((row.what, row.measured, row.target or "-") for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(3)]
    print(machine())
    for row in (cells[0], tuple("-" * width for width in widths), *cells[1:]):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


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
