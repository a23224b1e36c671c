"""The login shell of the user on the host: which one it is and what it prints must not matter."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import accounts
import pytest

from e2e import operator

SHELLS = {
    "dash": "/bin/dash",
    "bash": "/bin/bash",
    "csh": "/bin/csh",
    "fish": "/usr/bin/fish",
    "busybox": "/bin/busybox",  # Alpine's
}
NOISE = {
    ".profile": "echo from profile; echo from profile >&2\n",
    ".bashrc": "echo from bashrc; echo from bashrc >&2\n",
    ".cshrc": "echo from cshrc; sh -c 'echo from cshrc >&2'\n",
    ".config/fish/config.fish": "echo from fish; echo from fish >&2\n",
}
ODD = "a 'b' \"c\" $HOME !x * {y} ~ # ; é \\n \\\\ !! \\"


@pytest.fixture
def desk():
    """An operator's folder that other users can look into."""
    folder = Path(tempfile.mkdtemp(prefix="opskit-shells-"))
    folder.chmod(0o755)
    desk = operator.Desk(folder)
    desk.project(migrate="print('WORD =', os.environ.get('WORD'))\nprint(f'Migrated {tenant}')")
    yield desk
    shutil.rmtree(folder)


@pytest.fixture
def prod(desk, sshd):
    """Make a user with that shell, an sshd with a banner that lets it in, and the environment."""
    stack = contextlib.ExitStack()

    def make(shell: str, *, client: str = "fabric", home: bool = True, noise=None, **app):
        user = stack.enter_context(accounts.account(sshd.identity_file, shell=shell, home=home))
        for name, text in (noise or {}).items():
            user.writes(name, text)
        (desk.folder / "banner").write_text("AUTHORISED USERS ONLY\n" * 20)
        host = sshd.another(
            options=(f"AuthorizedKeysFile {user.authorized_keys}", f"Banner {desk.folder}/banner", "PrintMotd yes")
        )
        stack.callback(host.stop)
        user.owns(desk.app)
        state = desk.folder / "state"
        state.mkdir(mode=0o700)
        user.owns(state)
        app1 = {"address": host.host, "port": host.port, "user": user.name, "identity_file": str(host.identity_file)}
        app = {"python": accounts.python(), **app}
        desk.over_ssh(app1, known_hosts=host.known_hosts, ssh={"client": client}, app=app)
        return user

    with stack:
        yield make


def shell(name: str, desk) -> str:
    """The path of a login shell; busybox and Alpine start it under the name `sh`."""
    program = SHELLS[name]
    if not Path(program).exists():
        pytest.skip(f"{name} is not installed")
    if name != "busybox":
        return program
    link = desk.folder / "sh"
    link.symlink_to(program)
    return str(link)


@pytest.mark.parametrize("client", ["fabric", "openssh"])
@pytest.mark.parametrize("name", SHELLS)
def test_any_shell_and_all_that_it_prints_will_do(desk, prod, name, client):
    prod(shell(name, desk), client=client, noise=NOISE)

    result = desk.run("migrate-all", "-v")

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert "AUTHORISED" not in result.out + result.err
    assert "from " not in result.out + desk.log()


@pytest.mark.parametrize("name", SHELLS)
def test_the_inventorys_words_reach_every_shell_as_they_are(desk, prod, name):
    odd = desk.folder / ODD.replace("/", "")
    desk.app.rename(odd)
    odd.rename(desk.app)
    prod(shell(name, desk), wrapper=["env", f"WORD={ODD}"])

    result = desk.run("migrate-all", "-v", "--tenants=acme")

    assert (result.code, desk.migrated) == (0, ["acme"])
    assert f"acme | WORD = {ODD}" in result.err.splitlines()


def test_a_shell_that_talks_before_and_after_is_not_listened_to(desk, prod):
    chatty = desk.folder / "chatty"
    chatty.write_text('#!/bin/sh\necho "hello, $USER"\n/bin/sh "$@"\necho "goodbye"\necho "goodbye" >&2\n')
    chatty.chmod(0o755)
    prod(str(chatty))

    assert (desk.run("migrate-all").code, desk.migrated) == (0, list(operator.TENANTS))


def test_a_shell_that_never_stops_talking_is_told(desk, prod):
    endless = desk.folder / "endless"
    endless.write_text("#!/bin/sh\nexec yes\n")
    endless.chmod(0o755)
    prod(str(endless))

    result = desk.run("migrate-all")

    assert (result.code, desk.asked) == (3, [])
    assert re.match(r"app1: the agent did not start: it printed \d+ bytes that are not the agent's\.", result.message)


def test_an_account_that_nobody_may_use_says_so_itself(desk, prod):
    prod("/usr/sbin/nologin")

    operator.refuses(
        desk.run("migrate-all"),
        3,
        "app1: the agent did not start: This account is currently not available. (exit 1)",
    )


def test_a_user_without_a_home_has_its_state_in_the_temporary_folder(desk, prod):
    user = prod("/bin/sh", home=False, state_dir=None)

    assert (desk.run("migrate-all").code, desk.migrated) == (0, list(operator.TENANTS))
    state = Path(tempfile.gettempdir()) / f"opskit-{user.uid}"
    assert (state.stat().st_uid, state.stat().st_mode & 0o777) == (user.uid, 0o700)


def test_a_home_that_is_not_the_users_own_is_no_place_for_state(desk, prod):
    user = prod("/bin/sh", state_dir=None)
    os.chown(user.home, 0, 0)

    assert (desk.run("migrate-all").code, desk.migrated) == (0, list(operator.TENANTS))
    assert not (user.home / ".opskit").exists()
