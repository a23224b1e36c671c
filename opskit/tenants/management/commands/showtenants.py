from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from opskit.tenants import history, models, printing, registry


class Command(BaseCommand):
    help = "Lists all tenants, and with --status what each one's database has applied and has pending. Changes nothing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["table", "json"], default="table")
        parser.add_argument("--status", action="store_true", help="ask each tenant's database for its migrations")

    def handle(self, **options: Any) -> None:
        tenants = registry.every()
        rows = (
            [_with_status(*each) for each in history.of_tenants(tenants)] if options["status"] else map(_row, tenants)
        )
        if options["format"] == "json":
            printing.write(self.stdout, json.dumps(list(rows), indent=2))
        elif tenants:
            printing.write(self.stdout, _table(list(rows)))
        else:
            printing.write(self.stderr, "no tenants yet. `manage.py createtenant --tenant-id=… --name=…` makes one")


def _row(tenant: models.AbstractTenant) -> dict[str, Any]:
    return {"tenant_id": tenant.tenant_id, "name": tenant.name, "isolation_type": tenant.isolation_type}


def _with_status(tenant: models.AbstractTenant, found: history.History) -> dict[str, Any]:
    row = {**_row(tenant), "applied": list(found.applied), "pending": list(found.pending)}
    return {**row, "error": found.error} if found.error else row


def _table(rows: list[dict[str, Any]]) -> str:
    # a tenant with an error has a column more than the others
    head = max((list(row) for row in rows), key=len)
    return printing.table(head, [[_cell(row.get(key, "")) for key in head] for row in rows])


def _cell(value: Any) -> str:
    return str(len(value)) if isinstance(value, list) else printing.shown(str(value))
