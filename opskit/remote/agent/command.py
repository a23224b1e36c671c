"""One command at work, from its record to its end."""

import contextlib
import os
import signal
import sys
import time

from . import files, output, processes, redaction

TAIL = 4096  # bytes of output that a record keeps for the next run


class Child:
    """A command at work: its process, its output files, its record (questions have none: they change nothing)."""

    def __init__(self, state, run, request, secrets):
        self.request = request
        self.secrets = secrets
        self.end = None
        self.stuck = False
        self.followers = []
        self.files = [state.output() for _ in range(2 if request.get("apart") else 1)]
        for (_, path), kind in zip(self.files, (b"O" if request.get("reads") else b"P", b"E")):
            self.followers.append(output.Follower(path, kind, secrets))
        self.record_path = None if request.get("reads") else state.record_path(run, request["id"])
        self.record = dict(state.mark(), run=run, label=request.get("label", ""), number=request["id"])
        self.record["started"] = time.time()
        self.record["outputs"] = [path for _, path in self.files]

    def start(self, argv, env, cwd):
        """Start it. The record stands before the process does, so that no start goes unrecorded."""
        self.save_record()
        out, err = self.files[0][0], self.files[-1][0]
        self.clock = time.monotonic()
        self.process = processes.Started(argv, stdout=out, stderr=err, cwd=cwd, env=env, preexec_fn=self.note_process)
        self.record.update(processes.identity(self.process.pid))
        self.ending = processes.Ending(self.process, self.request.get("timeout"))

    def fork(self, runner, env):
        """Have it forked. It waits there until `take` has written its number down."""
        self.save_record()
        self.clock = time.monotonic()
        self.process = runner.fork(self, env)
        self.ending = processes.Ending(self.process, self.request.get("timeout"))

    def take(self, message):
        """Hear what the runner says of it. True where it has just begun."""
        self.process.take(message)
        begins = message["type"] == "forked"
        if begins:
            self.try_record(**processes.identity(self.process.pid, self.process.born))
            self.process.runner.go(self.request["id"])
        return begins

    @property
    def waits(self):
        """Whether it has not begun: the warm runner has yet to fork it."""
        return self.process.pid is None and not self.process.ended()

    def note_process(self):
        """In the new process, before it becomes the command: whoever kills the agent now leaves no stranger.

        A full disk must not keep it from starting, and nothing can be said of it: stderr is the command's by now.
        """
        with contextlib.suppress(OSError):
            self.save_record(**processes.identity(os.getpid()))

    def look(self):
        """How it ended, or None. What a timeout left of the group is killed."""
        self.ending.enforce()
        if self.process.stuck(silent=not any(follower.read for follower in self.followers)):
            self.stuck = True
            self.process.signal(signal.SIGKILL)
        if self.end is None and self.process.ended():
            if self.ending.begun and self.process.pid is not None:
                self.process.signal(signal.SIGKILL)
            self.end = {
                "type": "ended",
                "id": self.request["id"],
                "exit": self.process.exit,
                "seconds": time.monotonic() - self.clock,
                "record": self.record_path,
                "full": self.process.exit != 0 and files.full(os.path.dirname(self.files[0][1])),
                "over": self.process.exit is None,
                "stuck": self.stuck,
                **self.ending.told(),
            }
        return self.end

    def save_record(self, **more):
        self.record.update(more)
        if self.record_path:
            files.write_json(self.record_path, self.record)

    def try_record(self, **more):
        """A record that can't be written (a full disk) must not stop the watch over a running command."""
        try:
            self.save_record(**more)
        except OSError as error:
            sys.stderr.write("opskit agent: %s\n" % error)

    def tail(self):
        """The end of the output, for a message of the next run; "" where somebody took the file away."""
        try:
            with open(self.files[0][1], "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * TAIL))  # a secret cut in two is not in the later half
                return redaction.Redactor(self.secrets).feed(file.read(), last=True)[-TAIL:].decode("utf-8", "replace")
        except OSError:
            return ""

    def close(self):
        """Write how it ended. The output stays until it is collected; a question's goes at once."""
        for fd in [fd for fd, _ in self.files] + [follower.fd for follower in self.followers]:
            os.close(fd)
        if self.record_path is None:
            files.remove(self.record["outputs"])
        elif self.end is not None:
            how = {"ended": time.time(), "exit": self.end["exit"], **self.ending.told()}
            self.try_record(**how)
            self.try_record(tail=self.tail())

    def discard(self):
        """It never started: leave no trace."""
        self.close()
        files.remove(self.record["outputs"] + [self.record_path or ""])
