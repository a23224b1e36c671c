"""`--go-on`: the first host stays away with a tenant at work; that one is unknown, the others go to the second host."""

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
def hosts(desk, sshd):
    """Two servers for one project, each with a HOME of its own: that is where the lock and the records are."""
    made = []
    for name in ("first", "second"):
        home = desk.folder / name
        home.mkdir()
        made.append(sshd.another(options=(f"SetEnv HOME={home}",)))
    more = {"app": {"state_dir": None}, "ssh": {"reconnect": "1s"}, "framework": ASKABLE}
    desk.over_ssh(*made, known_hosts=known_hosts(desk, *made), **more)
    desk.project(migrate=HELD_ACME)
    yield made
    for each in made:
        each.stop()


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
