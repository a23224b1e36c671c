"""`scripts/soak N [--from SEED] [--at-once K]`: plays N seeds, and prints what came of each and of all."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent import futures
from pathlib import Path

import tabulate

from faults import machine, scenario, world

AT_ONCE = int(os.environ.get("OPSKIT_SEEDS_AT_ONCE", "2"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Rolls out under faults, and counts misreports.")
    parser.add_argument("number", type=int, help="how many seeds")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="SEED", help="the first one")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, metavar="K", help="how many side by side")
    asked = parser.parse_args()
    began = time.monotonic()
    every = []
    for played in play(range(asked.first, asked.first + asked.number), asked.at_once):
        every.append(played)
        _tell(played)
    _summarise(every, time.monotonic() - began)
    return 1 if any(each.misreports or each.broke for each in every) else 0


def play(seeds: Iterable[int], at_once: int = AT_ONCE) -> Iterator[machine.Played]:
    """What became of the seeds, as they end."""
    folder = Path(tempfile.mkdtemp(prefix="opskit-soak-"))
    try:
        made = world.templates(folder)
        with futures.ThreadPoolExecutor(at_once) as pool:
            for done in futures.as_completed([pool.submit(machine.play, scenario.draw(seed), made) for seed in seeds]):
                yield done.result()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tell(played: machine.Played) -> None:
    verdict = "MISREPORT" if played.misreports else "BROKE" if played.broke else "ok"
    print(
        f"seed {played.story.seed}: {verdict}, {played.seconds:.0f} s, exits {played.codes}: {played.story}", flush=True
    )
    for sentence in (*played.misreports, *played.broke):
        print(f"    {sentence}")
    for line in played.left:
        print(f"    still there after {machine.LIMIT:.0f} s: {line}", flush=True)
    if played.misreports or played.broke:
        print(f"    replay: scripts/soak 1 --from={played.story.seed}", flush=True)
        print(
            "    it said last:\n" + "\n".join(f"      | {line}" for line in played.last.splitlines()[-12:]), flush=True
        )


def _summarise(every: list[machine.Played], seconds: float) -> None:
    rows = [
        (
            kind,
            sum(kind in each.struck for each in every),
            sum(kind in each.struck and each.codes == [0] for each in every),
            sum(kind in each.struck and each.codes != [0] for each in every),
            sum(len(each.misreports) for each in every if kind in each.struck),
        )
        for kind in (*scenario.KINDS, *scenario.PACKETS)
    ]
    print(tabulate.tabulate(rows, ("fault", "seeds", "home at once", "home by --resume", "misreports")))
    codes = Counter(each.codes[0] for each in every)
    print(f"first exit codes: {dict(sorted(codes.items(), key=str))}")
    bad = [each.story.seed for each in every if each.misreports]
    broke = [each.story.seed for each in every if each.broke]
    print(
        f"{len(every)} seeds in {seconds:.0f} s: {sum(len(each.misreports) for each in every)} misreports"
        + (f" (seeds {bad})" if bad else "")
        + (f"; the machine itself broke in {broke}" if broke else "")
    )


if __name__ == "__main__":
    sys.exit(main())
