"""An inventory that is missing, malformed or not the one that was meant: exit 2, and nothing happens."""

from __future__ import annotations

import pytest

from e2e import operator

EXAMPLE = "`invoke init --env=prod` writes one"


def refuses(desk, what: str, hint: str = "", *argv: str, **run) -> None:
    operator.refuses(desk.run("migrate-all", *argv, **run), 2, what, hint)
    assert desk.asked == []
    assert not (desk.folder / ".opskit").exists()


# ---------------------------------------------------------------- the file


def test_a_folder_without_inventories_is_told_how_to_get_one(desk):
    (desk.folder / "inventories" / "prod.yaml").unlink()
    (desk.folder / "inventories").rmdir()

    refuses(
        desk,
        f"no folder named inventories in {desk.folder} or above it. change to your project's folder, "
        "or let `invoke init` make one here",
    )


def test_an_empty_folder_of_inventories_is_told_what_to_copy(empty):
    refuses(empty, f"inventories/ has no environment yet. {EXAMPLE}")


def test_an_example_is_never_an_environment(empty):
    empty.inventory("prod.example")

    refuses(empty, f"environment `prod` has no file: inventories/ has no environment yet. {EXAMPLE}", "", "--env=prod")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(
            "app:\n  path: [\n",
            "line 3: while parsing a flow node: expected the node content, but found '<stream end>'",
            id="a bracket left open",
        ),
        pytest.param(
            "app:\n\tpath: /srv\n",
            "line 2: while scanning for the next token: found character '\\t' that cannot start any token",
            id="a tab",
        ),
        pytest.param("", "is empty. copy what you need from inventories/prod.example.yaml", id="empty"),
        pytest.param(
            "- app1\n", "expected a mapping (`app:`, `framework:`, `hosts:`), found a list", id="a list of hosts"
        ),
    ],
)
def test_a_file_that_is_no_inventory_is_named_with_the_line(desk, text, complaint):
    (desk.folder / "inventories" / "prod.yaml").write_text(text)

    refuses(desk, f"inventories/prod.yaml: {complaint}")


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"rolout": {"stagger": "10s"}}, "rolout: unknown key. did you mean `rollout`?"),
        ({"rollout": {"stager": "10s"}}, "rollout.stager: unknown key. did you mean `stagger`?"),
        ({"stagger": "10s"}, "stagger: unknown key. did you mean `rollout.stagger`?"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(desk, section, complaint):
    desk.inventory(**section)

    refuses(desk, f"inventories/prod.yaml: {complaint}")


def test_every_complaint_stands_on_a_line_of_its_own(desk):
    desk.inventory(rollout={"stagger": "soon", "timeout": "0s"}, hosts=["deploy@app1.example.com:22a"])

    result = desk.run("migrate-all")

    assert result == operator.Result(
        2,
        "",
        "inventories/prod.yaml: hosts[0].port: expected a whole number, found `22a`.\n"
        "inventories/prod.yaml: rollout.stagger: expected a duration such as `60s`, `10m` or `1h30m`, found `soon`.\n"
        "inventories/prod.yaml: rollout.timeout: expected more than no time at all, found `0s`.\n",
    )


def test_a_variable_that_is_not_set_is_named_and_no_value_is_shown(desk):
    desk.inventory(app={"env": {"SENTRY_DSN": "https://hunter2@${ACME_SENTRY_HOST}/1"}})

    refuses(
        desk,
        "inventories/prod.yaml: app.env.SENTRY_DSN: "
        "`ACME_SENTRY_HOST` is not set in your environment. export it, and run this again",
    )


# ---------------------------------------------------------------- which of them


def test_an_unknown_environment_gets_the_list_and_the_nearest_name(desk):
    desk.inventory("staging")
    desk.inventory("demo")

    refuses(
        desk,
        "environment `prd` has no file in inventories/, which has `demo`, `prod` and `staging`. did you mean `prod`?",
        "",
        "--env=prd",
    )


def test_a_name_that_is_near_to_none_gets_the_list(desk):
    refuses(
        desk,
        "environment `eu` has no file in inventories/, which has `prod`. name one of them, or write inventories/eu.yaml",
        "",
        "--env=eu",
    )


def test_an_empty_name_is_an_unset_variable_and_not_the_default(desk):
    refuses(desk, "`--env=` is empty: an unset variable? inventories/ has `prod`", "", "--env=")


def test_without_env_one_of_several_must_be_named(desk):
    desk.inventory("staging")

    refuses(desk, "no environment was named, and inventories/ has `prod` and `staging`. name one: `--env=prod`")


@pytest.mark.parametrize("program", ["invoke", "opskit"])
def test_the_configuration_names_the_environment_and_the_variable_outranks_the_file(desk, program):
    desk.inventory("staging")
    (desk.folder / "invoke.yaml").write_text("opskit: {env: staging}\n")

    by_file = desk.run("migrate-all", "--plan", "--format=json", program=program)
    by_variable = desk.run("migrate-all", "--plan", "--format=json", program=program, env={"INVOKE_OPSKIT_ENV": "prod"})

    assert (by_file.code, by_file.out[:27]) == (0, '{"environment": "staging", ')
    assert (by_variable.code, by_variable.out[:24]) == (0, '{"environment": "prod", ')


@pytest.mark.parametrize(
    ("configured", "complaint"),
    [
        (
            "stagin",
            "environment `stagin` has no file in inventories/, which has `prod` and `staging`. did you mean `staging`?",
        ),
        ("", "the configuration's `opskit.env` is empty: an unset variable? inventories/ has `prod` and `staging`"),
    ],
)
def test_a_wrong_name_in_the_configuration_is_no_reason_to_take_another(desk, configured, complaint):
    desk.inventory("staging")

    refuses(desk, complaint, env={"INVOKE_OPSKIT_ENV": configured})
