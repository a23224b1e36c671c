from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.commands.migrate import Command as Migrate
from django.db import Error

from opskit import errors, model
from opskit.tenants import flags, history, migrating, models, printing, registry, sessions, telling
from opskit.tenants.errors import TenantDatabaseError


class Command(BaseCommand):
    help = "Migrates one tenant's database, and exits 0 only when nothing is left pending there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant-id", required=True)
        parser.add_argument("app_label", nargs="?", default="", help="migrate only this app")
        parser.add_argument("migration_name", nargs="?", default="", help='to this migration, or "zero"')
        parser.add_argument("--plan", action="store_true", help="show what would run, and run nothing")
        parser.add_argument("--check", action="store_true", help="exit 1 when something would run, and run nothing")
        parser.add_argument("--fake", action="store_true", help="record migrations as applied, and run none")
        parser.add_argument("--fake-initial", action="store_true", help="fake initial migrations whose tables exist")
        parser.add_argument("--format", choices=["text", "jsonl"], default="text", help="jsonl: events, one a line")
        # nothing here asks anything: taken because scripts pass it to migrate
        parser.add_argument("--noinput", "--no-input", action="store_true")
        flags.add_limits(parser)

    def handle(self, **options: Any) -> None:
        tenant = registry.find(options["tenant_id"])
        target = history.Target(
            options["app_label"], options["migration_name"], options["fake"], options["fake_initial"]
        )
        if options["plan"] or options["check"]:
            self._preview(tenant, target, options)
        else:
            self._migrate(tenant, target, options)

    def _migrate(self, tenant: models.AbstractTenant, target: history.Target, options: dict[str, Any]) -> None:
        registry.refuse_company(tenant)
        events = options["format"] == "jsonl"
        hear = telling.as_events(self.stdout, self.stderr) if events else telling.as_text(self.stdout)
        outcome = migrating.migrate(tenant, target, hear, _limits(options))
        if outcome.status is model.Status.FAILED:
            raise CommandError(f"Migrations failed for tenant '{printing.shown(outcome.tenant)}': {outcome.error}")

    def _preview(self, tenant: models.AbstractTenant, target: history.Target, options: dict[str, Any]) -> None:
        if options["format"] == "jsonl":
            raise CommandError("--plan and --check migrate nothing and have no events: leave out --format=jsonl")
        try:
            with migrating.planned(tenant, target) as plan:
                if options["plan"]:
                    self._show(plan)
        except (Error, TenantDatabaseError) as error:
            raise CommandError(history.reason(error)) from error
        if plan and options["check"]:
            sys.exit(1)

    def _show(self, plan: list[migrating.Step]) -> None:
        printing.write(self.stdout, "Planned operations:")
        if not plan:
            printing.write(self.stdout, "  No planned migration operations.")
        for migration, backwards in plan:
            printing.write(self.stdout, str(migration))
            for operation in migration.operations:
                printing.write(self.stdout, f"    {Migrate.describe_operation(operation, backwards)[0]}")


def _limits(options: dict[str, Any]) -> sessions.Limits:
    try:
        return flags.limits(options)
    except errors.UsageError as error:
        raise flags.refusal(error) from error
