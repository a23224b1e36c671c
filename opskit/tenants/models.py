from __future__ import annotations

from django.db import models


class Isolation(models.TextChoices):
    DATABASE = "database"


class Tenant(models.Model):
    """A tenant and where its data lives. Credentials are the master database's settings, never stored here."""

    tenant_id = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=255)
    isolation_type = models.CharField(max_length=16, choices=Isolation.choices, default=Isolation.DATABASE)
    # NAME of its database; for SQLite a path, relative to the folder of the master's file
    database = models.CharField(max_length=255, unique=True)

    class Meta:
        ordering = ("tenant_id",)

    def __str__(self) -> str:
        return str(self.tenant_id)
