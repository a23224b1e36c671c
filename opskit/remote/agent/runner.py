"""The warm runner beside the agent, and the processes that it forks."""

import contextlib
import json
import os
import socket
import subprocess
import time

from . import files, frames, processes


class Runner:
    """The warm runner beside this agent: a process that has loaded the project, and forks a child for each command."""

    def __init__(self, state, still, argv, env, cwd):
        self.still = still  # seconds without a word and without a database that say nothing yet
        self.slowest = 0.0  # seconds that a command took to reach a database
        self.ready = None  # when it had loaded the project
        self.useless = False
        self.line, theirs = socket.socketpair()
        self.line.setblocking(False)
        self.buffer = b""
        self.over = False
        log, path = state.output()
        try:
            self.popen = subprocess.Popen(
                [str(theirs.fileno()) if arg is None else arg for arg in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env=env,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        finally:
            os.close(log)
            files.remove([path])  # what the project prints while it is imported is nobody's output
            theirs.close()

    def fork(self, child, env):
        """Ask for a child; it starts when `go` is said."""
        request = child.request
        said = {"id": request["id"], "args": request["args"], "source": request.get("source", ""), "env": env}
        said.update(out=child.files[0][1], err=child.files[-1][1])
        self.say(said)
        return Forked(self)

    def go(self, number):
        self.say({"go": number})

    def say(self, message):
        self.line.setblocking(True)
        with contextlib.suppress(OSError):  # it is gone: `messages` finds out
            self.line.sendall(json.dumps(message).encode() + b"\n")
        self.line.setblocking(False)

    def messages(self):
        """What has been said since the last time; `over` where nothing more can come."""
        try:
            data = self.line.recv(frames.CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.close()
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [json.loads(line.decode()) for line in lines]

    def close(self):
        """End it. What it has forked goes on; what waits for its start ends."""
        if not self.over:
            self.over = True
            self.line.close()
            self.popen.kill()
            self.popen.wait()


class Forked:
    """A process that the warm runner forks: its number once there is one, its exit code once it has ended.

    Where the runner is gone before it could say how this one ended, there is no exit code.
    """

    def __init__(self, runner):
        self.runner = runner
        self.asked = time.monotonic()
        self.began = self.next_look = 0.0
        self.pid = self.exit = self.gone = None
        self.over = self.at_work = False

    def take(self, message):
        """Hear what the runner, or the process itself, has to say of it."""
        if message["type"] == "forked":
            self.began = time.monotonic()
            self.pid = message["pid"]
            self.born = processes.birth(self.pid)
        elif message["type"] == "exited":
            self.exit = message["exit"]
            self.over = True
        elif message["type"] == "at_work" and not self.at_work:
            self.at_work = True
            self.runner.slowest = max(self.runner.slowest, time.monotonic() - self.began)

    def ended(self):
        """Whether it has ended; a runner that does not say so, though it should, is not waited for."""
        if not self.over and self.pid is not None and time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + processes.LOOK
            if processes.birth(self.pid) != self.born:
                self.gone = self.gone or time.monotonic()
                self.over = self.runner.over or time.monotonic() - self.gone > processes.GRACE
        return self.over

    def unheard(self):
        """Whether the runner has been asked for it, has the project loaded, and does not answer."""
        if self.pid is not None or self.over or self.runner.ready is None:
            return False
        return time.monotonic() - max(self.asked, self.runner.ready) > self.runner.still

    def stuck(self, silent):
        """Whether it is silent, and has reached no database, longer than any before it: a fork can do that."""
        waits = silent and self.pid is not None and not self.at_work and not self.over
        return waits and time.monotonic() - self.began > max(self.runner.still, 3 * self.runner.slowest)

    def signal(self, number):
        if self.pid is None:
            self.over, self.exit = True, -number
            self.runner.close()  # it waits for our word, which never comes
            return
        with contextlib.suppress(OSError):
            os.killpg(self.pid, number)
