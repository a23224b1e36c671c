"""Containers as a wrapper meets them: namespaces of their own, and an engine between a command and its client.

As with Docker and Kubernetes, `exec` is a client that passes bytes on; what it started belongs to the engine. A client
that is killed ends nothing inside, and its stdin is not closed there: the worst of what engines do.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HEADER = struct.Struct(">cI")

# What stands for `docker exec -i`: connects, says what to start, passes bytes on, ends with its exit code.
CLIENT = """\
import json, os, socket, struct, sys, threading
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(json.dumps(sys.argv[2:]).encode() + b"\\n")
def pass_on():
    while data := os.read(0, 65536):
        line.sendall(data)
    line.shutdown(socket.SHUT_WR)
threading.Thread(target=pass_on, daemon=True).start()
frames = line.makefile("rb")
while header := frames.read(5):
    kind, length = struct.unpack(">cI", header)
    data = frames.read(length)
    if kind == b"X":
        os._exit(int(data))
    while data:
        data = data[os.write(1 if kind == b"O" else 2, data):]
os._exit(137)
"""


class Container:
    """A running container: a process with its own process numbers, and a `private` folder of its own."""

    def __init__(self, folder: Path, name: str, private: Path) -> None:
        self._engine = folder / f"{name}.sock"
        self._client = folder / "client.py"
        self._client.write_text(CLIENT)
        private.mkdir(exist_ok=True)
        setup = (
            f"mount -t proc proc /proc && mount -t tmpfs tmpfs {private} && touch {folder / name}.up && exec sleep 600"
        )
        namespaces = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
        self._init = subprocess.Popen([*namespaces, "sh", "-c", setup])
        self._clients: list[int] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._engine))
        self._listener.listen()
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    @property
    def wrapper(self) -> tuple[str, ...]:
        """What stands before a command, so that it runs inside."""
        return (sys.executable, str(self._client), str(self._engine))

    def stop(self) -> None:
        """End the container and all in it, as `docker kill` does."""
        self._init.send_signal(signal.SIGKILL)
        self._init.wait()

    def kill_clients(self) -> None:
        """End the clients, and nothing inside."""
        for pid in self._clients:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self.stop()
        self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept is not woken by a close
        self._serving.join()
        self._listener.close()

    # -- the engine

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                pid, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                self._clients.append(pid)
                threading.Thread(target=self._exec, args=(client,), daemon=True).start()

    def _exec(self, client: socket.socket) -> None:
        with client, client.makefile("rb", buffering=0) as asked:
            argv = json.loads(asked.readline())
            inside = _child_of(self._init.pid)
            process = subprocess.Popen(
                ["nsenter", f"--target={inside}", "--mount", "--pid", "--", *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
            sending = threading.Lock()
            readers = [
                threading.Thread(target=_pass_out, args=(client, kind, pipe, sending), daemon=True)
                for kind, pipe in ((b"O", process.stdout), (b"E", process.stderr))
            ]
            for reader in readers:
                reader.start()
            threading.Thread(target=_pass_in, args=(asked, process.stdin), daemon=True).start()
            for reader in readers:
                reader.join()
            _send(client, b"X", str(process.wait() % 256).encode(), sending)
            for pipe in (process.stdin, process.stdout, process.stderr):
                pipe.close()


def _child_of(pid: int) -> int:
    """The first process of the container, as it is numbered outside."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _pass_in(asked, stdin) -> None:
    """An orderly end of the client's stdin is passed on; a client that was killed leaves it open."""
    with contextlib.suppress(OSError, ValueError):
        while data := asked.read(65536):
            stdin.write(data)


def _pass_out(client, kind: bytes, pipe, sending) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := os.read(pipe.fileno(), 65536):
            _send(client, kind, data, sending)


def _send(client, kind: bytes, data: bytes, sending) -> None:
    """Nobody there to hear it: it is lost, and what runs inside is not held up."""
    with contextlib.suppress(OSError), sending:
        client.sendall(HEADER.pack(kind, len(data)) + data)


@contextlib.contextmanager
def container(folder: Path, name: str, private: Path):
    """Start a container that has all of this machine's files, but `private` for itself."""
    if shutil.which("nsenter") is None or os.geteuid() != 0:
        pytest.skip("no container can be made here (Debian: util-linux, run by root)")
    with contextlib.closing(Container(folder, name, private)) as made:
        try:
            made._init.wait(0.0)
        except subprocess.TimeoutExpired:
            pass
        else:
            pytest.skip("no process namespace can be made here")
        yield made
