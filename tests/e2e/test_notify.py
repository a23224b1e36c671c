"""`notify:` in the inventory: a webhook hears of a run, and a dead one harms none."""

from __future__ import annotations

import socket

import pytest
from receiver import address, receiver

from e2e import operator

BREAKS = "if tenant != 'acme':\n    raise RuntimeError('column exists')\n" + operator.MIGRATE
TROUBLE = "WARNING `notify` did not take a message: "


def texts(server) -> list[str]:
    return [body["text"] for _, _, body in server.told]


def test_a_run_is_told_at_its_start_and_at_its_end(desk):
    with receiver() as server:
        desk.inventory(notify="${SLACK}")
        result = desk.run("migrate-all", env={"SLACK": address(server)})

    (run,) = desk.runs
    start, end = texts(server)
    assert result.code == 0
    assert start.startswith("prod: migrating 3 tenants on local, started by ")
    assert end == f"prod: run {run.name} ended: 3 migrated."
    assert "s3cr3t" not in result.out + result.err + desk.kept()


def test_the_first_failure_is_told_and_the_others_at_the_end(desk):
    desk.project(migrate=BREAKS)
    with receiver() as server:
        desk.inventory(notify=address(server))
        result = desk.run("migrate-all")

    (run,) = desk.runs
    assert result.code == 5
    assert texts(server)[1:] == [
        f"prod: tenant `globex` failed: RuntimeError: column exists. it is the first of run {run.name}.",
        f"""\
prod: run {run.name} ended: 1 migrated, 2 failed.
tenant `globex` failed: RuntimeError: column exists.
tenant `initech` failed: RuntimeError: column exists.
next: `invoke show-run --run={run.name}`.""",
    ]


def test_the_next_command_is_called_as_this_one_was(desk):
    desk.project(migrate=BREAKS)
    with receiver() as server:
        desk.inventory(notify=address(server))
        desk.run("migrate-all", program="opskit")

    assert texts(server)[-1].endswith(f"next: `opskit show-run --run={desk.runs[0].name}`.")


def test_a_hook_that_failed_is_told_at_the_end(desk):
    with receiver() as server:
        desk.inventory(notify=address(server), hooks={"after": ["exit 9"]})
        desk.run("migrate-all")

    assert texts(server)[-1].splitlines()[1] == "`hooks.after[0]` failed: it exited 9."


def test_a_run_that_a_before_hook_stopped_is_told_once(desk):
    with receiver() as server:
        desk.inventory(notify=address(server), hooks={"before": ["exit 9"]})
        assert desk.run("migrate-all").code == 3

    _start, end = texts(server)
    assert end.splitlines()[0].endswith("ended: no tenants. the run stopped: `hooks.before[0]` failed: it exited 9.")


def test_a_run_that_could_not_begin_is_told_with_its_reason(desk):
    desk.project(listing="raise RuntimeError('no such table: tenants')")
    with receiver() as server:
        desk.inventory(notify=address(server))
        assert desk.run("migrate-all").code == 3

    (text,) = texts(server)
    assert text.startswith("prod: no run: local: ")
    assert "RuntimeError: no such table: tenants" in text


def test_who_says_no_or_has_nothing_to_do_is_not_told_of(desk):
    with receiver() as server:
        desk.inventory(notify=address(server), confirm="true")
        assert desk.run("migrate-all").code == 3
        (desk.app / "migrated").write_text("\n".join(operator.TENANTS))
        desk.inventory(notify=address(server), framework={**operator.FRAMEWORK, "pending": ["pending"]})
        assert desk.run("migrate-all").code == 0
        assert desk.run("migrate-all", "--plan").code == 0

    assert texts(server) == []


@pytest.mark.parametrize("code", [302, 404, 429, 500])
def test_a_webhook_that_refuses_is_one_warning(desk, code):
    desk.project(migrate=BREAKS)
    with receiver(code) as server:
        desk.inventory(notify=address(server))
        result = desk.run("migrate-all")

    assert (result.code, len(server.told), desk.asked) == (5, 3, list(operator.TENANTS))
    for told in (result.err, desk.log()):
        assert told.count(TROUBLE) == 1
        assert f"{TROUBLE}it answered {code}\n" in told
    assert "s3cr3t" not in result.out + result.err + desk.kept()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://no-such-host.invalid/s3cr3t", "there is no host of that name"),
        ("http://127.0.0.1:1/s3cr3t", "connection refused"),
    ],
)
def test_a_webhook_that_is_not_there_is_one_warning(desk, url, why):
    desk.inventory(notify=url)

    result = desk.run("migrate-all")

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert result.err.count(TROUBLE) == 1
    assert f"{TROUBLE}{why}\n" in result.err
    assert "s3cr3t" not in result.err + desk.kept()


def test_a_webhook_that_never_answers_holds_the_run_for_seconds_only(desk):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        desk.inventory(notify=f"http://127.0.0.1:{listener.getsockname()[1]}/s3cr3t")
        result = desk.run("migrate-all")

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert f"{TROUBLE}no answer within 5.0 s\n" in result.err


def test_a_ctrl_c_leaves_a_webhook_that_never_answers(desk):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        desk.inventory(notify=f"http://127.0.0.1:{listener.getsockname()[1]}/s3cr3t")
        with desk.held("migrate-all") as running:
            running.press_ctrl_c()
            running.says("interrupted: finishing what is at work")
            running.press_ctrl_c()
            running.press_ctrl_c()
            result = running.end()

    assert result.code == 130
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("notify", "environ", "complaint"),
    [
        ("${SLACK}", {}, "`SLACK` is not set in your environment. export it, and run this again"),
        ("${SLACK}", {"SLACK": ""}, "is empty: an unset variable? leave the key out where nobody is to be told"),
        ("hooks.example.com/s3cr3t", {}, "expected a webhook's address, which starts with `https://`"),
        ("ftp://hooks.example.com/s3cr3t", {}, "expected a webhook's address, which starts with `https://`"),
        ("https://[::1/s3cr3t", {}, "expected a webhook's address, which starts with `https://`"),
    ],
)
def test_a_webhook_that_is_none_is_refused_and_not_shown(desk, notify, environ, complaint):
    desk.inventory(notify=notify)

    operator.refuses(desk.run("migrate-all", env=environ), 2, f"inventories/prod.yaml: notify: {complaint}")
