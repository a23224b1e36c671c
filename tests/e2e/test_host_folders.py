"""The host's folders as they are: full, read-only, not to be executed from, somebody else's.

The file systems are real ones, made for one agent alone: a wrapper gives it a mount namespace of its own.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from e2e import operator

PRINT_3_MB = """\
if tenant == "acme":
    for _ in range(3000):
        print("x" * 999)
print(f"Migrated {tenant}")
"""


@pytest.fixture
def mounted(desk):
    """Write the environment, whose agent finds other file systems mounted: {folder: mount's options}."""
    alone = ["unshare", "--mount", "--propagation=private"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here (Debian: util-linux, run by root)")

    def write(folders: dict, then: str = "true", **app):
        for folder in folders:
            folder.mkdir(exist_ok=True)
        mounts = [f"mount -t tmpfs -o {options} tmpfs {folder}" for folder, options in folders.items()]
        desk.inventory(
            app={"wrapper": [*alone, "sh", "-c", f'{" && ".join([*mounts, then])} && exec "$@"', "sh"], **app}
        )
        return desk

    return write


def refused(result: operator.Result, why: str) -> None:
    operator.refuses(result, 3, f"local: {why}")


# ---------------------------------------------------------------- the state folder


def test_where_nothing_may_be_executed_everything_works(desk, mounted):
    tmp = desk.folder / "tmp"
    mounted({desk.folder / "state": "noexec,nosuid,nodev", tmp: "noexec"}, env={"TMPDIR": str(tmp)})
    assert (desk.run("migrate-all").code, desk.migrated) == (0, list(operator.TENANTS))


def test_a_read_only_one_is_refused(desk, mounted):
    state = desk.folder / "state"
    mounted({state: "ro,mode=700"})
    refused(desk.run("migrate-all"), f"app.state_dir `{state}`: it can't be written")
    mounted({state: "ro,mode=700"}, state_dir=str(state / "new"))
    refused(desk.run("migrate-all"), f"app.state_dir `{state / 'new'}`: read-only file system")
    assert desk.asked == []


def test_a_full_one_is_refused(desk, mounted):
    state = desk.folder / "state"
    mounted({state: "size=64k"}, then=f"! cat /dev/zero > {state}/full 2> /dev/null")
    refused(desk.run("migrate-all"), f"app.state_dir `{state}`: no space left on device")
    assert desk.asked == []


def test_one_that_is_a_link_or_a_file_is_refused(desk):
    state = desk.folder / "state"
    (desk.folder / "real").mkdir()
    state.symlink_to(desk.folder / "real")
    refused(desk.run("migrate-all"), f"app.state_dir `{state}`: it is a link: somebody else may be able to turn it")
    state.unlink()
    state.write_text("")
    refused(desk.run("migrate-all"), f"app.state_dir `{state}`: file exists")
    assert desk.asked == []


def test_one_of_another_user_is_refused(desk):
    if os.geteuid() != 0:
        pytest.skip("these tests are not run by root, who may give a folder away")
    state = desk.folder / "state"
    state.mkdir()
    os.chown(state, pwd.getpwnam("nobody").pw_uid, -1)
    refused(
        desk.run("migrate-all"),
        f"app.state_dir `{state}`: it belongs to another user than the one that the agent runs as",
    )


# ---------------------------------------------------------------- the disk fills up in mid-run


def test_a_tenant_whose_output_fills_the_disk_is_judged_by_what_it_did(desk, mounted):
    """Its print fails, so it fails; the others find room again once its output has been fetched."""
    desk.project(migrate=PRINT_3_MB)
    mounted({desk.folder / "state": "size=1m"})

    result = desk.run("migrate-all")

    assert result.code == 5
    outcomes = {event["outcome"]["tenant"]: event["outcome"] for event in desk.journal() if "outcome" in event}
    assert {name: each["status"] for name, each in outcomes.items()} == {
        "acme": "failed",
        "globex": "migrated",
        "initech": "migrated",
    }
    assert "the host's disk is full where opskit keeps the output (`app.state_dir`)" in outcomes["acme"]["error"]
    assert desk.migrated == ["globex", "initech"]


FILLER = """\
import pathlib, sys, time
until = time.monotonic() + 30
with open(sys.argv[1], "wb", 0) as file:
    while time.monotonic() < until and not pathlib.Path(sys.argv[2]).exists():
        try:
            file.write(bytes(4096))
        except OSError:
            time.sleep(0.01)
"""


def test_a_disk_that_somebody_keeps_full_is_named_for_each_tenant(desk, mounted):
    full, stop = desk.folder / "state" / "full", desk.app / "stop"
    start = f"import subprocess\nsubprocess.Popen([sys.executable, '-c', {FILLER!r}, {str(full)!r}, {str(stop)!r}], "
    desk.project(migrate=f"{start}stdout=-3, stderr=-3, start_new_session=True)\n{operator.MIGRATE}")
    mounted({desk.folder / "state": "size=1m"})

    result = desk.run("migrate-all", "--stagger=1s")
    stop.touch()

    outcomes = {event["outcome"]["tenant"]: event["outcome"] for event in desk.journal() if "outcome" in event}
    assert (result.code, outcomes["acme"]["status"]) == (5, "migrated")
    for name in ("globex", "initech"):  # they printed nothing, or were not even started
        assert outcomes[name]["status"] == "failed"
        assert re.search("the host's disk is full|No space left on device", outcomes[name]["error"])


def test_a_disk_without_room_for_another_file_refuses_the_first_question(desk, mounted):
    mounted({desk.folder / "state": "nr_inodes=3"})

    result = desk.run("migrate-all")

    assert (result.code, result.out, desk.asked) == (3, "", [])
    assert result.message.startswith(
        "local: `manage.py tenants --json` failed: not started: OSError: [Errno 28] No space"
    )
    assert result.message.endswith(operator.UNTOUCHED)


# ---------------------------------------------------------------- the temporary folder


def test_a_full_temporary_folder_does_not_matter_to_a_run(desk, mounted):
    tmp = desk.folder / "tmp"
    mounted({tmp: "size=64k"}, then=f"! cat /dev/zero > {tmp}/full 2> /dev/null", env={"TMPDIR": str(tmp)})
    assert (desk.run("migrate-all").code, desk.migrated) == (0, list(operator.TENANTS))


def test_where_no_temporary_folder_can_be_written_that_is_said(desk, mounted):
    """Python's last resort is the folder that it was started in: that is the operator's here."""
    everywhere = [each for each in ("/tmp", "/var/tmp", "/usr/tmp", str(desk.folder)) if Path(each).is_dir()]
    mounted({}, " && ".join(f"mount --bind {each} {each} && mount -o remount,ro,bind {each}" for each in everywhere))
    result = desk.run("show-tenants")
    assert (result.code, result.out) == (3, "")
    assert result.message == "local: there is no temporary folder that can be written: set TMPDIR in app.env."
