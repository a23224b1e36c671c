"""What a host says of itself. Nothing is created."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import opskit
from opskit.remote import host

TEXT = (Path(opskit.__file__).parent / "remote" / "host.py").read_text()


def ask(folder: Path, state_dir=None, **env):
    done = subprocess.run(
        [sys.executable, "-u", "-c", TEXT, "host", "manage.py", json.dumps({"state_dir": state_dir})],
        cwd=folder,
        env={**{key: value for key, value in os.environ.items() if key != "SSH_CONNECTION"}, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_the_answer_is_whole_and_nothing_is_created(tmp_path):
    before = time.time()
    said = ask(tmp_path, HOME=str(tmp_path))
    assert before <= said["time"] <= time.time()
    assert said["user"] == pwd.getpwuid(os.getuid()).pw_name
    assert said["state"] == {"path": str(tmp_path / ".opskit"), "error": ""}
    assert {name for disk in said["disks"] for name in disk["of"]} == {"state folder", "temporary folder", "project"}
    assert all(disk["free"] > 0 and not disk["full"] for disk in said["disks"])
    assert list(tmp_path.iterdir()) == []


def test_folders_on_one_file_system_are_one_disk(tmp_path):
    (disk,) = ask(tmp_path, str(tmp_path / "a" / "b"), TMPDIR=str(tmp_path))["disks"]
    assert disk["of"] == ["state folder", "temporary folder", "project"]


# ---------------------------------------------------------------- the state folder


def test_a_state_folder_that_is_not_there_yet_is_judged_by_the_folder_above(tmp_path):
    assert ask(tmp_path, str(tmp_path / "a" / "b"))["state"] == {"path": str(tmp_path / "a" / "b"), "error": ""}


def test_a_file_is_no_state_folder_nor_is_one_above(tmp_path):
    (tmp_path / "file").touch()
    assert ask(tmp_path, str(tmp_path / "file"))["state"]["error"] == "it is not a folder"
    above = ask(tmp_path, str(tmp_path / "file" / "state"))["state"]["error"]
    assert above == f"`{tmp_path / 'file'}` is not a folder"


def test_a_link_is_no_state_folder(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    assert ask(tmp_path, str(tmp_path / "link"))["state"]["error"] == "it is not a folder"


@pytest.fixture
def nobody(tmp_path):
    """As a user who may do less, in a folder that this user may enter."""
    if os.geteuid() != 0:
        pytest.skip("these tests are not run by root, who may become anybody")
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    user = pwd.getpwnam("nobody").pw_uid
    if python is None or subprocess.run([python, "-V"], user=user, check=False, cwd="/").returncode:
        pytest.skip("there is no python3 that nobody may start")

    def asks(state_dir: str, **env):
        done = subprocess.run(
            [python, "-u", "-c", TEXT, "host", "manage.py", json.dumps({"state_dir": state_dir})],
            cwd="/",
            user=user,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return asks


def test_somebody_elses_state_folder_is_refused_as_the_agent_would(nobody):
    assert nobody("/etc")["state"]["error"] == "it is not this user's"
    assert nobody("/etc/opskit")["state"]["error"] == "this user can't write to `/etc`"


def test_a_user_without_a_home_keeps_its_state_in_the_temporary_folder(nobody):
    uid = pwd.getpwnam("nobody").pw_uid
    assert nobody("", HOME="/nonexistent")["state"] == {"path": f"/tmp/opskit-{uid}", "error": ""}


# ---------------------------------------------------------------- sshd


def test_only_root_may_ask_sshd(nobody):
    assert nobody("")["max_startups_error"] == "only root may ask sshd"


def test_without_an_ssh_connection_there_is_no_sshd_to_ask(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may ask sshd")
    assert ask(tmp_path)["max_startups_error"] == "no sshd brought us here"


def test_the_systems_own_sshd_says_its_limit_and_another_ones_is_not_known(tmp_path):
    if os.geteuid() != 0 or shutil.which("sshd", path=host.SBIN) is None:
        pytest.skip("only root may ask sshd, and it must be installed")
    Path("/run/sshd").mkdir(exist_ok=True)  # as the service does
    other = ask(tmp_path, SSH_CONNECTION="192.0.2.1 40000 192.0.2.2 1")
    assert (other["max_startups"], other["max_startups_error"]) == (
        "",
        "the sshd on port 1 has another configuration",
    )
    own = ask(tmp_path, SSH_CONNECTION=f"192.0.2.1 40000 192.0.2.2 {sshd_port()}")
    assert own["max_startups"].count(":") == 2


def sshd_port() -> str:
    said = subprocess.run([shutil.which("sshd", path=host.SBIN), "-T"], capture_output=True, text=True, check=True)
    return next(line.split()[1] for line in said.stdout.splitlines() if line.startswith("port "))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("port 22\nport 2222\nmaxstartups 10:30:100\n", ("10:30:100", "")),
        ("Port 2222\nMaxStartups 5\n", ("5", "")),
        ("port 22\nmaxstartups 10:30:100\n", ("", "the sshd on port 2222 has another configuration")),
        ("", ("", "`sshd -T` did not say")),
    ],
)
def test_what_sshd_says_is_read(said, found):
    assert host.read_settings(said, "2222") == found
