from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from opskit import errors, inventory, model
from opskit.inventory import schema

REPOSITORY = Path(__file__).parent.parent
EXAMPLE = REPOSITORY / "inventories" / "prod.example.yaml"
DOCS = REPOSITORY / "docs" / "inventory.md"

SMALLEST = {"app": {"path": "/srv/acme"}, "framework": "omnitenant", "hosts": ["deploy@app1"]}
CUSTOM = {"name": "custom", "list": ["tenants"], "migrate": ["one", "{tenant}"], "success": "^done"}
ENVIRON = {"HOME": "/home/op", "DSN_OF_ACME": "https://k3y@sentry/1"}
EXAMPLES = {
    **ENVIRON,
    "ACME_SENTRY_DSN": "x",
    "ACME_REGION": "eu",
    "ACME_SLACK_WEBHOOK": "https://hooks.example.com/x",
}


def write(root: Path, text: str | bytes, name: str = "prod.yaml") -> None:
    (root / "inventories").mkdir(exist_ok=True)
    (root / "inventories" / name).write_bytes(text.encode() if isinstance(text, str) else text)


def read(root: Path, text: str | bytes, environ: dict[str, str] = ENVIRON) -> model.Environment:
    write(root, text)
    return inventory.load(root, "prod", environ)


def load(root: Path, tree: object, environ: dict[str, str] = ENVIRON) -> model.Environment:
    return read(root, yaml.safe_dump(tree), environ)


def smallest(**changes: object) -> dict[str, object]:
    return {**SMALLEST, **changes}


def app(**changes: object) -> dict[str, object]:
    return smallest(app={"path": "/srv/acme", **changes})


def custom(**changes: object) -> dict[str, object]:
    return smallest(framework={**CUSTOM, **changes})


def complaint(root: Path, tree: object, environ: dict[str, str] = ENVIRON) -> str:
    with pytest.raises(errors.InventoryError) as caught:
        load(root, tree, environ)
    return str(caught.value).removeprefix("inventories/prod.yaml: ")


def complaint_of_text(root: Path, text: str | bytes) -> str:
    with pytest.raises(errors.InventoryError) as caught:
        read(root, text)
    return str(caught.value).removeprefix("inventories/prod.yaml: ")


# ---------------------------------------------------------------- finding and choosing


def test_the_root_is_the_nearest_folder_upward_with_inventories(tmp_path):
    (tmp_path / "inventories").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert tmp_path.resolve() == inventory.find_root(tmp_path / "a" / "b")


def test_a_file_called_inventories_is_no_root(tmp_path):
    (tmp_path / "inventories").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "inventories").write_text("")
    assert tmp_path.resolve() == inventory.find_root(tmp_path / "a")


def test_without_a_root_the_message_says_how_to_make_one(tmp_path):
    with pytest.raises(errors.InventoryError, match=r"no folder named inventories in .* `invoke init` make one here"):
        inventory.find_root(tmp_path)


def test_names_are_sorted_and_leave_out_examples_and_hidden_files(tmp_path):
    for name in ("prod.yaml", "demo.yml", "eu.west.yaml", "x.example.yaml", "x.example.yml", ".h.yaml", "a.txt", "b"):
        write(tmp_path, "", name)
    assert inventory.names(tmp_path) == ("demo", "eu.west", "prod")


def test_names_of_a_folder_without_inventories_is_one_message(tmp_path):
    with pytest.raises(errors.InventoryError, match="inventories/ cannot be read: no such file"):
        inventory.names(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "configured", "chosen"),
    [("prod", None, "prod"), ("prod", "demo", "prod"), (None, "demo", "demo"), ("demo", "gone", "demo")],
)
def test_the_flag_comes_before_the_configuration(tmp_path, wanted, configured, chosen):
    write(tmp_path, "", "prod.yaml")
    write(tmp_path, "", "demo.yaml")
    assert chosen == inventory.choose(tmp_path, wanted, configured)


def test_the_only_environment_needs_no_name(tmp_path):
    write(tmp_path, "", "prod.yaml")
    write(tmp_path, "", "prod.example.yaml")
    assert inventory.choose(tmp_path, None, None) == "prod"


THERE = "`demo`, `prod` and `staging`"


@pytest.mark.parametrize(
    ("wanted", "configured", "message"),
    [
        ("prd", None, f"environment `prd` has no file in inventories/, which has {THERE}. did you mean `prod`?"),
        (None, "STAGING", f"environment `STAGING` has no file in inventories/, which has {THERE}. did you mean `staging`?"),
        ("xy", None, f"environment `xy` has no file in inventories/, which has {THERE}. name one of them, or write inventories/xy.yaml"),
        (None, None, f"no environment was named, and inventories/ has {THERE}. name one: `--env=demo`"),
        ("", "prod", f"`--env=` is empty: an unset variable? inventories/ has {THERE}"),
        (None, "", f"the configuration's `opskit.env` is empty: an unset variable? inventories/ has {THERE}"),
    ],
)  # fmt: skip
def test_a_wrong_or_missing_choice_lists_what_there_is(tmp_path, wanted, configured, message):
    for name in ("prod.yaml", "demo.yaml", "staging.yaml"):
        write(tmp_path, "", name)
    with pytest.raises(errors.UsageError) as caught:
        inventory.choose(tmp_path, wanted, configured)
    assert message == str(caught.value)


@pytest.mark.parametrize(
    "name", ["../prod", "a/b", ".prod", "-e", "a b", "pr\nod", "prod\0", "\x1b[31m", "/etc/passwd", ".."]
)
def test_an_environment_is_a_plain_file_name(tmp_path, name):
    write(tmp_path, "")
    with pytest.raises(errors.UsageError, match="is no environment's name") as caught:
        inventory.choose(tmp_path, name, None)
    assert str(caught.value).isprintable()


def test_an_example_is_never_an_environment(tmp_path):
    write(tmp_path, yaml.safe_dump(SMALLEST), "prod.example.yaml")
    with pytest.raises(errors.InventoryError, match=r"has no file: inventories/ has no environment yet. `invoke init"):
        inventory.load(tmp_path, "prod.example", {})
    with pytest.raises(errors.InventoryError, match=r"inventories/ has no environment yet\. `invoke init"):
        inventory.choose(tmp_path, None, None)


def test_two_files_of_one_environment_are_refused(tmp_path):
    write(tmp_path, "", "prod.yaml")
    write(tmp_path, "", "prod.yml")
    with pytest.raises(errors.InventoryError, match=re.escape("`prod` has two files in inventories/: `prod.yaml` and")):
        inventory.load(tmp_path, "prod", {})


# ---------------------------------------------------------------- what is read


def test_the_smallest_inventory_has_every_default(tmp_path):
    expected = model.Environment(
        name="prod",
        hosts=(model.Host(name="app1", address="app1", user="deploy"),),
        app=model.App(path="/srv/acme"),
        framework="omnitenant",
        ssh=model.Ssh(known_hosts=("/home/op/.ssh/known_hosts",)),
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
        model.Host("b", "::1", user="deploy", port=2222, identity_file="/home/op/.ssh/acme"),
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
        ("local", "~/acme", "/home/op/acme"),
        ("local", "~", "/home/op"),
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
        ("~/known", ("/home/op/known",)),
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


# ---------------------------------------------------------------- app.env and its secrets


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${DSN_OF_ACME}", "https://k3y@sentry/1"),
        ("<${DSN_OF_ACME}|${DSN_OF_ACME}>", "<https://k3y@sentry/1|https://k3y@sentry/1>"),
        ("$${DSN_OF_ACME}", "${DSN_OF_ACME}"),
        ("$5 $HOME $", "$5 $HOME $"),
        ("$${", "${"),
    ],
)
def test_an_env_value_is_filled_in_from_the_operators_environment(tmp_path, written, expected):
    assert {"A": expected} == load(tmp_path, app(env={"A": written})).app.env


def test_what_was_filled_in_or_is_named_like_a_secret_is_a_secret(tmp_path):
    secret = {"A": "${DSN_OF_ACME}", "DB_PASSWORD": "x", "my_token": "x", "API_KEY": "x", "DATABASE_URL": "x"}
    secret |= {"SENTRY_DSN": "x", "SECRET": "x", "AWS_CREDENTIALS": "x"}
    plain = {"DJANGO_SETTINGS_MODULE": "acme.settings", "B": "$${A}", "C": "$"}
    loaded = load(tmp_path, app(env=secret | plain)).app
    assert (frozenset(secret), {"https://k3y@sentry/1"}) == (loaded.secrets, loaded.filled_in)


def test_the_values_of_env_are_not_in_the_repr(tmp_path):
    assert "k3y" not in repr(load(tmp_path, app(env={"A": "${DSN_OF_ACME}"})))


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"A": "${GONE}"}, "app.env.A: `GONE` is not set in your environment. export it, and run this again"),
        ({"A": "${x:-hunter2}"}, "app.env.A: `${` must be followed by one variable's name and `}`; write"),
        ({"A": "hunter2${"}, "app.env.A: `${` must be followed by one variable's name"),
        ({"A": ["hunter2"]}, "app.env.A: expected text, found a list"),
        ({"A": {"hunter2": "hunter2"}}, "app.env.A: expected text, found a mapping"),
        ({"A": "hunter2\0"}, "app.env.A: holds a NUL character"),
        ({"A": "hunter2${STRAY}"}, "app.env.A: is not UTF-8 text"),
        ({"P=hunter2": ""}, 'app.env["P…"]: is no variable\'s name. write `NAME: value`'),
        ({"1": "hunter2"}, "app.env.1: is no variable's name"),
        (["A=hunter2"], "app.env: expected a mapping, found a list"),
        ("A=hunter2", "app.env: expected a mapping, found text"),
        ("", "app.env: expected a mapping, found nothing"),
    ],
)
def test_a_bad_env_is_named_and_never_shown(tmp_path, env, message):
    found = complaint(tmp_path, app(env=env), {**ENVIRON, "STRAY": "\udcff"})
    assert found.startswith(message)
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "text",
    [
        "app: {env: {PASSWORD: *hunter2}}",
        "app: {env: {PASSWORD: !hunter2}}",
        "app: {env: {PASSWORD: !hunter2!x y}}",
        "app: {env: {PASSWORD: &hunter2 x}}",
        "app: {env: {PASSWORD: @hunter2}}",
        "app: {env: {PASSWORD: 'hunter2}}",
        "app: {env: {PASSWORD=hunter2, PASSWORD=hunter2}}",
        "app:\n  PASSWORD: hunter2\n",
        "app: {PASSWORD=hunter2: }",
        "app:\n  env:\n  - hunter2: }",
        "app: hunter2",
        "app: {wrapper: docker -e PASSWORD='hunter2}",
        "%hunter2 x",
        "hosts: ['deploy:hunter2@app1']",
        "hosts: ['ssh://deploy:hunter2@app1:22']",
        "hosts: [{address: 'deploy:hunter2@app1'}]",
        "hosts: hunter2",
        "[hunter2]",
        "hunter2",
    ],
)
def test_a_broken_file_names_the_line_and_quotes_nothing(tmp_path, text):
    with pytest.raises(errors.InventoryError) as caught:
        read(tmp_path, text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (smallest(hosts=["a", "b:22a"]), "hosts[1].port: expected a whole number, found `22a`"),
        (smallest(hosts=["b:"]), "hosts[0].port: expected a whole number, found nothing"),
        (smallest(hosts=["b:0"]), "hosts[0].port: expected a port from 1 to 65535, found `0`"),
        (smallest(hosts=["b:65536"]), "hosts[0].port: expected a port from 1 to 65535, found `65536`"),
        (smallest(hosts=["b:\u0662"]), "hosts[0].port: expected a whole number, found `\u0662`"),
        (smallest(hosts=["b:" + "9" * 5000]), f"hosts[0].port: expected a port from 1 to 65535, found `{'9' * 60}…`"),
        (smallest(hosts={"x": {"address": "a", "port": ["1"]}}), "hosts.x.port: expected a whole number, found a list"),
        (smallest(hosts={"a.b": "c:x"}), 'hosts["a.b"].port: expected a whole number, found `x`'),
        (smallest(hosts=["@b"]), "hosts[0].user: is empty. give it a value, or leave the key out"),
        (smallest(hosts=["-l@b"]), "hosts[0].user: starts with `-`: a program would read it as an option"),
        (smallest(hosts=["a b@c"]), "hosts[0].user: a user has no space in it"),
        (smallest(hosts=["a:b@c"]), "hosts[0].user: a user has no `:` in it."),
        (smallest(hosts=["-oProxyCommand=x"]), "hosts[0].address: starts with `-`"),
        (smallest(hosts=[""]), "hosts[0].address: is empty."),
        (smallest(hosts=["[]"]), "hosts[0].address: expected a host's name or address alone"),
        (smallest(hosts=["a\nb"]), "hosts[0].address: holds a newline, a NUL or another character"),
        (smallest(hosts=["a/b"]), "hosts[0].address: expected a host's name or address alone"),
        (smallest(hosts=["::1"]), "hosts[0]: expected `user@address:port`; an IPv6 address stands in brackets"),
        (smallest(hosts=["[::x]"]), "hosts[0].address: expected a host's name or an IPv6 address"),
        (smallest(hosts=[{"address": "a:22"}]), "hosts[0].address: expected a host's name or an IPv6 address; `port`"),
        (smallest(hosts=[{"address": "a@b"}]), "hosts[0].address: expected a host's name or address alone"),
        (smallest(hosts=[{}]), "hosts[0].address: is missing, and has no default"),
        (smallest(hosts=[["a"]]), "hosts[0]: expected a mapping, found a list"),
        (smallest(hosts={"-x": "a"}), "hosts.-x: starts with `-`"),
        (smallest(hosts={"": "a"}), 'hosts["…"]: is empty.'),
        (smallest(hosts=[]), "hosts: is empty. give at least one"),
        (smallest(hosts={}), "hosts: is empty. give at least one"),
        (smallest(hosts=""), "hosts: is empty. give at least one"),
        (smallest(hosts="app1"), "hosts: expected a list such as `[deploy@app1.example.com]` or a mapping of names"),
        (smallest(hosts=["a:1", "b", "a:2"]), "hosts: two hosts are called `a`. name them: `{one: …, two: …}`"),
        (smallest(hosts=["local", "app1"]), "hosts: `local` can't be mixed with other hosts"),
        (smallest(hosts=["demo", "local"]), "hosts: `demo` and `local` can't be mixed with other hosts"),
        (smallest(hosts=["deploy@local"]), "hosts[0]: `local` stands alone: no user, no port, no identity_file"),
        (smallest(hosts=["demo:22"]), "hosts[0]: `demo` stands alone"),
        (smallest(hosts=[{"address": "a", "identity_file": "~x/k"}]), "hosts[0].identity_file: `~` stands for your own"),
        (smallest(hosts=[{"address": "a", "prot": "1"}]), "hosts[0].prot: unknown key. did you mean `port`?"),
        (smallest(app={}), "app.path: is missing, and has no default"),
        (smallest(app=""), "app: expected a mapping, found nothing"),
        (smallest(app=["/srv"]), "app: expected a mapping, found a list"),
        (app(path=["a"]), "app.path: expected text, found a list"),
        (app(path=""), "app.path: is empty. give it a value, or leave the key out"),
        (app(path="a\nb"), "app.path: holds a newline, a NUL"),
        (app(path="a\0b"), "app.path: holds a newline, a NUL"),
        (app(path="${HOME}/a"), "app.path: `${…}` is filled in under `app.env`, `hooks` and `notify` only"),
        (app(pyton="x"), "app.pyton: unknown key. did you mean `python`?"),
        (app(python="-c"), "app.python: starts with `-`"),
        (app(manage="-c"), "app.manage: starts with `-`"),
        (app(run_as="-u"), "app.run_as: starts with `-`"),
        (
            app(run_as="acme", sudo_password="hunter2"),
            "app.sudo_password: expected `ask`, or a file's path with a `/` in it. a password itself has no place here",
        ),
        (app(run_as="acme", sudo_password="~root/x"), "app.sudo_password: `~` stands for your own home only"),
        (app(sudo_password="ask"), "app: `sudo_password` is given, and there is no `run_as`: sudo is not used"),
        (app(env_file="a\nb"), "app.env_file: holds a newline"),
        (app(wrapper="a 'b"), "app.wrapper: can't be split into words: no closing quotation"),
        (app(wrapper=""), "app.wrapper: is empty."),
        (app(wrapper=[]), "app.wrapper: is empty."),
        (app(wrapper=["-x"]), "app.wrapper: starts with `-`"),
        (app(wrapper=["a", "\0"]), "app.wrapper[1]: holds a NUL character"),
        (app(wrapper=["a", ["b"]]), "app.wrapper[1]: expected text, found a list"),
        (app(wrapper={"a": "b"}), "app.wrapper: expected a list, found a mapping"),
        (smallest(framework="omnitennant"), "framework: expected `auto` or `omnitenant` or `opskit` or `django-tenants` or `django-pgschemas` or `django-tenant-schemas`, found `omnitennant`"),
        (smallest(framework=["x"]), "framework: expected `auto` or `omnitenant` or `opskit` or `django-tenants` or `django-pgschemas` or `django-tenant-schemas`, found a list"),
        (smallest(framework="custom"), "framework: `custom` needs its commands: a mapping with `name: custom`"),
        (custom(name="omnitenant"), "framework.name: `omnitenant` takes no commands: write `framework: omnitenant` alone"),
        (smallest(framework="databases"), "framework: `databases` needs its aliases: a mapping with `name: databases`"),
        (smallest(framework={"name": "databases"}), "framework.aliases: is missing, and has no default"),
        (smallest(framework={"name": "databases", "aliases": []}), "framework.aliases: is empty. name the aliases"),
        (smallest(framework={"name": "databases", "aliases": ["a", "default"]}), "framework.aliases[1]: `default` is what"),
        (smallest(framework={"name": "databases", "aliases": "x", "list": "x"}), "framework.list: belongs to `custom`, not to `databases`"),
        (custom(aliases=["x"]), "framework.aliases: belongs to `databases`, not to `custom`"),
        (custom(name="x"), "framework.name: expected `custom` or `databases`, found `x`"),
        (custom(lst=["x"]), "framework.lst: unknown key. did you mean `list`?"),
        (custom(list=[]), "framework.list: is empty. give the command, and its arguments after it"),
        (custom(list=["a", "{tenant}"]), "framework.list: `{tenant}` is filled in under `migrate` only"),
        (custom(migrate=["a"]), "framework.migrate: holds no `{tenant}`, so no tenant would be named."),
        (custom(migrate=[]), "framework.migrate: is empty."),
        (custom(success="("), "framework.success: is no regular expression: "),
        (custom(success="a)|(b"), "framework.success: is no regular expression: "),
        (custom(success="x(?i)a"), "framework.success: is no regular expression: global flags not at the start"),
        (custom(success="(?i)a"), "framework.success: is no regular expression: global flags not at the start"),
        (custom(success="a{99999999999}"), "framework.success: is no regular expression: "),
        (custom(success=".*"), "framework.success: matches empty text, so every answer would match"),
        (custom(failure="$"), "framework.failure: matches empty text, so every answer would match"),
        (smallest(ssh={"host_keys": "no"}), "ssh.host_keys: expected `strict` or `accept-new`, found `no`"),
        (smallest(ssh={"known_hosts": ""}), "ssh.known_hosts: is empty."),
        (smallest(ssh={"known_hosts": []}), "ssh.known_hosts: is empty."),
        (smallest(ssh={"known_hosts": "~x/k"}), "ssh.known_hosts: `~` stands for your own home only."),
        (smallest(ssh={"known_hosts": {"a": "b"}}), "ssh.known_hosts: expected a list, found a mapping"),
        (smallest(ssh={"connect_timeout": "0"}), "ssh.connect_timeout: expected more than no time at all, found `0`"),
        (smallest(rollout={"stagger": "-1s"}), "rollout.stagger: expected a duration such as `60s`, `10m` or `1h30m`"),
        (smallest(rollout={"stagger": "none"}), "rollout.stagger: expected a duration such as `60s`, `10m` or `1h30m`"),
        (smallest(rollout={"stagger": "31d"}), "rollout.stagger: expected 30 days at most, found `31d`"),
        (smallest(rollout={"stagger": "9" * 300}), "rollout.stagger: expected 30 days at most, found `999"),
        (smallest(rollout={"timeout": ["1"]}), "rollout.timeout: expected a duration such as `60s`, `10m` or `1h30m`, found a list"),
        (smallest(rollout={"timeout": "0"}), "rollout.timeout: expected more than no time at all, found `0`"),
        (smallest(rollout={"canary": []}), "rollout.canary: expected a count, or a list of ids and globs, found "),
        (smallest(rollout={"canary": "0"}), "rollout.canary: expected a count from 1 on, or ids and globs, found `0`"),
        (smallest(rollout={"max_failures": "5.5%"}), "rollout.max_failures: expected a number such as `3`, or a share"),
        (smallest(rollout={"max_failures": "101%"}), "rollout.max_failures: expected a number such as `3`, or a share"),
        (smallest(rollout={"lock_timeout": "25d"}), "rollout.lock_timeout: expected 24 days at most, found `25d`"),
        (smallest(rollout={"stop_after_same": "1"}), "rollout.stop_after_same: expected a number from 2 on, found `1`"),
        (smallest(rollout={"retries": "11"}), "rollout.retries: expected a number from 0 to 10, found `11`"),
        (smallest(rollout={"retry": "x"}), "rollout.retry: unknown key. did you mean `retries`?"),
        (smallest(hooks={"before": "./maintenance on"}), "hooks.before: expected a list, found text"),
        (smallest(hooks={"before": [""]}), "hooks.before[0]: expected a line for a shell, or a list of a program and its arguments"),
        (smallest(hooks={"before": ["a", []]}), "hooks.before[1]: expected a line for a shell, or a list of a program"),
        (smallest(hooks={"after": [["a", ["b"]]]}), "hooks.after[0]: expected a line for a shell, or a list of a program"),
        (smallest(hooks={"after": [{"run": "b"}]}), "hooks.after[0]: expected a line for a shell, or a list of a program"),
        (smallest(hooks={"failure": [["", "b"]]}), "hooks.failure[0]: is empty. give the program, and its arguments after it"),
        (smallest(hooks={"tenant_before": [["a", "${NOPE}"]]}), "hooks.tenant_before[0]: `NOPE` is not set in your environment."),
        (
            smallest(hooks={"tenant_after": ["a", ["./metrics", "--token=${ACME_TOKEN}"]]}),
            "hooks.tenant_after[1]: `ACME_TOKEN` would stand on a command line, where `ps` shows it. the hook has it in its",
        ),
        (smallest(hooks={"timeout": "0"}), "hooks.timeout: expected more than no time at all, found `0`"),
        (smallest(hooks={"befor": ["a"]}), "hooks.befor: unknown key. did you mean `before`?"),
        (smallest(hooks=["a"]), "hooks: expected a mapping, found a list"),
        (smallest(tenant_before=["a"]), "tenant_before: unknown key. did you mean `hooks.tenant_before`?"),
        (smallest(notify=["https://hooks.example.com"]), "notify: expected text, found a list"),
        (smallest(notify=""), "notify: is empty: an unset variable?"),
        (smallest(notify="hooks.example.com"), "notify: expected a webhook's address, which starts with `https://`"),
        (smallest(notify="https://hooks.example.com:port/"), "notify: expected a webhook's address"),
        (smallest(notify="https://hooks.example.com/a b"), "notify: expected a webhook's address"),
        (smallest(requires=""), "requires: is empty. name an environment, or leave the key out"),
        (smallest(requires=[]), "requires: is empty."),
        (smallest(requires={"a": "b"}), "requires: expected a list, found a mapping"),
        (smallest(requires=["a b"]), "requires[0]: `a b` is no environment's name"),
        (smallest(requires="prod"), "requires: goes round in a circle: prod, prod. one must be first"),
        (smallest(requires="prdo"), "requires: environment `prdo` has no file in inventories/, which has `prod`. did you mean `prod`?"),
        (smallest(confirm="maybe"), "confirm: expected `true` or `false` or `yes` or `no`, found `maybe`"),
        (smallest(stagger="10s"), "stagger: unknown key. did you mean `rollout.stagger`?"),
        (smallest(host=["a"]), "host: unknown key. did you mean `hosts`?"),
        (smallest(zzz="a"), "zzz: unknown key. known here are `app`, `hosts`, `hosts_from`, `ssh`, `rollout`, `confirm`, `hooks`, `notify`, `requires` and `framework`"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_message(tmp_path, tree, message):
    found = complaint(tmp_path, tree)
    assert found.startswith(message)
    assert found.isprintable()


def test_all_mistakes_are_told_at_once_each_with_the_file(tmp_path):
    with pytest.raises(errors.InventoryError) as caught:
        load(tmp_path, {"app": {"env": {"A": "${GONE}"}}, "hosts": ["a:x", "b:y"], "confim": "yes"})
    expected = """\
inventories/prod.yaml: app.path: is missing, and has no default
inventories/prod.yaml: app.env.A: `GONE` is not set in your environment. export it, and run this again
inventories/prod.yaml: hosts[0].port: expected a whole number, found `x`
inventories/prod.yaml: hosts[1].port: expected a whole number, found `y`
inventories/prod.yaml: confim: unknown key. did you mean `confirm`?"""
    assert expected == str(caught.value)


def test_what_was_found_is_shown_on_one_line_without_control_characters(tmp_path):
    found = complaint(tmp_path, smallest(confirm="a\nb\x1b[31m" + "c" * 100))
    assert found == "confirm: expected `true` or `false` or `yes` or `no`, found `a\\nb\\x1b[31m" + "c" * 48 + "…`"


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty. copy what you need"),
        ("---\n# nothing\n", "is empty. copy what you need"),
        ("- a", "expected a mapping (`app:`, `framework:`, `hosts:`), found a list"),
        ("a", "expected a mapping (`app:`, `framework:`, `hosts:`), found text"),
        ("app:\n  path: a\n  run_as: b\n  path: c\n", "line 4: `path` is given twice, first on line 2. keep one"),
        ("a: {b: 1, b: 2}", "line 1: `b` is given twice, first on line 1. keep one"),
        ("app:\n  path: [\n", "line 3: while parsing a flow node: expected the node content, but found '<stream end>'"),
        ("app: a\n path: b", "line 2: mapping values are not allowed here"),
        ("app:\n\tpath: b", "line 2: while scanning for the next token: found character '\\t'"),
        ("a: 1\n---\nb: 2\n", "line 2: expected a single document in the stream: but found another document"),
        ("a: &x 1\nb: *x\n", "line 1: an anchor is not allowed here; a value that starts with `&` needs quotes"),
        ("a: b\nc: *x\n", "line 2: an alias is not allowed here; a value that starts with `*` needs quotes"),
        ("a: !!python/object:os.system x", "line 1: a tag is not allowed here; a value that starts with `!`"),
        ("%YAML 1.1\n---\na: b", "line 1: a directive is not allowed here"),
        ("? [a]\n: b", "line 1: a key must be text"),
        ("a: {{b}}", "line 1: a key must be text; a value that starts with a bracket needs quotes"),
        ('a: b\nc: "\\ud800"', "line 2: holds an escape that stands for no character"),
        ('a: "\\UFFFFFFFF"', "holds an escape that stands for no character"),
        ('a: "\\U00110000"', "holds an escape that stands for no character"),
        ("a: b\nc: \0", "line 2: holds a character that is not allowed in YAML"),
        ("[" * 50_000, "is nested too deeply"),
        ("a: " + "{a: " * 50_000, "is nested too deeply"),
        (b"a: b\nc: \xff", "line 2 is not UTF-8 text. save the file as UTF-8"),
        ("app: é".encode("utf-16"), "line 1 is not UTF-8 text."),
        ("#" * 1_000_001, "is larger than 1 MB: that is no inventory"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_inventory_has_its_message(tmp_path, text, message):
    found = complaint_of_text(tmp_path, text)
    assert found.startswith(message)
    assert "\n" not in found


def test_a_folder_is_no_inventory(tmp_path):
    (tmp_path / "inventories" / "prod.yaml").mkdir(parents=True)
    with pytest.raises(errors.InventoryError, match=re.escape("inventories/prod.yaml: is a folder, not a file")):
        inventory.load(tmp_path, "prod", {})


def test_a_broken_link_is_no_inventory(tmp_path):
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "prod.yaml").symlink_to("gone")
    with pytest.raises(errors.InventoryError, match=re.escape("inventories/prod.yaml: cannot be read: no such file")):
        inventory.load(tmp_path, "prod", {})


def test_a_pipe_is_no_inventory_and_is_not_waited_for(tmp_path):
    (tmp_path / "inventories").mkdir()
    os.mkfifo(tmp_path / "inventories" / "prod.yaml")
    with pytest.raises(errors.InventoryError, match="is not a regular file"):
        inventory.load(tmp_path, "prod", {})


@contextlib.contextmanager
def without_roots_rights():
    """As a user whom permissions bind; whoever is not root is one already."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "message"),
    [
        (0o755, 0o000, "inventories/prod.yaml: cannot be read: permission denied"),
        (0o444, 0o644, "inventories/prod.yaml: cannot be read: permission denied"),
        (0o000, 0o644, "inventories/ cannot be read: permission denied"),
    ],
)
def test_a_file_or_folder_that_may_not_be_read_says_so(folder_mode, file_mode, message):
    with tempfile.TemporaryDirectory() as name:  # tmp_path lies in a folder that its owner alone may enter
        root = Path(name)
        write(root, yaml.safe_dump(SMALLEST))
        root.chmod(0o755)
        (root / "inventories" / "prod.yaml").chmod(file_mode)
        (root / "inventories").chmod(folder_mode)
        with without_roots_rights(), pytest.raises(errors.InventoryError) as caught:
            inventory.load(root, "prod", {})
        (root / "inventories").chmod(0o755)
    assert str(caught.value) == message


# ---------------------------------------------------------------- whatever comes


def load_or_complain(folder: Path, text: str | bytes) -> None:
    try:
        read(folder, text)
    except errors.InventoryError as error:
        message = str(error)
        assert all(line.startswith("inventories/prod.yaml: ") and line.isprintable() for line in message.split("\n"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("whatever")


# a busy machine is no failure
patient = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.one_of(
    st.text(),
    st.sampled_from(
        [
            "",
            "a",
            "~",
            "~x",
            "-",
            "${A}",
            "$${",
            "[::1]",
            "a@b:1",
            "local",
            "demo",
            "none",
            "custom",
            "{tenant}",
            "(?i)",
            "1m",
        ]
    ),
)
KEYS = sorted({*schema.NamedFramework.model_fields, *(k for s in schema.SECTIONS.values() for k in s.model_fields)})
TREES = st.recursive(
    TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | TEXT, inner, max_size=5),
    max_leaves=20,
)
YAML = st.text(st.sampled_from("ab:-[]{}#&*!|>'\"%@`?, \n\t\\xUu0F\ud7ff~"), max_size=60)


@given(st.one_of(st.text(), YAML))
@example("\N{BYTE ORDER MARK}\N{BYTE ORDER MARK}")
@patient
def test_no_text_raises_anything_else(folder, text):
    load_or_complain(folder, text)


@given(st.binary())
@patient
def test_no_bytes_raise_anything_else(folder, data):
    load_or_complain(folder, data)


@given(st.dictionaries(st.sampled_from(list(schema.NamedFramework.model_fields)), TREES))
@patient
def test_no_tree_raises_anything_else(folder, tree):
    load_or_complain(folder, yaml.safe_dump(tree))


@given(st.sampled_from(sorted(schema.SECTIONS)), st.sampled_from(KEYS), TREES)
@patient
def test_no_value_of_a_key_raises_anything_else(folder, section, key, value):
    part = {**CUSTOM, key: value} if section == "framework" else {"path": "a", key: value}
    tree = smallest(**{section: [{"address": "a", key: value}] if section == "hosts" else part})
    load_or_complain(folder, yaml.safe_dump(tree))


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


# ---------------------------------------------------------------- the example and the reference


def paths() -> list[str]:
    """Every key there is: `app`, `app.path`, …"""
    sections = [*schema.SECTIONS.items(), *(("framework", mapping) for mapping in schema.MAPPINGS)]
    inner = [f"{name}.{key}" for name, section in sections for key in section.model_fields]
    return list(dict.fromkeys([*schema.NamedFramework.model_fields, *inner]))


def with_custom_framework(text: str) -> str:
    """The example with its first commented mapping in the place of the framework's name."""
    return _uncommented(text.replace("framework: omnitenant\n", "", 1), "framework")


def with_databases(text: str) -> str:
    """The example with its second commented mapping in the place of the framework's name."""
    before, _, after = text.partition("framework: omnitenant\n")
    custom = after.index("# framework:")
    return before + _uncommented(after[:custom] + after[after.index("# framework:", custom + 1) :], "framework")


def _uncommented(text: str, section: str) -> str:
    start, end = text.index(f"# {section}:"), text.index("\n\n", text.index(f"# {section}:"))
    return text.replace(text[start:end], re.sub(r"(?m)^# ", "", text[start:end]))


def with_staging(root: Path) -> Path:
    """`root`, with the inventory that the example requires."""
    write(root, yaml.safe_dump(SMALLEST), "staging.yaml")
    return root


def test_the_example_is_an_inventory(tmp_path):
    environment = read(with_staging(tmp_path), EXAMPLE.read_text("utf-8"), EXAMPLES)
    assert [host.name for host in environment.hosts] == ["app1", "app2"]
    assert {"SENTRY_DSN"} == environment.app.secrets


def test_the_examples_custom_framework_is_one(tmp_path):
    text = with_custom_framework(EXAMPLE.read_text("utf-8"))
    environment = read(with_staging(tmp_path), text, EXAMPLES)
    assert environment.custom is not None
    assert environment.custom.migrate == ("migrate_one", "--tenant={tenant}")


def test_the_examples_databases_are_a_framework(tmp_path):
    environment = read(with_staging(tmp_path), with_databases(EXAMPLE.read_text("utf-8")), EXAMPLES)
    assert (environment.framework, environment.custom, environment.aliases) == ("databases", None, ("tenant_*",))


def test_without_a_framework_the_project_is_asked(tmp_path):
    assert load(tmp_path, {"app": {"path": "/srv"}, "hosts": ["a"]}).framework == "auto"
    assert load(tmp_path, smallest(framework="Auto")).framework == "auto"


def test_one_glob_alone_is_a_list_of_one(tmp_path):
    tree = smallest(framework={"name": "Databases", "aliases": "tenant_*"})
    assert load(tmp_path, tree).aliases == ("tenant_*",)


def test_the_example_has_every_key():
    text = EXAMPLE.read_text("utf-8")
    tree = yaml.load(_uncommented(with_custom_framework(text), "hosts_from"), Loader=yaml.BaseLoader)  # noqa: S506 - text only
    tree["hosts"] = tree["hosts"]["app1"]
    tree["framework"] |= yaml.load(with_databases(text), Loader=yaml.BaseLoader)["framework"]  # noqa: S506 - as above
    found = [*tree, *(f"{name}.{key}" for name in schema.SECTIONS for key in tree[name])]
    assert sorted(paths()) == sorted(found)


def test_the_reference_has_a_row_for_every_key():
    rows = set(re.findall(r"(?m)^\| `([\w.]+)` \|", DOCS.read_text("utf-8").replace("hosts.NAME.", "hosts.")))
    headings = set(re.findall(r"(?m)^## `(\w+)`$", DOCS.read_text("utf-8")))
    assert set(paths()) == rows | headings


@pytest.mark.parametrize("block", re.findall(r"(?s)```yaml\n(.*?)```", DOCS.read_text("utf-8")))
def test_the_references_blocks_are_read(tmp_path, block):
    around = "" if "app:" in block else "app: {path: /srv}\nframework: opskit\n"
    around += "" if "hosts" in block else "hosts: [app1]\n"
    (tmp_path / "ansible").mkdir()
    (tmp_path / "ansible" / "hosts.ini").write_text("[web]\napp1\n")
    assert read(with_staging(tmp_path), around + block).name == "prod"


def test_the_models_have_no_unions():
    models = [schema.NamedFramework, schema.CustomFramework, *schema.MAPPINGS, *schema.SECTIONS.values()]
    annotations = [str(field.annotation) for each in models for field in each.model_fields.values()]
    assert [text for text in annotations if "|" in text or "Union" in text or "Optional" in text] == []
