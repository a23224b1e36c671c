"""Ask a Django project how its tenants get back to where they were before a run, and what that can't take back.

This text runs on the host, by itself, with the project's folder as working directory::

    python -u -c <this text> <framework> <manage.py> '{"sets": [["app.name", ...], ...]}' <text of status.py>

Each set is what a run applied to some tenants, oldest first. It answers with one line of JSON on stdout::

    {"v": 1,
     "tenants": {"acme": {"ways": [0, ...]}, "globex": {"error": "why it can't be asked"}},
     "ways": [{"left": [of the set, what is still applied, oldest first],
               "steps": [["app", "name" or "zero"], ...: the targets of migrate, in this order],
               "later": [what else is applied and depends on it], "gone": [what is not in the code],
               "irreversible": ["app.name (RunPython)", ...], "loses": ["table app.Model", "field app.model.name", ...],
               "tangled": "app": no target takes back exactly these, "" where one does}, ...]}

A tenant has a way for each set, by its number in `ways`. Nothing is changed.
Exit 1 is a failure, with its reason as the last line of stderr; exit 3 a manage.py that starts no command.

Standard library and Django only, Python 3.8 and newer.
"""

# ruff: noqa: PLC0415 - Django comes in where the project is about to be started, or has been

from __future__ import annotations

import json
import os
import sys
import types
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

Migration = Tuple[str, str]  # app, name

status: Any = types.ModuleType("status")  # the other question: it knows how to start a project, and whom it has


def main() -> int:
    framework, manage, params, text = sys.argv[1:5]
    exec(compile(text, "status.py", "exec"), status.__dict__)  # noqa: S102 - it came with us
    sys.argv[1:] = []
    return int(status.answer(manage, lambda: ways_back(framework, json.loads(params))))


def ways_back(framework: str, params: Dict[str, Any]) -> Dict[str, Any]:
    if framework not in status.FRAMEWORKS:
        raise LookupError("no question for the framework `%s`" % framework)
    import django

    django.setup()
    status.keep_secret(status.database_settings())
    ways = Ways([[split(name) for name in each] for each in params["sets"]])
    tenants = {}
    for tenant_id, error, rows in histories(framework, params):
        tenants[tenant_id] = {"error": error} if rows is None else {"ways": ways.of(rows)}
    status.close_connections()
    return {"v": 1, "tenants": tenants, "ways": ways.found}


def split(name: str) -> Migration:
    app, _, migration = name.partition(".")
    return app, migration


# ---------------------------------------------------------------- whose history


def histories(framework: str, params: Dict[str, Any]) -> Iterator[Tuple[str, str, Optional[List[Migration]]]]:
    """(tenant, why it can't be asked, the rows of its history) of every tenant."""
    if framework == "opskit":
        for row in opskit_rows():
            error = row.get("error") or ""
            yield row["tenant_id"], error, None if error else [split(name) for name in row["applied"]]
        return
    heard = Heard()
    for row in status.every_tenant(framework, heard, params):
        yield row["tenant_id"], row["error"], None if row["error"] else heard.rows


def opskit_rows() -> List[Dict[str, Any]]:
    import io

    from django.core.management import call_command

    buffer = io.StringIO()
    call_command("showtenants", "--status", "--format=json", stdout=buffer)
    rows: List[Dict[str, Any]] = json.loads(buffer.getvalue())
    return rows


class Heard:
    """Stands where the other question plans: it only hears what each history is."""

    rows: List[Migration] = []  # noqa: RUF012 - each history takes its place

    def after(self, rows: List[Migration]) -> List[str]:
        self.rows = rows
        return []

    def unrecorded(self, _rows: List[Migration]) -> List[str]:
        return []


# ---------------------------------------------------------------- the way back


class Ways:
    """The ways back. Distinct histories are few, and each is looked at once for each set."""

    def __init__(self, sets: List[List[Migration]]) -> None:
        self.sets = sets
        self.pending = status.Pending()
        self.known: Dict[Any, List[int]] = {}
        self.found: List[Dict[str, Any]] = []

    def of(self, rows: List[Migration]) -> List[int]:
        key = frozenset(self.pending.relevant.intersection(rows))
        if key not in self.known:
            loader = self.pending.loader(status.History(rows))
            self.known[key] = [self.number(Way(loader, set(rows), names).told()) for names in self.sets]
        return self.known[key]

    def number(self, told: Dict[str, Any]) -> int:
        self.found.append(told)
        return len(self.found) - 1


class Way:
    """How one history gets back from what a set added to it."""

    def __init__(self, loader: Any, rows: Set[Migration], names: List[Migration]) -> None:
        self.loader, self.graph = loader, loader.graph
        self.applied: Set[Migration] = set(loader.applied_migrations)
        self.gone = [name for name in names if name in rows and name not in self.graph.nodes]
        self.left = [name for name in names if name in self.applied and name in self.graph.nodes]
        self.back = {each for name in self.left for each in self.after(name)}

    def after(self, name: Migration) -> List[Migration]:
        """A migration and all that are applied and depend on it, in the order in which migrate takes them back."""
        return [each for each in self.graph.backwards_plan(name) if each in self.applied]

    def told(self) -> Dict[str, Any]:
        steps, tangled = self.steps()
        return {
            "left": dotted(self.left),
            "steps": steps,
            "tangled": tangled,
            "later": sorted(dotted(self.back.difference(self.left))),
            "gone": dotted(self.gone),
            "irreversible": [each for name in self.left for each in self.irreversible(name)],
            "loses": [each for name in self.left for each in self.loses(name)],
        }

    def steps(self) -> Tuple[List[List[str]], str]:
        """The targets, the app that was applied last first; and the app that has none, "" where all have."""
        remaining = set(self.applied)
        steps = []
        for app in dict.fromkeys(app for app, _name in reversed(self.left)):
            own = {each for each in self.back & remaining if each[0] == app}
            if not own:  # taken back with another app's, which they depend on
                continue
            target = next((each for each in self.targets(app, remaining) if self.fits(app, each, own, remaining)), "")
            if not target:
                return [], app
            remaining.difference_update(self.taken_back(app, target, remaining))
            steps.append([app, target])
        return steps, ""

    def targets(self, app: str, remaining: Set[Migration]) -> List[str]:
        """What of an app is to stay, the newest first; `zero` where nothing is."""
        leaves = self.graph.leaf_nodes(app)
        order = dict.fromkeys(each for leaf in leaves for each in self.graph.forwards_plan(leaf))
        kept = [name for label, name in order if label == app and (label, name) in remaining - self.back]
        return kept[::-1] if kept else ["zero"]

    def fits(self, app: str, target: str, own: Set[Migration], remaining: Set[Migration]) -> bool:
        """Whether it takes back all that it should of its app, and nothing else of anybody's."""
        gone = self.taken_back(app, target, remaining)
        alike = [each for each in self.loader.disk_migrations if each[0] == app and each[1].startswith(target)]
        return own <= gone <= self.back and len(alike) <= 1  # migrate goes by the beginning of a name

    def taken_back(self, app: str, target: str, remaining: Set[Migration]) -> Set[Migration]:
        """What MigrationExecutor.migration_plan takes back for a target (Django 5.2)."""
        if target == "zero":
            begin = [each for each in self.graph.root_nodes() if each[0] == app]
        else:
            begin = [node.key for node in self.graph.node_map[(app, target)].children if node.key[0] == app]
        return {each for node in begin for each in self.graph.backwards_plan(node) if each in remaining}

    def irreversible(self, name: Migration) -> List[str]:
        operations = every(self.graph.nodes[name].operations)
        kinds = dict.fromkeys(type(each).__name__ for each in operations if not each.reversible)
        return ["%s.%s (%s)" % (*name, kind) for kind in kinds]

    def loses(self, name: Migration) -> List[str]:
        """What of the data goes with it: tables and fields that the migration made."""
        from django.db.migrations.operations import AddField, CreateModel

        told = []
        for each in every(self.graph.nodes[name].operations):
            if isinstance(each, CreateModel):
                told.append("table %s.%s" % (name[0], each.name))
            elif isinstance(each, AddField):
                told.append("field %s.%s.%s" % (name[0], each.model_name, each.name))
        return told


def every(operations: List[Any]) -> Iterator[Any]:
    """The operations, with those that others hold: what these do in the database is done by them."""
    for each in operations:
        yield each
        yield from every(list(getattr(each, "database_operations", [])))


def dotted(names: Any) -> List[str]:
    return ["%s.%s" % name for name in names]


if __name__ == "__main__":
    code_ = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code_)  # a thread that the project started would keep the process, and its answer is given
