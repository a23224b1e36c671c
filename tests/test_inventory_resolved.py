"""`explain`: each key with its value and where that came from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from opskit import inventory
from opskit.inventory import resolved, schema, writing

ENVIRON = {"HOME": "/home/op", "ACME_DSN": "https://k3y@sentry/1", "HALF": "h2lf"}
TEXT = """\
app:
  path: /srv/acme/current
  env:
    DJANGO_SETTINGS_MODULE: acme.settings
    SENTRY_DSN: ${ACME_DSN}/${HALF}
    API_TOKEN: hunter2
  wrapper: docker exec -i web
framework: omnitenant
hosts:
  app1: deploy@app1.example.com:2222
  app2:
    address: app2.example.com
    identity_file: keys/acme
ssh: {known_hosts: [~/.ssh/known_hosts, known]}
rollout:
  stagger: 90
  canary: [internal, test-*]
  max_failures: 5%
  timeout: none
confirm: yes
"""


def write(root: Path, text: str) -> Path:
    (root / "inventories").mkdir(exist_ok=True)
    (root / "inventories" / "prod.yaml").write_text(text, "utf-8")
    return root


def explain(root: Path, text: str = TEXT) -> dict[str, tuple[object, str]]:
    """{path with dots: (value, source)}"""
    found = inventory.explain(write(root, text), "prod", ENVIRON)
    return {".".join(each.path): (each.value, each.source) for each in found}


def test_what_stands_in_the_file_comes_with_its_line(tmp_path):
    found = explain(tmp_path)
    assert found["app.path"] == ("/srv/acme/current", "inventories/prod.yaml:2")
    assert found["app.wrapper"] == (("docker", "exec", "-i", "web"), "inventories/prod.yaml:7")
    assert found["framework"] == ("omnitenant", "inventories/prod.yaml:8")
    assert found["rollout.stagger"] == ("1m30s", "inventories/prod.yaml:16")
    assert found["rollout.canary"] == (("internal", "test-*"), "inventories/prod.yaml:17")
    assert found["rollout.max_failures"] == ("5%", "inventories/prod.yaml:18")
    assert found["rollout.timeout"] == ("none", "inventories/prod.yaml:19")
    assert found["confirm"] == ("true", "inventories/prod.yaml:20")


def test_what_does_not_is_the_default_or_says_what_happens_without(tmp_path):
    found = explain(tmp_path)
    assert found["app.manage"] == ("manage.py", "default")
    assert found["app.python"] == ("python3", "default")
    assert found["app.state_dir"] == (None, "default: `~/.opskit` of the user that runs there")
    assert found["rollout.retries"] == ("0", "default")
    assert found["ssh.connect_timeout"] == ("10s", "default")


def test_a_host_in_the_short_form_has_all_of_it_from_one_line(tmp_path):
    found = explain(tmp_path)
    line = "inventories/prod.yaml:10"
    assert [found[f"hosts.app1.{key}"] for key in ("address", "user", "port")] == [
        ("app1.example.com", line),
        ("deploy", line),
        ("2222", line),
    ]
    assert found["hosts.app2.user"] == (None, "default: what ssh_config says")


def test_paths_on_this_machine_are_whole(tmp_path):
    found = explain(tmp_path)
    assert found["hosts.app2.identity_file"] == (f"{tmp_path}/keys/acme", "inventories/prod.yaml:13")
    assert found["ssh.known_hosts"] == (("/home/op/.ssh/known_hosts", f"{tmp_path}/known"), "inventories/prod.yaml:14")


def test_secrets_are_hidden_and_the_variables_they_come_from_are_named(tmp_path):
    found = explain(tmp_path)
    assert found["app.env.DJANGO_SETTINGS_MODULE"] == ("acme.settings", "inventories/prod.yaml:4")
    assert found["app.env.SENTRY_DSN"] == (
        "***", "inventories/prod.yaml:5, and `ACME_DSN`, `HALF` of your environment"
    )  # fmt: skip
    assert found["app.env.API_TOKEN"] == ("***", "inventories/prod.yaml:6")
    settings = inventory.explain(tmp_path, "prod", ENVIRON)
    for shown in (resolved.as_yaml(settings), resolved.as_json(settings)):
        assert not [secret for secret in ("hunter2", "k3y", "h2lf") if secret in shown]


def test_what_looks_like_a_password_anywhere_else_is_hidden_too(tmp_path):
    found = explain(tmp_path, TEXT.replace("docker exec -i web", "docker exec -e DB_PASSWORD=hunter2 web"))
    assert "hunter2" not in str(found)


def test_local_hosts_have_this_python(tmp_path):
    found = explain(tmp_path, "{app: {path: app}, framework: opskit, hosts: [local]}")
    assert found["app.python"] == (sys.executable, "default")
    assert found["app.path"] == (f"{tmp_path}/app", "inventories/prod.yaml:1")
    assert found["hosts.local.address"] == ("local", "inventories/prod.yaml:1")


def test_hosts_of_ansible_say_whose_they_are(tmp_path):
    (tmp_path / "hosts.json").write_text(
        json.dumps({"web": ["app1"], "_meta": {"hostvars": {"app1": {"ansible_port": 22}}}})
    )
    found = explain(tmp_path, "app: {path: /a}\nframework: opskit\nhosts_from: {ansible: hosts.json, group: web}\n")
    source = "group `web` of hosts.json, inventories/prod.yaml:3"
    assert found["hosts.app1.address"] == ("app1", source)
    assert found["hosts.app1.port"] == ("22", source)
    assert found["hosts.app1.user"] == (None, "default: what ssh_config says")


def test_hooks_are_shown_as_they_are_written_and_the_webhook_is_hidden(tmp_path):
    more = 'hooks: {before: [./on now, [./on, "--to=${HALF}"]], timeout: none}\nnotify: https://x/${HALF}\n'
    found = explain(tmp_path, TEXT + more)
    assert found["hooks.before"] == (("./on now", ("./on", "--to=${HALF}")), "inventories/prod.yaml:21")
    assert found["hooks.after"] == (None, "default: none")
    assert found["hooks.timeout"] == ("none", "inventories/prod.yaml:21")
    assert found["notify"] == ("***", "inventories/prod.yaml:22, and `HALF` of your environment")
    shown = resolved.as_yaml(inventory.explain(tmp_path, "prod", ENVIRON))
    assert '  before: ["./on now", [./on, "--to=${HALF}"]]  # inventories/prod.yaml:21\n' in shown
    assert "h2lf" not in shown


CUSTOM = TEXT.replace(
    "framework: omnitenant",
    'framework: {name: custom, list: "tenants --json", migrate: [one, "{tenant}"], success: "^a: #b$"}',
)


@pytest.mark.parametrize("text", [TEXT, CUSTOM])
def test_every_key_is_told(tmp_path, text):
    found = set(explain(tmp_path, text))
    keys = {
        f"{section}.{key}"
        for section in ("app", "ssh", "rollout", "hooks", *(["framework"] if text is CUSTOM else []))
        for key in schema.SECTIONS[section].model_fields
    }
    assert keys - {"app.env"} <= found
    assert {f"hosts.app1.{key}" for key in schema.HostEntry.model_fields} <= found


@pytest.mark.parametrize("text", [TEXT, CUSTOM])
def test_the_yaml_is_an_inventory_that_means_the_same(tmp_path, text):
    plain = text.replace("${ACME_DSN}/${HALF}", "'***'").replace("hunter2", "'***'")
    before = inventory.load(write(tmp_path, plain), "prod", ENVIRON)
    shown = resolved.as_yaml(inventory.explain(tmp_path, "prod", ENVIRON))
    assert inventory.load(write(tmp_path, shown), "prod", ENVIRON) == before


def test_the_json_has_value_and_origin_of_each_key(tmp_path):
    found = json.loads(resolved.as_json(inventory.explain(write(tmp_path, TEXT), "prod", ENVIRON)))
    assert found["hosts"]["app1"]["port"] == {"value": "2222", "from": "inventories/prod.yaml:10"}
    assert found["app"]["run_as"] == {"value": None, "from": "default: the user that logs in"}
    assert found["rollout"]["canary"]["value"] == ["internal", "test-*"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("a: b")
@example("a:")
@example("- a")
@example("#")
@example("\ufeff\x7f\u2028\U0001f600")
def test_whatever_is_written_is_read_back(text):
    loaded = yaml.load(f"a: {writing.scalar(text)}  # b\nc: {writing.row([text, text])}\n", Loader=yaml.BaseLoader)  # noqa: S506
    assert loaded == {"a": text, "c": [text, text]}
