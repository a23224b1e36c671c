"""Hosts that can't be reached or trusted: exit 3, one message with one cause, and nothing migrated."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading

import pytest
import servers

from e2e import operator
from opskit.transport import stream


@pytest.fixture
def app1(sshd):
    """The host's mapping in an inventory."""
    return {"address": sshd.host, "port": sshd.port, "user": sshd.user, "identity_file": str(sshd.identity_file)}


@pytest.fixture
def known_hosts(empty):
    """A known_hosts of the test's own, empty at first."""
    file = empty.folder / "known_hosts"
    file.write_text("")
    return file


@pytest.fixture
def down():
    """A host of which nobody listens on the port."""
    return {"address": servers.LOOPBACK, "port": servers.free_port(), "user": "deploy"}


def refuses(desk, what: str, hint: str = "") -> None:
    operator.refuses(desk.run("migrate-all"), 3, what, hint)
    assert desk.asked == []
    assert desk.runs == []


def cannot_connect(host, why: str) -> str:
    return f"cannot connect to {host['address']}:{host.get('port', 22)} as `{host['user']}`: {why}"


def fingerprint(key: str) -> str:
    """What `ssh-keygen -lf` shows of `ssh-ed25519 AAAA…`."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


# ---------------------------------------------------------------- out of reach


def test_a_host_with_nobody_listening_refuses_the_connection(desk, known_hosts, down):
    desk.over_ssh(down, known_hosts=known_hosts)

    refuses(desk, cannot_connect(down, "connection refused"))


@pytest.mark.parametrize("argv", [("show-tenants",), ("migrate-all", "--plan")])
def test_a_task_that_migrates_nothing_says_no_more_than_the_cause(desk, known_hosts, down, argv):
    desk.over_ssh(down, known_hosts=known_hosts)

    assert desk.run(*argv) == operator.Result(3, "", f"{cannot_connect(down, 'connection refused')}.\n")


def test_a_name_that_does_not_resolve_is_no_host(desk, known_hosts):
    host = {"address": "nothere.invalid", "user": "deploy"}
    desk.over_ssh(host, known_hosts=known_hosts)

    refuses(desk, cannot_connect(host, "there is no host of that name"))


@contextlib.contextmanager
def a_server_that(answers):
    """A host's mapping; whoever connects to it is handed to `answers`."""
    with socket.create_server((servers.LOOPBACK, 0)) as listener, contextlib.ExitStack() as accepted:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    answers(accepted.enter_context(connection))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield {"address": servers.LOOPBACK, "port": listener.getsockname()[1], "user": "deploy"}
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(operator.PATIENCE)


def says_nothing(connection):
    pass


def speaks_http(connection):
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def hangs_up(connection):
    connection.close()


def answers_in_http_and_hangs_up(connection):
    speaks_http(connection)
    connection.close()


@pytest.mark.parametrize("answers", [says_nothing, speaks_http])
def test_a_server_without_an_ssh_session_for_us_is_given_up_within_the_connect_timeout(desk, known_hosts, answers):
    with a_server_that(answers) as host:
        desk.over_ssh(host, known_hosts=known_hosts, ssh={"connect_timeout": "1s"})

        refuses(desk, cannot_connect(host, "it accepts connections, and no SSH session began within 1 s"))


@pytest.mark.parametrize("answers", [hangs_up, answers_in_http_and_hangs_up])
def test_a_server_that_hangs_up_is_not_called_slow(desk, known_hosts, answers):
    with a_server_that(answers) as host:
        desk.over_ssh(host, known_hosts=known_hosts, ssh={"connect_timeout": "1s"})
        result = desk.run("migrate-all")

    why = cannot_connect(host, "it closed the connection before an SSH session began")
    assert (result.code, result.out, desk.asked, desk.runs) == (3, "", [], [])
    assert result.message.splitlines() == [
        f"app1 turned us away: {why}. asking again for 1.0 s",
        f"{why}. {operator.UNTOUCHED} {stream.BUSY}",
    ]


# ---------------------------------------------------------------- our own key


def test_a_refused_key_is_named(desk, sshd, app1):
    key = sshd.refused_key()
    desk.over_ssh({**app1, "identity_file": str(key)}, known_hosts=sshd.known_hosts)

    refuses(desk, cannot_connect(app1, f"the host refused the key (tried {key}, the agent's and the usual ones)"))


def test_a_key_that_is_not_there_is_named(desk, sshd, app1):
    key = desk.folder / "id_ed25519"
    desk.over_ssh({**app1, "identity_file": str(key)}, known_hosts=sshd.known_hosts)

    refuses(desk, cannot_connect(app1, f"`{key}`: no such file or directory"))


def test_an_operator_without_any_key_is_told_where_one_could_be(desk, sshd, app1):
    del app1["identity_file"]
    desk.over_ssh(app1, known_hosts=sshd.known_hosts)

    refuses(
        desk,
        cannot_connect(app1, "there is no key to log in with: no identity_file, no agent's, none of the usual ones"),
    )


# ---------------------------------------------------------------- the host's key


def test_an_unknown_host_key_is_shown_with_the_command_that_adds_it(desk, sshd, known_hosts):
    desk.over_ssh(sshd, known_hosts=known_hosts)

    refuses(
        desk,
        f"the host key of [{sshd.host}]:{sshd.port} is not known: it shows ssh-ed25519 {fingerprint(sshd.host_key)}",
        f"compare that with the host's own, then `ssh-keyscan -p {sshd.port} {sshd.host} >> {known_hosts}`, "
        "or set `ssh: {host_keys: accept-new}` in the inventory.",
    )
    assert known_hosts.read_text() == ""


def test_accept_new_adds_the_key_once_and_keeps_the_lines_that_were_there(desk, sshd, known_hosts):
    known_hosts.write_text(f"other.example.com {sshd.host_key}")  # without a newline at its end
    desk.over_ssh(sshd, known_hosts=known_hosts, ssh={"host_keys": "accept-new"})

    first, second = desk.run("migrate-all"), desk.run("show-tenants")

    assert (first.code, second.code, desk.migrated) == (0, 0, list(operator.TENANTS))
    assert known_hosts.read_text() == f"other.example.com {sshd.host_key}\n{sshd.known_hosts_line()}"


def test_accept_new_makes_the_file_where_there_is_none(desk, sshd):
    known_hosts = desk.home / ".ssh" / "known_hosts"
    desk.over_ssh(sshd, known_hosts="~/.ssh/known_hosts", ssh={"host_keys": "accept-new"})

    assert desk.run("show-tenants").code == 0
    assert known_hosts.read_text() == sshd.known_hosts_line()


def test_accept_new_does_not_go_on_where_it_can_not_remember_the_key(desk, sshd):
    desk.over_ssh(sshd, known_hosts=desk.app, ssh={"host_keys": "accept-new"})

    refuses(
        desk,
        f"the host key of [{sshd.host}]:{sshd.port} is new, and can't be added to `{desk.app}`: is a directory",
    )


@pytest.mark.parametrize("host_keys", ["strict", "accept-new"])
def test_a_changed_host_key_is_refused_and_both_fingerprints_are_shown(desk, sshd, known_hosts, host_keys):
    other = sshd.refused_key().with_suffix(".pub").read_text()
    known_hosts.write_text("# the hosts\n" + sshd.known_hosts_line(other))
    desk.over_ssh(sshd, known_hosts=known_hosts, ssh={"host_keys": host_keys})

    refuses(
        desk,
        f"the host key of [{sshd.host}]:{sshd.port} has changed: `{known_hosts}`, line 2, has {fingerprint(other)}, "
        f"the host shows {fingerprint(sshd.host_key)}",
        f"if the host was rebuilt, `ssh-keygen -f {known_hosts} -R '[{sshd.host}]:{sshd.port}'` "
        "and add its new key; if not, somebody may be listening in.",
    )


@pytest.mark.parametrize("also_known", [False, True])
def test_a_revoked_host_key_is_refused_even_where_it_is_known(desk, sshd, known_hosts, also_known):
    known_hosts.write_text((sshd.known_hosts_line() if also_known else "") + f"@revoked * {sshd.host_key}\n")
    desk.over_ssh(sshd, known_hosts=known_hosts, ssh={"host_keys": "accept-new"})

    refuses(desk, f"the host key of [{sshd.host}]:{sshd.port} is revoked in known_hosts")


def test_a_host_that_may_not_be_trusted_is_no_reason_to_ask_the_next(desk, sshd, app1, known_hosts):
    """Somebody should look: a run over the second host would hide it."""
    known_hosts.write_text(sshd.known_hosts_line(sshd.refused_key().with_suffix(".pub").read_text()))
    desk.over_ssh(app1, {**app1, "address": "localhost"}, known_hosts=known_hosts)

    result = desk.run("migrate-all")

    assert (result.code, result.out, desk.asked) == (3, "", [])
    assert result.message.startswith(f"the host key of [{sshd.host}]:{sshd.port} has changed: ")
    assert result.message.count("\n") == 0


# ---------------------------------------------------------------- several hosts


def test_the_second_host_serves_where_the_first_is_down(desk, sshd, down):
    desk.over_ssh(down, sshd, known_hosts=sshd.known_hosts)

    result = desk.run("migrate-all")

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert result.message == f"app1 does not serve: {cannot_connect(down, 'connection refused')}"
    assert {event["host"] for event in desk.journal() if event["event"] == "TenantStarted"} == {"app2"}


def test_where_all_hosts_are_down_the_message_lists_them(desk, known_hosts, down):
    nowhere = {"address": "nothere.invalid", "user": "deploy"}
    desk.over_ssh(down, nowhere, known_hosts=known_hosts)

    result = desk.run("migrate-all")

    causes = cannot_connect(down, "connection refused"), cannot_connect(nowhere, "there is no host of that name")
    assert (result.code, result.out, desk.asked) == (3, "", [])
    assert result.err.splitlines()[-1] == f"{'; '.join(causes)}. {operator.UNTOUCHED}"
