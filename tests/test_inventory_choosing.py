"""Which folder is the root, which environments it has, and which one is meant."""

from __future__ import annotations

import re

import pytest
import yaml
from inventory_files import SMALLEST, write

from opskit import errors, inventory


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
