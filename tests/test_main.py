"""The program's first tenths of a second, in which it only imports."""

import subprocess
import sys

INTERRUPTED = """
import sys

class Interrupted:
    def find_spec(self, name, *_):
        if name == "opskit.tasks":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from opskit.__main__ import main
main()
"""


def test_ctrl_c_while_it_is_imported_is_one_word():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (130, "", "interrupted.\n") == (done.returncode, done.stdout, done.stderr)


def test_the_package_can_be_run_as_a_program():
    done = subprocess.run([sys.executable, "-m", "opskit", "--version"], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("opskit ")
