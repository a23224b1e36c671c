"""What the operator's own SSH set-up does here: ~/.ssh/config, jumps, proxies, agents, and host keys on the way."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess

import places
import pytest
from places import run

from opskit import errors, model
from opskit.transport import fleet


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An operator's home, with an empty ~/.ssh/config; no agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh" / "config").touch()
    return tmp_path


def environment(folder, host: model.Host, *known: str) -> model.Environment:
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(known))
    ssh = model.Ssh(known_hosts=(str(known_hosts),), connect_timeout=5.0)
    return model.Environment("test", (host,), places.app(folder), "custom", ssh=ssh, root=str(folder))


def reaches(made: model.Environment) -> bool:
    with contextlib.closing(fleet.Fleet(made, places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        return json.loads(run(hosts, "show", "a b").tail) == ["a b"]


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


def test_a_key_of_the_agent_is_enough(home, sshd, monkeypatch):
    started = subprocess.run(["ssh-agent", "-s", "-a", str(home / "agent")], capture_output=True, text=True, check=True)
    pid = int(re.search(r"SSH_AGENT_PID=(\d+)", started.stdout)[1])
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
        subprocess.run(["ssh-add", "-q", str(sshd.identity_file)], check=True, capture_output=True)
        host = model.Host("app1", sshd.host, user=sshd.user, port=sshd.port)
        assert reaches(environment(home, host, sshd.known_hosts_line()))
    finally:
        os.kill(pid, signal.SIGTERM)


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


def test_a_jump_host_with_an_unknown_key_is_refused(home, sshd, jump):
    with pytest.raises(errors.HostKeyError) as caught:
        reaches(environment(home, model.Host("app1", "app1"), sshd.known_hosts_line()))
    assert f"the host key of [{jump.host}]:{jump.port} is not known" in str(caught.value)


def test_a_host_behind_a_jump_with_a_changed_key_is_refused(home, sshd, jump):
    wrong = sshd.known_hosts_line(jump.host_key)
    with pytest.raises(errors.HostKeyError) as caught:
        reaches(environment(home, model.Host("app1", "app1"), wrong, jump.known_hosts_line()))
    assert "has changed" in str(caught.value)


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


def test_an_odd_line_in_known_hosts_does_not_hide_the_others(home, sshd):
    odd = "@cert-authority *.example.com ssh-ed25519 AAAA\nnonsense\n|1|bad|hash ssh-rsa AAAA\n# a comment\n\n"
    host = model.Host("app1", sshd.host, user=sshd.user, port=sshd.port, identity_file=str(sshd.identity_file))
    assert reaches(environment(home, host, odd, sshd.known_hosts_line()))


def test_a_revoked_key_is_refused_though_another_line_knows_it(home, sshd):
    host = model.Host("app1", sshd.host, user=sshd.user, port=sshd.port, identity_file=str(sshd.identity_file))
    revoked = f"@revoked * {sshd.host_key}\n"
    with pytest.raises(errors.HostKeyError) as caught:
        reaches(environment(home, host, sshd.known_hosts_line(), revoked))
    assert str(caught.value) == f"the host key of [{sshd.host}]:{sshd.port} is revoked in known_hosts"


def test_a_hashed_known_hosts_is_understood(home, sshd):
    host = model.Host("app1", sshd.host, user=sshd.user, port=sshd.port, identity_file=str(sshd.identity_file))
    made = environment(home, host, sshd.known_hosts_line())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(home / "known_hosts")], check=True, capture_output=True)
    assert "127.0.0.1" not in (home / "known_hosts").read_text()
    assert reaches(made)
