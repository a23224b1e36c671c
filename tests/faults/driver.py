"""opskit itself, in a hurry: the real program with shorter patience, which tells what it has synced to the disk.

What stands in the folder FAULTS_FOLDER: `synced`, a line of JSON for each fsync, and `clock`, the seconds by which the
operator's clock is wrong. Ctrl-C before the program begins ends this file without a word, not with its own traceback.
"""

# ruff: noqa: E402 - the signal's handler comes before what takes time

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opskit.rollout import step
from opskit.transport import agent

FOLDER = Path(os.environ["FAULTS_FOLDER"])

agent.USUAL = agent.Timing(beat=0.4, silence=4.0, start=15.0)  # before the fleet takes it for its own
step.BACKOFF = 0.5


def sync(fd: int, really=os.fsync) -> None:
    really(fd)
    line = {"at": time.time(), "path": str(Path(f"/proc/self/fd/{fd}").readlink()), "size": os.fstat(fd).st_size}
    with (FOLDER / "synced").open("a") as file:
        file.write(json.dumps(line) + "\n")


os.fsync = sync

from opskit import __main__
from opskit.tasks import wiring


def now(_clock) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float((FOLDER / "clock").read_text()))


wiring.Clock.now = now

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[0] = "opskit"
    __main__.main()
