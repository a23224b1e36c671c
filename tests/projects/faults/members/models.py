from django.db import models


class Member(models.Model):
    name = models.CharField(max_length=100)
    bonus = models.IntegerField(default=0)

    def __str__(self):
        return self.name


class Audit(models.Model):
    """What a migration writes in its own transaction: a row here is a migration that was committed."""

    migration = models.CharField(max_length=100)
    pid = models.IntegerField()

    def __str__(self):
        return self.migration
