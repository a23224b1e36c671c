"""An inventory file as text, lists and mappings: every scalar is the text that stands there.

Messages name lines and never quote them: a line may hold a password.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml

from opskit import errors
from opskit.inventory import wording

Tree = str | list["Tree"] | dict[str, "Tree"]
Loc = tuple[int | str, ...]

_LARGEST = 1_000_000  # bytes; a thousand hosts are a tenth of that


@dataclass(frozen=True)
class Place:
    """Where a value stands, and whether it is text alone: a short form, where a mapping may stand."""

    line: int
    text: bool


def places(file: Path, label: str) -> dict[Loc, Place]:
    """{path of a key: where its value stands}, of a file that `read` has read. Raises InventoryError."""
    try:
        return dict(_places(_compose(_text(file)), ()))
    except ValueError as error:
        raise errors.InventoryError(f"{label}: {error}") from None


def _places(node: yaml.Node | None, loc: Loc) -> Iterator[tuple[Loc, Place]]:
    if node is None:
        return
    yield loc, Place(_line(node), isinstance(node, yaml.ScalarNode))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _places(value, (*loc, _key(key)))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _places(value, (*loc, number))


def read(file: Path, label: str) -> dict[str, Tree]:
    """The mapping in `file`. Raises InventoryError, which names `label`."""
    try:
        return _top(_compose(_text(file)))
    except ValueError as error:
        # from None: the cause may quote the file
        raise errors.InventoryError(f"{label}: {error}") from None


def parse(text: str, label: str) -> dict[str, Tree]:
    """The mapping that `text` is. Raises InventoryError, which names `label`."""
    try:
        return _top(_compose(text))
    except ValueError as error:
        raise errors.InventoryError(f"{label}: {error}") from None


def _text(file: Path) -> str:
    data = _bytes(file)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8 text. save the file as UTF-8") from None


def _bytes(file: Path) -> bytes:
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
            raise ValueError("is a folder, not a file" if stat.S_ISDIR(mode) else "is not a regular file")
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {(error.strerror or 'no reason given').lower()}") from None
    if len(data) > _LARGEST:
        raise ValueError("is larger than 1 MB: that is no inventory")
    return data


class _Loader(yaml.BaseLoader):
    """YAML without what an inventory has no use for, where a forgotten quote is the likelier cause.

    Refused while scanning, because the parser's own messages would quote them. Without
    aliases there are no recursive documents and none that grow to gigabytes when read.
    """

    def fetch_alias(self) -> NoReturn:
        self._refuse("an alias", "*")

    def fetch_anchor(self) -> NoReturn:
        self._refuse("an anchor", "&")

    def fetch_tag(self) -> NoReturn:
        self._refuse("a tag", "!")

    def fetch_directive(self) -> NoReturn:
        self._refuse("a directive", "%")

    def _refuse(self, what: str, char: str) -> NoReturn:
        problem = f"{what} is not allowed here; a value that starts with `{char}` needs quotes"
        raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ValueError(f"line {line}: holds a character that is not allowed in YAML") from None
    except yaml.MarkedYAMLError as error:
        raise ValueError(_problem(error)) from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except (ValueError, OverflowError):  # chr() of an escape such as "\UFFFFFFFF"
        raise ValueError("holds an escape that stands for no character") from None


def _problem(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    what = ": ".join(part for part in (error.context, error.problem) if part)
    return f"line {mark.line + 1 if mark else 1}: {what}"


def _top(node: yaml.Node | None) -> dict[str, Tree]:
    tree = "" if node is None else _tree(node)
    if tree == "":
        raise ValueError("is empty. copy what you need from inventories/prod.example.yaml")
    match tree:
        case dict():
            return tree
        case _:
            raise ValueError(f"expected a mapping (`app:`, `framework:`, `hosts:`), found {wording.kind(tree)}")


def _tree(node: yaml.Node) -> Tree:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_tree(item) for item in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Tree]:
    tree: dict[str, Tree] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        key, line = _key(key_node), _line(key_node)
        if key in tree:
            name = wording.key(key)
            raise ValueError(f"line {line}: `{name}` is given twice, first on line {lines[key]}. keep one")
        tree[key], lines[key] = _tree(value_node), line
    return tree


def _key(node: yaml.Node) -> str:
    match node:
        case yaml.ScalarNode():
            return _scalar(node)
        case _:
            raise ValueError(f"line {_line(node)}: a key must be text; a value that starts with a bracket needs quotes")


def _scalar(node: yaml.Node) -> str:
    text = str(node.value)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"line {_line(node)}: holds an escape that stands for no character")
    return text


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
