"""Inventories for tests: the smallest one, changes to it, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from opskit import errors, inventory, model

SMALLEST = {"app": {"path": "/srv/acme"}, "framework": "omnitenant", "hosts": ["deploy@app1"]}
CUSTOM = {"name": "custom", "list": ["tenants"], "migrate": ["one", "{tenant}"], "success": "^done"}
ENVIRON = {"HOME": "/Users/op", "DSN_OF_ACME": "https://k3y@sentry/1"}


def write(root: Path, text: str | bytes, name: str = "prod.yaml") -> None:
    (root / "inventories").mkdir(exist_ok=True)
    (root / "inventories" / name).write_bytes(text.encode() if isinstance(text, str) else text)


def read(root: Path, text: str | bytes, environ: dict[str, str] = ENVIRON) -> model.Environment:
    write(root, text)
    return inventory.load(root, "prod", environ)


def load(root: Path, tree: object, environ: dict[str, str] = ENVIRON) -> model.Environment:
    return read(root, yaml.safe_dump(tree), environ)


def smallest(**changes: object) -> dict[str, object]:
    return {**SMALLEST, **changes}


def app(**changes: object) -> dict[str, object]:
    return smallest(app={"path": "/srv/acme", **changes})


def custom(**changes: object) -> dict[str, object]:
    return smallest(framework={**CUSTOM, **changes})


def complaint(root: Path, tree: object, environ: dict[str, str] = ENVIRON) -> str:
    with pytest.raises(errors.InventoryError) as caught:
        load(root, tree, environ)
    return str(caught.value).removeprefix("inventories/prod.yaml: ")


def complaint_of_text(root: Path, text: str | bytes) -> str:
    with pytest.raises(errors.InventoryError) as caught:
        read(root, text)
    return str(caught.value).removeprefix("inventories/prod.yaml: ")
