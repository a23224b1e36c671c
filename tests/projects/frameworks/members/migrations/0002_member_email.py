from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("members", "0001_initial")]
    operations = [migrations.AddField("member", "email", models.CharField(default="", max_length=200))]
