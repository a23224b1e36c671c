from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            "Seen",
            [("id", models.BigAutoField(primary_key=True)), ("by", models.TextField()), ("what", models.TextField())],
        ),
        migrations.CreateModel(
            "Author", [("id", models.AutoField(primary_key=True)), ("name", models.CharField(max_length=40))]
        ),
        migrations.CreateModel(
            "Book",
            [
                ("id", models.AutoField(primary_key=True)),
                ("title", models.CharField(max_length=40)),
                ("author", models.ForeignKey("library.author", models.CASCADE)),
            ],
        ),
        migrations.CreateModel(
            "Loan",
            [
                ("book", models.OneToOneField("library.book", models.CASCADE, primary_key=True)),
                ("until", models.DateField(null=True)),
            ],
        ),
        migrations.CreateModel(
            "Reminder",
            [("id", models.AutoField(primary_key=True)), ("loan", models.ForeignKey("library.loan", models.CASCADE))],
        ),
    ]
