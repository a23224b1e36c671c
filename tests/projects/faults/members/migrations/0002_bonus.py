"""All or nothing: the column, the audit row and Django's own row are one transaction, in which it takes its time."""

import witness
from django.db import migrations, models

NAME = "0002_bonus"


def begin(apps, editor):
    witness.begin(editor.connection, NAME)


def end(apps, editor):
    witness.end(editor.connection, NAME)


class Migration(migrations.Migration):
    dependencies = [("members", "0001_initial")]
    operations = [
        migrations.RunPython(begin),
        migrations.AddField("member", "bonus", models.IntegerField(default=0)),
        migrations.RunPython(end),
    ]
