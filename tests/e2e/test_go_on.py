"""The first host stays away. With a tenant at work: `--go-on` sends the others to the second host. Between a tenant's
start and its command: that goes to the second host, and a later part of the run knows so.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import textwrap
from pathlib import Path

import processes
import pytest

from e2e import operator
from e2e.test_interrupt import _lock_is_free as lock_is_free

HELD_ACME = f"if tenant == 'acme':\n{textwrap.indent(operator.HELD, '    ')}{operator.MIGRATE}"
ASKABLE = {**operator.FRAMEWORK, "pending": ["pending"]}


@pytest.fixture
def hosts(desk, sshd, request):
    """Two servers for one project, each with a HOME of its own: that is where the lock and the records are.

    With the parameter `cut` the first one is gone, with its session, before the command of the first tenant leaves.
    """
    made = []
    for name in ("first", "second"):
        home = desk.folder / name
        home.mkdir()
        made.append(sshd.another(options=(f"SetEnv HOME={home}",)))
    more = {"app": {"state_dir": None}, "ssh": {"reconnect": "1s"}, "framework": ASKABLE}
    cuts = {"tenant_before": [cut(made[0].pid)]} if getattr(request, "param", "") == "cut" else {}
    desk.over_ssh(*made, known_hosts=known_hosts(desk, *made), hooks=cuts, **more)
    desk.project(migrate=HELD_ACME)
    yield made
    for each in made:
        each.stop()


def cut(server: int) -> str:
    """A line for /bin/sh that ends a server and its sessions, and gives the other end a moment to hear of it."""
    sessions = f"$(cat /proc/{server}/task/{server}/children)"
    return f"! kill -0 {server} || {{ kill -9 {sessions} {server}; sleep 1; }}"


def known_hosts(desk, *servers) -> Path:
    file = desk.folder / "known_hosts"
    file.write_text("".join(each.known_hosts_line() for each in servers))
    return file


@contextlib.contextmanager
def first_host_away(desk, hosts, *argv: str):
    """A run whose first host is gone, the server and the session, while its first tenant is at work."""
    with desk.running("migrate-all", "--format=json", *argv) as running:
        operator.until((desk.app / "begun").exists, "a beginning", running)
        (record,) = (desk.folder / "first" / ".opskit").glob("*.json")
        session = processes.sshd_above(json.loads(record.read_text())["pid"])
        hosts[0].stop()
        os.kill(session, signal.SIGKILL)
        try:
            yield running
        finally:
            (desk.app / "go").touch()
    operator.until(lambda: lock_is_free(desk.folder / "first" / ".opskit"), "an end of what ran on the first host")


def outcomes(result: operator.Result) -> dict[str, tuple[str, str]]:
    return {each["tenant_id"]: (each["status"], each["host"]) for each in json.loads(result.out)["outcomes"]}


def test_the_tenant_at_work_is_unknown_and_the_others_go_to_the_second_host(desk, hosts):
    with first_host_away(desk, hosts, "--go-on") as running:
        result = running.end()

    assert (result.code, outcomes(result)) == (
        6,
        {"acme": ("unknown", "app1"), "globex": ("migrated", "app2"), "initech": ("migrated", "app2")},
    )
    assert (desk.asked, desk.migrated[:2]) == (list(operator.TENANTS), ["globex", "initech"])
    (acme,) = [each for each in json.loads(result.out)["outcomes"] if each["tenant_id"] == "acme"]
    assert acme["error"].startswith("lost app1 while migrating `acme` (app1 stayed away for 1.0 s: ")


def test_without_it_nothing_more_starts(desk, hosts):
    with first_host_away(desk, hosts) as running:
        result = running.end()

    assert (result.code, outcomes(result)) == (
        6,
        {"acme": ("unknown", "app1"), "globex": ("skipped", ""), "initech": ("skipped", "")},
    )
    assert desk.asked == ["acme"]


@pytest.mark.parametrize("hosts", ["cut"], indirect=True)
def test_where_a_command_went_is_written_down_before_it_leaves_and_followed_there(desk, hosts):
    with desk.running("migrate-all") as running:
        operator.until((desk.app / "begun").exists, "a beginning", running)
        running.process.kill()
        running.end()
    told = [(each["event"], each["host"]) for each in desk.journal() if each["event"].startswith("Tenant")]
    with desk.running("migrate-all", "--resume", "--format=json", into="second") as running:
        running.says("following")
        (desk.app / "go").touch()
        result = running.end()

    assert told == [("TenantStarted", "app1"), ("TenantMoved", "app2")]
    assert (result.code, outcomes(result)) == (0, dict.fromkeys(operator.TENANTS, ("migrated", "app2")))
    assert desk.asked == desk.migrated == list(operator.TENANTS)  # nobody twice
