"""A key with a passphrase: asked at a terminal, before any host is contacted, once a key and a run."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from e2e import operator

PASSPHRASE = "open sesame"


@pytest.fixture
def key(desk, sshd):
    """The key that the sshd takes, with a passphrase."""
    file = desk.folder / "key"
    shutil.copy(sshd.identity_file, file)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", PASSPHRASE, "-f", file], check=True, capture_output=True)
    return file


@pytest.fixture
def prod(desk, sshd, key):
    """Two hosts, of which the second would take the key too."""
    app1 = {"address": sshd.host, "port": sshd.port, "user": sshd.user, "identity_file": str(key)}
    known_hosts = desk.folder / "known_hosts"
    known_hosts.write_text(f"* {sshd.host_key}\n")
    desk.over_ssh(app1, {**app1, "address": "localhost"}, known_hosts=known_hosts)
    return desk


def question(key) -> str:
    return f"passphrase of `{key}` (empty goes on without that key): "


def refused(sshd, key) -> str:
    why = f"nobody gave the passphrase of `{key}`"
    return f"cannot connect to {sshd.host}:{sshd.port} as `{sshd.user}`: {why}"


def test_without_a_terminal_it_is_refused_at_once(prod, sshd, key):
    result = prod.run("migrate-all")

    assert (result.code, prod.asked) == (3, [])
    assert result.err.splitlines()[0] == f"app1 does not serve: {refused(sshd, key)}"
    assert result.err.splitlines()[-1].endswith(f"{operator.UNTOUCHED} `ssh-add {key}` first.")


def test_it_is_asked_once_though_there_are_two_hosts(prod, key, terminal):
    with prod.running("migrate-all", stdin=terminal.theirs) as running:
        terminal.answers(running, question(key), PASSPHRASE)
        result = running.end()

    assert (result.code, prod.migrated) == (0, list(operator.TENANTS))
    assert result.err.count("passphrase of") == 1
    assert "sesame" not in result.out + result.err + prod.kept()


def test_a_wrong_one_is_asked_for_again(prod, key, terminal):
    with prod.running("migrate-all", stdin=terminal.theirs) as running:
        terminal.answers(running, question(key), "wrong", PASSPHRASE)
        result = running.end()

    assert (result.code, prod.migrated) == (0, list(operator.TENANTS))
    assert result.err.count("that does not open it.") == 1


def test_after_three_wrong_ones_nothing_is_tried(prod, key, terminal, sshd):
    before = sshd.log.read_text().count("Connection from")
    with prod.running("migrate-all", stdin=terminal.theirs) as running:
        terminal.answers(running, question(key), "wrong", "wrong", "wrong")
        result = running.end()

    assert (result.code, prod.asked) == (3, [])
    assert result.err.splitlines()[-1] == f"`{key}` was not opened by 3 passphrases. {operator.UNTOUCHED}"
    assert sshd.log.read_text().count("Connection from") == before


@pytest.mark.parametrize("answer", ["", "\x04"])
def test_an_empty_answer_goes_on_without_the_key(prod, key, terminal, answer, sshd):
    with prod.running("migrate-all", stdin=terminal.theirs) as running:
        terminal.answers(running, question(key), answer)
        result = running.end()

    assert (result.code, prod.asked) == (3, [])
    assert f"app1 does not serve: {refused(sshd, key)}" in result.err


def test_a_key_that_needs_none_asks_nothing(desk, sshd, terminal):
    desk.over_ssh(sshd, known_hosts=sshd.known_hosts)

    with desk.running("migrate-all", stdin=terminal.theirs) as running:
        result = running.end()

    assert (result.code, "passphrase" in result.err) == (0, False)


def test_that_of_a_required_environment_is_asked_before_anything_happens(desk, sshd, key, terminal):
    askable = {**operator.FRAMEWORK, "pending": ["pending"]}
    desk.inventory(framework=askable, requires="staging")
    desk.over_ssh(
        {"address": sshd.host, "port": sshd.port, "user": sshd.user, "identity_file": str(key)},
        known_hosts=sshd.known_hosts,
        name="staging",
        framework=askable,
    )
    with desk.running("migrate-all", "--env=prod", stdin=terminal.theirs) as running:
        running.says(question(key))
        before = [(desk.folder / "state").exists(), desk.runs]
        terminal.answers(running, question(key), PASSPHRASE)
        result = running.end()

    assert before == [False, []]
    assert (result.code, result.err.count("passphrase of")) == (3, 1)
    assert "`prod` requires `staging`, which lacks what is pending here:" in result.err
