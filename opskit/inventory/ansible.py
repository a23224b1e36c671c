"""The hosts of a group in an Ansible inventory, as it is.

Read by `ansible-inventory --list`; where that is not installed, the JSON that it prints (a `.json` file), or an
executable that prints such JSON itself (Ansible's protocol for dynamic inventory scripts: `--list`, `--host NAME`).
Each function raises ValueError with what the message says after `hosts_from:`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opskit import redaction
from opskit.inventory import wording

KEYS = {"address": "ansible_host", "user": "ansible_user", "port": "ansible_port", "identity_file": "private key file"}
"""What Ansible calls our keys."""

_PATIENCE = 60.0  # seconds: a cloud's inventory script may ask it for thousands of machines
_SAID = 300  # characters of a program's complaint
_LISTED = 12  # groups that a message names
_DEEPEST = 100  # groups inside groups: more is a circle that nobody meant either

# Ansible's names, the one that its documentation prefers first (ansible-core 2.19, plugins/connection/ssh.py).
_VARIABLES = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "identity_file": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
}
_OVER_SSH = ("", "ssh", "smart", "paramiko", "paramiko_ssh")  # its connection plugins that speak SSH

Listing = Mapping[str, Any]
Groups = Mapping[str, Mapping[str, Any]]


def hosts(
    path: str,
    group: str,
    environ: Mapping[str, str],
    beside: Path = Path(sys.executable).parent,
    patience: float = _PATIENCE,
) -> dict[str, dict[str, str]]:
    """{name: {address, user?, port?, identity_file?}} of `group` and the groups in it, in the order of the listing.

    `ansible-inventory` is the one on the PATH of `environ`, else one in `beside`: opskit's own virtual environment.
    It, or a script, may take `patience` seconds.
    """
    program = shutil.which("ansible-inventory", path=f"{environ.get('PATH', os.defpath)}{os.pathsep}{beside}")
    source = _Source(Path(path), environ, program, patience)
    listing = _listing(source)
    groups = _groups(listing)
    names = list(dict.fromkeys(_members(groups, _known(groups, group))))
    if not names:
        raise ValueError(f"group `{group}` has no hosts")
    return {name: _host(name, variables) for name, variables in _variables(listing, names, source).items()}


# ---------------------------------------------------------------- who is asked


@dataclass(frozen=True)
class _Source:
    """An Ansible inventory, and what it takes to have it read."""

    path: Path
    environ: Mapping[str, str]
    program: str | None  # `ansible-inventory`, where it is installed
    patience: float  # seconds

    def __str__(self) -> str:
        return f"`{self.path}`"


def _listing(source: _Source) -> Listing:
    try:
        source.path.stat()
        text = source.path.read_text(encoding="utf-8") if source.path.suffix == ".json" else _printed(source)
    except OSError as error:
        raise ValueError(f"{source} can't be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{source} is not UTF-8 text") from None
    return _mapping(text, source)


def _printed(source: _Source) -> str:
    if source.program:
        return _run([source.program, "-i", str(source.path), "--list"], source)
    if source.path.is_file() and os.access(source.path, os.X_OK):
        return _run([str(source.path), "--list"], source)
    raise ValueError(
        f"`ansible-inventory` is not installed here, and reads {source}. install ansible-core, or give a .json file "
        "with what `ansible-inventory --list` prints, or an executable that prints it"
    )


def _run(argv: list[str], source: _Source) -> str:
    """What a program prints. It runs where its ansible.cfg is, and has nobody to ask: no stdin, no terminal."""
    shown = f"`{Path(argv[0]).name} {'--list' if argv[-1] == '--list' else '--host'}`"
    env = {**source.environ, "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1", "ANSIBLE_NOCOLOR": "1"}
    try:
        process = subprocess.Popen(
            argv,
            cwd=_folder(source.path),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ValueError(f"{shown} can't be started: {(error.strerror or str(error)).lower()}") from None
    with process, _ended(process):
        try:
            out, err = process.communicate(timeout=source.patience)
        except subprocess.TimeoutExpired:
            raise ValueError(f"{shown} took more than {source.patience:.0f} s") from None
    if process.returncode:
        raise ValueError(f"{shown} ended with exit {process.returncode}: {_complaint(err)}")
    try:
        return out.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{shown} printed what is not UTF-8 text") from None


def _folder(source: Path) -> Path:
    """The nearest folder upward with an ansible.cfg in it, else the inventory's own."""
    return next((each for each in source.parents if (each / "ansible.cfg").is_file()), source.parent)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens meanwhile, Ctrl-C among it, nothing of the program is left behind."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        raise


def _complaint(err: bytes) -> str:
    words = " ".join(redaction.redact(err.decode("utf-8", "replace")).split())
    shown = wording.printable(words)
    return f"{shown[:_SAID]}…" if len(shown) > _SAID else shown or "it gave no reason"


def _mapping(text: str, source: _Source) -> Listing:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{source}: what `--list` should print is JSON, and this is none") from None
    if not isinstance(tree, dict):
        raise ValueError(  # noqa: TRY004 - it is what the message says after the key
            f"{source}: what `--list` should print is a mapping of groups, and this is none"
        )
    return tree


# ---------------------------------------------------------------- the group


def _groups(listing: Listing) -> Groups:
    """{name: {hosts?, children?, vars?}}; a script may give a group's hosts alone, as a list."""
    return {
        name: {"hosts": group} if isinstance(group, list) else group
        for name, group in listing.items()
        if name != "_meta" and isinstance(group, list | dict)
    }


def _list(groups: Groups, name: str, key: str) -> list[str]:
    found = groups.get(name, {}).get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(
            f"`{key}` of group {wording.shown(name)} is no list of names: "
            "this is not what `ansible-inventory --list` prints"
        )
    return found


def _known(groups: Groups, group: str) -> str:
    """`group`, where there is such a one; one that is empty stands there as a child only."""
    names = sorted({*groups, *(child for name in groups for child in _list(groups, name, "children"))})
    if group in names:
        return group
    near = wording.nearest(group, names)
    raise ValueError(
        f"there is no group {wording.shown(group)}. "
        + (f"did you mean {wording.shown(near)}?" if near else _has(names))
    )


def _has(names: list[str]) -> str:
    if len(names) > _LISTED:
        return f"it has {len(names)} others"
    return f"it has {wording.listed(map(wording.printable, names))}" if names else "it has no groups at all"


def _members(groups: Groups, name: str, inside: tuple[str, ...] = (), done: set[str] | None = None) -> Iterator[str]:
    """A group's hosts, then those of its children; each group once."""
    done = set() if done is None else done
    if name in inside or len(inside) > _DEEPEST:
        raise ValueError(f"group {wording.shown(name)} holds itself, by way of {wording.shown((*inside, name)[-2])}")
    if name in done:
        return
    yield from _list(groups, name, "hosts")
    for child in _list(groups, name, "children"):
        yield from _members(groups, child, (*inside, name), done)
    done.add(name)


# ---------------------------------------------------------------- a host's variables


def _variables(listing: Listing, names: list[str], source: _Source) -> dict[str, dict[str, Any]]:
    """{host: its variables}: what its groups say, the nearest last, then what is said of it alone.

    `ansible-inventory` has merged the groups' into the hosts' by itself; a script has not.
    """
    merged: dict[str, dict[str, Any]] = {name: {} for name in names}
    groups = _groups(listing)
    told = [name for name, group in groups.items() if isinstance(group.get("vars"), dict)]
    for group in sorted(told, key=lambda each: (each != "all", _depth(groups, each), each)):
        for name in names if group == "all" else merged.keys() & set(_members(groups, group)):
            merged[name].update(groups[group]["vars"])
    for name, own in _hostvars(listing, names, source).items():
        merged[name].update(own)
    return merged


def _hostvars(listing: Listing, names: list[str], source: _Source) -> dict[str, Listing]:
    """{host: its own variables}. A script that gives no `_meta` is asked for each host, as Ansible does."""
    if "_meta" not in listing and source.path.suffix != ".json":
        asked = {name: _run([str(source.path), "--host", name], source) for name in names}
        return {name: _mapping(text, source) for name, text in asked.items()}
    hostvars = _dict(_dict(listing.get("_meta")).get("hostvars"))
    return {name: _dict(hostvars.get(name)) for name in names}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _depth(groups: Groups, name: str) -> int:
    """How many groups lie above a group, one inside the other, on the longest way."""
    depth, above = 0, {name}
    while above and depth <= _DEEPEST:
        above = {each for each in groups if above & set(_list(groups, each, "children"))}
        depth += 1
    return depth


def _host(name: str, variables: Mapping[str, Any]) -> dict[str, str]:
    """One host as our inventory would have it."""
    connection = _text(name, "ansible_connection", variables.get("ansible_connection"))
    if connection.removeprefix("ansible.builtin.") == "local":
        return {"address": "local"}
    if connection.removeprefix("ansible.builtin.") not in _OVER_SSH:
        raise ValueError(
            f"host {wording.shown(name)} is connected to by {wording.shown(connection)}: opskit knows `ssh` and `local`"
        )
    found = {key: _first(name, variables, names) for key, names in _VARIABLES.items()}
    return {"address": name} | {key: value for key, value in found.items() if value}


def _first(name: str, variables: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of these variables that has a value."""
    return next(filter(None, (_text(name, each, variables.get(each)) for each in names)), "")


def _text(name: str, variable: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):  # a vaulted value, for one
        raise ValueError(f"host {wording.shown(name)}: `{variable}` is neither text nor a number")  # noqa: TRY004 - a value of an inventory
    if "{{" in value or "{%" in value:
        raise ValueError(f"host {wording.shown(name)}: `{variable}` is a template, which only Ansible can fill in")
    return value
