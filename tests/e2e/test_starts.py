"""An sshd that lets few log in at once, and turns the others away (MaxStartups): a run is let in, and drops nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket

import processes
import pytest

from e2e import operator
from e2e.test_forks import ALL, ASKABLE, HELD, begun, ended, go, outcomes, record, statuses

NAMES = 6  # of the one machine, in the inventory


@pytest.fixture
def narrow(sshd):
    """Start an sshd with a MaxStartups of its own."""
    started = []

    def start(most: str):
        started.append(sshd.another(options=(f"MaxStartups {most}",)))
        return started[-1]

    yield start
    for server in started:
        os.kill(server.pid, signal.SIGTERM)


def reached(desk, server, names: int = NAMES, app=None, **ssh: str) -> None:
    """Write an inventory with so many names for the server."""
    desk.project(migrate=HELD + operator.MIGRATE)
    desk.over_ssh(*[server] * names, known_hosts=server.known_hosts, framework=ASKABLE, app=app, ssh=ssh)


def dropped(server) -> int:
    """How many connections sshd has dropped, as its own log says."""
    return server.log.read_text().count("past MaxStartups")


@contextlib.contextmanager
def strangers(server, number: int):
    """Others that have connected and do not log in."""
    with contextlib.ExitStack() as open_:
        for _ in range(number):
            stranger = open_.enter_context(socket.create_connection((server.host, server.port)))
            assert stranger.recv(4) == b"SSH-"
        yield open_


def cut(desk, *names: str) -> None:
    """Cut the lines over which these commands are heard."""
    for session in [processes.sshd_above(record(desk, name)["pid"]) for name in names]:
        os.kill(session, signal.SIGKILL)


def cut_all(desk, running):
    """Cut all lines at once; how a run ends that is back on each of them before any command ends."""
    cut(desk, *operator.TENANTS)
    for name in operator.TENANTS:
        running.says(f"is back: `{name}` is still at work")
    go(desk, *operator.TENANTS)
    return running.end()


@pytest.mark.parametrize("client", ["fabric", "openssh"])
def test_workers_log_in_one_after_the_other_also_where_all_lines_are_cut_at_once(desk, narrow, client):
    server = narrow("1")
    reached(desk, server, client=client)
    try:
        with desk.running("migrate-all", "--forks=3", "--format=json") as running:
            begun(desk, running, *operator.TENANTS)
            result = cut_all(desk, running)
    finally:
        go(desk, *operator.TENANTS)
    assert (result.code, statuses(result), dropped(server)) == (0, ALL, 0)
    assert sorted(each["host"] for each in outcomes(result).values()) == ["app1", "app2", "app3"]
    assert sorted(desk.asked) == sorted(operator.TENANTS)


@pytest.mark.parametrize("client", ["fabric", "openssh"])
def test_where_others_have_taken_all_places_a_run_asks_again_until_it_is_let_in(desk, narrow, client):
    server = narrow("2")
    reached(desk, server, client=client, connect_timeout="60s")
    go(desk, *operator.TENANTS)
    with strangers(server, 2) as held, desk.running("migrate-all", "--forks=3", "--format=json") as running:
        running.says("app1 turned us away: ")
        running.says(". asking again for 1m00s\n")
        held.close()
        result = running.end()
    assert (result.code, statuses(result)) == (0, ALL)
    assert dropped(server) >= 1
    assert "does not serve" not in result.err


def test_an_sshd_that_drops_every_second_one_gets_all_tenants_migrated(desk, narrow):
    server = narrow("2:50:60")
    reached(desk, server, connect_timeout="60s")
    go(desk, *operator.TENANTS)
    with strangers(server, 2):
        result = desk.run("migrate-all", "--forks=3", "--format=json")
    assert (result.code, statuses(result)) == (0, ALL)


def test_a_run_that_was_let_in_before_has_patience_between_two_tenants(desk, narrow):
    server = narrow("2")
    reached(desk, server, 1, connect_timeout="1s")
    try:
        with desk.running("migrate-all", "--format=json") as running:
            begun(desk, running, "acme")
            session = processes.sshd_above(record(desk, "acme")["pid"])
            desk.run("pause")
            go(desk, *operator.TENANTS)
            ended(desk, running, "acme")
            with strangers(server, 2) as held:
                os.kill(session, signal.SIGKILL)
                desk.run("continue")
                running.says("app1 turned us away: ")
                running.says(". asking again for 5m00s\n")
                held.close()
                result = running.end()
    finally:
        go(desk, *operator.TENANTS)
    assert (result.code, statuses(result)) == (0, ALL)
    assert desk.asked == list(operator.TENANTS)


def test_a_bastion_that_lets_one_in_at_a_time_is_enough_for_many_hosts(desk, sshd, narrow, tmp_path):
    bastion = narrow("1")
    (desk.home / ".ssh").mkdir()
    (desk.home / ".ssh" / "config").write_text(
        f"Host bastion\nHostname {bastion.host}\nPort {bastion.port}\nUser {bastion.user}\n"
        f"IdentityFile {bastion.identity_file}\nHost app*\nHostname {sshd.host}\nProxyJump bastion\n"
    )
    known = tmp_path / "known_hosts"
    known.write_text(bastion.known_hosts_line() + sshd.known_hosts_line())
    behind = {"port": sshd.port, "user": sshd.user, "identity_file": str(sshd.identity_file)}
    desk.project(migrate=HELD + operator.MIGRATE)
    desk.over_ssh(
        *({"address": f"app{number}", **behind} for number in range(1, NAMES + 1)),
        known_hosts=known,
        framework=ASKABLE,
        ssh={"connect_timeout": "60s"},
    )
    try:
        with strangers(bastion, 1) as held, desk.running("migrate-all", "--forks=3", "--format=json") as running:
            running.says("app1 turned us away: ")
            held.close()
            begun(desk, running, *operator.TENANTS)
            before = dropped(bastion)
            result = cut_all(desk, running)
    finally:
        go(desk, *operator.TENANTS)
    assert (result.code, statuses(result)) == (0, ALL)
    assert dropped(bastion) == before >= 1


@pytest.mark.parametrize(("names", "status"), [(2, "warning"), (1, "ok")])
def test_check_asks_sshd_itself_and_is_let_in_by_it(desk, narrow, names, status):
    """In there the system's sshd_config is that of the test's sshd."""
    if os.geteuid() != 0:
        pytest.skip("only root may ask sshd how it is configured")
    server = narrow("2:50:60")
    mounted = f'mount --bind {server.folder}/sshd_config /etc/ssh/sshd_config && exec "$@"'
    alone = ["unshare", "--mount", "--propagation=private", "sh", "-c", mounted, "sh"]
    reached(desk, server, names, {"wrapper": alone})
    with strangers(server, 1):
        result = desk.run("check", "--format=json")
    found = [each for each in json.loads(result.out)["checks"] if each["name"] == "MaxStartups"]
    assert [each["status"] for each in found] == [status] * names
    assert found[0]["found"].startswith("2:50:60; opskit opens one connection after the other, to ")
    assert dropped(server) == 0
