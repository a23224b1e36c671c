"""What keeps a tenant's database from being used."""

from __future__ import annotations


class TenantDatabaseError(Exception):
    """A tenant's database can't be made, reached, used or removed; the message says which and why."""


class TenantLockedError(Exception):
    """Somebody else is migrating the tenant; the message says who."""
