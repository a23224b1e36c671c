"""An environment's inventory as opskit reads it: each value, and where it came from. Secrets are hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opskit import model, redaction
from opskit.inventory import document, reference, schema, values, writing

HIDDEN = "***"
_DEFAULT = "default: "
_FIRST = ("app", "framework")  # as people write them; the others follow as the model has them

Value = values.Written | None  # None: not given


@dataclass(frozen=True)
class Setting:
    """One key. `source` is a file and a line, an Ansible host, or the default."""

    path: tuple[str, ...]
    value: Value
    source: str


@dataclass(frozen=True)
class Origin:
    """Where an inventory's text stands."""

    label: str  # of the file
    places: Mapping[document.Loc, document.Place]


def settings(entry: schema.Inventory, environment: model.Environment, origin: Origin) -> list[Setting]:
    """Every key there is, in order, as `environment` has it. `entry` is what that was built from."""
    fields = type(entry).model_fields
    order = [*_FIRST, *(name for name in fields if name not in _FIRST)]
    reading = _Reading(entry, environment, origin)
    return [each for name in order for each in _short(name, list(reading.section(name)))]


def _short(name: str, section: list[Setting]) -> list[Setting]:
    """A section in which nothing is given, as one setting that is not."""
    if len(section) > 1 and all(each.value is None for each in section):
        return [Setting((name,), None, f"{_DEFAULT}none")]
    return section


@dataclass(frozen=True)
class _Reading:
    entry: schema.Inventory
    environment: model.Environment
    origin: Origin

    def section(self, name: str) -> Iterator[Setting]:
        value = getattr(self.entry, name)
        if name == "hosts":
            for (key, entry), host in zip(value.items(), self.environment.hosts, strict=True):
                yield from self._host(key, entry, host)
        elif name == "hosts_from":  # told with each of its hosts
            return
        elif isinstance(value, schema.Entry):
            yield from self._fields((name,), value, self._built(name))
        else:
            field = type(self.entry).model_fields[name]
            yield self._setting((name,), (name,), value, field)

    def _built(self, section: str) -> dict[str, Any]:
        """What depends on the operator's machine or on the hosts, and only the build knows."""
        app, ssh = self.environment.app, self.environment.ssh
        known: dict[str, dict[str, Any]] = {
            "app": {"path": app.path, "python": app.python},
            "ssh": {"known_hosts": ssh.known_hosts},
        }
        return known.get(section, {})

    def _host(self, key: int | str, entry: schema.HostEntry, host: model.Host) -> Iterator[Setting]:
        built = {"identity_file": host.identity_file} if host.identity_file else {}
        yield from self._fields(("hosts", key), entry, built, shown=("hosts", host.name))

    def _fields(
        self, loc: document.Loc, entry: schema.Entry, built: Mapping[str, Any], shown: tuple[str, ...] = ()
    ) -> Iterator[Setting]:
        shown = shown or tuple(map(str, loc))
        for key, field in type(entry).model_fields.items():
            value = built.get(key, getattr(entry, key))
            if key == "env" and value:
                yield from self._env(value)
            else:
                yield self._setting((*loc, key), (*shown, key), value, field)

    def _env(self, given: Mapping[str, str]) -> Iterator[Setting]:
        app = self.environment.app
        for key, text in given.items():
            value = HIDDEN if key in app.secrets else app.env[key]
            yield Setting(("app", "env", key), value, self._line(("app", "env", key)) + _variables(text))

    def _setting(self, loc: document.Loc, shown: tuple[str, ...], value: Any, field: Any) -> Setting:
        unset = reference.unset(field)
        source = self._source(loc, field, value)
        if not source and unset and value == field.default:
            return Setting(shown, None, f"{_DEFAULT}{unset}")
        if source and reference.is_secret(field):
            return Setting(shown, HIDDEN, source + _variables(value))
        return Setting(shown, _safe(values.written(value)), source or "default")

    def _source(self, loc: document.Loc, field: Any, value: Any) -> str:
        """Where a value stands; "" where it does not stand anywhere."""
        if loc[0] == "hosts" and self.entry.hosts_from.ansible:
            told = self.entry.hosts_from
            line = self._line(("hosts_from",))
            return f"group `{told.group}` of {told.ansible}, {line}" if value != field.default else ""
        if loc in self.origin.places:
            return self._line(loc)
        short = self.origin.places.get(loc[:-1])
        return self._line(loc[:-1]) if short and short.text and value != field.default else ""

    def _line(self, loc: document.Loc) -> str:
        return f"{self.origin.label}:{self.origin.places[loc].line}"


def _variables(text: str) -> str:
    """Where the parts of `text` come from that the operator's environment fills in."""
    names = ", ".join(f"`{name}`" for name in values.filled_in(text))
    return f", and {names} of your environment" if names else ""


def _safe(value: values.Written) -> values.Written:
    return redaction.redact(value) if isinstance(value, str) else tuple(map(_safe, value))


# ---------------------------------------------------------------- shown


def as_yaml(found: list[Setting]) -> str:
    """An inventory, with a comment behind each value."""
    lines: list[str] = []
    inside: tuple[str, ...] = ()
    for each in found:
        *above, key = each.path
        common = next((depth for depth, (a, b) in enumerate(zip(above, inside, strict=False)) if a != b), None)
        shared = min(len(above), len(inside)) if common is None else common
        lines += [f"{'  ' * depth}{writing.scalar(above[depth])}:" for depth in range(shared, len(above))]
        inside = tuple(above)
        lines.append("  " * len(above) + _line(key, each))
    return "\n".join(lines)


def _line(key: str, each: Setting) -> str:
    if each.value is None:
        return f"# {key}: {each.source.removeprefix(_DEFAULT)} (default)"
    return f"{writing.scalar(key)}: {writing.value(each.value)}  # {each.source}"


def as_json(found: list[Setting]) -> str:
    """{section: {key: {"value": text, list or null, "from": text}}}, as deep as the keys are."""
    tree: dict[str, Any] = {}
    for each in found:
        node = tree
        for step in each.path[:-1]:
            node = node.setdefault(step, {})
        node[each.path[-1]] = {"value": each.value, "from": each.source}
    return json.dumps(tree, indent=2)
