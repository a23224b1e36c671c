"""The line to the controller: frames both ways, and nothing is waited for."""

import collections
import json
import os
import time

from . import frames

BACKLOG = 1024 * 1024  # bytes waiting to be sent, above which no output is read


class Line:
    """Frames to the controller and from it, until it hangs up or stays silent: then `gone` is called, once."""

    def __init__(self, incoming, outgoing, gone):
        self.incoming = incoming
        self.outgoing = outgoing
        self.gone = gone
        self.buffer = b""
        self.queue = collections.deque()
        self.queued = 0
        self.connected = True
        self.beat = 5.0
        self.silence = 60.0
        self.heard = self.said = time.monotonic()
        os.set_blocking(incoming, False)
        os.set_blocking(outgoing, False)

    def reads(self):
        """The descriptors to wait for."""
        return [self.incoming] if self.connected else []

    def writes(self):
        """The descriptors that something waits for."""
        return [self.outgoing] if self.connected and self.queue else []

    # -- frames out

    def say(self, **message):
        self.send(b"J", json.dumps(message).encode())

    def send(self, kind, payload):
        if self.connected and payload:
            self.queue.append(frames.HEADER.pack(kind, len(payload)) + payload)
            self.queued += len(payload)
            self.said = time.monotonic()

    def full(self):
        """Whether so much waits to be sent that no more should be read for it."""
        return self.queued >= BACKLOG

    def flush(self):
        while self.queue and self.connected:
            data = self.queue.popleft()
            try:
                written = os.write(self.outgoing, data)
            except BlockingIOError:
                written = 0
            except OSError:
                return self.hang_up()
            self.queued -= written
            if written < len(data):
                self.queue.appendleft(data[written:])
                return None
        if not self.queue:
            self.queued = 0
        return None

    # -- frames in

    def messages(self):
        """What the controller has said since the last time; or it has hung up."""
        if time.monotonic() - self.heard > self.silence:  # we were stopped, and are given up: what is in there is stale
            self.hang_up()
            return
        try:
            data = os.read(self.incoming, frames.CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.hang_up()
            return
        self.heard = time.monotonic()
        self.buffer += data
        while len(self.buffer) >= frames.HEADER.size:
            _, length = frames.HEADER.unpack_from(self.buffer)
            if len(self.buffer) < frames.HEADER.size + length:
                return
            payload = self.buffer[frames.HEADER.size : frames.HEADER.size + length]
            self.buffer = self.buffer[frames.HEADER.size + length :]
            yield json.loads(payload.decode())

    # -- its end

    def keep_time(self):
        """Say that we are here, and give up a controller that has not said so for too long."""
        now = time.monotonic()
        if self.connected and now - self.said >= self.beat:
            self.say(type="beat")
        if self.connected and now - self.heard > self.silence:
            self.hang_up()

    def hang_up(self):
        """The controller is gone: nothing is said or heard any more."""
        if self.connected:
            self.connected = False
            self.queue.clear()
            self.queued = 0
            self.gone()
