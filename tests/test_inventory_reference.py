"""What is made from the inventory's models: the reference's tables, and the JSON Schema for editors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opskit import durations, errors, inventory
from opskit.inventory import reference, schema

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "inventory.md"
MODELS = [schema.NamedFramework, schema.CustomFramework, schema.DatabasesEntry, *schema.SECTIONS.values()]
VALIDATOR = jsonschema.Draft7Validator(json.loads(reference.for_editors()))
SMALLEST = {"app": {"path": "/srv/acme"}, "framework": "omnitenant", "hosts": ["app1"]}
CUSTOM = {"name": "custom", "list": ["tenants"], "migrate": ["one", "{tenant}"], "success": "^done"}


def accepts(tree: object) -> bool:
    return VALIDATOR.is_valid(tree)


# ---------------------------------------------------------------- up to date


def test_the_references_tables_are_made_from_the_models():
    text = PAGE.read_text("utf-8")
    assert reference.with_tables(text) == text, "run scripts/inventory-reference"


def test_the_schema_that_is_shipped_is_made_from_the_models():
    assert reference.SCHEMA.read_text("utf-8") == reference.for_editors(), "run scripts/inventory-reference"


def test_a_table_is_made_anew_and_what_stands_around_it_stays():
    page = "".join(
        f"### {name}\n\n<!-- keys of {name} -->\n| old |\n\nafter\n" for name in schema.NamedFramework.model_fields
    )
    made = reference.with_tables(page)
    assert "| old |" not in made
    assert made.count("| key | type |") == made.count("### ") == made.count("\n\nafter\n")
    assert reference.with_tables(made) == made


def test_a_section_without_a_place_in_the_page_is_named():
    with pytest.raises(KeyError, match="no line `<!-- keys of app -->`"):
        reference.with_tables("")


@pytest.mark.parametrize(
    ("model", "key"), [(model, key) for model in MODELS for key in model.model_fields], ids=lambda each: str(each)
)
def test_every_key_says_what_it_is(model, key):
    field = model.model_fields[key]
    assert field.title
    assert field.description
    assert not field.description.endswith(".")
    assert reference.default(field) not in ("", "``", "`0`", "`None`", "`{}`") or key == "retries"


@pytest.mark.parametrize("seconds", [0.0, 0.5, 10.0, 90.0, 3600.0, 5400.0, 86400.0, 90061.001])
def test_a_duration_is_written_as_it_is_read(seconds):
    assert durations.parse(durations.exact(seconds)) == pytest.approx(seconds)


# ---------------------------------------------------------------- accepted


def inventories() -> list[tuple[str, str]]:
    """Every inventory that the docs and the repository show, completed where it is only a part."""
    found = [(str(file.relative_to(ROOT)), file.read_text("utf-8")) for file in sorted(ROOT.glob("inventories/*.yaml"))]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for text in re.findall(r"(?ms)^```yaml\n(.*?)^```$", page.read_text("utf-8")):
            found.append((f"{page.relative_to(ROOT)}: {text.splitlines()[0]}", text))  # noqa: PERF401 - a page at a time
    return [(name, text) for name, text in found if "# invoke.yaml" not in name]


@pytest.mark.parametrize("text", [text for _, text in inventories()], ids=[name for name, _ in inventories()])
def test_every_inventory_that_is_shown_is_accepted(text):
    tree = yaml.safe_load(text)
    rest = (
        {} if "app" in tree else {key: SMALLEST[key] for key in SMALLEST if key != "hosts" or "hosts_from" not in tree}
    )
    VALIDATOR.validate({**rest, **tree})


def smallest(**changes: object) -> dict[str, object]:
    return {**SMALLEST, **changes}


@pytest.mark.parametrize(
    "text",
    [
        "hosts: {app1: deploy@app1, app2: {address: a, port: 22}}",
        "hosts: [10, {address: a, port: '022'}]",
        "confirm: yes",
        "confirm: 'YES'",
        "rollout: {stagger: 10, timeout: none, lock_timeout: none, stop_after_same: 3, retries: 2, max_failures: 3, canary: 1}",
        "rollout: {stagger: 1h30m, timeout: 90.5, lock_timeout: 5s, statement_timeout: 10min, retries: '2', max_failures: 5%, canary: [a, 1, no]}",
        "ssh: {known_hosts: a, client: OpenSSH, connect_timeout: 500ms}",
        "app: {path: 22, wrapper: docker compose exec, env: {A: , B: 1, C: true, D: 1.5}}",
    ],
)
def test_what_yaml_reads_as_a_number_a_truth_or_nothing_is_accepted_where_the_loader_reads_text(tmp_path, text):
    shown = yaml.safe_load(text)
    assert loads(tmp_path, yaml.safe_dump({key: each for key, each in SMALLEST.items() if key not in shown}) + text)
    VALIDATOR.validate({**SMALLEST, **shown})


def loads(folder: Path, text: str) -> bool:
    (folder / "inventories").mkdir(exist_ok=True)
    (folder / "inventories" / "prod.yaml").write_text(text, "utf-8")
    try:
        inventory.load(folder, "prod", {"HOME": "/home/op", "A": "a"})
    except errors.InventoryError:
        return False
    return True


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "tree",
    [
        {},
        smallest(zzz="a"),
        {key: SMALLEST[key] for key in ("app", "framework")},
        smallest(hosts_from={"ansible": "a", "group": "b"}),
        smallest(hosts=[]),
        smallest(hosts={}),
        smallest(hosts="app1"),
        smallest(hosts=[{"address": "a", "prot": 22}]),
        smallest(hosts=[{"address": "a", "port": 70000}]),
        smallest(hosts={"-x": "a"}),
        smallest(app={}),
        smallest(app={"path": None}),
        smallest(app={"path": ""}),
        smallest(app={"path": ["/srv"]}),
        smallest(app={"path": "/srv", "pyton": "python3"}),
        smallest(app={"path": "/srv", "run_as": "-x"}),
        smallest(app={"path": "/srv", "wrapper": []}),
        smallest(app={"path": "/srv", "env": {"A-B": "x"}}),
        smallest(app={"path": "/srv", "env": ["A=x"]}),
        smallest(framework="custom"),
        smallest(framework="django"),
        smallest(framework={"name": "custom"}),
        smallest(framework="databases"),
        smallest(framework={"name": "databases"}),
        smallest(framework={"name": "databases", "aliases": []}),
        smallest(framework={"name": "databases", "aliases": ["a"], "list": ["x"]}),
        smallest(framework={**CUSTOM, "name": "omnitenant"}),
        smallest(framework={**CUSTOM, "lsit": ["a"]}),
        smallest(ssh={"client": "putty"}),
        smallest(ssh={"connect_timeout": "soon"}),
        smallest(rollout={"stagger": "-1s"}),
        smallest(rollout={"stagger": "none"}),
        smallest(rollout={"max_failures": "5 %"}),
        smallest(rollout={"retries": 11}),
        smallest(confirm="maybe"),
        smallest(hooks={"before": "./on"}),
        smallest(hooks={"before": [[]]}),
        smallest(hooks={"befor": ["./on"]}),
        smallest(notify=["https://x"]),
        {key: each for key, each in smallest(hosts_from={"ansible": "a"}).items() if key != "hosts"},
    ],
    ids=str,
)
def test_what_the_loader_refuses_an_editor_marks(tmp_path, tree):
    assert not accepts(tree)
    assert not loads(tmp_path, yaml.safe_dump(tree).replace(" null\n", "\n"))  # nothing, as it is written


# ---------------------------------------------------------------- whatever comes

KNOWN = [
    *(
        "ask",
        "a",
        "1",
        "0",
        "10",
        " 7 ",
        "1.5",
        "5%",
        " 5% ",
        "10s",
        "1h30m",
        " 10s ",
        "none",
        "yes",
        "TRUE",
        "٣",
        "٣s",
        "=3",
        "a,b",
    ),
    *(
        "strict",
        "Fabric",
        "OPENSSH",
        "accept-new",
        "omnitenant",
        "Opskit",
        "custom",
        "cold",
        "local",
        "demo",
        "a@b:22",
        "[::1]",
    ),
    *(
        "u@[::1]:1",
        "~/x",
        "${A}",
        "$${",
        "{tenant}",
        "one {tenant}",
        "x y",
        "'x y'",
        "^done",
        "tenants --json",
        "é",
        "+x",
    ),
]
TEXT = st.text(max_size=8) | st.sampled_from(KNOWN)
VALUES = TEXT | st.lists(TEXT, max_size=3)


def sections(model: type[schema.Entry]) -> st.SearchStrategy[dict[str, object]]:
    keys = {key: VALUES for key in model.model_fields if key != "env"}
    env = (
        {"env": st.dictionaries(st.sampled_from(["A", "_b", "1"]), TEXT, max_size=2)}
        if "env" in model.model_fields
        else {}
    )
    return st.fixed_dictionaries({}, optional={**keys, **env})


HOST = TEXT | sections(schema.HostEntry).map(lambda each: {"address": "a", **each})
TREES = st.fixed_dictionaries(
    {
        "app": sections(schema.AppEntry).map(lambda each: {"path": "/srv", **each}),
        "framework": st.sampled_from(["omnitenant", "OPSKIT"])
        | sections(schema.CustomEntry).map(lambda each: {**CUSTOM, **each})
        | sections(schema.DatabasesEntry).map(lambda each: {"name": "databases", "aliases": "a", **each}),
        "hosts": st.lists(HOST, min_size=1, max_size=2) | st.dictionaries(TEXT, HOST, min_size=1, max_size=2),
    },
    optional={"ssh": sections(schema.SshEntry), "rollout": sections(schema.RolloutEntry), "confirm": TEXT},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("schema")


@given(TREES)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_the_loader_accepts_the_schema_accepts(folder, tree):
    if loads(folder, yaml.safe_dump(tree, allow_unicode=True)):
        VALIDATOR.validate(tree)


def one_key(section: str, key: str, value: object) -> dict[str, object]:
    user = {"run_as": "acme"} if key == "sudo_password" else {}
    around = {"app": {"path": "/srv", **user}, "framework": CUSTOM, "hosts": {"address": "a"}}.get(section, {})
    part = {**around, key: value}
    return smallest(**{section: [part] if section == "hosts" else part})


@pytest.mark.parametrize(
    ("section", "key"),
    [(name, key) for name, model in schema.SECTIONS.items() if name != "hosts_from" for key in model.model_fields],
)
def test_each_text_that_a_key_takes_the_schema_takes(tmp_path, section, key):
    """Each alone: in a whole tree of arbitrary values hardly any is accepted."""
    taken = []
    for text in KNOWN:
        for value in (text, [text], [[text, text]], {"A": text}):
            tree = one_key(section, key, value)
            if loads(tmp_path, yaml.safe_dump(tree, allow_unicode=True)):
                VALIDATOR.validate(tree)
                taken.append(value)
    assert taken


@pytest.mark.parametrize("text", KNOWN)
def test_each_text_that_a_host_can_be_the_schema_takes(tmp_path, text):
    for tree in (
        smallest(hosts=[text]),
        smallest(hosts={text: "a"}),
        smallest(hosts={"a": text}),
        smallest(confirm=text),
    ):
        if loads(tmp_path, yaml.safe_dump(tree, allow_unicode=True)):
            VALIDATOR.validate(tree)
