from django.db import migrations

from library import looking


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("library", "0003_renamed")]
    operations = [
        migrations.RunSQL("INSERT INTO library_seen (by, what) VALUES ('0004', 'SQL')", migrations.RunSQL.noop),
        migrations.RunPython(looking.look("0004"), migrations.RunPython.noop, atomic=True),
    ]
