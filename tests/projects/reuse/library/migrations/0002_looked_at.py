from django.db import migrations, models

from library import looking


class Migration(migrations.Migration):
    dependencies = [("library", "0001_initial"), ("contenttypes", "0002_remove_content_type_name")]
    operations = [
        migrations.RunPython(looking.look("0002, first"), migrations.RunPython.noop),
        migrations.AddField("book", "isbn", models.CharField(max_length=20, default="none"), preserve_default=False),
        migrations.AlterField("book", "title", models.CharField(max_length=80, help_text="as on the cover")),
        migrations.RunPython(looking.look("0002, second"), migrations.RunPython.noop),
    ]
