"""How the agent's modules come out of the one text that is sent."""

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

from opskit.transport import stream


def serve(said: bytes, cwd: Path) -> tuple[int, str]:
    """How an agent ended that was told this, and then nobody was there: its exit code, and stderr."""
    argv = [sys.executable, "-u", "-c", stream.BOOT]
    with subprocess.Popen(argv, cwd=cwd, stdin=PIPE, stdout=PIPE, stderr=PIPE) as agent:
        agent.stdin.write(stream.agent_source())
        agent.stdin.flush()
        assert agent.stdout.read(len(stream.MAGIC)) == stream.MAGIC
        _, printed = agent.communicate(said)
    return agent.returncode, printed.decode()


def test_the_agent_starts_where_a_module_of_its_name_is(tmp_path):
    for name in ("opskit_agent.py", "opskit.py", "loop.py", "state.py"):
        (tmp_path / name).write_text("raise SystemExit('not this one')")
    assert (0, "") == serve(b"", tmp_path)


def test_a_traceback_names_the_module_and_shows_no_line_of_another_file(tmp_path):
    (tmp_path / "loop.py").write_text("not_this_one = 1\n" * 500)
    code, said = serve(b"J\0\0\0\1{", tmp_path)
    assert (1, True, False) == (code, 'File "opskit-agent:loop.py", line ' in said, "not_this_one" in said)
    assert said.splitlines()[-1].startswith("json.decoder.JSONDecodeError: ")


def test_nothing_is_written_where_it_starts(tmp_path):
    serve(b"", tmp_path)
    assert [] == list(tmp_path.iterdir())
