"""The example inventory and the reference's blocks: they are read, and have every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from inventory_files import ENVIRON, SMALLEST, load, read, smallest, write

from opskit.inventory import schema

REPOSITORY = Path(__file__).parent.parent
EXAMPLE = REPOSITORY / "inventories" / "prod.example.yaml"
DOCS = REPOSITORY / "docs" / "inventory.md"
EXAMPLES = {
    **ENVIRON,
    "ACME_SENTRY_DSN": "x",
    "ACME_REGION": "eu",
    "ACME_SLACK_WEBHOOK": "https://hooks.example.com/x",
}


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
