from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0002_looked_at")]
    operations = [
        migrations.RenameField("author", "name", "full_name"),
        migrations.RenameModel("Book", "Volume"),
        migrations.AlterField("volume", "id", models.BigAutoField(primary_key=True)),
        migrations.AlterUniqueTogether("volume", {("title", "author")}),
        migrations.AddField("volume", "readers", models.ManyToManyField("library.author", related_name="+")),
        migrations.AddIndex("volume", models.Index(fields=["isbn"], name="volume_isbn")),
        migrations.AlterModelOptions("volume", {"verbose_name": "a volume", "permissions": [("lend", "Can lend")]}),
    ]
