"""`inventory`: what opskit reads in an inventory, and the JSON Schema of one."""

from __future__ import annotations

import json
import sys

import pytest

from e2e import operator


def test_the_inventory_is_shown_with_where_each_value_came_from(desk):
    desk.inventory(app={"env": {"A": "b", "DSN": "${MY_DSN}"}}, framework="omnitenant")

    result = desk.run("inventory", "--env=prod", env={"MY_DSN": "hunter2"})

    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[:8] == [
        "app:",
        f"  path: {desk.app}  # inventories/prod.yaml:2",
        f"  python: {sys.executable}  # inventories/prod.yaml:3",
        "  manage: manage.py  # default",
        "  env:",
        "    A: b  # inventories/prod.yaml:6",
        '    DSN: "***"  # inventories/prod.yaml:7, and `MY_DSN` of your environment',
        "  # env_file: none (default)",
    ]
    assert not (desk.folder / ".opskit").exists()


def test_json_has_a_value_and_its_origin_a_key(desk):
    result = desk.run("inventory", "--format=json")

    found = json.loads(result.out)
    assert found["framework"]["name"] == {"value": "custom", "from": "inventories/prod.yaml:6"}
    assert found["rollout"]["stagger"] == {"value": "0s", "from": "default"}


@pytest.mark.parametrize("program", ["invoke", "opskit"])
def test_the_schema_is_printed_where_there_is_no_inventory(empty, program):
    (empty.folder / "inventories").rmdir()

    result = empty.run("inventory", "--schema", program=program)

    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["title"] == "an opskit inventory"


def test_what_is_wrong_is_one_message(desk):
    operator.refuses(
        desk.run("inventory", "--format=xml"), 2, "--format: expected `yaml` or `json`, found `xml`"
    )  # fmt: skip
    desk.inventory(rolout={})
    operator.refuses(
        desk.run("inventory"), 2, "inventories/prod.yaml: rolout: unknown key. did you mean `rollout`?"
    )  # fmt: skip


def test_hosts_of_an_ansible_inventory_are_connected_to(desk, sshd):
    """The real `ansible-inventory`, then the real sshd."""
    (desk.folder / "hosts.ini").write_text(
        f"[web]\napp1 ansible_host={sshd.host} ansible_port={sshd.port}\n\n"
        f"[web:vars]\nansible_user={sshd.user}\nansible_ssh_private_key_file={sshd.identity_file}\n"
    )
    file = desk.over_ssh(known_hosts=sshd.known_hosts)
    file.write_text(file.read_text().replace("hosts: {}", "hosts_from: {ansible: hosts.ini, group: web}"))

    shown = desk.run("inventory")
    listed = desk.run("show-tenants", "--format=json")
    migrated = desk.run("migrate-all", "--format=json")

    assert f"    port: {sshd.port}  # group `web` of hosts.ini, inventories/prod.yaml:" in shown.out
    assert [each["tenant_id"] for each in json.loads(listed.out)] == list(operator.TENANTS)
    assert {each["host"] for each in json.loads(migrated.out)["outcomes"]} == {"app1"}
    assert (shown.code, listed.code, migrated.code) == (0, 0, 0)


def test_a_group_that_is_not_there_ends_the_run_before_anything(desk):
    (desk.folder / "hosts.ini").write_text("[web]\napp1\n")
    file = desk.inventory(hosts_from={"ansible": "hosts.ini", "group": "wep"})
    file.write_text(file.read_text().replace("hosts:\n- local\n", ""))

    operator.refuses(
        desk.run("migrate-all"),
        2,
        "inventories/prod.yaml: hosts_from: there is no group `wep`. did you mean `web`?",
    )
    assert desk.asked == []
