from django.db import migrations, models

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Member", [("id", ID), ("name", models.CharField(max_length=100))]),
        migrations.CreateModel(
            "Audit",
            [("id", ID.clone()), ("migration", models.CharField(max_length=100)), ("pid", models.IntegerField())],
        ),
    ]
