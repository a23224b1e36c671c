"""The warm runner as the agent starts it, and the agent's end of the socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import opskit

_REMOTE = Path(opskit.__file__).parent / "remote"


class Warm:
    """The agent's end of the socket."""

    def __init__(self, project, folder, **env):
        ours, theirs = socket.socketpair()
        self.folder = folder
        self.log = folder / "runner.log"
        with theirs, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-c", (_REMOTE / "warm.py").read_text(), "manage.py", str(theirs.fileno())],
                cwd=project,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env},
            )
        ours.settimeout(60)
        self.socket = ours
        self.lines = ours.makefile("rb")
        self.number = 0
        self.patient = True

    def heard(self):
        """The next message. A child that has been forked is let go, as the agent does when it has its number."""
        message = json.loads(self.lines.readline())
        if message["type"] == "forked" and self.patient:
            self.say(go=message["id"])
        return message

    def say(self, **message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def send(self, *args, source="", env=()):
        self.number += 1
        out = self.folder / f"{self.number}.out"
        out.touch(0o600)
        self.say(id=self.number, args=args, source=source, env=dict(env), out=str(out), err=str(out))
        return out

    def until(self, kind):
        """All that is heard up to a message of that kind."""
        heard = [self.heard()]
        while heard[-1]["type"] != kind:
            heard.append(self.heard())
        return heard

    def ask(self, question, *args):
        """What a question of opskit/remote answers; (exit code, what was printed)."""
        out = self.send(*args, source=(_REMOTE / f"{question}.py").read_text())
        return self.until("exited")[-1]["exit"], out.read_text()

    def run(self, text, **more):
        """(exit code, what was printed) of `act`."""
        out = self.send("act", text, **more)
        return self.until("exited")[-1]["exit"], out.read_text()

    def close(self):
        self.lines.close()
        self.socket.close()
