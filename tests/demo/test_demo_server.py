"""The demo's SSH server keeps sshd's promises, as far as a command without a terminal goes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import socket
import stat
import sys
import threading
from pathlib import Path

import paramiko
import pytest

from opskit.demo import server

MANY = 20_000_000  # bytes


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def address(home):
    with server.running(home) as address:
        yield address


@pytest.fixture
def client(address):
    with _connected(address) as client:
        yield client


@contextlib.contextmanager
def _connected(address, **changes):
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(address.known_hosts))
        wanted = {
            "port": address.port,
            "username": address.user,
            "key_filename": str(address.identity_file),
            "allow_agent": False,
            "look_for_keys": False,
        }
        client.connect(address.host, **{**wanted, **changes})
        transport = client.get_transport()
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client
        client.close()
        transport.join()


def _run(client, command, stdin=b""):
    """(stdout, stderr, exit status) of a command that reads its input before it says much."""
    channel = client.get_transport().open_session()
    channel.exec_command(command)
    channel.sendall(stdin)
    channel.shutdown_write()
    errors = []
    reading = threading.Thread(target=lambda: errors.append(channel.makefile_stderr("rb").read()))
    reading.start()
    out = channel.makefile("rb").read()
    reading.join()
    return out, errors[0], channel.recv_exit_status()


def _wait_for(fifo):
    """Block until somebody opens the named pipe to write, and give all that was written."""
    with fifo.open("rb") as pipe:
        return pipe.read()


def test_streams_and_exit_status_come_back_apart(client):
    assert (b"out\n", b"err\n", 3) == _run(client, "echo out; echo err >&2; exit 3")


def test_a_command_runs_in_the_home_folder_in_its_own_session(client, home):
    out, _, _ = _run(client, 'pwd; echo $HOME $USER; ps -o sid= -p $$ | tr -d " "; echo $$')
    folder, variables, session, pid = out.decode().split("\n")[:4]
    assert (str(home), f"{home} demo", pid) == (folder, variables, session)


def test_the_operators_environment_stays_outside(client, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "somebody.elses.settings")
    assert b"-\n" == _run(client, "echo ${DJANGO_SETTINGS_MODULE-}-")[0]


@pytest.mark.parametrize("code", [0, 1, 5, 255])
def test_every_exit_code_arrives(client, code):
    assert code == _run(client, f"exit {code}")[2]


def test_a_signal_arrives_as_128_and_its_number(client):
    assert 137 == _run(client, "kill -9 $$")[2]


def test_a_shells_syntax_arrives_as_it_was_written(client):
    assert b"a  b'\"$(id)\n\xff\n" == _run(client, b"printf '%s\\n' \"a  b'\\\"\\$(id)\" '\xff'")[0]


def test_twenty_megabytes_go_both_ways_unchanged(client):
    sent = os.urandom(MANY)
    digest, _, _ = _run(client, "tee copy | sha256sum", sent)
    assert hashlib.sha256(sent).hexdigest() == digest.split()[0].decode()
    out, _, status = _run(client, "cat copy")
    assert (True, 0) == (sent == out, status)


def test_output_that_nobody_reads_is_not_collected_and_holds_nobody_up(client):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    channel = client.get_transport().open_session()
    channel.exec_command("head -c 200000000 /dev/zero; echo finished > finished")
    read = len(channel.recv(1))
    assert b"" == _run(client, "cat finished 2>/dev/null")[0]
    while data := channel.recv(1 << 20):
        read += len(data)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (200_000_000, 0) == (read, channel.recv_exit_status())
    assert grown * (1 if sys.platform == "darwin" else 1024) < 40_000_000


def test_two_hundred_quick_commands_each_get_their_answer(client):
    assert [0] * 200 == [_run(client, "true")[2] for _ in range(200)]


def test_channels_and_connections_work_side_by_side(address, home):
    for name in "abcd":
        os.mkfifo(home / name)
    with _connected(address) as one, _connected(address) as two:
        # each waits for the other: none can end before all have begun
        commands = [(one, "a", "b"), (one, "b", "c"), (two, "c", "d"), (two, "d", "a")]
        channels = []
        for client, mine, other in commands:
            channel = client.get_transport().open_session()
            channel.exec_command(f"echo {mine} > {mine} & cat {other}")
            channels.append(channel)
        assert [b"b\n", b"c\n", b"d\n", b"a\n"] == [channel.makefile("rb").read() for channel in channels]


def test_a_command_that_closes_its_output_is_not_over(client, home):
    os.mkfifo(home / "go")
    channel = client.get_transport().open_session()
    channel.exec_command("exec >&- 2>&-; read line < go; exit 7")
    assert b"" == channel.makefile("rb").read()
    assert not channel.exit_status_ready()
    (home / "go").write_text("now\n")
    assert 7 == channel.recv_exit_status()


def test_the_exit_is_told_while_a_daemon_still_holds_the_output(client, home):
    os.mkfifo(home / "go")
    channel = client.get_transport().open_session()
    channel.exec_command("(read line < go; echo late) & exit 4")
    assert 4 == channel.recv_exit_status()
    (home / "go").write_text("now\n")
    assert b"late\n" == channel.makefile("rb").read()


def test_a_client_may_write_more_than_the_command_reads(client, home):
    os.mkfifo(home / "go")
    channel = client.get_transport().open_session()
    channel.exec_command("head -c 1; exec <&-; read line < go; exit 6")
    channel.sendall(b"x" * MANY)
    (home / "go").write_text("now\n")
    assert (b"x", 6) == (channel.makefile("rb").read(), channel.recv_exit_status())


@pytest.mark.parametrize("leave", ["channel", "connection"])
def test_a_command_finishes_though_its_client_is_gone(address, home, leave):
    os.mkfifo(home / "end")
    with _connected(address) as client:
        channel = client.get_transport().open_session()
        channel.exec_command("echo ready; cat > got; trap '' PIPE; echo to nobody; echo finished $? > end")
        assert b"ready\n" == channel.recv(100)
        channel.sendall(b"before")
        (channel if leave == "channel" else client).close()
        end = _wait_for(home / "end")
    assert end.startswith(b"finished")
    assert b"before".startswith((home / "got").read_bytes())


def test_a_client_that_is_gone_leaves_a_closed_pipe_and_no_full_one(address, home):
    os.mkfifo(home / "end")
    with _connected(address) as client:
        channel = client.get_transport().open_session()
        channel.exec_command("(cat /dev/zero; echo $? > end) 2>/dev/null")
        assert channel.recv(1)
    assert b"141\n" == _wait_for(home / "end")


def test_a_command_outlives_the_server(home):
    os.mkfifo(home / "go")
    os.mkfifo(home / "end")
    with server.running(home) as address, _connected(address) as client:
        client.get_transport().open_session().exec_command("read line < go; echo $line > end")
        go = os.open(home / "go", os.O_WRONLY)
    with os.fdopen(go, "wb") as pipe:
        pipe.write(b"alive\n")
    assert b"alive\n" == _wait_for(home / "end")


def test_another_key_is_refused(address, tmp_path):
    with pytest.raises(paramiko.AuthenticationException), _connected(address, key_filename=_another_key(tmp_path)):
        pass


def test_another_user_and_a_password_are_refused(address):
    with pytest.raises(paramiko.AuthenticationException), _connected(address, username="root"):
        pass
    with (
        pytest.raises(paramiko.BadAuthenticationType, match="publickey"),
        _connected(address, key_filename=None, password="demo"),
    ):
        pass


def test_terminals_shells_and_forwarding_are_refused(client):
    for request in ("get_pty", "invoke_shell"):
        with pytest.raises(paramiko.SSHException):
            getattr(client.get_transport().open_session(), request)()
    with pytest.raises(paramiko.SSHException):
        client.open_sftp()
    with pytest.raises(paramiko.ChannelException):
        client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1))
    with pytest.raises(paramiko.SSHException):
        client.get_transport().request_port_forward("127.0.0.1", 0)


def test_a_folder_that_is_missing_refuses_the_command(tmp_path):
    with (
        server.running(tmp_path / "missing") as address,
        _connected(address) as client,
        pytest.raises(paramiko.SSHException),
    ):
        client.get_transport().open_session().exec_command("true")


def test_a_stranger_who_speaks_no_ssh_is_survived_in_silence(address, client, capfd):
    with socket.create_connection((address.host, address.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 200)
        with contextlib.suppress(ConnectionResetError):
            while stranger.recv(1000):
                pass
    assert b"still here\n" == _run(client, "echo still here")[0]
    assert ("", "") == tuple(capfd.readouterr())


def test_only_loopback_is_served_and_the_key_is_the_owners(address):
    assert "127.0.0.1" == address.host
    assert 0o600 == stat.S_IMODE(address.identity_file.stat().st_mode)
    assert 0o700 == stat.S_IMODE(address.identity_file.parent.stat().st_mode)


def test_nothing_is_left_afterwards(home):
    before = (set(threading.enumerate()), _open_files())
    with server.running(home) as address, _connected(address) as client:
        _run(client, "echo one")
        client.get_transport().open_session()
        folder = address.identity_file.parent
    assert not folder.exists()
    assert before == (set(threading.enumerate()), _open_files())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port))


def _open_files():
    return len(list(Path("/dev/fd").iterdir()))


def _another_key(folder):
    file = folder / "another"
    file.write_text(server._Key().text)
    return str(file)
