"""A first inventory, written from what was found on a host: with comments, and with what may be needed next."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opskit import errors
from opskit.inventory import document, reference, schema, wording, writing

_SCHEMA = "inventory.schema.json"


@dataclass(frozen=True)
class Draft:
    """What stands in the file. Empty text is left out, or stands there as a comment."""

    name: str
    host: str
    path: str
    python: str
    framework: str  # one of frameworks.NAMED, or `custom`
    settings: str = ""  # to set; "" leaves them to manage.py
    env_file: str = ""
    run_as: str = ""
    client: str = ""
    known: str = ""  # what was found out about the Python
    trouble: str = ""  # why its settings could not be imported
    usual: str = ""  # the settings that manage.py names
    others: tuple[str, ...] = ()  # the settings modules beside those
    reason: str = ""  # for the framework


def text(draft: Draft) -> str:
    """The inventory, as YAML with comments."""
    return "\n".join([*_head(draft), *_app(draft), *_framework(draft), *_hosts(draft), *_more()]) + "\n"


def _head(draft: Draft) -> list[str]:
    return [
        f"# yaml-language-server: $schema={_SCHEMA}",
        f"# The environment `{draft.name}`, as `init` found it. `invoke inventory --env={draft.name}` shows all of it.",
        "# opskit's docs/inventory.md has every key. Values are read as text. Keep no password in here.",
        "",
    ]


def _app(draft: Draft) -> list[str]:
    return [
        "# The Django project on the host.",
        "app:",
        "  # The folder that holds manage.py. A link such as `current` is resolved once a run.",
        f"  path: {writing.scalar(draft.path)}",
        "  # The project's own interpreter" + (f": {_comment(draft.known)}." if draft.known else "."),
        f"  python: {writing.scalar(draft.python)}",
        *([f"  # Its settings could not be imported: {_comment(draft.trouble)}"] if draft.trouble else []),
        *_env(draft),
        "  # A file of KEY=VALUE lines on the host, where the project needs one. It never leaves the host.",
        f"  env_file: {writing.scalar(draft.env_file)}" if draft.env_file else "  # env_file: /etc/acme/env",
        "  # The user to run as, with `sudo -n -u`.",
        f"  run_as: {writing.scalar(draft.run_as)}" if draft.run_as else "  # run_as: acme",
        "  # What stands before the command, where the project lives in a container. Path and python are those inside.",
        "  # wrapper: [docker, compose, exec, -T, web]",
        "",
    ]


def _env(draft: Draft) -> list[str]:
    usual = (
        f"manage.py takes {_comment(draft.usual)} by itself" if draft.usual else "Settings, and whatever else it needs"
    )
    there = f"; there is also {_comment(', '.join(draft.others))}" if draft.others else ""
    said = f"  # {usual}{there}. ${{NAME}} is taken from your own environment, and a secret."
    if draft.settings:
        return [said, "  env:", f"    DJANGO_SETTINGS_MODULE: {writing.scalar(draft.settings)}"]
    example = draft.others[0] if draft.others else draft.usual or "acme.settings"
    return [said, f"  # env: {{DJANGO_SETTINGS_MODULE: {_comment(example)}, SENTRY_DSN: '${{ACME_SENTRY_DSN}}'}}"]


def _framework(draft: Draft) -> list[str]:
    why = [f"# {_comment(draft.reason)}."] if draft.reason else []
    if draft.framework != "custom":
        return [*why, f"framework: {draft.framework}", ""]
    return [
        *why,
        "# opskit must be told its commands. These are a guess: opskit's docs/frameworks.md says what they must do.",
        "framework:",
        "  name: custom",
        '  # Prints a JSON list of tenants: [{"tenant_id": …}, …]. A management command of your own.',
        "  list: [tenants]",
        "  # Migrates the tenant whose id stands for {tenant}.",
        f"  migrate: {writing.row(_MIGRATE)}",
        "  # A regular expression: found in the output, and exit code 0, is a success.",
        f"  success: {writing.scalar(_SUCCESS)}",
        "  # Prints {tenant id: [migration, …]}: with it, who has nothing pending gets no command.",
        "  # pending: [pending_migrations]",
        "  # Migrates the shared database, with `--shared`.",
        f"  shared: {writing.row(_SHARED)}",
        "",
    ]


# What most have; what Django's own `migrate` prints.
_MIGRATE, _SHARED = ("migrate_one", "--tenant={tenant}"), ("migrate", "--noinput")
_SUCCESS = "No migrations to apply|Applying .* OK"


def _hosts(draft: Draft) -> list[str]:
    here = [f"ssh: {{client: {draft.client}}}"] if draft.client else []
    return [
        "# All hosts of an environment share its databases: the next one serves when one can't be reached.",
        f"hosts: {writing.row([draft.host])}",
        *here,
        "",
    ]


def _more() -> list[str]:
    example = schema.RolloutEntry.model_fields
    keys = ", ".join(f"{key}: {(example[key].examples or [''])[0]}" for key in ("stagger", "max_failures", "timeout"))
    return [
        "# How a run is paced, and when it stops.",
        f"# rollout: {{{keys}}}",
        "# Ask before anything is migrated.",
        "# confirm: true",
    ]


def _comment(found: str) -> str:
    """What a host said, in one line of a comment."""
    return wording.printable(found)[:200]


# ---------------------------------------------------------------- the file


def create(folder: Path, draft: Draft, environ: Mapping[str, str]) -> list[Path]:
    """Write `folder`/<name>.yaml, and the schema beside it where there is none. The files that were written.

    Nothing is ever overwritten. Raises InventoryError.
    """
    content = text(draft)
    label = f"{folder.name}/{draft.name}.yaml"
    schema.check(document.parse(content, label), label, environ)
    try:
        if not folder.is_dir():
            folder.mkdir()
        file = _new(folder / f"{draft.name}.yaml", content)
    except OSError as error:
        if isinstance(error, FileExistsError) and folder.is_dir():
            raise errors.InventoryError(exists(label)) from None
        raise errors.InventoryError(f"{label} can't be written: {(error.strerror or str(error)).lower()}") from None
    return [file, *_schema(folder)]


def exists(label: str) -> str:
    return f"{label} is there already, and `init` overwrites nothing. name another environment, or move it away"


def _schema(folder: Path) -> list[Path]:
    """For editors; an inventory does without."""
    with contextlib.suppress(OSError):
        return [_new(folder / _SCHEMA, reference.SCHEMA.read_text("utf-8"))]
    return []


def _new(file: Path, content: str) -> Path:
    """Write a file that is not there yet, whole or not at all."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
    except BaseException:
        file.unlink()
        raise
    return file
