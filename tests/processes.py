"""Which process started which, on this machine."""

from __future__ import annotations

from pathlib import Path


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def agent_above(pid: int) -> int:
    """The agent of a command: its parent, or that of the warm runner that forked it."""
    while b"opskit-agent" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = parent(pid)
    return pid


def sshd_above(pid: int) -> int:
    """The sshd that serves the session which a process belongs to."""
    while not Path(f"/proc/{pid}/stat").read_text().partition("(")[2].startswith("sshd"):
        pid = parent(pid)
    return pid
