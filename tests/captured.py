"""Golden replies: what real packages printed, kept as tests/golden/<package>-<version>/<name>.txt.

    $ manage.py migratetenant --tenant-id=s04
    exit 0
    --- stdout
    …
    --- stderr
    …

`python tests/golden/capture.py` makes them again.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Captured:
    args: tuple[str, ...]  # of manage.py
    exit: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def read(name: str) -> Captured:
    """Read `omnitenant-1.0.2/migratetenant-ok` and the like."""
    head, _, rest = (GOLDEN / f"{name}.txt").read_text().partition("--- stdout\n")
    command, code = head.splitlines()
    stdout, _, stderr = rest.rpartition("--- stderr\n")
    return Captured(tuple(shlex.split(command)[2:]), int(code.split()[1]), stdout, stderr)


def write(name: str, captured: Captured, folder: Path = GOLDEN) -> None:
    path = folder / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"$ manage.py {shlex.join(captured.args)}\nexit {captured.exit}\n"
        f"--- stdout\n{captured.stdout}--- stderr\n{captured.stderr}"
    )
