"""The demo, as the README has it: this repository's own tasks.py, invoke.yaml and inventories/, no server needed."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from e2e import operator

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path):
    """A folder with what this repository has at its top level."""
    for name in ("tasks.py", "invoke.yaml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copytree(REPOSITORY / "inventories", tmp_path / "inventories")
    return tmp_path


def types(folder: Path, *argv: str) -> subprocess.CompletedProcess:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    return subprocess.run(
        [operator.BIN / "invoke", *argv], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def counts(folder: Path, code: int) -> dict[str, int]:
    done = types(folder, "migrate-all", "--format=json")
    assert done.returncode == code, done.stderr
    return {status: number for status, number in json.loads(done.stdout)["counts"].items() if number}


def test_first_all_are_migrated_then_all_are_current_then_one_fails_and_it_starts_over(here):
    assert counts(here, 0) == {"migrated": 12}
    assert counts(here, 0) == {"current": 12}
    assert types(here, "demo.add-migration").stdout.splitlines() == [
        "added products.0003_product_sku",
        "next: `invoke migrate-all --env=demo`",
    ]
    assert types(here, "demo.break-tenant", "--tenant-id=globex").returncode == 0
    assert counts(here, 5) == {"migrated": 11, "failed": 1}
    assert types(here, "demo.reset").returncode == 0
    assert counts(here, 0) == {"migrated": 12}


def test_a_terminal_sees_a_live_view_with_bar_count_eta_and_the_stagger(here):
    shown = on_a_terminal(here, "migrate-all", "--stagger=1", "--tenants=acme,globex")
    assert "0/2 tenants" in shown
    assert "1/2 tenants" in shown
    assert "gone, ETA" in shown
    assert "globex: starts in 1.0 s" in shown
    assert "acme: finished: 4 migrations" in shown
    assert "2 tenants: 2 migrated." in shown


def on_a_terminal(folder: Path, *argv: str) -> str:
    """All that a terminal of 100 columns is sent."""
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [operator.BIN / "invoke", *argv], cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the last writer is gone
                break
            if not piece:
                break
            said += piece
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())  # colours and movements
