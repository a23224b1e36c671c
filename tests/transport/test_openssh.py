"""`ssh: {client: openssh}`: what the operator's own ssh_config does, and that nothing is ever waited for."""

from __future__ import annotations

import os
import shutil
import subprocess

import places
import pytest
from places import reaches

from opskit import errors, model


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """The system's ssh, with a configuration of the test's: it looks for its own where passwd says, not at HOME."""
    real = shutil.which("ssh")
    assert real, "ssh is not installed (Debian: openssh-client)"
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "config").touch()
    script = tmp_path / "bin" / "ssh"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {real} -F {tmp_path}/config "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return script


def environment(folder, sshd, *lines: str, key=None, **more: str) -> model.Environment:
    """An environment whose host is `app1` of ssh_config; `more` is the text of other files."""
    for name, text in more.items():
        (folder / name).write_text(text)
    identity = "" if key == "" else f"  IdentityFile {key or sshd.identity_file}\n"
    host = (
        f"Host app1\n  HostName {sshd.host}\n  Port {sshd.port}\n  User {sshd.user}\n  IdentitiesOnly yes\n{identity}"
    )
    (folder / "config").write_text(host + "".join(f"{line}\n" for line in lines))
    settings = model.Ssh(client="openssh", known_hosts=(str(sshd.known_hosts),), connect_timeout=5.0)
    app = places.app(folder)
    return model.Environment("test", (model.Host("app1", "app1"),), app, "custom", ssh=settings, root=str(folder))


def refusal(made: model.Environment) -> tuple[str, str]:
    """(why, what to type next)."""
    with pytest.raises(errors.ConnectError) as caught:
        reaches(made)
    return str(caught.value), caught.value.hint


ASKS_NOBODY = "`ssh` asks nobody here: `ssh-add` the key, or log in by hand with a `ControlMaster` before."


# ---------------------------------------------------------------- ssh_config


def test_an_include_is_read(tmp_path, ssh, sshd):
    made = environment(tmp_path, sshd, key="")
    (tmp_path / "more").write_text(f"  IdentityFile {sshd.identity_file}\n")
    config = tmp_path / "config"
    config.write_text(f"{config.read_text()}  Include {tmp_path}/more\n")
    assert reaches(made)


def test_a_jump_is_taken(tmp_path, ssh, sshd):
    bastion = sshd.another()
    known = tmp_path / "known"
    known.write_text(bastion.known_hosts_line())
    jump = (  # a jump is an ssh of its own, which reads ssh_config and not the inventory
        f"  ProxyCommand ssh -o UserKnownHostsFile={known} -i {sshd.identity_file} -p {bastion.port} "
        f"-W %h:%p {bastion.user}@{bastion.host}"
    )
    assert reaches(environment(tmp_path, sshd, jump))
    assert "Accepted publickey" in bastion.log.read_text()
    bastion.stop()


def test_a_proxy_command_that_fails_is_told(tmp_path, ssh, sshd):
    made = environment(tmp_path, sshd, "  ProxyCommand sh -c 'echo no session manager here >&2; exit 1'")
    assert refusal(made)[0].startswith("app1: cannot connect to app1: no session manager here")


# ---------------------------------------------------------------- masters


def test_a_master_that_is_there_already_is_used_and_needs_no_key(tmp_path, ssh, sshd):
    """How an operator gets past a second factor: logged in by hand, before."""
    path = tmp_path / "master"
    by_hand = environment(tmp_path, sshd)
    known = f"UserKnownHostsFile={sshd.known_hosts}"
    subprocess.run(["ssh", "-o", known, "-M", "-S", path, "-f", "-N", "app1"], check=True, capture_output=True)
    try:
        assert reaches(environment(tmp_path, sshd, f"  ControlPath {path}", key=sshd.refused_key()))
        assert reaches(by_hand)
    finally:
        subprocess.run(["ssh", "-S", path, "-O", "exit", "app1"], check=True, capture_output=True)
    with pytest.raises(errors.ConnectError):
        reaches(environment(tmp_path, sshd, f"  ControlPath {path}", key=sshd.refused_key()))


def test_a_master_that_it_starts_itself_does_not_hold_it(tmp_path, ssh, sshd):
    path = tmp_path / "master"
    master = ("  ControlMaster auto", f"  ControlPath {path}", "  ControlPersist 60")
    made = environment(tmp_path, sshd, *master)
    try:
        assert reaches(made)
        assert path.exists()
        assert reaches(made)
    finally:
        subprocess.run(["ssh", "-S", path, "-O", "exit", "app1"], check=True, capture_output=True)


# ---------------------------------------------------------------- nothing is waited for


def test_a_host_that_wants_a_code_is_refused_at_once(tmp_path, ssh, sshd):
    careful = sshd.another(
        options=(
            "UsePAM yes",
            "KbdInteractiveAuthentication yes",
            "AuthenticationMethods publickey,keyboard-interactive",
        )
    )
    why = f"app1: cannot connect to app1: {careful.user}@{careful.host}: Permission denied (keyboard-interactive)."
    assert refusal(environment(tmp_path, careful)) == (why, ASKS_NOBODY)
    careful.stop()


def test_a_host_that_wants_a_password_is_refused_at_once(tmp_path, ssh, sshd):
    closed = sshd.another(options=("PasswordAuthentication yes", "PubkeyAuthentication no"))
    assert refusal(environment(tmp_path, closed))[1] == ASKS_NOBODY
    closed.stop()


def test_a_key_with_a_passphrase_is_refused_at_once(tmp_path, ssh, sshd):
    key = shutil.copy(sshd.identity_file, tmp_path / "key")
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True, capture_output=True)
    assert refusal(environment(tmp_path, sshd, key=key))[1] == ASKS_NOBODY


def test_the_ssh_of_a_jump_opens_no_window_to_ask_in(tmp_path, ssh, sshd, monkeypatch):
    bastion = sshd.another()
    key = shutil.copy(sshd.identity_file, tmp_path / "key")
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True, capture_output=True)
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\necho secret\n")
    ask.chmod(0o755)
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setenv("SSH_ASKPASS", str(ask))
    (tmp_path / "known").write_text(bastion.known_hosts_line())
    jump = (
        f"  ProxyCommand ssh -o IdentitiesOnly=yes -o UserKnownHostsFile={tmp_path}/known -i {key} -p {bastion.port} "
        f"-W %h:%p {bastion.user}@{bastion.host}"
    )
    assert "Permission denied" in refusal(environment(tmp_path, sshd, jump))[0]
    assert not (tmp_path / "asked").exists()
    bastion.stop()


def test_a_host_whose_key_is_not_known_is_refused_at_once(tmp_path, ssh, sshd):
    stranger = sshd.another()
    made = environment(tmp_path, stranger)
    stranger.known_hosts.write_text("")
    with pytest.raises(errors.HostKeyError) as caught:
        reaches(made)
    assert "Host key verification failed" in str(caught.value)
    stranger.stop()
