"""What a value may look like in the file, as JSON Schema: for editors, which see numbers where opskit reads text.

Each accepts whatever the function of the same sort in `values` does, and may accept more: an editor helps
with keys and choices, and the loader has the last word.
"""

from __future__ import annotations

from typing import Any

Form = dict[str, Any]

_SCALAR = ["string", "number", "boolean"]
_DURATION = r"(\d+(\.\d+)?|(\d+(\.\d+)?(ms|min|s|m|h|d))+)"

TEXT: Form = {"type": _SCALAR, "pattern": r"\S"}
UNDASHED: Form = {"type": _SCALAR, "pattern": r"^(?!-).*\S"}
VALUE: Form = {"type": [*_SCALAR, "null"]}
PORT: Form = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": "^[0-9]+$"}]}
DURATION: Form = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": rf"^\s*{_DURATION}\s*$"}],
}
DURATION_OR_NONE: Form = {"anyOf": [{"const": "none"}, *DURATION["anyOf"]]}
ALLOWANCE: Form = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*\d{1,9}%?\s*$"}],
}
RETRIES: Form = {
    "anyOf": [{"type": "integer", "minimum": 0, "maximum": 10}, {"type": "string", "pattern": r"^\s*\d{1,2}\s*$"}],
}
FORKS: Form = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 64}, {"type": "string", "pattern": r"^\s*\d{1,2}\s*$"}],
}
SAME: Form = {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "string", "pattern": r"^\s*\d{1,6}\s*$"}]}
WORDS: Form = {"anyOf": [TEXT, {"type": "array", "items": {"type": _SCALAR}, "minItems": 1}]}
TEXTS: Form = {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}
HOOK: Form = {"anyOf": [TEXT, {"type": "array", "items": {"type": _SCALAR}, "minItems": 1}]}
HOOKS: Form = {"type": "array", "items": HOOK}
ENV: Form = {
    "type": "object",
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    "additionalProperties": VALUE,
}


def choice(*words: str) -> Form:
    """One of `words`, for completion; in any case, as it is read."""
    loose = "|".join("".join(f"[{c.upper()}{c}]" if c.isalpha() else c for c in word) for word in words)
    return {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": f"^({loose})$"}]}


TRUTH: Form = {"anyOf": [{"type": "boolean"}, choice("true", "false", "yes", "no")]}
