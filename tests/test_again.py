"""What failed in company is run once more, alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AGAIN = Path(__file__).with_name("again.py")
ONCE = """
from pathlib import Path

def test_{0}():
    passes = Path("been-{0}").exists()
    Path("been-{0}").touch()
    assert passes
"""
ALWAYS = "\n\ndef test_broken():\n    assert False\n"
FINE = "\n\ndef test_fine():\n    pass\n"


@pytest.fixture
def suite(tmp_path):
    """Run a suite of its own, and then what failed of it: the exit codes and what the second run said."""

    def suite(text, where="tests/test_it.py"):
        file = tmp_path / where
        file.parent.mkdir(parents=True)
        file.write_text(text)
        first = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, check=False)
        then = subprocess.run([sys.executable, AGAIN], cwd=tmp_path, capture_output=True, text=True, check=False)
        return first.returncode, then.returncode, then.stdout

    return suite


def test_what_passes_alone_is_named_and_excused(suite):
    first, then, said = suite(ONCE.format("a") + FINE)
    assert (1, 0) == (first, then)
    assert "unsteady, to be looked at: failed in company and passed alone: tests/test_it.py::test_a" in said
    assert "1 passed" in said


def test_what_fails_again_has_failed(suite):
    first, then, said = suite(ONCE.format("a") + ALWAYS)
    assert (1, 1, False) == (first, then, "unsteady" in said)
    assert "1 failed, 1 passed" in said


@pytest.mark.parametrize(("names", "code"), [("abc", 0), ("abcd", 1)])
def test_three_at_most(suite, names, code):
    assert (1, code) == suite("".join(map(ONCE.format, names)))[:2]


def test_a_seed_that_found_something_is_not_asked_again(suite):
    assert (1, 1, "") == suite(ONCE.format("a"), "tests/faults/test_it.py")


def test_a_module_that_can_not_be_imported_has_failed(suite):
    assert (2, 1) == suite("import nothing_of_this_name")[:2]


def test_where_nothing_failed_there_is_nothing_to_excuse(suite):
    assert (0, 1, "") == suite(FINE)
