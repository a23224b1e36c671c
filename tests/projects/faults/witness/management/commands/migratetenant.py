"""The framework's own migratetenant, with a witness beside it."""

from django.conf import settings

import witness

if settings.OMNITENANT:
    from django_omnitenant.management.commands import migratetenant
else:
    from opskit.tenants.management.commands import migratetenant


class Command(migratetenant.Command):
    def handle(self, *args, **options):
        tenant = options["tenant_id"]
        if witness.once("liars", tenant):
            print(f"Migrations completed successfully for tenant '{tenant}'.")
            return
        with witness.at_work(tenant):
            witness.hold(tenant)
            super().handle(*args, **options)
