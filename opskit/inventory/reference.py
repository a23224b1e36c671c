"""The inventory's keys as people and editors read them: the tables of docs/inventory.md, and a JSON Schema.

Both are made from the models in `schema`. `scripts/inventory-reference` writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from opskit.inventory import forms, schema, values

SCHEMA = Path(__file__).with_name("inventory.schema.json")

_PLACE = "<!-- keys of {} -->\n"  # before a table of the page
_TABLE = re.compile(r"\A(\|.*\n)*")
_HEAD = "| key | type | default | example | what it means |\n|---|---|---|---|---|\n"


# ---------------------------------------------------------------- a key


def unset(field: FieldInfo) -> str:
    """What happens without the key, where it has no default value of its own; "" where it has."""
    return str(_extra(field).get("unset", ""))


def is_secret(field: FieldInfo) -> bool:
    return bool(_extra(field).get("secret"))


def _extra(field: FieldInfo) -> Mapping[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def default(field: FieldInfo) -> str:
    """What holds without the key, in words."""
    if unset(field):
        return unset(field)
    if field.is_required():
        return "required"
    value = values.written(field.default)
    return f"`{value if isinstance(value, str) else ', '.join(map(str, value))}`"


def _example(field: FieldInfo) -> str:
    return str(field.examples[0]) if field.examples else ""


# ---------------------------------------------------------------- for people


def with_tables(page: str) -> str:
    """The page with each of its tables made anew. Raises KeyError for a section that it has no place for."""
    for name in schema.NamedFramework.model_fields:
        place = _PLACE.format(name)
        before, found, after = page.partition(place)
        if not found:
            raise KeyError(f"the page has no line `{place.strip()}` for the keys of `{name}`")
        page = f"{before}{place}{_table(name)}{_TABLE.sub('', after)}"
    return page


def _table(name: str) -> str:
    field = schema.NamedFramework.model_fields[name]
    own = [] if field.title == "mapping" else [(name, field)]  # a heading is enough for a section
    inner = _inner(name)
    prefix = "hosts.NAME" if name == "hosts" else name
    rows = [*own, *((f"{prefix}.{key}", each) for key, each in inner)]
    return "".join((_HEAD, *(_row(key, each) for key, each in rows)))


def _inner(name: str) -> Iterable[tuple[str, FieldInfo]]:
    """The keys of a section; of a framework's mappings, those that only the later ones have come last."""
    if name != "framework":
        return schema.SECTIONS[name].model_fields.items() if name in schema.SECTIONS else ()
    fields: dict[str, FieldInfo] = {}
    for model in reversed(schema.MAPPINGS):
        fields = {**model.model_fields, **{key: each for key, each in fields.items() if key not in model.model_fields}}
    return fields.items()


def _row(key: str, field: FieldInfo) -> str:
    example = f"`{_example(field)}`" if _example(field) else ""
    cells = (f"`{key}`", field.title or "", default(field), example, field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


# ---------------------------------------------------------------- for editors


def for_editors() -> str:
    """The JSON Schema (draft 7, which every editor knows) of an inventory as it may be written, short forms and all."""
    whole = schema.CustomFramework.model_json_schema(ref_template="#/definitions/{model}")
    definitions = whole.pop("$defs")
    definitions |= schema.DatabasesFramework.model_json_schema(ref_template="#/definitions/{model}")["$defs"]
    for model in (*schema.SECTIONS.values(), *schema.MAPPINGS):
        _tell(definitions[model.__name__], model)
    _tell(whole, schema.CustomFramework)
    properties = whole["properties"]
    properties["hosts"] = {**_words(schema.NamedFramework.model_fields["hosts"]), **_hosts()}
    framework = schema.NamedFramework.model_fields["framework"]
    named = schema.NamedFramework.model_json_schema()["properties"]["framework"]["anyOf"]
    properties["framework"] = {**_words(framework), "anyOf": [*named, *_mappings()]}
    made = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "an opskit inventory",
        "description": "One environment: one deployment of one Django project.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": [each for each in whole["required"] if each != "framework"],
        "oneOf": [{"required": ["hosts"]}, {"required": ["hosts_from"]}],
        "definitions": definitions,
    }
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _mappings() -> list[dict[str, str]]:
    return [{"$ref": f"#/definitions/{model.__name__}"} for model in schema.MAPPINGS]


def _tell(node: dict[str, Any], model: type[schema.Entry]) -> None:
    """Put the words of a model's fields into its schema, in the place of what pydantic makes of them."""
    node.pop("title", None)
    for key, field in model.model_fields.items():
        told = node["properties"][key]
        for word in ("default", "unset", "secret", "title", "description", "examples"):
            told.pop(word, None)
        told.update(_words(field))


def _words(field: FieldInfo) -> dict[str, Any]:
    described = (
        f"{field.description}. Default: {default(field)}." if not field.is_required() else f"{field.description}."
    )
    examples = {"examples": [yaml.safe_load(_example(field))]} if _example(field) else {}
    return {"title": re.sub("`", "", field.title or ""), "description": described, **examples}


def _hosts() -> dict[str, Any]:
    """A list or a mapping, of texts or mappings."""
    host = {"anyOf": [forms.TEXT, {"$ref": "#/definitions/HostEntry"}]}
    return {
        "anyOf": [
            {"type": "array", "items": host, "minItems": 1},
            {
                "type": "object",
                "propertyNames": {"pattern": forms.UNDASHED["pattern"]},
                "additionalProperties": host,
                "minProperties": 1,
            },
        ]
    }
