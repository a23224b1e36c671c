"""What runs on the host is written for Python 3.8 and newer."""

import ast
from pathlib import Path

import pytest

import opskit.remote


@pytest.mark.parametrize("name", ["agent", "find", "status"])
def test_the_remote_programs_are_python_3_8(name):
    text = (Path(opskit.remote.__file__).parent / f"{name}.py").read_text()
    assert ast.parse(text, feature_version=(3, 8)).body
