from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("invoices", "0001_initial"), ("members", "0002_member_email")]
    operations = [migrations.AddField("invoice", "paid", models.BooleanField(default=False))]
