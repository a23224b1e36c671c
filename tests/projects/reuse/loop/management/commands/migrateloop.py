"""Many databases in one process, by Django's command or by opskit's executor. A failed one does not stop the rest."""

import json

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from opskit.tenants import code, context, executing, history, migrating


class Command(BaseCommand):
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("way", choices=["plain", "opskit"])
        parser.add_argument("databases", nargs="+")
        parser.add_argument("--target", nargs=2, action="append", default=[], help="app and migration, or zero")
        parser.add_argument("--fake", action="store_true")
        parser.add_argument("--fake-initial", action="store_true")

    def handle(self, **options):
        migrating._import_signal_handlers()
        migrate = {"plain": _plainly, "opskit": _with_opskit}[options["way"]]
        how = {name: options[name] for name in ("fake", "fake_initial")}
        with code.shared():
            for alias in options["databases"]:
                self.stdout.write(json.dumps(_told(migrate, alias, options["target"], how)))


def _told(migrate, alias, targets, how):
    error = ""
    try:
        with context.using(alias):
            for target in targets or [()]:
                migrate(alias, target, how)
    except Exception as raised:  # noqa: BLE001 - it is told
        error = f"{type(raised).__name__}: {raised}"
    connections[alias].close()
    return {"database": alias, "error": error}


def _plainly(alias, target, how):
    call_command("migrate", *target, database=alias, verbosity=0, **how)


def _with_opskit(alias, target, how):
    connection = connections[alias]
    connection.prepare_database()
    executor = executing.MigrationExecutor(connection)
    executor.loader.check_consistent_history(connection)
    targets = _targets(executor.loader, target)
    executor.run(targets, executor.migration_plan(targets), **how)


def _targets(loader, target):
    if not target:
        return loader.graph.leaf_nodes()
    app, name = target
    return [(app, None)] if name == "zero" else history.resolve(loader, history.Target(app, name))
