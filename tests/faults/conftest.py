"""What the fault machine starts from, made once: a PostgreSQL's files for each framework."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from faults import world


@pytest.fixture(scope="session")
def templates():
    """{framework: world.Template}. Not below pytest's own folder: PostgreSQL is another user, who can't enter it."""
    folder = Path(tempfile.mkdtemp(prefix="opskit-templates-"))
    yield world.templates(folder)
    shutil.rmtree(folder, ignore_errors=True)
