"""The output of a command, followed while it is written."""

import os

from . import frames, redaction


class Follower:
    """Reads a growing file, in bounded pieces without secrets. `at` is how far what was read has come out again."""

    def __init__(self, path, kind, secrets, at=0):
        self.kind = kind
        self.redactor = redaction.Redactor(secrets)
        self.at = self.read = at
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.lseek(self.fd, at, os.SEEK_SET)

    def piece(self):
        """What is new as (frame's kind, payload), None where nothing is."""
        data = os.read(self.fd, frames.CHUNK)
        self.read += len(data)
        return self.framed(self.redactor.feed(data)) if data else None

    def rest(self):
        """What was held back, since it might have become a secret."""
        return self.framed(self.redactor.feed(b"", last=True))

    def framed(self, piece):
        self.at = self.read - len(self.redactor.held)
        return (self.kind, frames.PLACE.pack(self.at) + piece if self.kind == b"P" and piece else piece)
