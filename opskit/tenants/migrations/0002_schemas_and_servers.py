from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('opskit_tenants', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='tenant',
            name='isolation_type',
            field=models.CharField(choices=[('database', 'Database'), ('schema', 'Schema')], default='database', max_length=16),
        ),
        migrations.AlterField(
            model_name='tenant',
            name='database',
            field=models.CharField(blank=True, default='', help_text="NAME of its database; for SQLite a path, relative to the folder of the master's file", max_length=255),
        ),
        migrations.AddField(
            model_name='tenant',
            name='schema',
            field=models.CharField(blank=True, default='', help_text='its schema, where it has one', max_length=255),
        ),
        migrations.AddField(
            model_name='tenant',
            name='alias',
            field=models.CharField(blank=True, default='', help_text='a key of DATABASES to use instead', max_length=255),
        ),
        migrations.AddField(
            model_name='tenant',
            name='url_variable',
            field=models.CharField(blank=True, default='', help_text="an environment variable that holds its database's URL", max_length=255),
        ),
    ]
