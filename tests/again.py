"""Runs once more, alone, what failed in company, and tells what passed then: `scripts/test` calls it after a whole run.

Some five thousand tests start servers, kill them and wait for processes, several at a time. A wait that was too short
for a busy machine is told apart here from a fault, which fails again. Four failures are no accident, and a seed of the
fault machine that reports one thing wrongly once has found something: neither is run again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")  # pytest 8: {node id: true}
MOST = 3
NEVER = "tests/faults/"


def main() -> int:
    """0 when all of it passed alone, else 1."""
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not failed or len(failed) > MOST or any(name.startswith(NEVER) for name in failed):
        return 1
    print(f"once more, alone: {', '.join(failed)}", flush=True)
    if subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *failed], check=False).returncode:
        return 1
    print(f"unsteady, to be looked at: failed in company and passed alone: {', '.join(failed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
