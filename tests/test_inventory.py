"""An inventory's keys, as they arrive."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml
from inventory_files import ENVIRON, SMALLEST, app, custom, load, read, smallest, write

from opskit import errors, inventory, model


def test_the_smallest_inventory_has_every_default(tmp_path):
    expected = model.Environment(
        name="prod",
        hosts=(model.Host(name="app1", address="app1", user="deploy"),),
        app=model.App(path="/srv/acme"),
        framework="omnitenant",
        ssh=model.Ssh(known_hosts=("/Users/op/.ssh/known_hosts",)),
        root=str(tmp_path),
    )
    assert expected == load(tmp_path, SMALLEST)


def test_every_key_of_app_arrives(tmp_path):
    given_app = {
        "path": "current",
        "python": "venv/bin/python",
        "manage": "src/manage.py",
        "env": {"A": "1", "EMPTY": ""},
        "env_file": "~/env",
        "run_as": "acme",
        "sudo_password": "secrets/sudo",
        "wrapper": ["docker", "exec", "", "a b"],
        "state_dir": "~/state",
    }
    expected = model.App(
        path="current",
        python="venv/bin/python",
        manage="src/manage.py",
        env={"A": "1", "EMPTY": ""},
        env_file="~/env",
        run_as="acme",
        sudo_password_from=str(tmp_path / "secrets" / "sudo"),
        wrapper=("docker", "exec", "", "a b"),
        state_dir="~/state",
    )
    assert expected == load(tmp_path, smallest(app=given_app)).app


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app1", model.Host("app1", "app1")),
        ("deploy@app1", model.Host("app1", "app1", user="deploy")),
        ("app1:2222", model.Host("app1", "app1", port=2222)),
        ("deploy@app1.example.com:22", model.Host("app1.example.com", "app1.example.com", user="deploy", port=22)),
        ("me@corp.com@app1", model.Host("app1", "app1", user="me@corp.com")),
        ("[::1]", model.Host("::1", "::1")),
        ("deploy@[2001:db8::7]:2222", model.Host("2001:db8::7", "2001:db8::7", user="deploy", port=2222)),
        ("[fe80::1%eth0]:22", model.Host("fe80::1%eth0", "fe80::1%eth0", port=22)),
        ("[app1]:022", model.Host("app1", "app1", port=22)),
        ("local", model.Host("local", "local", model.HostKind.LOCAL)),
        ("demo", model.Host("demo", "demo", model.HostKind.DEMO)),
    ],
)
def test_a_host_may_be_one_text(tmp_path, text, expected):
    assert (expected,) == load(tmp_path, smallest(hosts=[text])).hosts


def test_hosts_may_be_a_mapping_of_names(tmp_path):
    hosts = {
        "b": {"address": "[::1]", "user": "deploy", "port": "2222", "identity_file": "~/.ssh/acme"},
        "a": "deploy@app2:22",
        "c": {"address": "::2", "identity_file": "keys/acme"},
    }
    expected = (
        model.Host("b", "::1", user="deploy", port=2222, identity_file="/Users/op/.ssh/acme"),
        model.Host("a", "app2", user="deploy", port=22),
        model.Host("c", "::2", identity_file=str(tmp_path / "keys" / "acme")),
    )
    write(tmp_path, yaml.safe_dump(smallest(hosts=hosts), sort_keys=False))
    assert expected == inventory.load(tmp_path, "prod", ENVIRON).hosts


def test_an_item_of_the_list_may_be_a_mapping(tmp_path):
    expected = (model.Host("app1", "app1", user="deploy"),)
    assert expected == load(tmp_path, smallest(hosts=[{"address": "app1", "user": "deploy"}])).hosts


def test_this_machine_may_have_a_name(tmp_path):
    assert (model.Host("here", "local", model.HostKind.LOCAL),) == load(
        tmp_path, smallest(hosts={"here": "local"})
    ).hosts


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("app1", "current", "current"),
        ("app1", "~/current", "~/current"),
        ("demo", "current", "current"),
        ("local", "/srv/acme", "/srv/acme"),
        ("local", "~/acme", "/Users/op/acme"),
        ("local", "~", "/Users/op"),
        ("local", "current", "{root}/current"),
    ],
)
def test_a_path_is_made_whole_only_on_this_machine(tmp_path, host, path, expected):
    environment = load(tmp_path, smallest(app={"path": path}, hosts=[host]))
    assert expected.format(root=tmp_path) == environment.app.path


@pytest.mark.parametrize(("host", "python"), [("app1", "python3"), ("local", sys.executable), ("demo", sys.executable)])
def test_the_default_interpreter_depends_on_the_host(tmp_path, host, python):
    assert python == load(tmp_path, smallest(hosts=[host])).app.python


@pytest.mark.parametrize(
    ("wrapper", "expected"),
    [("docker exec -T 'web 1'", ("docker", "exec", "-T", "web 1")), (["a", "$(b)\nc"], ("a", "$(b)\nc"))],
)
def test_a_wrapper_is_a_list_or_a_line_split_as_a_shell_would(tmp_path, wrapper, expected):
    assert expected == load(tmp_path, app(wrapper=wrapper)).app.wrapper


@pytest.mark.parametrize(
    ("known_hosts", "expected"),
    [
        ("~/known", ("/Users/op/known",)),
        (["/etc/known", "known"], ("/etc/known", "{root}/known")),
    ],
)
def test_known_hosts_is_one_path_or_several(tmp_path, known_hosts, expected):
    environment = load(tmp_path, smallest(ssh={"known_hosts": known_hosts}))
    assert tuple(path.format(root=tmp_path) for path in expected) == environment.ssh.known_hosts


@pytest.mark.parametrize(("word", "expected"), [("strict", False), ("accept-new", True)])
def test_host_keys_are_strict_or_accepted_when_new(tmp_path, word, expected):
    assert expected is load(tmp_path, smallest(ssh={"host_keys": word})).ssh.accept_new


@pytest.mark.parametrize(("text", "expected"), [("30m", 1800.0), ("60", 60.0), ("none", None)])
def test_a_timeout_is_a_duration_or_none(tmp_path, text, expected):
    assert expected == load(tmp_path, smallest(rollout={"timeout": text})).timeout


def test_the_rollouts_controls_are_read(tmp_path):
    rollout = {"canary": ["internal", "test-*"], "max_failures": "5%", "retries": "2"}
    assert load(tmp_path, smallest(rollout=rollout)).rollout == model.Controls(
        canary=model.Canary(patterns=("internal", "test-*")), max_failures=model.Allowance(5, percent=True), retries=2
    )


def test_durations_are_seconds(tmp_path):
    environment = load(tmp_path, smallest(rollout={"stagger": "1m30s"}, ssh={"connect_timeout": "500ms"}))
    assert (environment.rollout.stagger, environment.ssh.connect_timeout) == (90.0, 0.5)


@pytest.mark.parametrize(
    ("word", "expected"), [("true", True), ("yes", True), ("Yes", True), ("no", False), ("false", False)]
)
def test_confirm_is_read_as_a_word(tmp_path, word, expected):
    assert expected is read(tmp_path, yaml.safe_dump(SMALLEST) + f"confirm: {word}\n").confirm


def test_scalars_are_read_as_the_text_that_stands_there(tmp_path):
    text = "app: {path: /srv, env: {A: no, B: 010, C: 1.0, D: null, E: 2026-01-01, F: ~, G: 1_000}}\n"
    environment = read(tmp_path, text + "framework: opskit\nhosts: [app1]")
    assert environment.app.env == {
        "A": "no",
        "B": "010",
        "C": "1.0",
        "D": "null",
        "E": "2026-01-01",
        "F": "~",
        "G": "1_000",
    }


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbf" + yaml.safe_dump(SMALLEST).encode()).name == "prod"


def test_a_custom_framework_arrives(tmp_path):
    environment = load(
        tmp_path, custom(failure="(?i:bad)", id_field="slug", pending="pending --json", shared=["migrate"])
    )
    expected = model.Custom(
        list=("tenants",),
        migrate=("one", "{tenant}"),
        success="^done",
        failure="(?i:bad)",
        id_field="slug",
        pending=("pending", "--json"),
        shared=("migrate",),
    )
    assert ("custom", expected) == (environment.framework, environment.custom)


# ---------------------------------------------------------------- hooks, notify


def test_hooks_are_argument_lists_and_a_line_is_the_shells(tmp_path):
    line = "./maintenance ${SITE:-all} | tee log"
    tree = smallest(hooks={"before": [line, ["./backup", "--to=${BUCKET}", "$${X}", "$HOME"]], "timeout": "none"})
    hooks = load(tmp_path, tree, {**ENVIRON, "BUCKET": "s3://b; rm"}).hooks
    assert hooks.before == (("/bin/sh", "-c", line), ("./backup", "--to=s3://b; rm", "${X}", "$HOME"))
    assert (hooks.timeout, hooks.after) == (None, ())


def test_without_hooks_there_are_none(tmp_path):
    environment = load(tmp_path, SMALLEST)
    assert (environment.hooks, environment.notify) == (model.Hooks(), "")


def test_the_secrets_of_hooks_are_what_is_filled_in_and_what_is_named_like_one(tmp_path):
    tree = smallest(
        hooks={"before": ['curl -H "$API_TOKEN" $SITE'], "after": [["./off", "${SITE2}"]]}, notify="${SLACK}"
    )
    environ = {"API_TOKEN": "t0", "SITE": "eu", "SITE2": "eu-west-7", "SLACK": "https://hooks.example.com/s3cr3t"}
    environment = load(tmp_path, tree, {**ENVIRON, **environ})
    assert environment.hooks.secrets == {"t0", "eu-west-7", "https://hooks.example.com/s3cr3t"}
    assert environment.notify == "https://hooks.example.com/s3cr3t"
    assert "s3cr3t" not in repr(environment)
    assert "eu-west-7" not in repr(environment)


# ---------------------------------------------------------------- what must come first


def chain(root: Path, **requires: object) -> None:
    """An inventory for each environment, with what it requires."""
    for name, wanted in requires.items():
        write(root, yaml.safe_dump(smallest(**({"requires": wanted} if wanted else {}))), f"{name}.yaml")


def test_what_is_required_is_a_name_or_a_list_of_them(tmp_path):
    chain(tmp_path, prod=["staging", "test"], staging="test", test=None)
    assert ("staging", "test") == inventory.load(tmp_path, "prod", ENVIRON).requires
    assert ("test",) == inventory.load(tmp_path, "staging", ENVIRON).requires
    assert () == inventory.load(tmp_path, "test", ENVIRON).requires


def test_a_circle_is_refused_by_everyone_in_it_and_by_nobody_else(tmp_path):
    chain(tmp_path, prod="staging", staging=["other", "test"], test="staging", other=None)
    with pytest.raises(errors.InventoryError, match=re.escape("a circle: test, staging, test. one must be first")):
        inventory.load(tmp_path, "test", ENVIRON)
    with pytest.raises(errors.InventoryError, match=re.escape("a circle: staging, test, staging")):
        inventory.explain(tmp_path, "staging", ENVIRON)
    assert ("staging",) == inventory.load(tmp_path, "prod", ENVIRON).requires


@pytest.mark.parametrize("broken", ["{", "requires: {a: b}\n", "requires: [[a]]\n", "[]"])
def test_a_required_inventory_that_is_broken_is_its_own_trouble(tmp_path, broken):
    chain(tmp_path, prod="staging")
    write(tmp_path, broken, "staging.yaml")
    assert ("staging",) == inventory.load(tmp_path, "prod", ENVIRON).requires
