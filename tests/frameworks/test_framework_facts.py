"""What `check` asks a host and its project, and how the answers read."""

import json

import pytest

from opskit import errors, frameworks, model
from opskit.frameworks import facts

HOST = {
    "v": 1,
    "time": 1763820123.5,
    "user": "acme",
    "state": {"path": "/home/acme/.opskit", "error": ""},
    "disks": [{"of": ["project"], "free": 5, "full": True, "read_only": False}],
    "max_startups": "",
    "max_startups_error": "only root may ask sshd",
}
CODE = {
    "part": "code",
    "django": "5.2",
    "package": "1.0.2",
    "commands": {"migrate": "django.core"},
    "migrations": ["a.1"],
}
SERVER = {"part": "server", "server": "db1:5432", "error": "", "vendor": "postgresql", "used": 3, "standby": True}
END = {"part": "end"}


def project(*parts, **reply) -> model.ProjectFacts:
    out = "".join(part if isinstance(part, str) else json.dumps(part) + "\n" for part in parts)
    return facts.read_project(model.Reply(**{"exit": 0, "out": out, **reply}))


def test_the_questions_name_what_they_need():
    asked = facts.about_project(frameworks.get(environment("omnitenant")), deep=True)
    assert (asked.question, asked.args[0], json.loads(asked.args[1])) == (
        "facts",
        "omnitenant",
        {"commands": ["showtenants", "migratetenant", "migrate"], "deep": True},
    )
    host = facts.about_host("/var/lib/acme")
    assert (host.question, json.loads(host.args[1])) == ("host", {"state_dir": "/var/lib/acme"})


def environment(name: str, custom: model.Custom | None = None) -> model.Environment:
    return model.Environment("prod", (), model.App("/srv/acme"), name, custom=custom)


def test_a_frameworks_own_commands_are_all_that_it_needs():
    spec = model.Custom(("tenants", "--json"), ("one", "{tenant}"), "^ok", pending=("what",), shared=("migrate",))
    assert facts.commands(frameworks.get(environment("custom", spec))) == ("tenants", "one", "what", "migrate")
    assert facts.commands(frameworks.get(environment("opskit"))) == ("showtenants", "migratetenant", "migrate")


# ---------------------------------------------------------------- a host


def test_a_hosts_answer():
    assert facts.read_host(model.Reply(exit=0, out=json.dumps(HOST))) == model.HostFacts(
        clock=1763820123.5,
        user="acme",
        state_folder="/home/acme/.opskit",
        disks=(model.Disk(("project",), 5, full=True),),
        max_startups_error="only root may ask sshd",
    )


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (model.Reply(exit=0, out="{}"), "asking the host about itself gave no `time`"),
        (model.Reply(exit=0, out='[["x"]]'), "asking the host about itself gave no `time`"),
        (model.Reply(exit=0, out=""), "it is not JSON: it is empty"),
        (
            model.Reply(exit=1, tail="OSError: no"),
            "asking the host about itself failed: it exited 1: OSError: no",
        ),
        (
            model.Reply(exit=-15, timed_out=True, error="it timed out"),
            "asking the host about itself failed: it timed out",
        ),
    ],
)
def test_an_answer_that_is_none_says_why(reply, message):
    with pytest.raises(errors.ListingError) as raised:
        facts.read_host(reply)
    assert str(raised.value) == message


# ---------------------------------------------------------------- a project


def test_a_projects_answer():
    found = project(CODE, SERVER, {**SERVER, "server": "db2:5432", "error": "refused"}, END)
    assert found == model.ProjectFacts(
        django="5.2",
        package="1.0.2",
        commands={"migrate": "django.core"},
        migrations=frozenset({"a.1"}),
        servers=(
            model.Server("db1:5432", vendor="postgresql", used=3, standby=True),
            model.Server("db2:5432", vendor="postgresql", used=3, standby=True, error="refused"),
        ),
    )


def test_what_was_told_before_a_time_limit_stands():
    found = project(CODE, json.dumps(SERVER)[:30], exit=-15, timed_out=True, error="it timed out")
    assert (found.django, found.servers, found.error) == ("5.2", (), "it timed out")


def test_a_project_that_does_not_start_says_why_in_its_last_words():
    found = project(exit=1, tail="Traceback\nImproperlyConfigured: set FOO\n")
    assert found == model.ProjectFacts(error="ImproperlyConfigured: set FOO")
    assert project(exit=1).error == "it exited 1 without a word"


def test_a_managepy_that_starts_no_command_is_told_from_one_that_fails():
    assert facts.never_came_to_a_command(model.Reply(exit=3))
    assert not facts.never_came_to_a_command(model.Reply(exit=1))


def test_noise_and_nonsense_are_passed_over():
    odd = {**SERVER, "used": "many", "size": True, "version": ["16"], "secret": "hunter2"}
    found = project("hello\n", "[1]\n", {**CODE, "commands": 3, "migrations": "x"}, odd, END)
    (server,) = found.servers
    assert (found.commands, found.migrations) == ({}, None)
    assert (server.used, server.size, server.version) == (None, None, "['16']")
    assert "hunter2" not in repr(found)


def test_a_reason_tells_no_credentials():
    found = project(CODE, {**SERVER, "error": "no answer from postgres://me:hunter2@db1/acme"}, END)
    assert "hunter2" not in repr(found)
