from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Entry", [("id", models.AutoField(primary_key=True)), ("amount", models.IntegerField(default=0))]
        ),
    ]
