import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [("users", "0002_alter_user_email")]

    operations = [
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("price", models.DecimalField(decimal_places=2, max_digits=9)),
                (
                    "added_by",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to="users.user"),
                ),
            ],
        ),
    ]
