"""How long `invoke --list` takes with opskit's tasks, against a tasks.py that only imports fabric.

Both run in turns, in folders of their own; the figures are medians of whole commands.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import measuring
from measuring import Row

BARE = """\
import fabric
from invoke import task


@task
def deploy(context):
    print(fabric.__version__)
"""


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--times", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder:
        bare, ours = Path(folder, "bare"), Path(folder, "ours")
        bare.mkdir()
        ours.mkdir()
        (bare / "tasks.py").write_text(BARE)
        for name in ("tasks.py", "invoke.yaml"):
            shutil.copy(measuring.ROOT / name, ours)
        shutil.copytree(measuring.ROOT / "inventories", ours / "inventories")
        invoke = measuring.program("invoke")
        measuring.progress(f"{given.times} times `invoke --list` in both folders, in turns")
        of_bare, of_ours = measuring.alternately(
            given.times,
            lambda: measuring.ran([invoke, "--list"], cwd=bare),
            lambda: measuring.ran([invoke, "--list"], cwd=ours),
        )
    measuring.report(
        given,
        Row(
            "`invoke --list`: opskit / a file that imports fabric",
            f"{of_ours / of_bare:.2f}",
            "at most 1.3",
            of_ours / of_bare <= 1.3,
        ),
        Row("… opskit", measuring.ms(of_ours)),
        Row("… a file that imports fabric", measuring.ms(of_bare)),
    )


if __name__ == "__main__":
    main()
