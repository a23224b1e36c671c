"""`show-migrations`: how far the tenants are, and a gate for a deploy."""

from __future__ import annotations

import json

from e2e import operator


def told(desk, *argv: str, code: int = 0) -> dict:
    result = desk.run("show-migrations", "--format=json", *argv)
    assert (result.code, result.err) == (code, ""), result
    return json.loads(result.out)


def groups(answer: dict) -> list[tuple[int, str, list[str] | None]]:
    return [(len(each["tenants"]), each["newest"], each["pending"]) for each in answer["groups"]]


def test_those_that_are_alike_stand_together_and_the_gate_opens_when_everyone_is_there(demo):
    demo.run("migrate-all", "--tenants=acme,globex,w*")

    before = told(demo, "--at-least=users.0002", code=5)
    table = demo.run("show-migrations", "--at-least=users.0002")
    demo.run("migrate-all")
    after = told(demo, "--at-least=users.0002")
    open_ = demo.run("show-migrations", "--at-least=users.0002")

    newest = before["groups"][0]["newest"]
    everything = before["groups"][1]["pending"]
    assert groups(before) == [(4, newest, []), (8, "", everything)]
    assert len(everything) == 4
    assert "users.0002_alter_user_email" in everything
    assert before["groups"][0]["tenants"] == ["acme", "globex", "wayne", "wonka"]
    assert before["at_least"]["migration"] == "users.0002_alter_user_email"
    assert (before["at_least"]["everyone"], before["at_least"]["lacking"]) == (False, before["groups"][1]["tenants"])
    assert table.code == 5
    first, _, small, large, counted, gate = table.out.splitlines()
    assert first.split() == ["tenants", "newest", "pending", "which"]
    assert (small.split()[:3], small.rstrip().endswith("acme, globex, wayne and 1 more")) == (
        ["4", newest, "nothing"],
        True,
    )
    assert (large.split()[0], f" {everything[0]} to {everything[-1]} (4) " in large) == ("8", True)
    assert counted == "12 tenants: 4 with nothing pending, 8 with something."
    assert gate.startswith("8 do not have users.0002_alter_user_email for certain: ")

    assert groups(after) == [(12, newest, [])]
    assert after["at_least"] == {"migration": "users.0002_alter_user_email", "everyone": True, "lacking": []}
    assert (open_.code, open_.out.splitlines()[-1]) == (0, "every tenant has users.0002_alter_user_email.")
    assert not (demo.folder / ".opskit" / "runs").exists() or len(demo.runs) == 2  # looking leaves no record


def test_who_can_not_be_asked_stands_on_top_and_keeps_the_gate_shut(demo):
    demo.run("migrate-all")
    (database,) = (demo.app / "data").rglob("globex*.sqlite3")
    database.write_text("no database at all" * 100)

    answer = told(demo, "--at-least=users.0002", code=5)
    table = demo.run("show-migrations")

    assert (answer["groups"][0]["tenants"], answer["groups"][0]["pending"]) == (["globex"], None)
    assert "file is not a database" in answer["groups"][0]["error"]
    assert answer["at_least"]["lacking"] == ["globex"]
    assert (table.code, "globex" in table.out.splitlines()[2]) == (0, True)
    assert table.out.splitlines()[-1] == (
        "12 tenants: 11 with nothing pending, 0 with something, 1 that could not be asked."
    )


def test_a_migration_that_the_code_does_not_have_is_a_usage_error(demo):
    for wanted, what in (
        (
            "users.9999",
            "--at-least: the code has no migration `users.9999`: the newest of `users` is `users.0002_alter_user_email`",
        ),
        ("users", "--at-least: expected an app's migration such as `users.0005`, found `users`"),
        ("", "--at-least: expected a migration such as `users.0005`, found nothing"),
    ):
        operator.refuses(demo.run("show-migrations", f"--at-least={wanted}"), 2, what)


def test_a_framework_that_can_not_be_asked_says_so(desk):
    assert desk.run("show-migrations") == operator.Result(
        3,
        "",
        "the framework of `prod` can't be asked what is pending. "
        "`framework.pending` in the inventory would be a command that says it.\n",
    )


def test_a_command_of_ones_own_tells_what_is_pending_but_not_what_the_code_has(desk):
    desk.inventory(framework={**operator.FRAMEWORK, "pending": ["pending"]})

    answer = told(desk)
    gate = desk.run("show-migrations", "--at-least=members.0001")

    assert answer == {
        "environment": "prod",
        "shared": None,
        "groups": [
            {"tenants": ["acme", "globex", "initech"], "newest": "", "pending": ["members.0001_initial"], "error": ""}
        ],
    }
    assert (gate.code, gate.out) == (3, "")
    assert gate.err == "--at-least: this framework does not say which migrations the code has.\n"
