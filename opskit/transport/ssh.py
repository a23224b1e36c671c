"""OpenSSH's hosts, through a Fabric connection whose host keys are checked.

Fabric's Connection accepts any host key and never loads known_hosts (fabric 3.2.3, connection.py); here the
connection and each of its gateways are told whom to trust (known_hosts.py) and what to log in with (keys.py).
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import fabric
import paramiko

from opskit import errors, model
from opskit.transport import keys, known_hosts, limits, ssh_config, stream

_CHUNK = 256 * 1024
_WINDOW = 4 * 1024 * 1024  # bytes under way: enough for 30 MB/s at 140 ms; sshd slows down where it is larger
_PACKET = 64 * 1024
_GOODBYE = 1.0  # seconds that the host gets to take the end of our stream
_PROXY_GRACE = 5.0  # seconds that a ProxyCommand gets to end

# A bad banner or key ends in an exception of ours; its traceback in the log helps nobody.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class _Connection(fabric.Connection):
    """Fabric's connection, with a ProxyCommand that Ctrl-C does not reach, and jumps in OpenSSH's order."""

    def get_gateway(self) -> Any:
        """The last jump before this host. Fabric takes a list of jumps from its end (fabric 3.2.3, connection.py)."""
        jumps = [each.strip() for each in self.ssh_config.get("proxyjump", "none").split(",")]
        if jumps == ["none"] or {self.host, self.original_host} & {_alias(jump) for jump in jumps}:
            return self.ssh_config.get("proxycommand")
        gateway = None
        for jump in jumps:
            gateway = _Connection(jump, config=fabric.Config(ssh_config=self.config.base_ssh_config), gateway=gateway)
        return gateway

    def open_gateway(self) -> Any:
        if isinstance(self.gateway, str):
            return _ProxyCommand(ssh_config.filled(self.gateway, _tokens(self)))
        return super().open_gateway()


def _tokens(connection: Any) -> dict[str, str]:
    """What the percent signs of ssh_config stand for, the inventory's user and port included."""
    return {
        "h": connection.host,
        "n": connection.original_host,
        "p": str(connection.port),
        "r": connection.user,
        "u": getpass.getuser(),
    }


def _alias(jump: str) -> str:
    """The host of `user@host:port`."""
    alias: str = fabric.connection.derive_shorthand(jump)["host"]
    return alias


class _ProxyCommand(paramiko.ProxyCommand):
    """A proxy as OpenSSH starts one, with the operator's shell, in a session of its own.

    Paramiko starts it without a shell and in our own process group, where Ctrl-C ends it (paramiko 5.1, proxy.py).
    """

    def __init__(self, command_line: str) -> None:
        self.cmd = [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command_line}"]
        self.process = subprocess.Popen(
            self.cmd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # its stderr is the operator's, as with OpenSSH
            start_new_session=True,
        )
        self.timeout = None

    def close(self) -> None:
        """End the command and what it started; Paramiko's leaves a zombie and two pipes."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_PROXY_GRACE)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def _chain(connection: Any) -> Iterator[Any]:
    """The connection and its gateways, the farthest first."""
    while isinstance(connection, fabric.Connection):
        yield connection
        connection = connection.gateway


# ---------------------------------------------------------------- the stream


class SshStream:
    def __init__(self, connection: Any, channel: paramiko.Channel) -> None:
        self._connection = connection
        self._channel = channel
        self._tail = stream.Tail(lambda: channel.recv_stderr(4096))

    def send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except (EOFError, paramiko.SSHException) as error:  # it was closed meanwhile (paramiko 5.1, packet.py)
            raise OSError(str(error) or "the connection was closed") from error

    def recv(self) -> bytes:
        return self._channel.recv(_CHUNK)

    def close(self) -> None:
        """Hang up: the agent reads the end of its stdin, finishes what is at work, and ends by itself."""
        goodbye = threading.Thread(target=self._shut, daemon=True, name="opskit-goodbye")
        goodbye.start()
        goodbye.join(_GOODBYE)  # whoever takes nothing more does not take this
        _hang_up(self._connection)

    def _shut(self) -> None:
        with contextlib.suppress(Exception):
            self._channel.shutdown_write()

    def stderr(self) -> str:
        return self._tail.text()

    def heard(self, true: Callable[[str], bool], timeout: float) -> bool:
        return self._tail.heard(true, timeout)

    def exit(self, timeout: float) -> int | None:
        if not self._channel.status_event.wait(timeout):
            return None
        code = self._channel.recv_exit_status()
        return code if code >= 0 else None  # -1 is a channel that closed without a status

    def refusal(self) -> errors.OpskitError | None:
        return None


def connect(environment: model.Environment, host: model.Host) -> SshStream:
    """Connect and start the agent's Python. Raises ConnectError or HostKeyError, with one cause each."""
    connection = _prepare(environment, host)
    where = f"{connection.host}:{connection.port}"
    try:
        if connection.gateway is None:
            look_up(connection.host, connection.port, environment.ssh.connect_timeout)
        connection.open()
        channel = _session(connection, environment)
    except errors.OpskitError:
        _hang_up(connection)
        raise
    except Exception as error:
        _hang_up(connection)
        raise _explain(error, where, connection, environment.ssh) from error
    return SshStream(connection, channel)


def look_up(host: str, port: int, limit: float, lookup: Callable[[str, int], Any] = socket.getaddrinfo) -> None:
    """Have a name resolved, which may take a resolver minutes. Raises ConnectError after `limit` seconds.

    What else is wrong with the name, connecting says.
    """

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            lookup(host, port)

    asking = threading.Thread(target=ask, daemon=True, name="opskit-resolver")
    asking.start()
    asking.join(limit)
    if asking.is_alive():
        raise errors.ConnectError(f"cannot connect to {host}:{port}: its name was not resolved within {limit:g} s")


def _hang_up(connection: Any) -> None:
    """Close what is open of the chain, half-made connections and the ProxyCommand too."""
    for each in _chain(connection):
        each.client.close()


def locked_keys(environment: model.Environment) -> tuple[str, ...]:
    """The files of keys that the hosts and the jumps before them need, and whose passphrase nobody gave; each once."""
    found: dict[str, None] = {}
    for host in environment.hosts:
        with contextlib.suppress(errors.ConnectError):  # told when it is connected to
            for each in _chain(_prepare(environment, host)):
                found |= dict.fromkeys(each.connect_kwargs["auth_strategy"].locked())
    return tuple(found)


def _prepare(environment: model.Environment, host: model.Host) -> Any:
    """A connection that is not open yet, and knows whom to trust and what to log in with."""
    settings = environment.ssh
    try:
        connection = _Connection(
            host.address,
            user=host.user,
            port=host.port,
            config=fabric.Config(ssh_config=ssh_config.load()),
            connect_timeout=int(max(1, settings.connect_timeout)),
        )
    except errors.OpskitError:
        raise
    except Exception as error:
        raise errors.ConnectError(f"~/.ssh/config can't be used for {host.name}: {error}") from error
    policy = known_hosts.Policy(settings)
    for each in _chain(connection):
        name = each.host if each.port == paramiko.config.SSH_PORT else f"[{each.host}]:{each.port}"
        each.client.set_missing_host_key_policy(policy)
        each.connect_kwargs.pop("key_filename", None)
        each.connect_kwargs.update(
            transport_factory=functools.partial(_transport, policy, name),
            auth_strategy=_login(each, host, settings, on_the_way=each is not connection),
            compress=each is connection,  # what goes through a jump is compressed before it is encrypted
            banner_timeout=settings.connect_timeout,
            auth_timeout=max(30.0, settings.connect_timeout),
        )
    return connection


def _transport(policy: known_hosts.Policy, name: str, sock: Any, **more: Any) -> paramiko.Transport:
    """A transport that knows whom to trust, and sends at once.

    Paramiko leaves Nagle's algorithm on: of two small pieces the second would wait until the host has acknowledged the
    first, a round trip and up to 40 ms, in the handshake and with every command.
    """
    if isinstance(sock, socket.socket):  # behind a gateway it is a channel
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return policy.transport(name, sock, **more)


def _login(connection: Any, host: model.Host, settings: model.Ssh, *, on_the_way: bool) -> keys.Login:
    config, tokens = connection.ssh_config, _tokens(connection)
    return keys.Login(
        where=f"{connection.host}:{connection.port}" + (f", on the way to {host.name}," if on_the_way else ""),
        user=connection.user,
        required="" if on_the_way else host.identity_file or "",
        named=tuple(ssh_config.expanded(file, tokens) for file in config.get("identityfile", ())),
        agent=keys.agent_path(config, tokens),
        only_named=config.get("identitiesonly", "no").lower() == "yes",
        passphrases=settings.passphrases,
    )


def _session(connection: Any, environment: model.Environment) -> paramiko.Channel:
    """A channel with the agent's Python at its other end.

    The only text that a remote shell reads: the inventory's own words, quoted, and the fixed boot program.
    """
    with _hurried(connection.transport, environment.ssh.connect_timeout):
        channel: paramiko.Channel = connection.transport.open_session(
            window_size=_WINDOW, max_packet_size=_PACKET, timeout=environment.ssh.connect_timeout
        )
        channel.exec_command(stream.remote_line(environment.app))
    return channel


@contextlib.contextmanager
def _hurried(transport: paramiko.Transport, limit: float) -> Iterator[None]:
    """Close the connection where what is done is not done within the limit. Raises SSHException then.

    For the answer to a command Paramiko waits for ever (paramiko 5.1, channel.py).
    """
    with limits.ended(transport.close, limit) as late:
        try:
            yield
        except Exception as error:
            raise (paramiko.SSHException(_NO_CHANNEL) if late.is_set() else error) from error


_NO_CHANNEL = "Timeout opening channel."  # Paramiko's own words for it


# ---------------------------------------------------------------- what went wrong


def _explain(error: Exception, where: str, connection: Any, settings: model.Ssh) -> errors.OpskitError:
    """One of our errors for whatever Paramiko or the socket raised."""
    why = _cause(error, settings)
    said = f"cannot connect to {where} as `{connection.user}`: {why}"
    return errors.TurnedAway(said, hint=stream.BUSY) if why == _CLOSED else errors.ConnectError(said)


def _cause(error: Exception, settings: model.Ssh) -> str:
    """One cause each, in words. The order matters: the first that fits is the most precise."""
    timeout = f"timed out after {settings.connect_timeout:.0f} s"
    causes: tuple[tuple[type[Exception], str], ...] = (
        (socket.gaierror, "there is no host of that name"),
        (TimeoutError, timeout),
        (EOFError, _CLOSED),
        (ConnectionResetError, _CLOSED),
        (OSError, _system(error)),
        (paramiko.SSHException, _protocol(error, settings)),
    )
    return next((words for kind, words in causes if isinstance(error, kind)), str(error) or type(error).__name__)


_CLOSED = "it closed the connection before an SSH session began"


def _protocol(error: Exception, settings: model.Ssh) -> str:
    """What Paramiko's sentences mean (paramiko 5.1, transport.py and client.py); others stand for themselves."""
    said = str(error)
    silent = f"it accepts connections, and no SSH session began within {settings.connect_timeout:.0f} s"
    if "banner" in said.lower():
        return silent if isinstance(error.__context__, TimeoutError) else _CLOSED
    if said.startswith("Indecipherable protocol version"):
        return "it accepts connections and does not speak SSH"
    meant = {
        "No existing session": silent,  # the time was up before it had one
        "Negotiation failed.": _CLOSED,
        _NO_CHANNEL: f"it let us in, and began no session within {settings.connect_timeout:.0f} s",
    }
    return meant.get(said, said or type(error).__name__)


def _system(error: BaseException) -> str:
    """The system's own words; Paramiko wraps one error for each address that it tried."""
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        return " and ".join(sorted({_system(each) for each in error.errors.values()}))
    number = getattr(error, "errno", None)
    words = os.strerror(number).lower() if number else str(error)
    file = getattr(error, "filename", None)
    return f"`{file}`: {words}" if file else words
