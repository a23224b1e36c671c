"""The demo's project on disk: made from the template, given new migrations, broken, started over."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from opskit import errors

_TEMPLATE = Path(__file__).parent / "project"
_NOTHING_PENDING = 4  # the exit code of breakdemo

_FIELDS = {
    "sku": "models.CharField(max_length=40, null=True)",
    "weight_grams": "models.PositiveIntegerField(null=True)",
    "barcode": "models.CharField(max_length=13, null=True)",
    "released": "models.DateField(null=True)",
    "stock": "models.IntegerField(null=True)",
    "description": "models.TextField(null=True)",
    "colour": "models.CharField(max_length=30, null=True)",
    "discontinued": "models.BooleanField(null=True)",
}

_MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("products", "{after}")]

    operations = [
        migrations.AddField(
            model_name="product",
            name="{field}",
            field={definition},
        ),
    ]
"""


def prepare(folder: Path) -> None:
    """Make the project and its tenants, whose databases are empty. Does nothing where they are.

    Raises CannotStart where the folder holds something else.
    """
    if _is_demo(folder):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise errors.CannotStart(f"{folder} holds something that is not opskit's demo. it was left as it is")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".demo-", dir=folder.parent) as scratch:
        made = Path(scratch) / folder.name
        shutil.copytree(_TEMPLATE, made, ignore=shutil.ignore_patterns("__pycache__"))
        (made / "data").mkdir()
        _manage(made, "seeddemo")
        _move(made, folder)


def add_migration(folder: Path) -> str:
    """Write the next migration, a new field of Product, and give its name: `products.0003_product_sku`."""
    prepare(folder)
    migrations = folder / "products" / "migrations"
    after = max(path.stem for path in migrations.glob("[0-9]*.py"))
    number = int(after[:4]) + 1
    field, definition = _next_field(folder / "products" / "models.py")
    name = f"{number:04}_product_{field}"
    with (folder / "products" / "models.py").open("a") as models:
        models.write(f"    {field} = {definition}\n")
    (migrations / f"{name}.py").write_text(_MIGRATION.format(after=after, field=field, definition=definition))
    return f"products.{name}"


def break_tenant(folder: Path, tenant_id: str | None) -> str:
    """Make one tenant's next migration fail in its database, and say in a sentence what was done.

    Where nothing is pending, there is a new migration first. Raises UsageError for a tenant
    that does not exist or is broken already.
    """
    prepare(folder)
    args = ["breakdemo", *([f"--tenant-id={tenant_id}"] if tenant_id is not None else [])]
    done = _run(folder, args)
    added = ""
    if done.returncode == _NOTHING_PENDING:
        added = f"added {add_migration(folder)}, then "
        done = _run(folder, args)
    if done.returncode != 0:
        raise errors.UsageError(_said(done))
    return added + done.stdout.strip()


def reset(folder: Path) -> None:
    """Delete the project with its databases, and make it anew. Raises CannotStart where the folder is no demo."""
    if _is_demo(folder):
        shutil.rmtree(folder)
    prepare(folder)


def _is_demo(folder: Path) -> bool:
    # the folder appears under its name only when it is whole
    return (folder / "manage.py").is_file() and (folder / "shop" / "settings.py").is_file()


def _move(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        if not _is_demo(folder):  # else somebody made it meanwhile, and theirs is as good
            raise


def _next_field(models: Path) -> tuple[str, str]:
    """The first field that Product has not; the list begins again with `sku_2`."""
    present = set(re.findall(r"^    (\w+) = ", models.read_text(), re.MULTILINE))
    for turn in range(1, len(present) + 2):
        for field, definition in _FIELDS.items():
            name = field if turn == 1 else f"{field}_{turn}"
            if name not in present:
                return name, definition
    raise AssertionError(present)  # there are more names than fields present


def _manage(folder: Path, *args: str) -> None:
    done = _run(folder, list(args))
    if done.returncode != 0:
        raise errors.CannotStart(f"the demo can't be made: {_said(done)}")


def _run(folder: Path, args: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *args],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines() or [f"it exited {done.returncode} and said nothing"]
    return lines[-1].removeprefix("CommandError: ")
