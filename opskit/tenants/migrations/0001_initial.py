from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Tenant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant_id', models.CharField(max_length=255, unique=True)),
                ('name', models.CharField(max_length=255)),
                ('isolation_type', models.CharField(choices=[('database', 'Database')], default='database', max_length=16)),
                ('database', models.CharField(max_length=255, unique=True)),
            ],
            options={
                'ordering': ('tenant_id',),
                'swappable': 'OPSKIT_TENANT_MODEL',
            },
        ),
    ]
