"""What opskit raises, and how it is told."""

import inspect
import re

import pytest

from opskit import errors

TOLD = [
    ("what failed", "", "", "what failed."),
    ("what failed.", "", "", "what failed."),
    ("did you mean `prod`?", "", "", "did you mean `prod`?"),
    ("there is no `prod`", "", "", "there is no `prod`."),
    ("there is no `prod`", "nothing was migrated.", "", "there is no `prod`. nothing was migrated."),
    ("what failed", "the run stopped there", "`--yes` answers it.", "what failed. the run stopped there. `--yes` answers it."),
    ("what failed", "", "type `invoke runs`", "what failed. type `invoke runs`"),
    ("a tenant's\nown newline", "", "", "a tenant's\\nown newline."),
    ("", "nothing was migrated.", "", "nothing was migrated."),
    ("", "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("message", "state", "hint", "expected"), TOLD)
def test_a_message_is_whole_sentences_with_the_hint_as_it_is(message, state, hint, expected):
    assert expected == errors.OpskitError(message, hint).told(state)


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = dict(re.findall(r"(\w+) +(\d+)  ", errors.__doc__))
    classes = {name: each for name, each in vars(errors).items() if inspect.isclass(each)}
    assert drawn == {name: str(each.exit_code) for name, each in classes.items()}
    assert sorted(classes) == sorted(errors.__all__)


def test_an_inventorys_complaints_have_a_line_each():
    told = errors.InventoryError("one thing\nanother `thing`\nand more?").told()
    assert told == "one thing.\nanother `thing`.\nand more?"
