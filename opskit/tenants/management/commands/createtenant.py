from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from opskit.tenants import creating, printing, registry, telling


class Command(BaseCommand):
    help = "Creates a tenant with a database of its own and migrates it. A failure leaves nothing behind."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant-id", required=True)
        parser.add_argument("--name", required=True)
        parser.add_argument("--no-migrate", action="store_true", help="leave the new database empty")
        parser.add_argument("--noinput", "--no-input", action="store_true")

    def handle(self, **options: Any) -> None:
        registry.every()  # a tenant table that is missing has its own sentence
        hear = None if options["no_migrate"] else telling.as_text(self.stdout)
        tenant = creating.create(options["tenant_id"], options["name"], hear)
        printing.write(self.stdout, f"✓ Tenant '{printing.shown(tenant.tenant_id)}' created.")
