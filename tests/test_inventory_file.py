"""The inventory's file: what is none, and that whatever stands there is read or refused."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from inventory_files import CUSTOM, SMALLEST, complaint_of_text, read, smallest, write

from opskit import errors, inventory
from opskit.inventory import schema

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
