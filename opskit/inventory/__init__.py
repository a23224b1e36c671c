"""inventories/<env>.yaml -> model.Environment, or an error that names file and key.

document reads the file, schema checks it (values has what a single value may be), ansible adds the hosts that
another inventory names, build makes the Environment.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from opskit import errors, model
from opskit.inventory import ansible, build, document, draft, requires, resolved, schema, values, wording

__all__ = ["SKETCH", "check_new", "choose", "explain", "find_root", "load", "names", "sketch"]

SKETCH = "what was given"  # what the messages of `sketch` begin with, in the place of a file's name

_FOLDER = "inventories"
_SUFFIXES = (".yaml", ".yml")
_START = "`invoke init --env=prod` writes one"


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` with `inventories/` in it."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if _is_folder(folder / _FOLDER):
            return folder
    raise errors.InventoryError(
        f"no folder named {_FOLDER} in {start} or above it. change to your project's folder, "
        "or let `invoke init` make one here"
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a folder that may not be looked into is none of ours
        return False


def names(root: Path) -> tuple[str, ...]:
    """The environments that have a file, sorted. An example is none, and nor is a hidden file."""
    return tuple(sorted({file.name.rpartition(".")[0] for file in _files(root)}))


def _files(root: Path) -> list[Path]:
    try:
        return [file for file in (root / _FOLDER).iterdir() if _is_environment(file)]
    except OSError as error:
        reason = (error.strerror or "no reason given").lower()
        raise errors.InventoryError(f"{_FOLDER}/ cannot be read: {reason}") from None


def _is_environment(file: Path) -> bool:
    return file.suffix in _SUFFIXES and not file.name.startswith(".") and not file.stem.endswith(".example")


def choose(root: Path, wanted: str | None, configured: str | None) -> str:
    """`wanted` (the flag), else `configured`, else the only environment there is."""
    if wanted is not None:
        return _existing(root, wanted, "`--env=`")
    if configured is not None:
        return _existing(root, configured, "the configuration's `opskit.env`")
    return _existing(root, _only(names(root)), "")


def _only(known: tuple[str, ...]) -> str:
    if len(known) > 1:
        raise errors.UsageError(
            f"no environment was named, and {_FOLDER}/ has {wording.listed(known)}. name one: `--env={known[0]}`"
        )
    if not known:
        raise errors.InventoryError(f"{_FOLDER}/ has no environment yet. {_START}")
    return known[0]


def _existing(root: Path, name: str, source: str) -> str:
    known = names(root)
    if not name:
        raise errors.UsageError(f"{source} is empty: an unset variable? {_there_are(known)}")
    _check_name(name, _there_are(known))
    if name not in known:
        raise errors.InventoryError(_no_file(name, known))
    return name


def _check_name(name: str, hint: str) -> None:
    if not re.fullmatch(values.NAME, name):
        raise errors.UsageError(
            f"{wording.shown(name)} is no environment's name: it has letters, digits, `_`, `.` and `-`, "
            f"and starts with no `.` or `-`. {hint}"
        )


def check_new(start: Path, name: str) -> Path:
    """The folder that an inventory called `name` can be written to: the nearest `inventories/`, else one in `start`.

    Raises UsageError for what is no name, and InventoryError where there is such an inventory already.
    """
    folder = next((each / _FOLDER for each in (start, *start.parents) if _is_folder(each / _FOLDER)), start / _FOLDER)
    _check_name(name, "such as `prod`")
    if name.endswith(".example"):
        raise errors.UsageError(f"`{name}` would be an example, and an example is never an environment")
    for suffix in _SUFFIXES:
        if os.path.lexists(folder / f"{name}{suffix}"):
            raise errors.InventoryError(draft.exists(f"{_FOLDER}/{name}{suffix}"))
    return folder


def _there_are(known: tuple[str, ...]) -> str:
    return f"{_FOLDER}/ has {wording.listed(known)}" if known else f"{_FOLDER}/ has no environment yet. {_START}"


def _no_file(name: str, known: tuple[str, ...]) -> str:
    if not known:
        return f"environment {wording.shown(name)} has no file: {_there_are(known)}"
    said = f"environment {wording.shown(name)} has no file in {_FOLDER}/, which has {wording.listed(known)}."
    meant = wording.nearest(name, known)
    return f"{said} did you mean `{meant}`?" if meant else f"{said} name one of them, or write {_FOLDER}/{name}.yaml"


def load(root: Path, name: str, environ: Mapping[str, str]) -> model.Environment:
    """The environment `name`. `environ` fills in `${…}` and says where home is."""
    place = build.Place(root.absolute(), environ)
    return build.environment(name, _checked(_file(place.root, name), place, name), place)


def sketch(
    root: Path, host: str, environ: Mapping[str, str], app: Mapping[str, str], ssh: Mapping[str, str]
) -> model.Environment:
    """An environment of which hardly more than a host is known: enough to connect. Raises InventoryError."""
    place = build.Place(root.absolute(), environ)
    tree = {"app": {"path": ".", **app}, "framework": "omnitenant", "hosts": [host], "ssh": ssh}
    return build.environment("new", schema.check(tree, SKETCH, environ), place)


def explain(root: Path, name: str, environ: Mapping[str, str]) -> list[resolved.Setting]:
    """Every key of the environment `name`, its value, and where that came from; secrets are hidden."""
    place = build.Place(root.absolute(), environ)
    file = _file(place.root, name)
    entry = _checked(file, place, name)
    origin = resolved.Origin(_label(file), document.places(file, _label(file)))
    return resolved.settings(entry, build.environment(name, entry, place), origin)


def _label(file: Path) -> str:
    return f"{_FOLDER}/{file.name}"


def _checked(file: Path, place: build.Place, name: str) -> schema.Inventory:
    label = _label(file)
    entry = schema.check(document.read(file, label), label, place.environ)
    _refuse_requires(place.root, name, entry.requires, label)
    return _with_hosts(entry, label, place)


def _refuse_requires(root: Path, name: str, wanted: tuple[str, ...], label: str) -> None:
    """Raises InventoryError for an environment that is none, and for a circle."""
    known = names(root)
    for each in wanted:
        if each not in known:
            raise errors.InventoryError(f"{label}: requires: {_no_file(each, known)}")
    circle = requires.circle(name, lambda each: wanted if each == name else _required_by(root, each))
    if circle:
        raise errors.InventoryError(
            f"{label}: requires: goes round in a circle: {', '.join(circle)}. one must be first"
        )


def _required_by(root: Path, name: str) -> tuple[str, ...]:
    """What another inventory requires; nothing, where it can't be read: whoever asks that environment is told."""
    try:
        file = _file(root, name)
        given = document.read(file, _label(file)).get("requires", ())
    except errors.UsageError:
        return ()
    found = [given] if isinstance(given, str) else given
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list | tuple) else ()


def _with_hosts(entry: schema.Inventory, label: str, place: build.Place) -> schema.Inventory:
    """The inventory with the hosts that another one names, where it leaves them to that. Raises InventoryError."""
    if not entry.hosts_from.ansible:
        return entry
    try:
        hosts = ansible.hosts(place.path(entry.hosts_from.ansible), entry.hosts_from.group, place.environ)
        return entry.model_copy(update={"hosts": schema.check_hosts(hosts, ansible.KEYS)})
    except ValueError as error:
        raise errors.InventoryError(
            "\n".join(f"{label}: hosts_from: {line}" for line in str(error).splitlines())
        ) from None


def _file(root: Path, name: str) -> Path:
    _existing(root, name, "the environment's name")
    first, *others = sorted(file for file in _files(root) if file.name.rpartition(".")[0] == name)
    if others:
        both = wording.listed([first.name, *(other.name for other in others)])
        raise errors.InventoryError(f"environment `{name}` has two files in {_FOLDER}/: {both}. keep one")
    return first
