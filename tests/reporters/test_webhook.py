"""A webhook that a run is told to: what is said, and that a dead one harms nothing. The servers are real, on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace

import pytest
from receiver import address, receiver

from opskit import model, testing
from opskit.reporters import webhook
from opskit.rollout import run as runs

RUN = model.RunStarted(
    testing.START, "20261122T140200-prod", "prod", "1.0", "deploy@ops1", "ops1", ("migrate-all",), host="app1"
)
MIGRATED, FAILED, UNKNOWN, SKIPPED = (
    model.Status.MIGRATED,
    model.Status.FAILED,
    model.Status.UNKNOWN,
    model.Status.SKIPPED,
)


# ---------------------------------------------------------------- sending


def test_a_message_is_slacks_json():
    with receiver() as server:
        assert webhook.post(address(server), "two\nlines <!channel> & more") == ""
    body = {"text": "two\nlines &lt;!channel&gt; &amp; more"}
    assert server.told == [("/services/T0/B0/s3cr3t", "application/json", body)]


@pytest.mark.parametrize("code", [301, 302, 307, 308, 400, 404, 429, 500, 503])
def test_every_other_answer_is_a_reason_and_no_redirection_is_followed(code):
    with receiver(code) as server:
        assert webhook.post(address(server), "hello") == f"it answered {code}"
    assert len(server.told) == 1


def test_a_closed_port_is_a_reason():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert webhook.post(f"http://127.0.0.1:{port}/s3cr3t", "hello") == "connection refused"


def test_an_unknown_host_is_a_reason():
    assert webhook.post("https://no-such-host.invalid/s3cr3t", "hello") == "there is no host of that name"


def test_a_server_that_speaks_no_tls_is_a_reason():
    with receiver() as server:
        why = webhook.post(address(server).replace("http:", "https:"), "hello")
    assert why == "its certificate could not be verified, or it speaks no TLS"


def test_a_server_that_hangs_up_is_a_reason():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            connection, _ = listener.accept()
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        why = webhook.post(f"http://127.0.0.1:{listener.getsockname()[1]}/s3cr3t", "hello")
        thread.join()
    assert why == "the connection broke (ConnectionError)"


def test_what_is_no_address_is_a_reason():
    assert webhook.post("http://[::1", "hello") == "the connection broke (InvalidURL)"


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    with receiver() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        assert webhook.post("http://hooks.invalid/s3cr3t", "hello") == ""
    assert [path for path, _, _ in proxy.told] == ["http://hooks.invalid/s3cr3t"]


def test_messages_arrive_in_their_order():
    with receiver() as server:
        sent = webhook.Webhook(address(server))
        for text in ("start", "failure"):
            sent.send(text)
        sent.last("end")
    assert [body["text"] for _, _, body in server.told] == ["start", "failure", "end"]
    assert (sent.closed, sent.news()) == (True, "")


def test_trouble_is_news_once():
    with receiver(404) as server:
        sent = webhook.Webhook(address(server))
        sent.send("start")
        sent.last("end")
    assert [sent.news(), sent.news()] == ["it answered 404", ""]
    assert len(server.told) == 2


def test_nobody_waits_for_ever_for_a_server_that_drips():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def drip():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while not over.wait(0.05):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip)
        thread.start()
        sent = webhook.Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/s3cr3t", patience=0.3)
        sent.send("start")
        sent.last("end")
        news = sent.news()
        over.set()
        thread.join()
    assert news == "no answer within 0.3 s"


def test_without_an_address_nothing_is_sent():
    sent = webhook.Webhook("")
    sent.send("start")
    sent.last("end")
    assert (sent.news(), sent.closed) == ("", True)


# ---------------------------------------------------------------- what is said


def plan(*tenants: str) -> model.Plan:
    return model.Plan((model.Batch(tuple(model.Tenant(each) for each in tenants)),), {})


def run_of(*outcomes: model.Outcome) -> runs.Run:
    return runs.Run(started=RUN, outcomes={each.tenant: each for each in outcomes})


def test_the_start_says_who_migrates_what_where():
    assert webhook.started("prod", RUN.run_id, RUN, plan("a", "b")) == (
        "prod: migrating 2 tenants on app1, started by deploy@ops1. run 20261122T140200-prod."
    )
    assert webhook.started("prod", RUN.run_id, RUN, plan("(shared)")).startswith(
        "prod: migrating the shared database on app1,"
    )


def test_the_start_of_a_way_back_says_so():
    back = replace(plan("acme"), back={"acme": ("a.0002",)})
    assert webhook.started("prod", RUN.run_id, RUN, back).startswith("prod: taking back 1 tenant on app1,")


def test_the_first_failure_names_its_tenant_and_why():
    outcome = model.Outcome("acme", FAILED, error="ProgrammingError: no such table")
    assert webhook.failed("prod", RUN.run_id, outcome) == (
        "prod: tenant `acme` failed: ProgrammingError: no such table. it is the first of run 20261122T140200-prod."
    )


def test_a_good_end_is_one_line():
    run = run_of(model.Outcome("a", MIGRATED))
    assert webhook.ended(run, "prod", RUN.run_id, "done") == "prod: run 20261122T140200-prod ended: 1 migrated."


def test_a_bad_end_says_who_and_why_and_what_to_type():
    outcomes = [model.Outcome(f"t{number}", FAILED, error="boom") for number in range(5)]
    run = run_of(model.Outcome("a", MIGRATED), *outcomes, model.Outcome("z", SKIPPED))
    said = webhook.ended(run, "prod", RUN.run_id, "5 failed, 4 allowed", ("`hooks.after[0]` failed: it exited 1",))
    assert said.splitlines() == [
        "prod: run 20261122T140200-prod ended: 1 migrated, 5 failed, 1 skipped. the run stopped: 5 failed, 4 allowed.",
        "tenant `t0` failed: boom.",
        "tenant `t1` failed: boom.",
        "tenant `t2` failed: boom.",
        "also failed or unknown: t3, t4.",
        "`hooks.after[0]` failed: it exited 1.",
        "next: `invoke show-run --run=20261122T140200-prod`.",
    ]


def test_a_run_that_did_not_begin_is_told_with_its_reason():
    assert webhook.refused("prod", "cannot connect to app1:22: timed out") == (
        "prod: no run: cannot connect to app1:22: timed out."
    )


def test_what_a_tenant_says_is_shown_safely_and_short():
    hostile = model.Outcome("a\x1b[31m\n", UNKNOWN, error="password=hunter2 " + "x" * 1000)
    said = webhook.failed("prod", RUN.run_id, hostile)
    assert "hunter2" not in said
    assert "\x1b" not in said
    assert len(said) < 600
