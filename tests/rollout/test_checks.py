"""What is judged of what was seen: each check, well and not well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opskit import model
from opskit.rollout import checks
from opskit.rollout.checks import words

OK, WARNING, FAILED, UNKNOWN = model.CheckStatus
APP1, APP2 = model.Host("app1", "app1.example.com"), model.Host("app2", "app2.example.com")
ENVIRONMENT = model.Environment("prod", (APP1, APP2), model.App("/srv/acme"), "omnitenant")
CODE = frozenset({"a.0001", "a.0002"})
SERVER = model.Server(
    "db1:5432",
    database="acme",
    vendor="postgresql",
    version="16.2",
    user="acme",
    started="1793527200.123456",
    lock_timeout="5s",
    max_connections=100,
    reserved=3,
    used=7,
    lock_slots=6400,
    locks=10,
    relations=120,
    size=5_000_000_000,
    largest=2_000_000_000,
    disk_free=50_000_000_000,
    pgoptions="through",
    pooler="none",
)
PROJECT = model.ProjectFacts(
    django="5.2",
    package="1.0.2",
    commands={"showtenants": "django_omnitenant", "migratetenant": "django_omnitenant", "migrate": "django.core"},
    migrations=CODE,
    servers=(SERVER,),
)
HOST = model.HostFacts(
    clock=0.0,
    user="acme",
    state_folder="/home/acme/.opskit",
    disks=(model.Disk(("state folder", "project"), 10**10),),
    max_startups="10:30:100",
)
SEEN = model.Seen(
    APP1, path="/srv/acme", python="3.11.7", revision="1a2b3c4d" * 5, facts=HOST, ahead=(-0.2, 0.1), project=PROJECT
)


def state(*place: str, **more) -> model.TenantState:
    return model.TenantState(applied=2, place=model.Place(*place) if place else None, **more)


SURVEY = model.Survey(
    (),
    {
        "acme": state("db1:5432", "acme", "acme"),
        "globex": state("db1:5432", "globex"),
    },
)
LOOK = model.Look(
    hosts=(SEEN,),
    serving="app1",
    commands=("showtenants", "migratetenant", "migrate"),
    tenants=(model.Tenant("acme"), model.Tenant("globex")),
    survey=SURVEY,
)


def judged(look: model.Look, environment: model.Environment = ENVIRONMENT) -> dict[str, tuple[model.CheckStatus, str]]:
    """{check: (status, found)}; two of one name have their `of` behind it."""
    found = checks.judge(look, environment)
    names = [each.name for each in found]
    return {
        each.name if names.count(each.name) == 1 else f"{each.name} {each.of}": (each.status, each.found)
        for each in found
    }


def seen(**changes) -> model.Look:
    return replace(LOOK, hosts=(replace(SEEN, **changes),))


def about(**changes) -> model.Look:
    return seen(facts=replace(HOST, **changes))


def project(**changes) -> model.Look:
    return seen(project=replace(PROJECT, **changes))


def server(**changes) -> model.Look:
    return project(servers=(replace(SERVER, **changes),))


def survey(**states: model.TenantState) -> model.Look:
    return replace(LOOK, survey=model.Survey((), states))


# ---------------------------------------------------------------- the whole


def test_where_all_is_well_every_check_says_so_and_has_no_hint():
    found = checks.judge(LOOK, ENVIRONMENT)
    assert {each.status for each in found} == {OK}
    assert [each.hint for each in found if each.hint] == []
    assert {each.name for each in found} == set(checks.NAMES) - {"sudo", "env file"}


def test_sudo_and_the_env_file_are_checks_where_there_are_such():
    environment = replace(ENVIRONMENT, app=model.App("/srv/acme", run_as="acme", env_file="/etc/acme/env"))
    found = judged(LOOK, environment)
    assert found["sudo"] == (OK, "to acme, without a password")
    assert found["env file"] == (OK, "/etc/acme/env")


def test_the_checks_stand_in_the_order_of_their_names_for_each_thing_that_they_are_of():
    both = replace(LOOK, hosts=(SEEN, replace(SEEN, host=APP2)))
    found = checks.judge(both, ENVIRONMENT)
    for of in ("app1", "app2", "prod", "db1:5432"):
        names = [each.name for each in found if each.of == of]
        assert names == sorted(names, key=checks.NAMES.index)
    assert list(dict.fromkeys(each.of for each in found)) == ["app1", "app2", "prod", "db1:5432"]


def test_every_failure_says_what_to_do():
    gates = ["connection", "host key", "sudo", "python", "env file", "state folder", "path", "manage.py"]
    for gate in gates:
        environment = replace(ENVIRONMENT, app=model.App("/srv/acme", run_as="acme", env_file="/etc/acme/env"))
        refused = model.Look(
            hosts=(model.Seen(APP1, refused=gate, error="no", hint="key" if gate == "host key" else ""),)
        )
        *before, last = checks.judge(refused, environment)
        assert (last.name, last.status, last.found, bool(last.hint)) == (gate, FAILED, "no", True)
        assert {each.status for each in before} <= {OK}


def test_the_counts_have_every_status():
    assert checks.counts(checks.judge(model.Look(hosts=()), ENVIRONMENT)) == {
        "ok": 0,
        "warning": 0,
        "failed": 0,
        "not known": 0,
    }


# ---------------------------------------------------------------- the way to the project


def test_what_comes_after_a_failed_gate_has_no_line():
    look = model.Look(hosts=(model.Seen(APP1, refused="python", error="sh: 1: /nope: not found (exit 127)"),))
    assert judged(look) == {
        "connection": (OK, "reached"),
        "host key": (OK, "known"),
        "python": (FAILED, "sh: 1: /nope: not found (exit 127)"),
    }


def test_a_host_that_fails_hides_no_other():
    down = model.Seen(APP2, refused="connection", error="connection refused")
    found = judged(replace(LOOK, hosts=(down, SEEN)))
    assert found["connection app2"] == (FAILED, "connection refused")
    assert found["tenants"][0] is OK
    assert found["pooler"][0] is OK


def test_this_machine_has_no_connection_no_host_key_and_no_sshd():
    local = model.Host("local", "localhost", model.HostKind.LOCAL)
    found = judged(replace(LOOK, hosts=(replace(SEEN, host=local),), serving="local"))
    assert {"connection", "host key", "MaxStartups"} & set(found) == set()
    assert found["python"] == (OK, "3.11.7")


def test_a_managepy_that_comes_to_no_command_fails_and_of_a_custom_framework_is_not_known():
    look = seen(no_command=True, project=model.ProjectFacts(error="manage.py never reached it"))
    assert judged(look)["manage.py"] == (FAILED, "manage.py never reached it")
    assert "django" not in judged(look)
    custom = replace(ENVIRONMENT, framework="custom")
    assert judged(look, custom)["manage.py"][0] is UNKNOWN


# ---------------------------------------------------------------- tables

CASES = [
    # a host
    ("user", seen(facts=None, facts_error="it timed out"), UNKNOWN, "it timed out"),
    ("state folder", about(state_error="it is not this user's"), FAILED, "/home/acme/.opskit: it is not this user's"),
    ("disk", about(disks=()), UNKNOWN, "the host can't say how much is free"),
    ("disk", about(disks=(model.Disk(("state folder",), 10**6),)), WARNING, "1 MB free (state folder)"),
    ("disk", about(disks=(model.Disk(("state folder",), 0, full=True),)), FAILED, "full (state folder)"),
    (
        "disk",
        about(disks=(model.Disk(("temporary folder",), 10**9, read_only=True),)),
        FAILED,
        "read-only (temporary folder)",
    ),
    (
        "disk",
        about(disks=(model.Disk(("state folder",), 10**9), model.Disk(("temporary folder",), 0, full=True))),
        FAILED,
        "full (temporary folder); 1.0 GB free (state folder)",
    ),
    ("disk", about(disks=(model.Disk(("project",), 0, full=True, read_only=True),)), OK, "read-only (project)"),
    ("clock", seen(ahead=(-4.9, 0.1)), OK, "within 5 s of this machine's"),
    ("clock", seen(ahead=(-3.0, 90.0)), UNKNOWN, "the host took 93 s to say its time"),
    ("clock", seen(ahead=(4.0, 9.0)), UNKNOWN, "the host took 5 s to say its time"),
    ("clock", seen(ahead=(119.9, 120.4)), WARNING, "120 s ahead of this machine's"),
    ("clock", seen(ahead=(-61.0, -60.0)), WARNING, "60 s behind this machine's"),
    (
        "MaxStartups",
        about(max_startups="", max_startups_error="only root may ask sshd"),
        UNKNOWN,
        "only root may ask sshd",
    ),
    (
        "MaxStartups",
        about(max_startups="1:30:10"),
        WARNING,
        "1:30:10; opskit opens one connection after the other, to 1 host",
    ),
    # its project
    ("django", project(django="", error="ImproperlyConfigured: set FOO"), FAILED, "ImproperlyConfigured: set FOO"),
    ("framework", project(package="1.1.0"), WARNING, "omnitenant 1.1.0; opskit is tested against 1.0.2"),
    ("framework", project(package=""), UNKNOWN, "omnitenant, of no version that pip knows"),
    (
        "commands",
        project(commands={"migrate": "django.core"}),
        FAILED,
        "manage.py has no `showtenants`, `migratetenant`",
    ),
    (
        "commands",
        project(commands={**PROJECT.commands, "migratetenant": "acme.core"}),
        WARNING,
        "not django_omnitenant's own: `migratetenant` of acme.core",
    ),
    ("database", project(servers=(), error="it timed out"), FAILED, "it timed out"),
    ("database", server(error="OperationalError: refused"), FAILED, "db1:5432: OperationalError: refused"),
    (
        "database",
        server(standby=True),
        FAILED,
        "PostgreSQL 16.2 on db1:5432, acme as acme: a standby, which only reads",
    ),
    ("database", server(vendor="sqlite", database="/srv/acme.db"), OK, "sqlite, /srv/acme.db"),
    # the environment
    ("listing", replace(LOOK, tenants=None, listing_error="it is not JSON"), FAILED, "it is not JSON"),
    (
        "listing",
        replace(LOOK, tenants=None, listing_error="no such column", survey=replace(SURVEY, shared=("c.0002",))),
        WARNING,
        "no such column",
    ),
    ("listing", replace(LOOK, tenants=()), WARNING, "no tenants"),
    ("shared database", replace(LOOK, survey=None, survey_error="it timed out"), FAILED, "it timed out"),
    ("shared database", replace(LOOK, survey=None), UNKNOWN, "this framework can't be asked what is pending there"),
    (
        "shared database",
        replace(LOOK, survey=replace(SURVEY, shared=None)),
        UNKNOWN,
        "this framework can't be asked what is pending there",
    ),
    (
        "shared database",
        replace(LOOK, survey=replace(SURVEY, shared=("c.0002",))),
        WARNING,
        "1 pending migration: `c.0002`",
    ),
    (
        "tenants",
        survey(acme=state(error="no such database"), globex=state()),
        FAILED,
        "1 of 2: acme: no such database",
    ),
    ("tenants", survey(acme=state()), FAILED, "1 of 1: globex: it was not mentioned"),
    ("tenants", survey(acme=state(missing=True), globex=state()), WARNING, "1 schema missing: `acme`"),
    ("tenants", survey(acme=state(pending=("a.0003",)), globex=state()), OK, "2 asked, 1 with something pending"),
    (
        "master",
        survey(acme=state("db1:5432", "acme"), globex=state("db1:5432", "globex")),
        FAILED,
        "their database is the shared one: `acme`",
    ),
    (
        "master",
        survey(acme=state("db1:5432", "acme", "public"), globex=state()),
        WARNING,
        "in the shared schema `public`: `acme`",
    ),
    (
        "places",
        survey(acme=state("db1:5432", "acme", "x"), globex=state("db1:5432", "acme", "x")),
        FAILED,
        "schema `x` in database `acme` on db1:5432: `acme`, `globex`",
    ),
    ("names", survey(acme=state("db1:5432", "acme", "x" * 63, cut=True)), WARNING, "cut after 63 bytes, of `acme`"),
    # a database server
    ("connections", server(used=94), WARNING, "3 of 100 free"),
    ("connections", server(used=96), FAILED, "1 of 100 free"),
    ("connections", server(used=87), OK, "10 of 100 free"),
    ("connections", server(used=None), UNKNOWN, "this user may not ask"),
    (
        "locks",
        server(lock_slots=249),
        WARNING,
        "room for 239 locks; the largest schema of acme has 120 tables and indexes",
    ),
    ("locks", server(relations=None), UNKNOWN, "this user may not ask, or it takes too long"),
    ("database size", server(size=None), UNKNOWN, "this user may not ask, or it takes too long"),
    ("database size", LOOK, OK, "5.0 GB in all databases, the largest has 2.0 GB"),
    (
        "database disk",
        server(disk_free=None),
        UNKNOWN,
        "it is no disk of app1's, or the server does not say where its data is",
    ),
    ("database disk", server(disk_free=1000), FAILED, "1 kB free on app1, where the server runs"),
    (
        "database disk",
        server(disk_free=10**9),
        WARNING,
        "1.0 GB free on app1, where the server runs, less than the largest database",
    ),
    ("PGOPTIONS", server(pgoptions=""), UNKNOWN, "the server takes no further connection"),
    ("PGOPTIONS", server(pgoptions="dropped"), WARNING, "does not reach the server; lock_timeout is 5s"),
    (
        "PGOPTIONS",
        server(pgoptions="dropped", pgoptions_set=True),
        FAILED,
        "does not reach the server; lock_timeout is 5s",
    ),
    (
        "PGOPTIONS",
        server(pgoptions="refused", pgoptions_error="unsupported startup parameter", lock_timeout="0"),
        WARNING,
        "refused: unsupported startup parameter; lock_timeout is 0",
    ),
    ("pooler", server(pooler=""), UNKNOWN, "the database driver does not tell"),
    ("pooler", server(pooler="pooler"), WARNING, "one in between, of unknown mode"),
    (
        "pooler",
        server(pooler="transaction"),
        FAILED,
        "one in between, which hands a connection on between transactions",
    ),
]


@pytest.mark.parametrize(("name", "look", "status", "found"), CASES)
def test_a_check(name, look, status, found):
    assert judged(look)[name] == (status, found)


@pytest.mark.parametrize(("name", "look", "status", "found"), [row for row in CASES if row[2] in (FAILED, WARNING)])
def test_what_is_not_well_says_what_to_do(name, look, status, found):
    (check,) = [each for each in checks.judge(look, ENVIRONMENT) if each.name == name]
    assert check.hint.endswith((".", "?"))


def test_every_check_of_the_environment_and_of_servers_has_been_seen_to_fail_or_warn():
    ill = {name for name, _, status, _ in CASES if status in (FAILED, WARNING)}
    assert set(checks.NAMES[checks.NAMES.index("revision") :]) - ill == {"revision", "database size"}


# ---------------------------------------------------------------- several hosts


def two(**changes) -> model.Look:
    return replace(LOOK, hosts=(SEEN, replace(SEEN, host=APP2, **changes)))


def test_the_same_code_on_all_hosts_is_well():
    assert judged(two())["revision"] == (OK, "1a2b3c4d1a2b")


def test_a_framework_that_the_inventory_does_not_name_and_the_project_does_not_tell_fails():
    environment = replace(ENVIRONMENT, framework="auto")
    nobody = judged(project(frameworks=()), environment)
    two = judged(project(frameworks=("omnitenant", "opskit")), environment)
    said = "the inventory names none, and INSTALLED_APPS has"
    assert nobody["framework"] == (FAILED, f"{said} none that opskit knows")
    assert two["framework"] == (FAILED, f"{said} omnitenant and opskit")


def test_another_revision_on_another_host_fails():
    assert judged(two(revision="9f" * 20))["revision"] == (FAILED, "app1 1a2b3c4d1a2b, app2 9f9f9f9f9f9f")


def test_other_migrations_on_another_host_fail_whatever_the_revision():
    older, newer = (replace(PROJECT, migrations=code) for code in (CODE - {"a.0002"}, CODE | {"a.0003"}))
    assert judged(two(project=older))["revision"] == (FAILED, "app2 lacks what app1 has: `a.0002`")
    assert judged(two(project=newer))["revision"] == (FAILED, "app1 lacks what app2 has: `a.0003`")


def test_without_a_checkout_the_migrations_are_what_is_known():
    look = replace(LOOK, hosts=(replace(SEEN, revision=""), replace(SEEN, host=APP2, revision="")))
    assert judged(look)["revision"] == (UNKNOWN, "`app.path` is no git checkout (the migrations are the same)")
    assert judged(seen(revision=""))["revision"] == (UNKNOWN, "`app.path` is no git checkout")


def test_migrations_that_nobody_could_compare_are_not_called_the_same():
    hosts = (replace(SEEN, revision=""), replace(SEEN, host=APP2, revision="", project=model.ProjectFacts(error="no")))
    assert judged(replace(LOOK, hosts=hosts))["revision"] == (UNKNOWN, "`app.path` is no git checkout")


def test_a_host_that_was_not_entered_is_not_compared():
    down = model.Seen(APP2, refused="connection", error="connection refused")
    assert judged(replace(LOOK, hosts=(SEEN, down)))["revision"][0] is OK


def test_maxstartups_is_held_against_the_number_of_hosts():
    facts = replace(HOST, max_startups="2:30:10")
    look = replace(LOOK, hosts=(replace(SEEN, facts=facts), replace(SEEN, host=APP2)))
    assert judged(look)["MaxStartups app1"] == (
        WARNING,
        "2:30:10; opskit opens one connection after the other, to 2 hosts",
    )


def test_several_tenants_at_a_time_need_several_times_the_connections_and_locks():
    three = replace(ENVIRONMENT, rollout=replace(ENVIRONMENT.rollout, forks=3))
    at_once = ", for 3 tenants at a time"
    for used, status in ((92, FAILED), (91, WARNING), (84, WARNING), (83, OK)):
        found = judged(server(used=used), three)["connections"]
        assert (status, f"{97 - used} of 100 free{at_once}") == found
    for slots, status in ((729, WARNING), (730, OK)):  # of which 10 are held
        found = judged(server(lock_slots=slots), three)["locks"]
        tables = "the largest schema of acme has 120 tables and indexes"
        assert (status, f"room for {slots - 10} locks; {tables}{at_once}") == found


def test_where_no_project_could_be_entered_nothing_is_said_of_databases():
    look = model.Look(hosts=(model.Seen(APP1, refused="path", error="no"),))
    assert [each.of for each in checks.judge(look, ENVIRONMENT)] == ["app1"] * 4


# ---------------------------------------------------------------- several servers


def test_each_further_server_is_judged_once_and_by_its_first_name():
    other = replace(SERVER, name="db2:5432", started="1793613600.654321", used=97)
    again = replace(SERVER, name="localhost:5432")
    found = checks.judge(project(servers=(SERVER, again, other)), ENVIRONMENT)
    assert [(each.of, each.status) for each in found if each.name == "connections"] == [
        ("db1:5432", OK),
        ("db2:5432", FAILED),
    ]
    assert [each.of for each in found if each.name == "database"] == ["app1", "db2:5432"]


def test_where_the_time_was_up_it_is_said_that_there_may_be_more_servers():
    assert judged(project(error="it timed out"))["database prod"] == (
        UNKNOWN,
        "not every server has been asked: it timed out",
    )


def test_where_time_was_up_the_hint_is_to_give_more():
    looks = (
        project(django="", error="it timed out"),
        project(servers=(), error="it timed out"),
        replace(LOOK, tenants=None, listing_error="app1: `manage.py x` failed: it timed out"),
        replace(LOOK, survey=None, survey_error="it timed out"),
    )
    for look in looks:
        (hint,) = [each.hint for each in checks.judge(look, ENVIRONMENT) if each.status is FAILED]
        assert hint == "`--timeout` gives each question more time."


def test_an_id_of_any_length_fits_a_line():
    long = "x" * 10_000
    found = judged(replace(LOOK, tenants=(), survey=model.Survey((), {long: state(error="gone")})))["tenants"][1]
    assert found == f"1 of 1: {'x' * 59}…: gone"


def test_a_further_server_that_can_not_be_asked_fails_and_has_no_figures():
    other = model.Server("db2:5432", error="OperationalError: timeout expired")
    found = [each for each in checks.judge(project(servers=(SERVER, other)), ENVIRONMENT) if each.of == "db2:5432"]
    assert [(each.name, each.found) for each in found] == [
        ("database", "db2:5432: OperationalError: timeout expired"),
    ]


def test_one_place_under_two_names_of_its_server_is_one_place():
    again = replace(SERVER, name="localhost:5432")
    states = {"acme": state("db1:5432", "x"), "globex": state("localhost:5432", "x")}
    look = replace(project(servers=(SERVER, again)), survey=model.Survey((), states))
    assert judged(look)["places"] == (FAILED, "database `x` on db1:5432: `acme`, `globex`")


def test_the_shared_database_under_another_name_of_its_server_is_the_shared_one():
    again = replace(SERVER, name="localhost:5432")
    look = replace(project(servers=(SERVER, again)), survey=model.Survey((), {"acme": state("localhost:5432", "acme")}))
    assert judged(look)["master"] == (FAILED, "their database is the shared one: `acme`")


def test_those_on_the_shared_database_are_not_told_twice():
    both = survey(acme=state("db1:5432", "acme"), globex=state("db1:5432", "acme"))
    assert (judged(both)["master"][0], judged(both)["places"][0]) == (FAILED, OK)


def test_transaction_pooling_harms_schema_tenants_only():
    look = replace(server(pooler="transaction"), survey=model.Survey((), {"globex": state("db1:5432", "globex")}))
    assert judged(look)["pooler"][0] is WARNING


def test_where_no_place_is_known_nothing_is_said_of_places():
    found = judged(survey(acme=state(), globex=state()))
    assert {"master", "places", "names"} & set(found) == set()


def test_many_names_are_cut_short():
    states = {f"t{n}": state(error="gone") for n in range(9)}
    found = judged(replace(LOOK, tenants=(), survey=model.Survey((), states)))["tenants"][1]
    assert found == "9 of 9: t0: gone; t1: gone; t2: gone; t3: gone; t4: gone; and 4 more"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (999, "999 B"), (12_345, "12 kB"), (1_234_567_890, "1.2 GB"), (5 * 10**12, "5.0 TB")],
)
def test_sizes_are_for_people(number, shown):
    assert words.size(number) == shown
