"""An SSH server inside this process, for the demo: loopback, one throw-away key, commands only.

It behaves as OpenSSH's sshd does for a command without a terminal: /bin/sh -c in a session of its own, three
streams that go over the channel as they are, and a client that goes away closes the streams but kills nobody.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import selectors
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from paramiko import common

USER = "demo"

_LOOPBACK = "127.0.0.1"
_CHUNK = 32_000  # bytes; fits one SSH packet
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
_LOG = "opskit.demo.server"
_CLOSED = (OSError, EOFError, paramiko.SSHException)  # what Paramiko raises where the client is gone

# Paramiko logs a stranger's bad handshake with a traceback, which Python prints where nobody handles it
logging.getLogger(_LOG).addHandler(logging.NullHandler())
logging.getLogger(_LOG).propagate = False


@dataclass(frozen=True)
class Address:
    """Where the server is, and the files that a client needs to be let in and to know it."""

    host: str
    port: int
    user: str
    identity_file: Path
    known_hosts: Path


@contextlib.contextmanager
def running(home: Path) -> Iterator[Address]:
    """Serve commands in the folder `home` until the block ends.

    Commands that are at work then are left to finish, as when a client goes away.
    """
    host_key, client_key = _Key(), _Key()
    with (
        tempfile.TemporaryDirectory(prefix="opskit-demo-") as folder,
        socket.create_server((_LOOPBACK, 0)) as listener,
        _serving(listener, lambda sock: _Connection(sock, home, host_key, client_key)),
    ):
        yield _write_files(Path(folder), listener.getsockname()[1], host_key, client_key)


class _Key:
    """A new ed25519 key, as text and as Paramiko wants it."""

    def __init__(self) -> None:
        made = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.OpenSSH
        self.text = made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
        self.key = paramiko.Ed25519Key.from_private_key(io.StringIO(self.text))


def _write_files(folder: Path, port: int, host_key: _Key, client_key: _Key) -> Address:
    identity, known_hosts = folder / "id_ed25519", folder / "known_hosts"
    identity.touch(mode=0o600)
    identity.write_text(client_key.text)
    known_hosts.write_text(f"[{_LOOPBACK}]:{port} {host_key.key.get_name()} {host_key.key.get_base64()}\n")
    return Address(_LOOPBACK, port, USER, identity, known_hosts)


@contextlib.contextmanager
def _serving(listener: socket.socket, connect: Callable[[socket.socket], _Connection]) -> Iterator[None]:
    stop = _Bell()
    connections: list[_Connection] = []
    accepting = threading.Thread(target=_accept, args=(listener, stop, connect, connections), daemon=True)
    accepting.start()
    try:
        yield
    finally:
        stop.ring()
        accepting.join()
        for connection in connections:
            connection.end()


def _accept(
    listener: socket.socket,
    stop: _Bell,
    connect: Callable[[socket.socket], _Connection],
    connections: list[_Connection],
) -> None:
    with selectors.DefaultSelector() as ready, stop:
        ready.register(listener, selectors.EVENT_READ)
        ready.register(stop, selectors.EVENT_READ)
        while all(key.fileobj is not stop for key, _ in ready.select()):
            with contextlib.suppress(OSError):  # a client that hung up at once
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections.append(connect(sock))


class _Bell:
    """Wakes the one thread that has it in its selector; stays rung."""

    def __init__(self) -> None:
        self._hearing, self._ringing = os.pipe()
        self._rung = threading.Lock()

    def fileno(self) -> int:
        return self._hearing

    def ring(self) -> None:
        if self._rung.acquire(blocking=False):  # once: the number may be somebody else's file afterwards
            os.close(self._ringing)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.ring()
        os.close(self._hearing)


class _Welcome(paramiko.ServerInterface):
    """Who may come in, and what for. What is not here, Paramiko refuses."""

    def __init__(self, client_key: paramiko.PKey, execute: Callable[[paramiko.Channel, bytes], bool]) -> None:
        self._client_key = client_key
        self._execute = execute

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 - Paramiko's signature
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        welcome = username == USER and key == self._client_key
        return common.AUTH_SUCCESSFUL if welcome else common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 - Paramiko's signature
        return common.OPEN_SUCCEEDED if kind == "session" else common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._execute(channel, command)


class _Connection(paramiko.Transport):
    """One client's connection and the commands that came over it."""

    def __init__(self, sock: socket.socket, home: Path, host_key: _Key, client_key: _Key) -> None:
        super().__init__(sock)
        self._home = home
        self._socket = sock
        self._sessions: dict[int, _Session] = {}  # by channel
        self.set_log_channel(_LOG)
        self.add_server_key(host_key.key)
        self.start_server(event=threading.Event(), server=_Welcome(client_key.key, self._execute))

    def run(self) -> None:
        try:
            super().run()
        finally:
            for session in self._sessions.values():
                session.lose()

    def end(self) -> None:
        """Close the connection, and wait for everything but the commands."""
        self.close()
        self.join()
        for session in self._sessions.values():
            session.join()

    def begin(self, channel: paramiko.Channel) -> None:
        session = self._sessions.get(channel.chanid)
        if session is not None:
            session.begin()

    def closed(self, channel: paramiko.Channel) -> None:
        session = self._sessions.get(channel.chanid)
        if session is not None:
            session.stop_output()

    def _execute(self, channel: paramiko.Channel, command: bytes) -> bool:
        if channel.chanid in self._sessions:
            return False  # a channel takes one command
        try:
            self._sessions[channel.chanid] = _Session(channel, _start(command, self._home, self._socket))
        except OSError:
            return False
        return True


def _handle_request(channel: Any, message: paramiko.Message) -> None:
    channel._handle_request(message)  # noqa: SLF001 - Paramiko has no hook behind the answer
    # only now has the client its answer: a quick command's end must not overtake it
    channel.transport.begin(channel)


def _handle_close(channel: Any, message: paramiko.Message) -> None:
    channel._handle_close(message)  # noqa: SLF001 - Paramiko has no hook for a client's close
    channel.transport.closed(channel)


_Connection._channel_handler_table = {  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]  # noqa: SLF001
    common.MSG_CHANNEL_REQUEST: _handle_request,
    common.MSG_CHANNEL_CLOSE: _handle_close,
}


def _start(command: bytes, home: Path, sock: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", command],
        bufsize=0,
        cwd=home,
        env=_environment(home, sock),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _environment(home: Path, sock: socket.socket) -> dict[str, str]:
    """What a login has, not what the operator's terminal happens to have."""
    (client, client_port), (host, port) = sock.getpeername(), sock.getsockname()
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": "/bin/sh",
        "SSH_CONNECTION": f"{client} {client_port} {host} {port}",
    }


class _Session:
    """A command, its channel, and the three threads between them: in, out, and one that waits for the end.

    Blocking writes on both sides are the back-pressure: nothing is read that can't be passed on.
    """

    def __init__(self, channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
        self._channel = channel
        self._process = process
        self._lost, self._closed, self._dead = _Bell(), _Bell(), _Bell()
        # a command may outlive the server: its thread then stays, so that it is reaped
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._feed, self._drain)]
        self._reaping = threading.Thread(target=self._reap, daemon=True)
        self._begun = False

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            for thread in (*self._threads, self._reaping):
                thread.start()

    def lose(self) -> None:
        """The connection is gone: nobody gives or takes any more."""
        self.begin()
        self._lost.ring()
        self._closed.ring()

    def stop_output(self) -> None:
        """The client closed the channel: nobody reads. What it sent before still arrives."""
        self._closed.ring()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        if self._process.returncode is not None:
            self._reaping.join()

    def _feed(self) -> None:
        """Pass what the client sends to the command's stdin."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        with self._process.stdin as stdin, self._lost, selectors.DefaultSelector() as ready:
            os.set_blocking(stdin.fileno(), False)
            ready.register(stdin, selectors.EVENT_WRITE)
            ready.register(self._lost, selectors.EVENT_READ)
            with contextlib.suppress(BrokenPipeError):
                while data := self._channel.recv(_CHUNK):
                    self._write(stdin.fileno(), data, ready)
        while self._channel.recv(_CHUNK):
            pass  # the command reads no more; a client that still writes must not wait for ever

    def _write(self, stdin: int, data: bytes, ready: selectors.BaseSelector) -> None:
        left = memoryview(data)
        while left:
            if any(key.fileobj is self._lost for key, _ in ready.select()):
                raise BrokenPipeError
            left = left[os.write(stdin, left) :]

    def _drain(self) -> None:
        """Pass what the command says to the client, then how it ended."""
        out, err = self._process.stdout, self._process.stderr
        assert out is not None  # noqa: S101 - it was asked for
        assert err is not None  # noqa: S101 - as above
        with out, err, self._closed, self._dead, selectors.DefaultSelector() as ready:
            ready.register(out, selectors.EVENT_READ, self._channel.sendall)
            ready.register(err, selectors.EVENT_READ, self._channel.sendall_stderr)
            ready.register(self._dead, selectors.EVENT_READ)
            ready.register(self._closed, selectors.EVENT_READ)
            with contextlib.suppress(*_CLOSED):
                self._pass_on(ready)
        with contextlib.suppress(*_CLOSED):
            self._channel.close()

    def _pass_on(self, ready: selectors.BaseSelector) -> None:
        streams, alive = 2, True
        while streams or alive:
            for key, _ in ready.select():
                if key.fileobj is self._closed:
                    return
                if key.data is not None and (chunk := os.read(key.fd, _CHUNK)):
                    key.data(chunk)
                    continue
                ready.unregister(key.fileobj)
                if key.fileobj is self._dead:
                    alive = False
                    self._tell_end()
                else:
                    streams -= 1
                    if not streams:
                        self._channel.shutdown_write()

    def _tell_end(self) -> None:
        # sshd says at once how a command ended, though a daemon that it left may still hold its output
        code = self._process.returncode
        self._channel.send_exit_status(code if code >= 0 else 128 - code)

    def _reap(self) -> None:
        self._process.wait()
        self._dead.ring()
