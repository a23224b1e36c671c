"""Ask whether settings that came in PGOPTIONS hold on the project's own connections. Nothing is changed.

This text runs on the host, by itself, with the project's folder as working directory::

    python -u -c <this text> <framework> <manage.py> '{"pgoptions": "-c lock_timeout=5000",
        "wanted": {"lock_timeout": "5000"}, "tenants": true}' <text of status.py>

with these PGOPTIONS in its environment, beside what else was there, as a tenant's command has them. It answers
with one line of JSON on stdout, of the connections where something differs::

    {"v": 1, "differ": [{"tenant": id, "" for none, "alias": of a connection that is no tenant's and not the master's,
                         "vendor": "postgresql", "found": {"lock_timeout": "0"},
                         "own": whether the project's settings have start-up options of their own,
                         "pooled": whether there is a pooler in between,
                         "refused": why the connection was refused with them, where it is not without}, ...]}

Values are as pg_settings has them: those of time in milliseconds. Where that is wanted, and they hold for the master,
each tenant that has a connection of its own is asked; one that can't be entered in either way is another question's.
Of the project's other connections, which a migration may use, those are told that are refused with them.
Exit 1 is a failure, with its reason as the last line of stderr; exit 3 a manage.py that starts no command.

Standard library and Django only, Python 3.8 and newer.
"""

# ruff: noqa: PLC0415 - Django comes in where the project is about to be started, or has been

from __future__ import annotations

import json
import os
import sys
import types
from typing import Any, Dict, Iterable, Iterator, List, Set, Tuple

Connection = Tuple[str, str, Dict[str, Any]]  # tenant, alias, one entry of DATABASES

status: Any = types.ModuleType("status")  # another question: it knows how to start a project, and what not to tell


def main() -> int:
    framework, manage, params, text = sys.argv[1:5]
    exec(compile(text, "status.py", "exec"), status.__dict__)  # noqa: S102 - it came with us
    sys.argv[1:] = []
    return int(status.answer(manage, lambda: look(framework, json.loads(params))))


def look(framework: str, params: Dict[str, Any]) -> Dict[str, Any]:
    import django

    django.setup()
    for settings in status.database_settings().values():
        status.keep_secret(settings)
    known: Set[str] = set()
    differ = differences(masters(framework), params, known)
    if params["tenants"] and framework in status.OWN and not differ:  # else the tenants can't be read, perhaps
        differ = differences(status.OWN[framework](), params, known)
    return {"v": 1, "differ": differ or refusals(params, known)}


def differences(connections: Iterable[Connection], params: Dict[str, Any], known: Set[str]) -> List[Dict[str, Any]]:
    """What does not hold, a row a connection; the aliases that were asked become `known`."""
    found = []
    for tenant, alias, settings in connections:
        known.add(alias)
        told = difference(alias, settings, params)
        if told:
            found.append(dict(told, tenant=tenant))
    return found


def refusals(params: Dict[str, Any], known: Set[str]) -> List[Dict[str, Any]]:
    """The project's other connections that such settings keep anybody from making: a migration may use one."""
    others = [(alias, settings) for alias, settings in status.database_settings().items() if alias not in known]
    found = ((alias, difference(alias, settings, params)) for alias, settings in others)
    return [dict(told, tenant="", alias=alias) for alias, told in found if told.get("refused")]


# ---------------------------------------------------------------- which connections there are


def masters(framework: str) -> Iterator[Connection]:
    """The master's connection, and the default one: a schema tenant is in that, whatever the master's alias."""
    master = status.FRAMEWORKS[framework][0]() if framework in status.FRAMEWORKS else status.default_master()
    for alias in sorted({master, status.default_master()}, key=lambda alias: alias != master):
        if alias in status.database_settings():
            yield "", alias, status.database_settings()[alias]


# ---------------------------------------------------------------- one of them


def difference(alias: str, settings: Dict[str, Any], params: Dict[str, Any]) -> Dict[str, Any]:
    """What does not hold on this connection, {} where all does, or where there is no such connection at all."""
    from django.db import Error

    told = {"own": bool((settings.get("OPTIONS") or {}).get("options")), "pooled": False, "refused": "", "found": {}}
    try:
        found = asked(alias, settings, params["wanted"])
    except Error as error:
        if not without(alias, settings, params["pgoptions"]):
            return {}
        return dict(told, vendor="postgresql", refused=status.reason(error))
    except Exception:  # noqa: BLE001 - a file that is not there, say
        return {}
    return {} if found.get("found") == params["wanted"] else dict(told, **found)


def asked(alias: str, settings: Dict[str, Any], wanted: Dict[str, str]) -> Dict[str, Any]:
    connection = status.own_connection(alias, settings)
    try:
        if connection.vendor != "postgresql":
            return {"vendor": connection.vendor}
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, setting, pg_backend_pid() FROM pg_settings WHERE name = ANY(%s)", [list(wanted)]
            )
            rows = cursor.fetchall()
        told = getattr(getattr(connection.connection, "info", None), "backend_pid", None)
        pooled = any(told not in (None, pid) for _name, _setting, pid in rows)
        return {"vendor": "postgresql", "pooled": pooled, "found": {name: setting for name, setting, _pid in rows}}
    finally:
        connection.close()


def without(alias: str, settings: Dict[str, Any], ours: str) -> bool:
    """Whether the connection can be made without our settings."""
    before = os.environ.get("PGOPTIONS", "")
    options = dict(settings.get("OPTIONS") or {})
    if options.get("options"):  # opskit.tenants puts PGOPTIONS into them
        options["options"] = options["options"].replace(ours, "").strip()
    os.environ["PGOPTIONS"] = before.replace(ours, "").strip()
    try:
        asked(alias, dict(settings, OPTIONS=options), {})
    except Exception:  # noqa: BLE001 - it can't be entered at all
        return False
    finally:
        os.environ["PGOPTIONS"] = before
    return True


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread that the project started would keep the process, and its answer is given
