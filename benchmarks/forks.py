"""What `--forks=N` gains: the same rollout one tenant at a time and N at a time, with migrations that keep a core busy.

    forks.py --forks=2 --tenants=16 --seconds=3

Whole commands over a real sshd on loopback, in turns, each on a copy of the same database. Each tenant's migration
keeps Python busy until that many seconds of CPU time have gone. N at a time can gain no more than there are idle cores:
see the load.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import contenders
import measuring
import projects
from measuring import Row

KIND = projects.KINDS["omnitenant"]
BUSY = """
import time

from django.db import migrations


def busy(apps, schema_editor):
    until = time.process_time() + {seconds}
    while time.process_time() < until:
        pass


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunPython(busy, migrations.RunPython.noop)]
"""


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--forks", type=int, default=2)
    parser.add_argument("--tenants", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0, help="of CPU time, a tenant")
    parser.add_argument("--times", type=int, default=3, help="runs of each, of which the median counts")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder,
        measuring.server("postgres") as postgres,
        measuring.server("sshd") as sshd,
    ):
        measuring.progress(f"making {given.tenants} tenants")
        project, _ = KIND.make(postgres, Path(folder), given.tenants, fresh=False)
        (project.folder / "members" / "migrations" / "0004_busy.py").write_text(BUSY.format(seconds=given.seconds))
        project.manage("showmigrations", PYTHONDONTWRITEBYTECODE="")  # compiles the project
        measuring.progress(f"one at a time and {given.forks}, {given.times} times in turns")
        each = ("--forks=1", f"--forks={given.forks}")
        taken = [[_run(project, sshd, Path(folder), flag) for flag in each] for _ in range(given.times)]
    one, many = (statistics.median(column) for column in zip(*taken, strict=True))
    what = f"{given.tenants} tenants, {given.seconds:g} s of a core each"
    measuring.report(
        given,
        Row(
            f"{what}: `--forks={given.forks}` is so many times faster than one",
            f"{one / many:.2f}",
            "at least 1.60" if given.forks == 2 else "",
            one / many >= 1.6 if given.forks == 2 else None,
        ),
        Row("… whole runs, one at a time and several", f"{one:.1f} and {many:.1f} s"),
        Row("… the work alone, on one core", f"{given.tenants * given.seconds:.1f} s"),
    )


def _run(project: Any, sshd: Any, folder: Path, flag: str) -> float:
    copy = projects.copied(project)
    them = contenders.Contenders(copy, sshd, Path(tempfile.mkdtemp(dir=folder)) / "operator", KIND.framework, KIND.one)
    return measuring.timed(lambda: them.opskit(flag))


if __name__ == "__main__":
    main()
