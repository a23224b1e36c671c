"""What the operator's own SSH set-up does here: ~/.ssh/config, jumps, proxies, agents, and host keys on the way."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

import paramiko
import places
import pytest
import servers
from places import reaches

from opskit import errors, model
from opskit.transport import ssh


def environment(folder, host: model.Host, *known: str) -> model.Environment:
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(known))
    how = model.Ssh(known_hosts=(str(known_hosts),), connect_timeout=5.0)
    return model.Environment("test", (host,), places.app(folder), "custom", ssh=how, root=str(folder))


def config(home, text: str) -> None:
    (home / ".ssh" / "config").write_text(text)


def test_an_alias_of_ssh_config_gives_address_port_user_and_key(home, sshd):
    config(
        home,
        f"Host app1\n  HostName {sshd.host}\n  Port {sshd.port}\n  User {sshd.user}\n  IdentityFile {sshd.identity_file}\n",
    )
    assert reaches(environment(home, model.Host("app1", "app1"), sshd.known_hosts_line()))


def test_the_inventory_wins_over_ssh_config(home, sshd):
    config(home, "Host *\n  Port 1\n  User nobody-here\n")
    host = model.Host("app1", sshd.host, user=sshd.user, port=sshd.port, identity_file=str(sshd.identity_file))
    assert reaches(environment(home, host, sshd.known_hosts_line()))


@pytest.fixture
def jump(home, sshd):
    """app1 behind a bastion that is another sshd."""
    bastion = sshd.another()
    config(
        home,
        f"Host bastion\n  HostName {bastion.host}\n  Port {bastion.port}\n  User {bastion.user}\n"
        f"Host app1\n  HostName {sshd.host}\n  Port {sshd.port}\n  User {sshd.user}\n  ProxyJump bastion\n"
        f"Host *\n  IdentityFile {sshd.identity_file}\n",
    )
    yield bastion
    bastion.stop()


def test_a_proxy_jump_is_taken(home, sshd, jump):
    made = environment(home, model.Host("app1", "app1"), sshd.known_hosts_line(), jump.known_hosts_line())
    assert reaches(made)
    assert f"Accepted publickey for {jump.user}" in jump.log.read_text()


def test_small_pieces_are_sent_at_once_to_a_host_and_through_a_jump(home, sshd, jump):
    """The socket is the jump's, where there is one."""
    direct = model.Host("app2", sshd.host, user=sshd.user, port=sshd.port, identity_file=str(sshd.identity_file))
    for host in (model.Host("app1", "app1"), direct):
        made = environment(home, host, sshd.known_hosts_line(), jump.known_hosts_line())
        with contextlib.closing(ssh.connect(made, host)) as line:
            *_, first = ssh._chain(line._connection)
            assert first.transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_jump_host_with_an_unknown_key_is_refused(home, sshd, jump):
    with pytest.raises(errors.HostKeyError) as caught:
        reaches(environment(home, model.Host("app1", "app1"), sshd.known_hosts_line()))
    assert f"the host key of [{jump.host}]:{jump.port} is not known" in str(caught.value)


def test_a_host_behind_a_jump_with_a_changed_key_is_refused(home, sshd, jump):
    wrong = sshd.known_hosts_line(jump.host_key)
    with pytest.raises(errors.HostKeyError) as caught:
        reaches(environment(home, model.Host("app1", "app1"), wrong, jump.known_hosts_line()))
    assert "has changed" in str(caught.value)


def test_a_jump_that_refuses_the_key_is_named_and_not_the_host_behind_it(home, sshd, jump):
    wrong = sshd.refused_key()
    config(home, (home / ".ssh" / "config").read_text().replace(f"IdentityFile {sshd.identity_file}", ""))
    host = model.Host("app1", "app1", identity_file=str(wrong))
    with pytest.raises(errors.ConnectError) as caught:
        reaches(environment(home, host, sshd.known_hosts_line(), jump.known_hosts_line()))
    assert str(caught.value) == (
        f"cannot connect to {jump.host}:{jump.port}, on the way to app1, as `{jump.user}`: "
        "there is no key to log in with: no identity_file, no agent's, none of the usual ones"
    )


@pytest.mark.parametrize("jumps", ["first,second", "second", "first , second"])
def test_jumps_are_taken_in_the_order_of_openssh(home, sshd, jumps):
    """Each lets nobody pass but to the next."""
    second = sshd.another(options=(f"PermitOpen {sshd.host}:{sshd.port}",))
    first = sshd.another(options=(f"PermitOpen {second.host}:{second.port}",))
    config(
        home,
        f"Host first\n  HostName {first.host}\n  Port {first.port}\n"
        f"Host second\n  HostName {second.host}\n  Port {second.port}\n  ProxyJump first\n"
        f"Host app1\n  HostName {sshd.host}\n  Port {sshd.port}\n  ProxyJump {jumps}\n"
        f"Host *\n  IdentityFile {sshd.identity_file}\n",
    )
    known = [each.known_hosts_line() for each in (first, second, sshd)]
    assert reaches(environment(home, model.Host("app1", "app1"), *known))
    assert [each.log.read_text().count("Accepted publickey") for each in (first, second)] == [1, 1]
    for each in (first, second):
        each.stop()


@pytest.mark.parametrize("setting", ["ProxyJump none", "ProxyJump app1", "ProxyCommand none"])
def test_none_and_the_host_itself_are_no_proxy(home, sshd, setting):
    config(
        home,
        f"Host app1\n  HostName {sshd.host}\n  Port {sshd.port}\n  User {sshd.user}\n"
        f"  IdentityFile {sshd.identity_file}\n  {setting}\n",
    )
    assert reaches(environment(home, model.Host("app1", "app1"), sshd.known_hosts_line()))


def test_a_proxy_command_is_a_line_of_shell_and_hears_of_the_inventorys_port(home, sshd):
    proxy = home / "proxy.py"
    proxy.write_text(PROXY)
    config(
        home,
        f"Host app1\n  HostName {sshd.host}\n  User {sshd.user}\n  Port 1\n  IdentityFile {sshd.identity_file}\n"
        f"  ProxyCommand {os.sys.executable} {proxy} %h %p '{home}/s id' 2>{home}/said\n",
    )
    assert reaches(environment(home, model.Host("app1", "app1", port=sshd.port), sshd.known_hosts_line()))
    assert (home / "said").exists()


def test_a_proxy_command_ends_where_the_login_fails(home, sshd):
    proxy = home / "proxy.py"
    proxy.write_text(PROXY)
    config(
        home,
        f"Host app1\n  HostName {sshd.host}\n  User {sshd.user}\n  IdentityFile {sshd.refused_key()}\n"
        f"  ProxyCommand {os.sys.executable} {proxy} %h {sshd.port} {home}/sid\n",
    )
    with pytest.raises(errors.ConnectError):
        reaches(environment(home, model.Host("app1", "app1"), f"{sshd.host} {sshd.host_key}\n"))
    with pytest.raises(ProcessLookupError):
        os.killpg(int((home / "sid").read_text()), 0)


def test_a_proxy_command_lives_in_a_session_of_its_own(home, sshd):
    proxy = home / "proxy.py"
    proxy.write_text(PROXY)
    config(
        home,
        f"Host app1\n  HostName {sshd.host}\n  Port {sshd.port}\n  User {sshd.user}\n"
        f"  IdentityFile {sshd.identity_file}\n  ProxyCommand {os.sys.executable} {proxy} %h %p {home}/sid\n",
    )
    assert reaches(environment(home, model.Host("app1", "app1"), sshd.known_hosts_line()))
    assert int((home / "sid").read_text()) != os.getsid(0)


PROXY = """
import os, select, socket, sys
open(sys.argv[3], "w").write(str(os.getsid(0)))
line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    ready, _, _ = select.select([0, line], [], [])
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            break
        line.sendall(data)
    if line in ready:
        data = line.recv(65536)
        if not data:
            break
        os.write(1, data)
"""


class Mute(paramiko.ServerInterface):
    """A server that lets everybody in, and then does not answer any more."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.never = threading.Event()

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, _username: str, _key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, _kind: str, _chanid: int) -> int:
        self.never.wait(60 if self.to == "a channel" else 0)
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, _channel: paramiko.Channel, _command: bytes) -> bool:
        return not self.never.wait(60)


@contextlib.contextmanager
def serving(mute: Mute, key: paramiko.PKey):
    """Its port, while it serves one connection."""
    made = []

    def serve() -> None:
        made.append(paramiko.Transport(listener.accept()[0]))
        made[0].add_server_key(key)
        made[0].start_server(server=mute)

    with socket.create_server((servers.LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        mute.never.set()
        thread.join(60)
        made[0].close()


@pytest.mark.parametrize("to", ["a channel", "a command"])
def test_a_server_that_lets_us_in_and_begins_no_session_is_given_up(home, sshd, to):
    key = paramiko.ECDSAKey.generate()
    with serving(Mute(to), key) as port:
        (home / "known_hosts").write_text(f"[{servers.LOOPBACK}]:{port} {key.get_name()} {key.get_base64()}\n")
        host = model.Host("mute", servers.LOOPBACK, user="x", port=port, identity_file=str(sshd.identity_file))
        known = model.Ssh(known_hosts=(str(home / "known_hosts"),), connect_timeout=1.0)
        made = model.Environment("test", (host,), places.app(home), "custom", ssh=known, root=str(home))
        with pytest.raises(errors.ConnectError, match="it let us in, and began no session within 1 s"):
            ssh.connect(made, host)
