from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    replaces = [("ledger", "0001_initial"), ("ledger", "0002_text")]
    operations = [
        migrations.CreateModel(
            "Entry",
            [
                ("id", models.AutoField(primary_key=True)),
                ("amount", models.IntegerField(default=0)),
                ("text", models.TextField(default="")),
            ],
        ),
    ]
