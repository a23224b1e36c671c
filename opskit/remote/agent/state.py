"""The lock of a project, and the records of its commands."""

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import tempfile
import time

from . import files, frames, processes

ADMISSIONS = 6  # tries to share the lock, while somebody else of the same run takes it
PAUSE = 0.03  # seconds between them


def flock(fd, how):
    """Whether the kernel's lock is ours now."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def exclusive(fd):
    return flock(fd, fcntl.LOCK_EX)


class State:
    """The lock of one project and the records of its commands, in one folder.

    They are named for the path that the inventory gives, not for what its links lead to: a deploy that
    moves the link is still the same project.
    """

    def __init__(self, folder, project, claim=None, worker=None):
        project = os.path.abspath(os.path.expanduser(project))
        safe = re.sub(r"[^A-Za-z0-9_-]", "_", os.path.basename(project))[:40]
        self.folder = folder
        self.name = "%s-%s" % (safe, hashlib.sha256(project.encode("utf-8", "surrogateescape")).hexdigest()[:8])
        self.claim = claim or {}  # who asks for the lock: {run, operator, at}
        self.worker = worker  # None: this agent is the run's only one
        self.locks = {}  # {a lock file's ending: its descriptor, while the kernel's lock on it is ours}
        self.held = None  # the lock file, while the lock is ours
        self.lock = None  # the same, while nothing keeps us from starting commands

    def path(self, ending):
        return os.path.join(self.folder, self.name + ending)

    def take_lock(self):
        """Take the lock, or raise Refused with who has it. It is held until this process ends."""
        if not self.hold():
            raise frames.Refused("locked", "another run holds it", holder=self.holder())
        self._refuse_orphan()
        if self.worker is None:
            self.sign()
        self.lock = self.held

    def sign(self):
        """Write down who holds the lock, for those who are refused, and for the other workers. Raises Refused.

        In a file of its own, put in the place of the one before: of a file that is written over, some file systems
        (ext4) show a reader half the old and half the new, and the kernel's lock is on a file that must stay.
        """
        try:
            self.write(dict(self.claim, **processes.identity(os.getpid())))
        except OSError as error:  # a full disk
            raise frames.Refused(
                "state_dir", "app.state_dir `%s`: %s" % (self.folder, error.strerror.lower())
            ) from error

    def write(self, holder):
        files.write_json(self.path(".holder"), holder)

    def read(self):
        return files.read_json(self.path(".holder"))

    def abandoned(self):
        """Write down that the controller is gone: what is at work goes on to its end, and nothing more is started.

        A worker does not know that: it may have lost no more than its own line.
        """
        if self.lock is not None and self.worker is None:
            with contextlib.suppress(OSError):  # a full disk
                self.write(dict(self.read(), gone=time.time()))

    def holder(self):
        """Who has the lock: what it wrote down, whether its agent is stopped, and what it has at work."""
        said = self.signed()
        of_it = [record for record in self.records() if record.get("run") == said.get("run")]
        at_work = [record for record in of_it if processes.alive(record)]
        stopped = processes.alive(said) and processes.stopped(said["pid"])
        return dict(said, stopped=stopped, at_work=at_work[-1] if at_work else None)

    def signed(self):
        """What the holder of the lock wrote down; who has only just got it is about to."""
        for _ in range(ADMISSIONS):
            said = self.read()
            if said:
                break
            time.sleep(PAUSE)
        return said

    def hold(self):
        """Whether the kernel's lock is ours: the kernel lets go of it, nobody else.

        It is a worker's when it shares the run's, and no other agent in its place is there.
        """
        if self.worker is None:
            ours = self.locked(".lock", exclusive)
        else:
            ours = self.locked(".lock", self.share) and self.locked(".%d.lock" % self.worker, exclusive)
        self.held = self.locks[".lock"] if ours else None
        return ours

    def locked(self, ending, take):
        """Whether the kernel's lock on one of our files is ours, until this process ends."""
        if ending not in self.locks:
            fd = os.open(self.path(ending), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            taken = False
            try:
                taken = take(fd)
            finally:
                if not taken:
                    os.close(fd)
            if taken:
                self.locks[ending] = fd
        return ending in self.locks

    def share(self, fd):
        """Whether this worker shares the lock. The first one takes it whole, and writes down whose it is.

        Between whole and shared the kernel holds nothing: where another run comes in, the lock is that one's.
        """
        for _ in range(ADMISSIONS):
            if exclusive(fd):
                self.sign()
                return flock(fd, fcntl.LOCK_SH)
            if flock(fd, fcntl.LOCK_SH):
                said = self.read()
                if self.claim == {name: said.get(name) for name in self.claim}:
                    return True
                fcntl.flock(fd, fcntl.LOCK_UN)
            time.sleep(PAUSE)
        return False

    def _refuse_orphan(self):
        """A command outlives its agent where that was killed: the lock is free then, and the command is not done."""
        for record in self.records():
            if processes.alive(record):
                raise frames.Refused("locked", "a command of it still runs", holder=dict(record, orphan=True))

    def mark(self):
        """What a record says of the worker whose command it is."""
        return {} if self.worker is None else {"sitting": self.claim.get("at"), "worker": self.worker}

    def records(self):
        """Commands whose end no controller has heard, oldest first; not those of the other workers of this run."""
        paths = sorted(glob.glob(glob.escape(self.path("")) + ".*.json"))
        found = [dict(files.read_json(path), path=path) for path in paths]
        return [record for record in found if not self.is_a_colleagues(record)]

    def is_a_colleagues(self, record):
        """Whether another worker of this run looks after it. What an earlier part of the run left is nobody's."""
        if self.worker is None or "worker" not in record:
            return False
        return record["worker"] != self.worker and record.get("sitting") == self.claim.get("at")

    def record_path(self, run, number):
        return self.path(".%s.%06d.json" % (re.sub(r"[^A-Za-z0-9_-]", "_", run), number))

    def output(self):
        """A new 0600 file for a command's output, open for writing."""
        return tempfile.mkstemp(prefix=self.name + ".", suffix=".out", dir=self.folder)
