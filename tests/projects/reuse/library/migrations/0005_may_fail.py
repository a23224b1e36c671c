"""Fails in the middle where a table called `library_refuse` is there."""

from django.db import migrations, models


def refuse(apps, schema_editor):
    if "library_refuse" in schema_editor.connection.introspection.table_names():
        raise ValueError("this database was told to refuse")


class Migration(migrations.Migration):
    dependencies = [("library", "0004_not_atomic")]
    operations = [
        migrations.AddField("author", "born", models.IntegerField(default=1900), preserve_default=False),
        migrations.RunPython(refuse, migrations.RunPython.noop),
        migrations.AddConstraint("author", models.CheckConstraint(condition=models.Q(born__gt=0), name="born")),
        migrations.RemoveField("reminder", "loan"),
        migrations.AlterUniqueTogether("volume", set()),
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL("CREATE TABLE library_shelf (id integer PRIMARY KEY)", "DROP TABLE library_shelf")],
            [migrations.CreateModel("Shelf", [("id", models.IntegerField(primary_key=True))])],
        ),
        migrations.AddField("volume", "shelf", models.ForeignKey("library.shelf", models.SET_NULL, null=True)),
    ]
