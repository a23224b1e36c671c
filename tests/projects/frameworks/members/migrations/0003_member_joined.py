from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("members", "0002_member_email")]
    operations = [migrations.AddField("member", "joined", models.DateField(null=True))]
