"""One command that an earlier agent of the same run started."""

import contextlib
import os
import time

from . import files, frames, output, processes


class Followed:
    """A command of this run that an earlier agent started: its output from `at` on, its end from its record.

    The agent that started it may still be there and write that record. Where it was killed, the command has no exit
    code. `over` is whether it is certain that it does not run, and is not going to: then the lock is ours.
    """

    waits = False  # it has begun

    def __init__(self, state, run, request, secrets, silence):
        self.state = state
        self.request = request
        self.secrets = secrets
        self.patience = silence  # seconds for the other agent to write down how it ended
        self.record_path = state.record_path(run, request["id"])
        self.record = {}
        self.followers = []
        self.end = self.gone = None
        self.next_look = 0.0
        self.ending = processes.Ending(self, request.get("timeout"))
        self.read_record()

    def read_record(self):
        self.record = files.read_json(self.record_path) or self.record
        for path in self.record.get("outputs", [])[:1] if not self.followers else []:
            with contextlib.suppress(OSError):  # somebody took it away
                self.followers.append(output.Follower(path, b"P", self.secrets, self.request["at"]))

    def signal(self, number):
        if processes.alive(self.record):
            with contextlib.suppress(OSError):
                os.killpg(self.record["pid"], number)

    def look(self):
        self.ending.enforce()
        if self.end is None and time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + processes.LOOK
            self.read_record()
            if "ended" in self.record or self.is_gone():
                self.end = self.how()
        return self.end

    def is_gone(self):
        """Whether the process is gone, and nobody is there any more, or stirs, to say how it ended."""
        if processes.alive(self.record):
            self.gone = None
            return False
        with contextlib.suppress(frames.Refused):  # a full disk
            if self.state.hold():
                self.read_record()  # the last thing that the other agent did may have been to write it
                return True
        self.gone = self.gone or time.monotonic()
        return time.monotonic() - self.gone > self.patience

    def how(self):
        told = {name: self.record.get(name) is True or here for name, here in self.ending.told().items()}
        code = self.record.get("exit")
        return {
            "type": "ended",
            "id": self.request["id"],
            "exit": code if isinstance(code, int) else None,  # a record is a file, and files get broken
            "seconds": self.seconds(),
            "record": self.record_path,
            "over": "ended" in self.record or self.state.held is not None,
            **told,
        }

    def seconds(self):
        """How long it took, as far as the clock of this host knows."""
        began, ended = self.record.get("started"), self.record.get("ended", time.time())
        known = isinstance(began, (int, float)) and isinstance(ended, (int, float))
        return max(0.0, ended - began) if known else 0.0

    def close(self):
        for follower in self.followers:
            os.close(follower.fd)
