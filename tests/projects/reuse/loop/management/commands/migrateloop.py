"""Many databases in one process, by Django's command or by opskit's executor. A failed one does not stop the rest."""

import json
import resource
import time

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

    def handle(self, **options):
        migrating._import_signal_handlers()
        migrate = {"plain": _plainly, "opskit": _with_opskit}[options["way"]]
        with code.shared():
            for alias in options["databases"]:
                self.stdout.write(json.dumps(_told(migrate, alias, options)))


def _told(migrate, alias, options):
    began, worked = time.perf_counter(), time.process_time()
    error = ""
    try:
        with context.using(alias):
            for target in options["target"] or [()]:
                migrate(alias, target, options["fake"])
    except Exception as raised:  # noqa: BLE001 - it is told
        error = f"{type(raised).__name__}: {raised}"
    connections[alias].close()
    return {
        "database": alias,
        "error": error,
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - worked,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def _plainly(alias, target, fake):
    call_command("migrate", *target, database=alias, fake=fake, verbosity=0)


def _with_opskit(alias, target, fake):
    connection = connections[alias]
    connection.prepare_database()
    executor = executing.MigrationExecutor(connection)
    executor.loader.check_consistent_history(connection)
    targets = _targets(executor.loader, target)
    executor.run(targets, executor.migration_plan(targets), fake=fake)


def _targets(loader, target):
    if not target:
        return loader.graph.leaf_nodes()
    app, name = target
    return [(app, None)] if name == "zero" else history.resolve(loader, history.Target(app, name))
