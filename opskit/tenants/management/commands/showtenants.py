from __future__ import annotations

import csv
import io
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from opskit.tenants import history, models, printing, registry


class Command(BaseCommand):
    help = "Lists all tenants, and with --status what each one has applied and has pending. Changes nothing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["table", "json", "csv"], default="table")
        parser.add_argument("--isolation-type", choices=models.Isolation.values, help="only tenants of this kind")
        parser.add_argument("--status", action="store_true", help="ask each tenant's database for its migrations")

    def handle(self, **options: Any) -> None:
        kind = options["isolation_type"]
        tenants = [tenant for tenant in registry.every() if kind in (None, tenant.isolation_type)]
        if options["status"]:
            rows = [_with_status(*each) for each in history.of_tenants(tenants)]
        else:
            rows = [_row(tenant) for tenant in tenants]
        if options["format"] == "json":
            printing.write(self.stdout, json.dumps(rows, indent=2))
        elif options["format"] == "csv":
            printing.write(self.stdout, _csv(_head(rows, status=options["status"]), rows), ending="")
        elif tenants:
            printing.write(self.stdout, _table(_head(rows, status=options["status"]), rows))
        else:
            of_kind = f" of isolation type `{kind}`" if kind else ""
            hint = "`manage.py createtenant --tenant-id=… --name=…` makes one"
            printing.write(self.stderr, f"no tenants{of_kind} yet. {hint}")


def _row(tenant: models.AbstractTenant) -> dict[str, Any]:
    return {"tenant_id": tenant.tenant_id, "name": tenant.name, "isolation_type": tenant.isolation_type}


def _place(tenant: models.AbstractTenant) -> str:
    """Where it lives, "" where its row does not say so that it can be used."""
    return str(registry.place(tenant) or "")


def _with_status(tenant: models.AbstractTenant, found: history.History) -> dict[str, Any]:
    row = {**_row(tenant), "place": _place(tenant), "applied": list(found.applied), "pending": list(found.pending)}
    seldom = {"unrecorded": list(found.unrecorded), "error": found.error}
    return {**row, **{name: said for name, said in seldom.items() if said}}


def _head(rows: list[dict[str, Any]], *, status: bool) -> list[str]:
    """The columns; `error` is one where somebody has one."""
    head = ["tenant_id", "name", "isolation_type", *(["place", "applied", "pending"] if status else [])]
    return [*head, "error"] if any("error" in row for row in rows) else head


def _table(head: list[str], rows: list[dict[str, Any]]) -> str:
    return printing.table(head, [[_cell(row.get(key, "")) for key in head] for row in rows])


def _cell(value: Any) -> str:
    return str(len(value)) if isinstance(value, list) else printing.shown(str(value))


def _csv(head: list[str], rows: list[dict[str, Any]]) -> str:
    """A line a tenant; migrations are separated by blanks."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        cells = (row.get(key, "") for key in head)
        writer.writerow([" ".join(cell) if isinstance(cell, list) else cell for cell in cells])
    return text.getvalue()
