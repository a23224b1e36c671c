"""Processes: whether one lives, one that the agent starts, and how one is ended."""

import contextlib
import os
import signal
import subprocess
import time

LOOK = 0.25  # seconds between looks at a process that is not our own child
GRACE = 5.0  # seconds between SIGTERM and SIGKILL


def birth(pid):
    """When process `pid` began, in the system's own words; "" where there is no such process, or a dead one."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        if os.path.exists("/proc/self/stat"):
            return ""
    try:
        asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], stdout=subprocess.PIPE, check=False)
    except OSError:
        return ""
    return asked.stdout.decode("ascii", "replace").strip()


def boot():
    """Which start of the system this is, after which a number and a birth may come again; "" where it does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


BOOT = boot()


def identity(pid, born=None):
    """What a record says of a process, by which `alive` knows it again."""
    return {"pid": pid, "born": birth(pid) if born is None else born, "boot": BOOT}


def stopped(pid):
    """Whether process `pid` has been stopped (SIGSTOP, a debugger) and does nothing until somebody continues it."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        if os.path.exists("/proc/self/stat"):
            return False
    try:
        asked = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], stdout=subprocess.PIPE, check=False)
    except OSError:
        return False
    return asked.stdout.strip().startswith(b"T")


def alive(record):
    """Whether the process of a record still runs; its number may belong to another one by now, or be none."""
    pid = record.get("pid")
    if BOOT and record.get("boot") not in (None, "", BOOT):
        return False
    return type(pid) is int and pid > 0 and "ended" not in record and birth(pid) == record.get("born")


class Started:
    """A process that this agent starts, in a group of its own: its number, its exit code once it has one, signals."""

    def __init__(self, argv, **popen):
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, **popen)
        self.pid = self.popen.pid

    @property
    def exit(self):
        return self.popen.returncode

    def ended(self):
        return self.popen.poll() is not None

    def stuck(self, silent):  # noqa: ARG002 - a started one is not suspected
        return False

    def signal(self, number):
        with contextlib.suppress(OSError):
            os.killpg(self.pid, number)


class Ending:
    """Ends a process: SIGTERM to its group when its time is up or somebody asks, SIGKILL after the grace."""

    def __init__(self, process, timeout):
        self.process = process
        self.at = time.monotonic() + timeout if timeout else None
        self.begun = self.asked = False

    def ask(self):
        if not self.begun:
            self.asked = True
            self.at = time.monotonic()

    def enforce(self):
        if self.at is not None and time.monotonic() >= self.at:
            self.process.signal(signal.SIGKILL if self.begun else signal.SIGTERM)
            self.begun = True
            self.at = time.monotonic() + GRACE

    def due(self):
        """Seconds until it wants attention; None where it never does."""
        return None if self.at is None else max(0.0, self.at - time.monotonic())

    def told(self):
        """What the end of the process says of this."""
        return {"timed_out": self.begun and not self.asked, "asked": self.begun and self.asked}
