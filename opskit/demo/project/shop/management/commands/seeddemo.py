from django.core.management import BaseCommand, call_command

from opskit.tenants import creating

TENANTS = {
    "acme": "Acme Corporation",
    "aperture": "Aperture Science",
    "cyberdyne": "Cyberdyne Systems",
    "globex": "Globex Corporation",
    "hooli": "Hooli",
    "initech": "Initech",
    "massive-dynamic": "Massive Dynamic",
    "soylent": "Soylent Industries",
    "stark": "Stark Industries",
    "umbrella": "Umbrella Corporation",
    "wayne": "Wayne Enterprises",
    "wonka": "Wonka Confections",
}


class Command(BaseCommand):
    help = "Makes the shared database and a dozen tenants, whose databases are empty."

    def handle(self, **_options):
        call_command("migrate", "opskit_tenants", verbosity=0)
        for tenant_id, name in TENANTS.items():
            creating.create(tenant_id, name)
