"""A full disk, or a record that can't be written, where opskit runs: the tenant at work is finished, no other starts."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess

import pytest

from e2e import operator

NAMESPACE = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")
MUCH = operator.MIGRATE + "print('x' * 300_000)\n"

# A disk of 256 KB on .opskit, which is full as soon as the first tenant is at work; what is kept there is copied out.
# Where no test may mount (in some containers), a limit for each file instead.
ON_A_SMALL_DISK = """\
mount -t tmpfs -o size=256k tmpfs .opskit 2>/dev/null || ulimit -S -f 64
(until [ -e app/begun ]; do sleep 0.02; done; cat /dev/zero >.opskit/filler 2>/dev/null; touch app/go) &
"$@"
code=$?; ulimit -S -f unlimited
cp -r .opskit/runs kept
exit $code
"""


def can_mount() -> bool:
    """Whether a test may have mounts of its own here: not in every container."""
    try:
        return subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "x", "/mnt"], check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def remote(empty, sshd):
    """An operator whose `prod` is reached over ssh: only their own disk is full."""
    empty.project(migrate=MUCH)
    empty.over_ssh(sshd, known_hosts=sshd.known_hosts, framework={**operator.FRAMEWORK, "pending": ["pending"]})
    return empty


def no_file_larger_than(size: int):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def outcomes(result: operator.Result) -> dict[str, str]:
    return {each["tenant_id"]: each["status"] for each in json.loads(result.out)["outcomes"]}


def test_output_that_can_not_be_kept_stops_the_run_before_the_next_tenant(remote):
    result = remote.run("migrate-all", "--format=json", preexec_fn=no_file_larger_than(100_000))

    assert (result.code, remote.asked, remote.migrated) == (5, ["acme"], ["acme"])
    assert outcomes(result) == {"acme": "migrated", "globex": "skipped", "initech": "skipped"}
    assert result.message.endswith("/tenants can't be written: File too large. the run stopped there.")
    assert "Traceback" not in result.err


def test_a_disk_that_fills_up_in_mid_run_leaves_the_tenant_at_work_to_its_end(remote):
    remote.project(migrate=operator.HELD + MUCH)
    (remote.folder / ".opskit").mkdir()

    done = subprocess.run(
        [
            *(NAMESPACE if can_mount() else ()),
            "bash",
            "-c",
            ON_A_SMALL_DISK,
            "-",
            operator.BIN / "invoke",
            "migrate-all",
            "--format=json",
        ],
        cwd=remote.folder,
        env=remote.environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=operator.PATIENCE,
    )
    result = operator.Result(done.returncode, done.stdout, done.stderr)

    assert (result.code, remote.asked, remote.migrated) == (5, ["acme"], ["acme"]), result
    assert outcomes(result) == {"acme": "migrated", "globex": "skipped", "initech": "skipped"}
    assert re.search(r"can't be written: (No space left on device|File too large)\. the run stopped", result.message)
    # the record ends before what could not be written, on a line of its own: it is still read
    (kept,) = (remote.folder / "kept").iterdir()
    events = [json.loads(line)["event"] for line in (kept / "journal.jsonl").read_text().splitlines()]
    assert events[:3] == ["RunStarted", "PlanMade", "TenantStarted"]
    # and with room again, the rest is done
    shutil.rmtree(remote.folder / ".opskit")
    (remote.folder / ".opskit").mkdir()
    (remote.folder / "kept").rename(remote.folder / ".opskit" / "runs")
    remote.project()
    again = remote.run("migrate-all", "--format=json")
    assert (again.code, outcomes(again)) == (0, {"acme": "current", "globex": "migrated", "initech": "migrated"})


@pytest.mark.parametrize("log", ["/dev/full", "gone/log"])
def test_a_log_that_can_not_be_written_stops_the_run_before_its_first_tenant(remote, log):
    result = remote.run("migrate-all", f"--log-file={log}")

    assert (result.code, result.out, remote.asked) == (3, "", [])
    assert f"{log} can't be written: " in result.message
    assert result.message.endswith(f". {operator.UNTOUCHED}")


@pytest.mark.parametrize("place", [".opskit", ".opskit/runs"])
def test_a_record_that_can_not_be_made_stops_the_run_before_its_first_tenant(remote, place):
    (remote.folder / place).parent.mkdir(exist_ok=True)
    (remote.folder / place).write_text("somebody's file")

    result = remote.run("migrate-all")

    assert (result.code, result.out, remote.asked) == (3, "", [])
    assert f"/{place}" in result.message
    assert " can't be written: " in result.message
    assert result.message.endswith(operator.UNTOUCHED)
    assert (remote.folder / place).read_text() == "somebody's file"
    (remote.folder / place).unlink()
    assert remote.run("migrate-tenant", "--tenant-id=acme").code == 0  # the lock is free
