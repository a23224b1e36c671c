"""`hosts_from`: the hosts of an Ansible inventory, read by the real `ansible-inventory`, from its JSON, from a script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opskit import errors, inventory
from opskit.inventory import ansible

REAL = Path(sys.executable).parent / "ansible-inventory"

INI = """\
[web]
app1 ansible_host=10.0.0.1 ansible_port=2222
app2.example.com ansible_user=ops ansible_ssh_private_key_file=~/.ssh/acme

[web:vars]
ansible_user=deploy
http_port=8080

[db]
db1

[prod:children]
db
web

[none]

[build]
here ansible_connection=local

[containers]
c1 ansible_connection=docker

[templated]
t1 ansible_host="{{ address }}"
"""

WEB = {
    "app1": {"address": "10.0.0.1", "user": "deploy", "port": "2222"},
    "app2.example.com": {"address": "app2.example.com", "user": "ops", "identity_file": "~/.ssh/acme"},
}


@pytest.fixture
def environ(tmp_path):
    """An operator's environment in which no Ansible is installed. Ansible wants a home to write to."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}


@pytest.fixture
def ini(tmp_path):
    file = tmp_path / "hosts.ini"
    file.write_text(INI)
    return file


def with_ansible(source, group, environ):
    return ansible.hosts(str(source), group, environ, REAL.parent)


def without_ansible(source, group, environ):
    return ansible.hosts(str(source), group, environ, Path("/nowhere"))


def complaint(ask, source, group, environ) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        ask(source, group, environ)
    assert str(caught.value).isprintable()
    return str(caught.value)


def listing(folder: Path, tree: object) -> Path:
    file = folder / "hosts.json"
    file.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return file


def script(folder: Path, body: str, name: str = "hosts.py") -> Path:
    file = folder / name
    file.write_text(f"#!/usr/bin/env python3\nimport json, os, sys, time\n{body}")
    file.chmod(0o755)
    return file


# ---------------------------------------------------------------- with Ansible


def test_a_groups_hosts_come_with_what_the_group_says_of_them(ini, environ):
    assert with_ansible(ini, "web", environ) == WEB


def test_a_group_of_groups_gives_their_hosts_in_the_order_of_the_listing(ini, environ):
    assert list(with_ansible(ini, "prod", environ)) == ["db1", "app1", "app2.example.com"]


def test_a_folder_with_group_vars_is_an_inventory(tmp_path, environ):
    folder = tmp_path / "production"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts.yml").write_text("web: {hosts: {app1: , app2: {ansible_port: 22}}}\n")
    (folder / "group_vars" / "web.yml").write_text("ansible_user: deploy\n")
    assert with_ansible(folder, "web", environ) == {
        "app1": {"address": "app1", "user": "deploy"},
        "app2": {"address": "app2", "user": "deploy", "port": "22"},
    }


def test_the_ansible_cfg_above_it_holds(tmp_path, environ):
    """`enable_plugins` without `ini`: with that configuration an INI file can't be read."""
    (tmp_path / "ansible.cfg").write_text("[inventory]\nenable_plugins = yaml\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    source = tmp_path / "deep" / "er" / "hosts.ini"
    source.write_text(INI)
    assert "`ansible-inventory --list` ended with exit 1: " in complaint(with_ansible, source, "web", environ)


def test_what_ansible_says_of_a_broken_inventory_is_in_the_message(tmp_path, environ):
    source = tmp_path / "hosts.ini"
    source.write_text("[web\napp1\n")
    said = complaint(with_ansible, source, "web", environ)
    assert said.startswith("`ansible-inventory --list` ended with exit 1: ")
    assert "Failed to parse" in said


# ---------------------------------------------------------------- without Ansible


def test_what_ansible_inventory_printed_reads_the_same(ini, tmp_path, environ):
    printed = subprocess.run([REAL, "-i", ini, "--list"], env=environ, capture_output=True, text=True, check=True)
    source = listing(tmp_path, printed.stdout)
    assert without_ansible(source, "web", environ) == WEB
    assert without_ansible(source, "build", environ) == {"here": {"address": "local"}}


SCRIPT = """\
LIST = {
    "all": {"vars": {"ansible_user": "everyone", "ansible_port": 22}},
    "prod": {"children": ["web"], "vars": {"ansible_user": "prod"}},
    "web": {"hosts": ["app1", "app2"], "vars": {"ansible_user": "web"}},
    "old": ["app3"],
    "_meta": {"hostvars": {"app2": {"ansible_user": "ops"}}},
}
"""


def test_a_script_says_what_its_groups_say_and_the_nearest_wins(tmp_path, environ):
    source = script(tmp_path, SCRIPT + "assert sys.argv[1:] == ['--list']\nprint(json.dumps(LIST))\n")
    expected = {
        "app1": {"address": "app1", "user": "web", "port": "22"},
        "app2": {"address": "app2", "user": "ops", "port": "22"},
    }
    assert without_ansible(source, "prod", environ) == expected
    assert without_ansible(source, "old", environ) == {"app3": {"address": "app3", "user": "everyone", "port": "22"}}
    assert with_ansible(source, "prod", environ) == expected


def test_a_script_without_meta_is_asked_for_each_host(tmp_path, environ):
    body = """\
if sys.argv[1] == "--list":
    print(json.dumps({"web": ["app1", "app2"]}))
else:
    print(json.dumps({"ansible_host": sys.argv[2] + ".internal"}))
"""
    source = script(tmp_path, body)
    expected = {"app1": {"address": "app1.internal"}, "app2": {"address": "app2.internal"}}
    assert without_ansible(source, "web", environ) == expected
    assert with_ansible(source, "web", environ) == expected


def test_what_only_ansible_reads_says_what_serves_without_it(ini, environ):
    assert complaint(without_ansible, ini, "web", environ) == (
        f"`ansible-inventory` is not installed here, and reads `{ini}`. install ansible-core, or give a .json file with "
        "what `ansible-inventory --list` prints, or an executable that prints it"
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('no credentials: password=hunter2')", "`hosts.py --list` ended with exit 1: no credentials: "),
        ("os.kill(os.getpid(), 9)", "`hosts.py --list` ended with exit -9: it gave no reason"),
        ("print('not JSON')", "`{}`: what `--list` should print is JSON, and this is none"),
        ("print('[]')", "`{}`: what `--list` should print is a mapping of groups, and this is none"),
        (r"sys.stdout.buffer.write(b'\xff')", "`hosts.py --list` printed what is not UTF-8 text"),
        ("sys.exit('\\x1b[31m' + 'x' * 1000)", "`hosts.py --list` ended with exit 1: \\x1b[31mxxx"),
    ],
)
def test_a_script_that_fails_is_told_with_its_own_words(tmp_path, environ, body, said):
    source = script(tmp_path, body)
    message = complaint(without_ansible, source, "web", environ)
    assert message.startswith(said.format(source))
    assert "hunter2" not in message
    assert len(message) < 400


def test_a_program_that_can_not_be_started_says_so(tmp_path, environ):
    source = tmp_path / "hosts"
    source.write_text("[web]\napp1\n")
    source.chmod(0o755)
    said = complaint(without_ansible, source, "web", environ)
    assert said == "`hosts --list` can't be started: exec format error"


def test_a_script_that_hangs_is_ended_with_all_that_it_started(tmp_path, environ):
    body = """\
import subprocess
child = subprocess.Popen(["sleep", "600"])
open(os.path.join(os.path.dirname(__file__), "pid"), "w").write(str(child.pid))
child.wait()
"""
    with pytest.raises(ValueError, match=r"`hosts.py --list` took more than 1 s"):
        ansible.hosts(str(script(tmp_path, body)), "web", environ, Path("/nowhere"), patience=1.0)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(1000):
        if gone(pid):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} was left behind")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# ---------------------------------------------------------------- what stands in it


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("wep", "there is no group `wep`. did you mean `web`?"),
        ("xyz", "there is no group `xyz`. it has `all`, `build`, `containers`, `db`, `none`, `prod`, `templated`, "
                "`ungrouped` and `web`"),
        ("none", "group `none` has no hosts"),
        ("containers", "host `c1` is connected to by `docker`: opskit knows `ssh` and `local`"),
        ("templated", "host `t1`: `ansible_host` is a template, which only Ansible can fill in"),
    ],
)  # fmt: skip
def test_a_group_that_can_not_be_meant_has_its_message(ini, environ, group, message):
    assert complaint(with_ansible, ini, group, environ) == message


def meta(**variables):
    return {"web": {"hosts": ["app1"]}, "_meta": {"hostvars": {"app1": variables}}}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "there is no group `web`. it has no groups at all"),
        ({"web": {"children": ["a"]}, "a": {"children": ["b"]}, "b": {"children": ["a"]}},
         "group `a` holds itself, by way of `b`"),
        ({"web": {"children": ["web"]}}, "group `web` holds itself, by way of `web`"),
        ({"web": {"hosts": {"app1": {}}}},
         "`hosts` of group `web` is no list of names: this is not what `ansible-inventory --list` prints"),
        ({"web": {"hosts": ["app1", 2]}}, "`hosts` of group `web` is no list of names"),
        ({"web": {"children": "a"}}, "`children` of group `web` is no list of names"),
        ({"all": {"children": {"web": {"hosts": {"a": {}}}}}}, "`children` of group `all` is no list of names"),
        (meta(ansible_user={"__ansible_vault": "x"}), "host `app1`: `ansible_user` is neither text nor a number"),
        (meta(ansible_port=True), "host `app1`: `ansible_port` is neither text nor a number"),
        (meta(ansible_port="{% if x %}22{% endif %}"), "host `app1`: `ansible_port` is a template"),
        (meta(ansible_connection="community.docker.docker_api"), "host `app1` is connected to by `community.docker.d"),
        ("{" * 100_000, "`{}`: what `--list` should print is JSON, and this is none"),
    ],
)  # fmt: skip
def test_each_mistake_in_the_json_has_its_message(tmp_path, environ, tree, message):
    source = listing(tmp_path, tree)
    assert complaint(without_ansible, source, "web", environ).startswith(message.replace("{}", str(source)))


def test_what_stands_in_the_json_never_breaks_the_message(tmp_path, environ):
    hostile = "x\n\x1b[31m"
    for tree in ({hostile: []}, {f"web{hostile}": []}, {hostile: {"children": 3}}, meta(ansible_connection=hostile)):
        assert complaint(without_ansible, listing(tmp_path, tree), "web", environ)


def test_of_many_groups_only_their_number_is_told(tmp_path, environ):
    source = listing(tmp_path, {f"group-{number}": [] for number in range(100)})
    assert complaint(without_ansible, source, "xyz", environ) == "there is no group `xyz`. it has 100 others"


def test_groups_that_share_groups_many_times_over_are_read_once(tmp_path, environ):
    tree = {f"g{level}": {"children": [f"g{level + 1}"] * 3} for level in range(60)}
    source = listing(tmp_path, {"web": {"children": ["g0", "g0"], "vars": {}}, **tree, "g60": ["app1"]})
    assert without_ansible(source, "web", environ) == {"app1": {"address": "app1"}}


@pytest.mark.parametrize("connection", ["ssh", "smart", "paramiko_ssh", "ansible.builtin.ssh", "", None])
def test_every_way_over_ssh_is_ssh(tmp_path, environ, connection):
    source = listing(tmp_path, meta(ansible_connection=connection, ansible_ssh_user="old", ansible_become_user="root"))
    assert without_ansible(source, "web", environ) == {"app1": {"address": "app1", "user": "old"}}


# ---------------------------------------------------------------- in an inventory


def load(root: Path, environ, **hosts_from) -> object:
    (root / "inventories").mkdir(exist_ok=True)
    tree = {"app": {"path": "/srv/acme"}, "framework": "omnitenant", "hosts_from": hosts_from}
    (root / "inventories" / "prod.yaml").write_text(json.dumps(tree))
    return inventory.load(root, "prod", environ)


def refuses(root: Path, environ, **hosts_from) -> str:
    with pytest.raises(errors.InventoryError) as caught:
        load(root, environ, **hosts_from)
    return str(caught.value).removeprefix("inventories/prod.yaml: ")


def test_the_environment_has_the_groups_hosts(ini, tmp_path, environ):
    environment = load(tmp_path, environ, ansible="hosts.ini", group="web")
    assert [(host.name, host.address, host.user, host.port, host.identity_file) for host in environment.hosts] == [
        ("app1", "10.0.0.1", "deploy", 2222, None),
        ("app2.example.com", "app2.example.com", "ops", None, f"{environ['HOME']}/.ssh/acme"),
    ]


def test_a_local_connection_is_this_machine(ini, tmp_path, environ):
    (host,) = load(tmp_path, environ, ansible="hosts.ini", group="build").hosts
    assert (host.name, host.kind.value) == ("here", "local")


def test_a_path_that_is_wrong_is_shown_whole(tmp_path, environ):
    found = refuses(tmp_path, environ, ansible="ansible/hosts.ini", group="web")
    assert found == f"hosts_from: `{tmp_path}/ansible/hosts.ini` can't be read: no such file or directory"


def test_hosts_are_checked_as_our_own_and_named_as_ansible_names_them(tmp_path, environ):
    listing(
        tmp_path,
        {
            "web": ["-oProxyCommand=x", "b", "c"],
            "_meta": {"hostvars": {"b": {"ansible_port": 99999}, "c": {"ansible_user": "d:x"}}},
        },
    )
    assert refuses(tmp_path, environ, ansible="hosts.json", group="web").splitlines() == [
        "hosts_from: host `-oProxyCommand=x`: starts with `-`: a program would read it as an option",
        "inventories/prod.yaml: hosts_from: host `-oProxyCommand=x`: ansible_host: starts with `-`: "
        "a program would read it as an option",
        "inventories/prod.yaml: hosts_from: host `b`: ansible_port: expected a port from 1 to 65535, found `99999`",
        "inventories/prod.yaml: hosts_from: host `c`: ansible_user: a user has no `:` in it. "
        "passwords are not read from inventories: use a key or an agent",
    ]


def test_this_machine_stands_alone_there_too(tmp_path, environ):
    tree = {"web": ["a", "b"], "_meta": {"hostvars": {"b": {"ansible_connection": "local"}}}}
    listing(tmp_path, tree)
    found = refuses(tmp_path, environ, ansible="hosts.json", group="web")
    assert found == "hosts_from: `local` can't be mixed with other hosts"


@pytest.mark.parametrize(
    ("hosts_from", "message"),
    [
        ({"ansible": "x"}, "hosts_from.group: is missing, and has no default"),
        ({"group": "x"}, "hosts_from.ansible: is missing, and has no default"),
        ({"ansibel": "x", "group": "y"}, "hosts_from.ansible: is missing, and has no default\n"
         "inventories/prod.yaml: hosts_from.ansibel: unknown key. did you mean `ansible`?"),
        ({"ansible": "~x/y", "group": "y"}, "hosts_from.ansible: `~` stands for your own home only"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_told_before_any_program_is_started(tmp_path, environ, hosts_from, message):
    assert refuses(tmp_path, environ, **hosts_from).startswith(message)


def test_two_sources_of_hosts_are_one_too_many(tmp_path, environ):
    (tmp_path / "inventories").mkdir()
    text = "{app: {path: /srv}, framework: opskit, hosts: [a], hosts_from: {ansible: x, group: y}}"
    (tmp_path / "inventories" / "prod.yaml").write_text(text)
    with pytest.raises(errors.InventoryError) as caught:
        inventory.load(tmp_path, "prod", environ)
    assert str(caught.value) == "inventories/prod.yaml: hosts_from: stands instead of `hosts`. keep one of them"


def test_a_file_that_may_not_be_read_says_so(tmp_path, environ):
    source = listing(tmp_path, {})
    source.chmod(0)
    tmp_path.chmod(0o755)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        found = complaint(without_ansible, source, "web", environ)
    finally:
        os.seteuid(user)
    assert found.endswith("can't be read: permission denied")
