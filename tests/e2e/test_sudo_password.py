"""`run_as` with a sudo that wants a password: asked once, or read from a file; tried once, and seen by nobody."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import tempfile
from pathlib import Path

import accounts
import pytest

from e2e import operator

PASSWORD = "correct horse % $battery 'staple'"


@pytest.fixture
def deploy(sshd):
    """A user with a password who may become nobody, after sudo has asked for it."""
    if shutil.which("sudo") is None:
        pytest.skip("sudo is not installed")
    with accounts.account(sshd.identity_file, password=PASSWORD) as user:
        rule = Path("/etc/sudoers.d") / user.name
        log = user.home.parent / "sudo.log"
        log.touch()
        how = f"passwd_tries=5, lecture=always, use_pty, logfile={log}"
        rule.write_text(f"Defaults:{user.name} {how}\n{user.name} ALL=(nobody) ALL\n")
        rule.chmod(0o440)
        try:
            yield user
        finally:
            rule.unlink()


@pytest.fixture
def host(sshd, deploy):
    """An sshd that lets the user in."""
    made = sshd.another(options=(f"AuthorizedKeysFile {deploy.authorized_keys}",))
    yield made
    made.stop()


@pytest.fixture
def desk():
    """An operator's folder that other users can look into."""
    folder = Path(tempfile.mkdtemp(prefix="opskit-sudo-"))
    folder.chmod(0o755)
    desk = operator.Desk(folder)
    desk.project(migrate="print('I am', os.getuid())\nprint(f'Migrated {tenant}')")
    nobody = pwd.getpwnam("nobody")
    (folder / "state").mkdir(mode=0o700)
    for each in (desk.app, folder / "state"):
        os.chown(each, nobody.pw_uid, nobody.pw_gid)
    yield desk
    shutil.rmtree(folder)


@pytest.fixture
def prod(desk, deploy, host):
    """Write the environment: the user logs in, sudo makes it nobody; the test says how the password gets there."""

    def write(client: str = "fabric", wrapper=(), **app):
        app1 = {
            "address": host.host,
            "port": host.port,
            "user": deploy.name,
            "identity_file": str(host.identity_file),
        }
        app = {"python": accounts.python(), "run_as": "nobody", **app}
        app |= {"wrapper": list(wrapper)} if wrapper else {}
        desk.over_ssh(app1, known_hosts=host.known_hosts, ssh={"client": client}, app=app)
        return desk

    return write


@pytest.fixture
def file(desk):
    """A file with the password that nobody else can read."""
    file = desk.folder / "sudo"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("client", ["fabric", "openssh"])
@pytest.mark.parametrize("wrapper", [(), ("env", "A=it's $HOME")])
def test_the_password_of_a_file_lets_the_agent_in(prod, file, client, wrapper):
    desk = prod(client, wrapper, sudo_password=str(file))

    result = desk.run("migrate-all", "-v")

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert f"acme | I am {pwd.getpwnam('nobody').pw_uid}" in result.err.splitlines()


def test_it_is_nowhere_to_be_seen(prod, file):
    desk = prod(sudo_password=str(file))

    result = desk.run("migrate-all", "-v")

    said = result.out + result.err + desk.kept() + (desk.folder / "inventories" / "prod.yaml").read_text()
    assert result.code == 0
    assert "staple" not in said
    assert "opskit: " not in said  # what sudo was told to ask with


def test_a_sudo_that_does_not_ask_never_hears_it(prod, file, deploy):
    rule = Path("/etc/sudoers.d") / deploy.name
    rule.write_text(f"{deploy.name} ALL=(nobody) NOPASSWD: ALL\n")
    desk = prod(sudo_password=str(file))

    assert (desk.run("migrate-all").code, desk.migrated) == (0, list(operator.TENANTS))


@pytest.mark.parametrize("client", ["fabric", "openssh"])
def test_a_wrong_password_is_tried_once(prod, file, deploy, client):
    """Where three tries lock an account, one run must not be three of them."""
    file.write_text("wrong\n")
    desk = prod(client, sudo_password=str(file))

    operator.refuses(desk.run("migrate-all"), 3, "app1: sudo did not take the password. it was tried once")
    assert desk.asked == []
    operator.until(lambda: failures(deploy), "a word of sudo's log")
    assert failures(deploy) == ["1 incorrect password attempt"]


def failures(user: accounts.Account) -> list[str]:
    """The wrong passwords that sudo counted, in its own words."""
    log = (user.home.parent / "sudo.log").read_text()
    return re.findall(r"\d incorrect password attempts?", log)


def test_without_a_password_the_words_of_sudo_and_the_key_that_helps_are_told(prod):
    operator.refuses(
        prod().run("migrate-all"),
        3,
        "app1: the agent did not start: sudo: a password is required (exit 1)",
        "`app.sudo_password: ask`, or a file of yours there, gives it one.",
    )


def test_a_user_who_may_not_is_told_in_the_words_of_sudo(prod, file, deploy):
    (Path("/etc/sudoers.d") / deploy.name).write_text(f"{deploy.name} ALL=(root) /bin/true\n")

    result = prod(sudo_password=str(file)).run("migrate-all")

    assert result.code == 3
    assert result.message.startswith(f"app1: the agent did not start: Sorry, user {deploy.name} is not allowed to ")
    assert " -u -c …'" in result.message


def test_a_sudo_that_wants_a_terminal_says_so(prod, file, deploy):
    (Path("/etc/sudoers.d") / deploy.name).write_text(
        f"Defaults:{deploy.name} requiretty\n{deploy.name} ALL=(ALL) ALL\n"
    )

    result = prod(sudo_password=str(file)).run("migrate-all")

    assert result.code == 3
    assert result.message.startswith("app1: the agent did not start: sudo: sorry, you must have a tty to run sudo")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_may_read_is_refused_before_any_host_is_asked(prod, file, host, mode):
    file.chmod(mode)
    desk = prod(sudo_password=str(file))

    operator.refuses(
        desk.run("migrate-all"),
        3,
        f"app.sudo_password `{file}`: others may read or write it",
        f"`chmod 600 {file}`.",
    )
    assert "Connection from" not in host.log.read_text()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda file: file.unlink(), " can't be read: no such file or directory"),
        (lambda file: file.write_text("\nsecond"), ": its first line is empty"),
        (lambda file: file.write_bytes(b"\xff\n"), " can't be read: it is not UTF-8"),
    ],
)
def test_a_file_without_a_password_is_told(prod, file, make, why):
    make(file)
    desk = prod(sudo_password=str(file))

    operator.refuses(desk.run("migrate-all"), 3, f"app.sudo_password `{file}`{why}")


def test_without_a_terminal_nobody_is_asked(prod):
    desk = prod(sudo_password="ask")

    for task in (["migrate-all"], ["migrate-all", "--plan"], ["show-tenants"]):
        result = desk.run(*task)
        assert result.code == 3
        assert result.message.startswith("`prod` asks for sudo's password, and there is no terminal to ask.")
        assert result.message.endswith(
            "put it into a file that only you can read, and name that in `app.sudo_password`."
        )


def test_at_a_terminal_it_is_asked_once(prod, terminal):
    desk = prod(sudo_password="ask")

    with desk.running("migrate-all", stdin=terminal.theirs) as running:
        terminal.answers(running, "password for sudo on prod: ", PASSWORD)
        result = running.end()

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert result.err.count("password for sudo on prod: ") == 1
    assert "staple" not in result.out + result.err + desk.kept()


@pytest.mark.parametrize("answer", ["", "\x04"])
def test_an_empty_answer_is_none(prod, terminal, answer):
    desk = prod(sudo_password="ask")

    with desk.running("migrate-all", stdin=terminal.theirs) as running:
        terminal.answers(running, "password for sudo on prod: ", answer)
        result = running.end()

    assert (result.code, desk.asked) == (3, [])
    assert result.err.splitlines()[-1] == "no password for sudo was given. nothing was migrated."


def test_ctrl_c_at_the_question_ends_it(prod, terminal):
    desk = prod(sudo_password="ask")

    with desk.running("migrate-all", stdin=terminal.theirs) as running:
        running.says("password for sudo on prod: ")
        running.press_ctrl_c()
        result = running.end()

    assert (result.code, desk.asked) == (130, [])
    assert result.err.splitlines()[-1].endswith("interrupted. nothing was migrated.")
