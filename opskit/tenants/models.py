from __future__ import annotations

from django.db import models


class Isolation(models.TextChoices):
    DATABASE = "database"
    SCHEMA = "schema"


class AbstractTenant(models.Model):
    """A tenant and where its data lives: what a tenant model of your own (OPSKIT_TENANT_MODEL) begins with.

    Its server and credentials are the master database's, or those of `alias` or `url_variable`. They are never
    stored here.
    """

    tenant_id = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=255)
    isolation_type = models.CharField(max_length=16, choices=Isolation.choices, default=Isolation.DATABASE)
    database = models.CharField(
        max_length=255,
        blank=True,
        default="",
        help_text="NAME of its database; for SQLite a path, relative to the folder of the master's file",
    )
    schema = models.CharField(max_length=255, blank=True, default="", help_text="its schema, where it has one")
    alias = models.CharField(max_length=255, blank=True, default="", help_text="a key of DATABASES to use instead")
    url_variable = models.CharField(
        max_length=255, blank=True, default="", help_text="an environment variable that holds its database's URL"
    )

    class Meta:
        abstract = True
        ordering = ("tenant_id",)

    def __str__(self) -> str:
        return str(self.tenant_id)


class Tenant(AbstractTenant):
    class Meta(AbstractTenant.Meta):
        swappable = "OPSKIT_TENANT_MODEL"
