"""Which benchmarks there are, with the arguments that the page's figures have. `benchmarks/all` calls it.

Each is a process of its own, one after the other. What it found is in benchmarks/results/<case>.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import measuring
import page

RESULTS = measuring.HERE / "results"


@dataclass(frozen=True)
class Case:
    name: str
    script: str
    full: str = ""  # its arguments
    quick: str | None = ""  # more of them, for `--quick`; None leaves it out there


_SOME = "--times=3 --ways=warm,shell,own1,own2"
CASES = (
    Case(
        "one-small",
        "race",
        "one omnitenant --tenants=50 --times=3",
        "--looped=15 --ways=warm,shell,ansible,fabric,own1,floor",
    ),
    Case("one-small-500", "race", "one omnitenant --tenants=500 --looped=50 --ways=warm,shell,own1", None),
    Case("one-small-django-tenants", "race", f"one django-tenants --tenants=50 {_SOME}", "--looped=15"),
    Case("one-big", "race", f"one big-django-tenants --tenants=50 --looped=20 {_SOME}", "--tenants=20 --looped=5"),
    Case("one-big-tenants-app", "race", f"one big-opskit --tenants=50 --looped=20 {_SOME}", "--tenants=20 --looped=5"),
    Case(
        "nothing-small",
        "race",
        "nothing omnitenant --tenants=500 --looped=50 --times=3 --ways=warm,shell,own1",
        "--looped=10",
    ),
    Case(
        "nothing-big",
        "race",
        "nothing big-django-tenants --tenants=50 --looped=20 --times=3 --ways=warm,shell,own1",
        "--tenants=20 --looped=5",
    ),
    Case("fresh-big", "race", "fresh big-django-tenants --tenants=5 --looped=2 --ways=warm,shell,own1", None),
    Case("fresh-small", "race", "fresh omnitenant --tenants=50 --ways=warm,shell,own1", "--looped=8"),
    Case("latency", "latency", "--tenants=50", "--tenants=25 --times=1"),
    Case("forks", "forks", "", "--times=1"),
    Case("controller", "controller"),
    Case("memory", "memory", "--tenants=1000", "--tenants=200"),
    Case("in-process", "in_process", "--tenants=50", "--tenants=20 --zero=5 --fresh=2"),
    Case("startup", "startup"),
    Case("output", "output", quick=None),
    Case("end-noticed", "end_noticed"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/all", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"{', '.join(case.name for case in CASES)}. default: all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer tenants, and not the longest")
    parser.add_argument("--resume", action="store_true", help="leave out those that have a result")
    given = parser.parse_args()
    unknown = set(given.cases) - {case.name for case in CASES}
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    chosen = [case for case in CASES if _wanted(case, given)]
    failed = [case.name for case in _due(chosen, resume=given.resume) if not _run(case, quick=given.quick)]
    page.write(RESULTS)
    if failed:
        measuring.missing(f"not measured, and why stands above: {', '.join(failed)}.")


def _wanted(case: Case, given: argparse.Namespace) -> bool:
    return case.name in given.cases if given.cases else case.quick is not None or not given.quick


def _due(chosen: list[Case], *, resume: bool) -> list[Case]:
    """Those that are to run. Their old results are removed first: what is interrupted goes on with `--resume`."""
    for case in () if resume else chosen:
        _result(case).unlink(missing_ok=True)
    return [case for case in chosen if not _result(case).exists()]


def _run(case: Case, *, quick: bool) -> bool:
    words = [*case.full.split(), *((case.quick or "").split() if quick else ())]
    measuring.progress(f"{case.name}: benchmarks/{case.script}.py {' '.join(words)}")
    began = time.monotonic()
    argv = [sys.executable, str(measuring.HERE / f"{case.script}.py"), *words, "--json", str(_result(case))]
    done = subprocess.run(argv, check=False)
    measuring.progress(f"{case.name}: {time.monotonic() - began:.0f} s")
    return done.returncode == 0


def _result(case: Case) -> Path:
    return RESULTS / f"{case.name}.json"


if __name__ == "__main__":
    main()
