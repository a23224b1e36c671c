"""What an inventory may not say, each with its message."""

from __future__ import annotations

import pytest
from inventory_files import app, complaint, custom, load, smallest

from opskit import errors


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
