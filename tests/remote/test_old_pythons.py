"""What runs on the host is written for Python 3.8 and newer.

`scripts/lint` holds it against the standard library of 3.8 (vermin); here it runs on every Python that this machine has.
"""

import ast
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import places
import pytest

import opskit.remote
from opskit import errors, model
from opskit.transport import fleet

PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()


def pythons(*minors: int) -> list[str]:
    """Those of Python 3's minor versions that are installed here, on the PATH or by pyenv."""
    found = [shutil.which(f"python3.{minor}") or "" for minor in minors]
    found += [str(each) for minor in minors for each in PYENV.glob(f"versions/3.{minor}.*/bin/python")]
    return [
        each for each in found if each and not subprocess.run([each, "-V"], capture_output=True, check=False).returncode
    ]


@contextlib.contextmanager
def agent(folder, python: str):
    app = places.app(folder, python=python)
    here = model.Host("here", "localhost", model.HostKind.LOCAL)
    environment = model.Environment("test", (here,), app, "custom", root=str(folder))
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as hosts:
        yield hosts


REMOTE = Path(opskit.remote.__file__).parent


@pytest.mark.parametrize("name", sorted(str(file.relative_to(REMOTE)) for file in REMOTE.rglob("*.py")))
def test_the_remote_programs_are_python_3_8(name):
    assert ast.parse((REMOTE / name).read_text(), feature_version=(3, 8)).body


@pytest.mark.parametrize("python", [sys.executable, *pythons(8, 9, 10, 12, 13)])
def test_the_agent_does_its_work_on_every_python_there_is(tmp_path, python):
    with agent(tmp_path, python) as hosts:
        version = hosts.open().python
        assert version == subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
        assert json.loads(places.run(hosts, "show", "a b", "é").tail) == ["a b", "é"]
        assert places.run(hosts, "code", "3").exit == 3
        assert places.run(hosts, "suicide", "9").exit == -signal.SIGKILL
        assert places.run(hosts, "stubborn", str(tmp_path / "pids"), timeout=0.5).timed_out
        assert hosts.ask(model.Command(("both",))).out == "on stdout\n"
        assert places.run(hosts, "show", "a\0b").error.startswith("not started: ")


def test_a_python_that_is_too_old_is_named(tmp_path):
    """Where there is none, one that says so of itself: the agent looks at nothing else."""
    old = pythons(6, 7)
    if not old:
        pretends = tmp_path / "python3.6"
        pretends.write_text(f"""#!/bin/sh
shift 2
exec {sys.executable} -c "import sys; sys.version_info = (3, 6, 0, 'final', 0)
$1"
""")
        pretends.chmod(0o755)
        old = [str(pretends)]
    for python in old:
        with agent(tmp_path, python) as hosts, pytest.raises(errors.RemoteError) as caught:
            hosts.open()
        said = r"here: the agent did not start: app.python is Python 3\.[67]: the agent needs 3.8 or newer \(exit 1\)"
        assert re.fullmatch(said, str(caught.value))
