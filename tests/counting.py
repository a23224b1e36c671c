"""An app that has each process print, at its end, how many models it rendered, and which process it was forked from."""

from __future__ import annotations

from pathlib import Path

APP = """
import atexit, os
from django.apps import AppConfig
from django.db.models.signals import class_prepared

class Counting(AppConfig):
    name = "counting"

    def ready(self):
        rendered = []
        class_prepared.connect(lambda sender, **_: rendered.append(os.getpid()), weak=False)
        atexit.register(lambda: print("rendered", rendered.count(os.getpid()), "below", os.getppid()))
"""


def write(project: Path) -> None:
    """Put the app `counting` into a project's folder; its settings have yet to name it."""
    (project / "counting").mkdir()
    (project / "counting" / "__init__.py").touch()
    (project / "counting" / "apps.py").write_text(APP)
