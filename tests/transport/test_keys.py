"""What a login is tried with: keys with a passphrase, agents, certificates, and hosts that want more than a key."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess

import places
import pytest
from places import reaches

from opskit import errors, model
from opskit.transport import keys


@pytest.fixture
def app1(home, sshd):
    """An environment whose host is the sshd, as `Host app1` of ssh_config; the test adds the keys."""
    return environment(home, sshd)


def environment(home, sshd, *lines: str, **ssh) -> model.Environment:
    settings = f"Host app1\n  HostName {sshd.host}\n  Port {sshd.port}\n  User {sshd.user}\n"
    (home / ".ssh" / "config").write_text(settings + "".join(f"  {line}\n" for line in lines))
    known = model.Ssh(known_hosts=(str(sshd.known_hosts),), connect_timeout=5.0, **ssh)
    return model.Environment(
        "test", (model.Host("app1", "app1"),), places.app(home), "custom", ssh=known, root=str(home)
    )


def refusal(made: model.Environment) -> tuple[str, str]:
    """(why, what to type next), without the words that begin every such message."""
    with pytest.raises(errors.ConnectError) as caught:
        reaches(made)
    begin = "cannot connect to 127.0.0.1:"
    assert str(caught.value).startswith(begin)
    return str(caught.value).partition("`: ")[2], caught.value.hint


@contextlib.contextmanager
def agent(socket, *files):
    """An ssh-agent at `socket`, with those keys."""
    started = subprocess.run(["ssh-agent", "-s", "-a", str(socket)], capture_output=True, text=True, check=True)
    pid = int(re.search(r"SSH_AGENT_PID=(\d+)", started.stdout)[1])
    try:
        if files:
            environ = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            subprocess.run(["ssh-add", "-q", *map(str, files)], check=True, capture_output=True, env=environ)
        yield
    finally:
        os.kill(pid, signal.SIGTERM)


def copied(sshd, file, passphrase: str = ""):
    """The key that the sshd takes, in a file of its own, with a passphrase."""
    shutil.copy(sshd.identity_file, file)
    shutil.copy(sshd.identity_file.with_suffix(".pub"), f"{file}.pub")
    file.chmod(0o600)
    if passphrase:
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", passphrase, "-f", file], check=True, capture_output=True)
    return file


# ---------------------------------------------------------------- agents


def test_the_agent_of_the_environment_is_enough(home, sshd, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    with agent(home / "agent", sshd.identity_file):
        assert reaches(environment(home, sshd))


@pytest.mark.parametrize("named", ["~/agent", "%d/agent", "${OPERATORS_AGENT}", "$OPERATORS_AGENT", "{home}/agent"])
def test_identity_agent_names_another_one(home, sshd, monkeypatch, named):
    monkeypatch.setenv("OPERATORS_AGENT", str(home / "agent"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "nowhere"))
    with agent(home / "agent", sshd.identity_file):
        assert reaches(environment(home, sshd, f"IdentityAgent {named.replace('{home}', str(home))}"))


NO_KEY = ("there is no key to log in with: no identity_file, no agent's, none of the usual ones", "")


def test_identity_agent_none_leaves_the_agent_alone(home, sshd, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    with agent(home / "agent", sshd.identity_file):
        assert refusal(environment(home, sshd, "IdentityAgent none")) == NO_KEY


def test_an_agent_that_is_gone_is_no_agent(home, sshd, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "gone"))
    assert refusal(environment(home, sshd)) == NO_KEY


def test_the_agents_copy_of_a_named_key_is_the_first_to_be_tried(home, sshd, monkeypatch):
    """An sshd hangs up after a few keys: an agent that is full must not use them up."""
    strict = sshd.another(options=("MaxAuthTries 2",))
    others = [strict.refused_key() for _ in range(4)]
    named = copied(sshd, home / "named", "secret")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    with agent(home / "agent", *others, sshd.identity_file):
        assert reaches(environment(home, strict, f"IdentityFile {named}"))
        assert refusal(environment(home, strict)) == ("it hung up at key 2: name the right one as identity_file", "")
    strict.stop()


def test_identities_only_keeps_the_agents_other_keys_out(home, sshd, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    wrong = sshd.refused_key()
    with agent(home / "agent", sshd.identity_file):
        assert reaches(environment(home, sshd, f"IdentityFile {wrong}"))
        made = environment(home, sshd, f"IdentityFile {wrong}", "IdentitiesOnly yes")
        assert refusal(made) == (f"the host refused the key (tried {wrong}, the agent's and the usual ones)", "")


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["id_rsa", "id_ecdsa", "id_ed25519"])
def test_the_usual_keys_are_tried(home, sshd, app1, name):
    copied(sshd, home / ".ssh" / name)
    assert reaches(app1)


def test_a_key_of_ssh_config_that_is_not_there_is_passed_over(home, sshd):
    assert reaches(environment(home, sshd, "IdentityFile ~/.ssh/nowhere", f"IdentityFile {sshd.identity_file}"))


@pytest.mark.parametrize("kind", [("ed25519",), ("rsa",), ("ecdsa",), ("rsa", "-m", "PEM"), ("ecdsa", "-m", "PEM")])
def test_a_key_with_a_passphrase_is_opened_with_it_alone(tmp_path, kind):
    file = str(tmp_path / "key")
    made = ["ssh-keygen", "-q", "-t", kind[0], *kind[1:], "-N", "secret", "-f", file]
    subprocess.run(made, check=True, capture_output=True)
    with pytest.raises(keys.paramiko.PasswordRequiredException):
        keys.load(file)
    with pytest.raises(keys.paramiko.SSHException):
        keys.load(file, "wrong")
    assert keys.load(file, "secret").get_base64() == keys.public_part(file)


def test_a_key_whose_passphrase_nobody_gave_is_named(home, sshd):
    locked = copied(sshd, home / "locked", "secret")
    made = environment(home, sshd, f"IdentityFile {locked}")
    assert refusal(made) == (f"nobody gave the passphrase of `{locked}`", f"`ssh-add {locked}` first.")


def test_a_passphrase_that_was_given_opens_it(home, sshd):
    locked = copied(sshd, home / "locked", "secret")
    assert reaches(environment(home, sshd, f"IdentityFile {locked}", passphrases={str(locked): "secret"}))


def test_a_locked_key_is_no_reason_not_to_try_the_others(home, sshd):
    locked = copied(sshd, home / "locked", "secret")
    assert reaches(environment(home, sshd, f"IdentityFile {locked}", f"IdentityFile {sshd.identity_file}"))


def test_a_file_that_is_no_key_is_named(home, sshd):
    (home / "key").write_text("nothing of a key")
    made = environment(home, sshd)
    host = model.Host("app1", "app1", identity_file=str(home / "key"))
    why = f"`{home}/key` is no private key that Fabric can read. the system's `ssh` may: `ssh: {{client: openssh}}`"
    assert refusal(model.Environment("test", (host,), made.app, "custom", ssh=made.ssh)) == (why, "")


# ---------------------------------------------------------------- whose passphrase has to be asked for


def locked_keys(made: model.Environment) -> tuple[str, ...]:
    from opskit.transport import ssh

    return ssh.locked_keys(made)


def test_a_named_key_that_is_locked_is_asked_for_once_for_all_hosts(home, sshd):
    locked = copied(sshd, home / "locked", "secret")
    made = environment(home, sshd, f"IdentityFile {locked}")
    both = model.Environment("test", (*made.hosts, model.Host("too", "app1")), made.app, "custom", ssh=made.ssh)
    assert locked_keys(both) == (str(locked),)


def test_so_is_that_of_a_jump_on_the_way(home, sshd):
    locked = copied(sshd, home / "locked", "secret")
    made = environment(home, sshd, f"IdentityFile {sshd.identity_file}", "ProxyJump bastion")
    config = home / ".ssh" / "config"
    config.write_text(config.read_text() + f"Host bastion\n  IdentityFile {locked}\n")
    assert locked_keys(made) == (str(locked),)


def test_a_key_that_the_agent_holds_is_not_asked_for(home, sshd, monkeypatch):
    locked = copied(sshd, home / "locked", "secret")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    with agent(home / "agent", sshd.identity_file):
        assert locked_keys(environment(home, sshd, f"IdentityFile {locked}")) == ()


def test_a_usual_key_is_asked_for_only_where_it_is_all_there_is(home, sshd, app1):
    locked = copied(sshd, home / ".ssh" / "id_ed25519", "secret")
    assert locked_keys(app1) == (str(locked),)
    copied(sshd, home / ".ssh" / "id_rsa")
    assert locked_keys(app1) == ()


# ---------------------------------------------------------------- certificates, and more than a key


def signed(home, key, *principals: str):
    """A copy of a key with a certificate beside it, of a new CA; gives (key, the CA's public file)."""
    authority = home / "authority"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", authority], check=True, capture_output=True)
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "operator", "-n", ",".join(principals), f"{key}.pub"]
    subprocess.run(sign, check=True, capture_output=True)
    return key, authority.with_suffix(".pub")


@pytest.mark.parametrize("client", ["fabric", "openssh"])
def test_a_certificate_beside_the_key_is_shown_to_the_host(home, sshd, client):
    user = sshd.user
    key, authority = signed(home, sshd.refused_key(), user)
    trusting = sshd.another(options=(f"TrustedUserCAKeys {authority}", "AuthorizedKeysFile none"))
    made = environment(home, trusting, client=client)
    host = model.Host("app1", trusting.host, user=user, port=trusting.port, identity_file=str(key))
    assert reaches(model.Environment("test", (host,), made.app, "custom", ssh=made.ssh, root=str(home)))
    assert "Accepted publickey" in trusting.log.read_text()
    assert "ED25519-CERT" in trusting.log.read_text()
    trusting.stop()


def test_a_host_that_wants_a_code_after_the_key_is_told_and_not_waited_for(home, sshd):
    careful = sshd.another(
        options=(
            "UsePAM yes",
            "KbdInteractiveAuthentication yes",
            "AuthenticationMethods publickey,keyboard-interactive",
        )
    )
    assert refusal(environment(home, careful, f"IdentityFile {sshd.identity_file}")) == (
        "it took the key and asks for more: keyboard-interactive",
        "`ssh: {client: openssh}`, over a master connection that you opened, can do that.",
    )
    careful.stop()


def test_a_host_that_takes_no_key_is_told(home, sshd):
    closed = sshd.another(options=("PasswordAuthentication yes", "PubkeyAuthentication no"))
    made = environment(home, closed, f"IdentityFile {sshd.identity_file}")
    assert refusal(made) == ("the host takes no key, only password", "")
    closed.stop()
