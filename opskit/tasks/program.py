"""The `opskit` console script: the same tasks in any folder with inventories/ in it or above it."""

from __future__ import annotations

from pathlib import Path

import invoke

from opskit import __version__
from opskit.tasks import namespace


class Program(invoke.Program):
    """Invoke's program; with a namespace of its own it would never read an invoke.yaml (invoke 2.2, program.py)."""

    def create_config(self) -> None:
        super().create_config()
        self.config.set_project_location(_project())
        self.config.load_project()


def _project() -> str:
    """The nearest folder upward with inventories/ in it, else this one."""
    here = Path.cwd()
    return str(next((each for each in (here, *here.parents) if (each / "inventories").is_dir()), here))


def main() -> None:
    Program(namespace=namespace, name="opskit", binary="opskit", version=__version__).run()
