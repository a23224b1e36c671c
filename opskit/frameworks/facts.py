"""What `check` asks a host and its project (`remote/host.py`, `remote/facts.py`), and how the answers read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opskit import errors, frameworks, model
from opskit.frameworks import django, listing
from opskit.frameworks.framework import Framework, Target

_NO_COMMAND = 3  # the exit code of a question whose manage.py never came to a command


def about_host(state_dir: str | None) -> model.Command:
    return model.Command(args=("host", json.dumps({"state_dir": state_dir})), question="host")


def about_project(framework: Framework, *, deep: bool) -> model.Command:
    """`deep` asks for every database server, and for what takes longer to find out."""
    wanted = dict.fromkeys(name for each in _possible(framework) for name in commands(each))
    params = {"commands": list(wanted), "deep": deep}
    return model.Command(args=(framework.name, json.dumps(params)), question="facts")


def _possible(framework: Framework) -> Iterable[Framework]:
    """Those that it may turn out to be."""
    return frameworks.KNOWN.values() if framework.name == frameworks.AUTO else (framework,)


def commands(framework: Framework) -> tuple[str, ...]:
    """The names of the management commands that a framework needs."""
    one = framework.migrate(model.Tenant("x"), Target())
    asked = (framework.list, one, framework.survey, framework.shared)
    return tuple(dict.fromkeys(each.args[0] for each in asked if each is not None and not each.question))


# ---------------------------------------------------------------- answers


def read_host(reply: model.Reply) -> model.HostFacts:
    """Raises ListingError."""
    told = listing.parse(listing.answer(reply, "asking the host about itself"), dict)
    if not isinstance(told, dict) or not isinstance(told.get("time"), int | float):
        raise errors.ListingError("asking the host about itself gave no `time`")
    state = _mapping(told.get("state"))
    return model.HostFacts(
        clock=float(told["time"]),
        user=_text(told.get("user")),
        state_folder=_text(state.get("path")),
        state_error=_text(state.get("error")),
        disks=tuple(_disk(_mapping(row)) for row in told.get("disks") or ()),
        max_startups=_text(told.get("max_startups")),
        max_startups_error=_text(told.get("max_startups_error")),
    )


def _disk(row: Mapping[str, Any]) -> model.Disk:
    return model.Disk(
        of=tuple(map(_text, row.get("of") or ())),
        free=_number(row.get("free")) or 0,
        full=bool(row.get("full")),
        read_only=bool(row.get("read_only")),
    )


def read_project(reply: model.Reply) -> model.ProjectFacts:
    """What was told before the end, and why there is no more. Never raises."""
    parts = list(_parts(reply.out))
    code: Mapping[str, Any] = next((part for part in parts if part.get("part") == "code"), {})
    migrations = code.get("migrations")
    ended = any(part.get("part") == "end" for part in parts)
    return model.ProjectFacts(
        django=_text(code.get("django")),
        frameworks=tuple(map(_text, code.get("frameworks") or ())),
        package=_text(code.get("package")),
        commands={name: _text(app) for name, app in _mapping(code.get("commands")).items()},
        migrations=frozenset(map(_text, migrations)) if isinstance(migrations, list) else None,
        migrations_error=_text(code.get("error")),
        servers=tuple(_server(part) for part in parts if part.get("part") == "server"),
        error="" if ended else _why(reply),
    )


def never_came_to_a_command(reply: model.Reply) -> bool:
    return reply.exit == _NO_COMMAND and not reply.timed_out


def _parts(text: str) -> Iterator[dict[str, Any]]:
    """The whole lines of an answer: the last one may have been cut off."""
    for line in text.splitlines():
        try:
            part = json.loads(line)
        except ValueError:
            continue
        if isinstance(part, dict):
            yield part


def _why(reply: model.Reply) -> str:
    return reply.error or django.reason(reply.tail) or f"it exited {reply.exit} without a word"


def _server(part: Mapping[str, Any]) -> model.Server:
    numbers = (
        "max_connections",
        "reserved",
        "used",
        "lock_slots",
        "locks",
        "relations",
        "size",
        "largest",
        "disk_free",
    )
    texts = ("database", "error", "vendor", "version", "user", "started", "lock_timeout")
    between = ("pgoptions", "pgoptions_error", "pooler")
    told: dict[str, Any] = {name: _number(part.get(name)) for name in numbers}
    told |= {name: _text(part.get(name)) for name in (*texts, *between)}
    told |= {name: bool(part.get(name)) for name in ("standby", "pgoptions_set")}
    return model.Server(name=_text(part.get("server")), **told)


def _text(value: Any) -> str:
    return "" if value is None else django.one_line(str(value))


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
