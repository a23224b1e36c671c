"""One question to a host without an agent, over the real transports."""

from __future__ import annotations

import sys

import pytest

from opskit import errors, model
from opskit.transport import fleet, look, process

MARK = b"\0opskit-find 1\n"


def question(folder) -> dict:
    return {"path": str(folder), "python": "", "settings": "", "env_file": "", "seconds": 5.0}


def local(folder, **app):
    return model.Environment(
        "new",
        (model.Host("here", "local", kind=model.HostKind.LOCAL),),
        model.App(path=".", **{"python": sys.executable, **app}),
        "opskit",
        root=str(folder),
    )


def over_ssh(sshd, client, **app):
    host = model.Host("app1", sshd.host, user=sshd.user, port=sshd.port, identity_file=str(sshd.identity_file))
    ssh = model.Ssh(client=client, known_hosts=(str(sshd.known_hosts),))
    return model.Environment(
        "new", (host,), model.App(path=".", **{"python": sys.executable, **app}), "opskit", ssh=ssh
    )


def ask(environment, folder):
    return look.ask(fleet.connect(environment, environment.hosts[0]), "find", MARK, question(folder))


def test_this_machine_answers(tmp_path):
    assert ask(local(tmp_path), tmp_path) == {"projects": [], "searched": [str(tmp_path)], "cut": False}


@pytest.mark.parametrize("client", ["fabric", "openssh"])
def test_a_host_answers(sshd, tmp_path, client):
    assert ask(over_ssh(sshd, client), tmp_path)["searched"] == [str(tmp_path)]


@pytest.mark.parametrize("client", ["fabric", "openssh"])
def test_a_python_that_is_not_there_is_told_in_the_shells_words(sshd, tmp_path, client):
    with pytest.raises(errors.RemoteError, match=r"its Python did not start: .*/nowhere/python.* \(exit 127\)"):
        ask(over_ssh(sshd, client, python="/nowhere/python"), tmp_path)


def test_a_host_that_can_not_be_reached_is_told_in_sshs_words(sshd, tmp_path):
    wrong = over_ssh(sshd, "openssh")
    gone = model.Host("app1", sshd.host, user=sshd.user, port=1)
    with pytest.raises(errors.ConnectError, match="cannot connect to"):
        look.ask(fleet.connect(wrong, gone), "find", MARK, question(tmp_path))


def program(body: str) -> process.ProcessStream:
    return process.ProcessStream((sys.executable, "-c", f"import sys, time\n{body}"))


def test_what_a_login_shell_says_before_is_skipped():
    line = program("print('Welcome!'); sys.stdout.buffer.write(b'x\\0opskit-find 1\\n{\"a\": 1}')")
    assert look.ask(line, "find", MARK, {}) == {"a": 1}


@pytest.mark.parametrize("said", ["not JSON", "[1]", '{"a": '])
def test_an_answer_of_another_kind_is_none(said):
    line = program(f"sys.stdout.buffer.write(b'\\0opskit-find 1\\n' + {said.encode()!r})")
    with pytest.raises(errors.RemoteError, match="what came back is not an answer"):
        look.ask(line, "find", MARK, {})


def test_silence_ends(tmp_path):
    with pytest.raises(errors.RemoteError, match="its Python did not start: it said nothing for 1 s"):
        look.ask(program("time.sleep(20)"), "find", MARK, {}, patience=1.0)


def test_last_words_are_told():
    with pytest.raises(errors.RemoteError, match=r"its Python did not start: sudo: a password is required \(exit 1\)"):
        look.ask(program("sys.exit('sudo: a password is required')"), "find", MARK, {})


def test_endless_output_is_no_answer():
    with pytest.raises(errors.RemoteError, match="its Python did not start"):
        look.ask(program("while True: print('x' * 100000)"), "find", MARK, {})
