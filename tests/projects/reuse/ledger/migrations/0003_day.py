from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_squashed_0002")]
    operations = [migrations.AddField("entry", "day", models.DateField(null=True))]
