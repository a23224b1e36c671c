"""`run_as`: the project's commands run as its own user, by a sudo that never asks."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from e2e import operator

SYSTEM = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def desk():
    """An operator's folder that another user can look into, with a project for that user's Python."""
    folder = Path(tempfile.mkdtemp(prefix="opskit-run-as-"))
    folder.chmod(0o755)
    try:
        desk = operator.Desk(folder)
        desk.project(migrate="print('I am', os.getuid())\nprint(f'Migrated {tenant}')")
        yield desk
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def nobody(desk):
    """The other user, who owns the project's folder and a folder for the state."""
    if os.geteuid() != 0:
        pytest.skip("these tests are not run by root, who may become anybody")
    if shutil.which("sudo") is None:
        pytest.skip("sudo is not installed")
    python = shutil.which("python3", path=SYSTEM)
    user = pwd.getpwnam("nobody")
    if python is None or subprocess.run([python, "-V"], user=user.pw_uid, check=False, cwd="/").returncode:
        pytest.skip(f"there is no python3 in {SYSTEM} that nobody may start")
    (desk.folder / "state").mkdir(mode=0o700)
    for folder in (desk.app, desk.folder / "state"):
        os.chown(folder, user.pw_uid, user.pw_gid)
    desk.inventory(app={"python": python, "run_as": "nobody"})
    return user


def test_commands_run_as_that_user_whose_state_is_nobody_elses(desk, nobody):
    result = desk.run("migrate-all", "-v")

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert f"acme | I am {nobody.pw_uid}" in result.err.splitlines()
    assert (desk.app / "migrated").stat().st_uid == nobody.pw_uid
    assert {file.stat().st_uid for file in (desk.folder / "state").iterdir()} == {nobody.pw_uid}
    assert desk.runs[0].stat().st_uid == os.geteuid()


def test_over_ssh_it_is_the_same(desk, nobody, sshd):
    desk.over_ssh(
        sshd,
        known_hosts=sshd.known_hosts,
        app={"python": shutil.which("python3", path=SYSTEM), "run_as": "nobody"},
    )

    result = desk.run("migrate-all", "-v", "--tenants=acme")

    assert (result.code, desk.migrated) == (0, ["acme"])
    assert f"acme | I am {nobody.pw_uid}" in result.err.splitlines()


def test_a_state_folder_that_is_not_that_users_own_is_refused(desk, nobody):
    state = desk.folder / "state"
    os.chown(state, 0, 0)

    operator.refuses(
        desk.run("migrate-all"),
        3,
        f"local: app.state_dir `{state}`: it belongs to another user than the one that the agent runs as",
    )
    assert desk.asked == []


def test_a_user_that_is_not_on_the_host_is_told_in_the_words_of_sudo(desk, nobody):
    desk.inventory(app={"run_as": "nosuchuser"})

    result = desk.run("migrate-all")

    assert (result.code, result.out, desk.asked) == (3, "", [])
    assert result.message.startswith("local: the agent did not start: ")
    assert "nosuchuser" in result.message
    assert result.message.endswith(operator.UNTOUCHED)
    assert result.message.count("\n") == 0
