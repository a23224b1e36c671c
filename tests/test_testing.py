"""The public fakes keep the real ones' promises."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from opskit import errors, frameworks, model, testing
from opskit.tasks import project
from opskit.transport import agent
from opskit.transport import fleet as transport_fleet

PING = model.Command(("ping",))
MARK = (re.compile("mark"),)


def test_the_fakes_are_these():
    assert ["Answer", "FakeClock", "ScriptedFleet"] == testing.__all__


def test_time_passes_only_by_sleeping():
    clock = testing.FakeClock()
    before = (clock.now(), clock.monotonic())
    clock.sleep(60)
    clock.sleep(0.5)
    assert (testing.START, 0.0) == before
    assert (testing.START + timedelta(seconds=60.5), 60.5, [60, 0.5]) == (clock.now(), clock.monotonic(), clock.slept)


def test_time_can_pass_without_a_sleep():
    clock = testing.FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    clock.advance(3)
    assert (datetime(2030, 1, 1, 0, 0, 3, tzinfo=UTC), []) == (clock.now(), clock.slept)


def heard_by(fleet: testing.ScriptedFleet, label: str, command: model.Command = PING):
    heard = []
    reply = fleet.run(command, label, MARK, lambda text, partial: heard.append((text, partial)))
    return reply, "".join(text for text, _ in heard)


def test_what_a_command_prints_is_heard_and_makes_marks_and_tail():
    fleet = testing.ScriptedFleet({"acme": model.Reply(exit=3, out="one\na mark ä\npassword=hunter2", seconds=2.0)})
    text = "one\na mark ä\npassword=[REDACTED]\n"
    assert (model.Reply(exit=3, marks=("a mark ä",), tail=text, seconds=2.0), text) == heard_by(fleet, "acme")


def test_an_answer_may_be_made_of_the_command():
    fleet = testing.ScriptedFleet({"acme": lambda command: model.Reply(exit=0, out=" ".join(command.args))})
    assert "migrate acme\n" == heard_by(fleet, "acme", model.Command(("migrate", "acme")))[1]


def test_an_answer_may_be_an_exception():
    def refuse(_):
        raise errors.ConnectError("no route to host")

    with pytest.raises(errors.ConnectError):
        heard_by(testing.ScriptedFleet({"acme": refuse}), "acme")


def test_commands_and_labels_are_seen_in_their_order():
    fleet = testing.ScriptedFleet(otherwise=model.Reply(exit=0))
    question = model.Command(("omnitenant",), question="status")
    fleet.ask(question)
    fleet.ask(model.Command(("showtenants", "--format=json")))
    heard_by(fleet, "acme")
    assert ["status", "showtenants", "acme"] == fleet.labels
    assert [question, model.Command(("showtenants", "--format=json")), PING] == fleet.commands


def test_what_is_not_scripted_is_a_mistake_in_the_test():
    with pytest.raises(LookupError, match="nothing is scripted for `acme`"):
        heard_by(testing.ScriptedFleet({"zeta": model.Reply(exit=0)}), "acme")


def test_a_question_gets_its_answer_whole_and_apart_from_stderr():
    script = {"status": model.Reply(exit=1, out="{}\n", tail="password=hunter2\n")}
    reply = testing.ScriptedFleet(script).ask(model.Command(("x",), question="status"))
    assert model.Reply(exit=1, out="{}\n", tail="password=[REDACTED]\n") == reply


def test_a_question_that_timed_out_says_so():
    fleet = testing.ScriptedFleet({"status": model.Reply(exit=-15, timed_out=True)})
    assert "it timed out" == fleet.ask(model.Command((), question="status")).error


def test_a_question_on_a_lost_line_is_a_connect_error():
    fleet = testing.ScriptedFleet({"status": model.Reply(exit=None, error="reset by peer")})
    with pytest.raises(errors.ConnectError) as raised:
        fleet.ask(model.Command((), question="status"))
    assert "lost app1 while asking: reset by peer" == str(raised.value)


def test_it_connects_on_demand_and_again_after_a_lost_line():
    told = []
    fleet = testing.ScriptedFleet({"a": model.Reply(exit=None, error="gone"), "b": model.Reply(exit=0)})
    fleet.notice = told.append
    seen = [(fleet.connected, fleet.serving)]
    for label in "bab":
        heard_by(fleet, label)
        seen.append((fleet.connected, fleet.serving))
    assert [(0, False), (1, True), (1, False), (2, True)] == seen
    assert ["lost app1 between two tenants: connecting again"] == told


def test_it_has_a_host_and_says_what_the_agent_said_once_it_is_open():
    ready = agent.Ready("/srv/x", "3.12.0", "abc", ({"path": "r"},))
    fleet = testing.ScriptedFleet(host="app2", ready=ready)
    assert "" == fleet.host
    assert (ready, ready, "app2") == (fleet.open(), fleet.ready, fleet.host)


def test_what_is_forgotten_and_closed_is_remembered():
    fleet = testing.ScriptedFleet()
    fleet.open()
    fleet.forget({"path": "x"})
    fleet.close()
    assert ([{"path": "x"}], True, False) == (fleet.forgotten, fleet.closed, fleet.serving)


def test_what_a_cut_off_run_printed_is_recalled():
    heard = []
    script = {"recall acme": model.Reply(exit=0, out="one\npassword=hunter2\n"), "recall lost": model.Reply(exit=None)}
    fleet = testing.ScriptedFleet(script)
    left = [{"label": "acme", "path": "r1"}, {"label": "zeta", "path": "r2"}, {"label": "lost", "path": "r3"}]
    pattern = re.compile("^one")
    left[0]["exit"] = 3
    replies = [fleet.recall(record, (pattern,), lambda text, _: heard.append(text)) for record in left]
    assert ("one\npassword=[REDACTED]\n", left) == ("".join(heard), fleet.recalled)
    acme = model.Reply(exit=3, marks=("one",), tail="one\npassword=[REDACTED]\n")
    assert [acme, model.Reply(exit=None), None] == replies


def test_without_the_lock_it_may_only_ask():
    fleet = testing.ScriptedFleet({"status": model.Reply(exit=0, out="{}"), "acme": model.Reply(exit=0)})
    asking = fleet.without_lock()
    answer = asking.ask(model.Command(("x",), question="status"))
    refused, _ = heard_by(asking, "acme")
    assert ("{}", ["status"], False) == (answer.out, fleet.labels, fleet.serving)
    assert model.Reply(exit=127, error="not started: the agent does not hold the lock") == refused


@pytest.mark.parametrize("tenant", ["acme", "x" * 100])
def test_it_names_connections_as_the_real_one_does(tenant):
    environment = model.Environment("prod", (), model.App("/srv"), "opskit")
    real = transport_fleet.Fleet(environment, transport_fleet.Hold("run", "deploy@ops1", ""))
    assert real.application_name(tenant) == testing.ScriptedFleet().application_name(tenant)


def test_a_project_can_be_asked_through_it():
    environment = model.Environment("prod", (), model.App("/srv"), "opskit", timeout=9.0)
    rows = [{"tenant_id": "acme", "name": "A", "isolation_type": "schema"}]
    status = {"tenants": [{"tenant_id": "acme", "pending": ["app.0001_x"]}]}
    fleet = testing.ScriptedFleet(
        {
            "showtenants": model.Reply(exit=0, out=json.dumps(rows)),
            "status": model.Reply(exit=0, out=json.dumps(status)),
        }
    )
    asked = project.Project(environment, frameworks.get(environment), fleet)
    assert (model.Tenant("acme", "A", "schema"),) == asked.tenants(None)
    assert {"acme": model.TenantState(pending=("app.0001_x",))} == asked.survey().tenants
    assert [9.0, 9.0] == [command.timeout for command in fleet.commands]


def test_a_project_tells_who_is_at_work_through_it():
    environment = model.Environment("prod", (), model.App("/srv"), "opskit")
    fleet = testing.ScriptedFleet({"status": model.Reply(exit=0, out='{"tenants": [], "busy": ["opskit/run/acme"]}')})
    survey = project.Project(environment, frameworks.get(environment), fleet).survey(["acme", "zeta"])
    assert {"busy": ["opskit/run/acme", "opskit/run/zeta"]} == json.loads(fleet.commands[0].args[1])
    assert frozenset({fleet.application_name("acme")}) == survey.busy
