"""On its own: one statement outside of a transaction, which PostgreSQL finishes and commits when its client is dead."""

import witness
from django.db import migrations


def apply(apps, editor):
    witness.begin(editor.connection, "0003_index", sleep=False)
    witness.alone(editor.connection, "0003_index", "ALTER TABLE members_member ADD COLUMN IF NOT EXISTS rank integer")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("members", "0002_bonus")]
    operations = [migrations.RunPython(apply)]
