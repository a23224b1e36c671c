from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.commands import showmigrations
from django.db import Error

from opskit import errors, model
from opskit.rollout import plan
from opskit.tenants import code, databases, flags, history, models, printing, registry, routers
from opskit.tenants.errors import TenantDatabaseError


class Command(BaseCommand):
    help = "Shows every tenant's migrations as Django's showmigrations does. Changes nothing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", nargs="*", help="only these apps")
        parser.add_argument("--tenant-id", help="only this tenant")
        flags.add_selection(parser)
        parser.add_argument("--plan", "-p", action="store_true", help="in the order in which they are applied")

    def handle(self, **options: Any) -> None:
        with code.shared() as shared, _read_once(shared):
            labels = options["app_label"] or sorted(shared.migrated_apps & routers.tenant_apps())
            unreached = [tenant.tenant_id for tenant in _chosen(options) if not self._show(tenant, labels, options)]
        if unreached:
            raise CommandError(f"can't be asked: {', '.join(map(printing.shown, unreached))}")

    def _show(self, tenant: models.AbstractTenant, labels: list[str], options: dict[str, Any]) -> bool:
        """Whether the tenant could be asked."""
        printing.write(self.stdout, f"Migrations of tenant: {printing.shown(tenant.tenant_id)}")
        try:
            with databases.connected(tenant) as alias:
                printing.write(self.stdout, _shown(alias, labels, options), ending="")
        except (Error, TenantDatabaseError) as error:
            printing.write(self.stderr, f"ERROR tenant={printing.word(tenant.tenant_id)} {history.reason(error)}")
            return False
        return True


@contextlib.contextmanager
def _read_once(shared: code.Code) -> Iterator[None]:
    """Django's showmigrations makes a loader for each database (5.2): here it gets one that has read the code."""
    module: Any = showmigrations
    its_own = module.MigrationLoader
    module.MigrationLoader = lambda connection, **_: code.Loader(connection, shared)
    try:
        yield
    finally:
        module.MigrationLoader = its_own


def _shown(alias: str, labels: list[str], options: dict[str, Any]) -> str:
    text = io.StringIO()
    form = "plan" if options["plan"] else "list"
    call_command(
        "showmigrations",
        *labels,
        database=alias,
        format=form,
        verbosity=options["verbosity"],
        no_color=True,
        stdout=text,
    )
    return text.getvalue()


def _chosen(options: dict[str, Any]) -> list[models.AbstractTenant]:
    if options["tenant_id"] is not None:
        return [registry.find(options["tenant_id"])]
    rows = {row.tenant_id: row for row in registry.every()}
    try:
        only, exclude = flags.selection(options)
        chosen = plan.select(tuple(model.Tenant(name) for name in rows), only, exclude)
    except errors.UsageError as error:
        raise flags.refusal(error) from error
    return [rows[tenant.id] for tenant in chosen]
