"""What a new tenant's database or schema is called, and which names a database would not keep."""

from __future__ import annotations

import hashlib
import re

from opskit.tenants.errors import TenantDatabaseError

_PLAIN = re.compile(r"[a-z0-9_-]{1,40}")
_LONGEST = {"postgresql": 63, "mysql": 64}  # PostgreSQL counts bytes, and cuts the rest off (NAMEDATALEN, 18)


def database_for(tenant_id: str, *, sqlite: bool) -> str:
    """`acme_db`, whatever characters the id holds."""
    return f"{_stem(tenant_id)}_db.sqlite3" if sqlite else f"{_stem(tenant_id)}_db"


def schema_for(tenant_id: str) -> str:
    """`public_acme`, whatever characters the id holds."""
    return f"public_{_stem(tenant_id)}"


def file_for(tenant_id: str) -> str:
    """A file name of its own for each id."""
    return _stem(tenant_id)


def _stem(tenant_id: str) -> str:
    if _PLAIN.fullmatch(tenant_id):
        return tenant_id
    digest = hashlib.sha256(tenant_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^a-z0-9_-]', '_', tenant_id.lower())[:40]}_{digest}"


def fault(name: str, vendor: str) -> str:
    """Why a database of this vendor would not keep the name, "" where it would."""
    longest = _LONGEST.get(vendor)
    if "\0" in name:
        return "it holds a NUL"
    if longest is not None and len(name.encode("utf-8", "surrogatepass")) > longest:
        return f"only its first {longest} bytes would be kept"
    return ""


def refuse_database(name: str, vendor: str) -> None:
    """Raises TenantDatabaseError for a name that the database would change."""
    if why := fault(name, vendor):
        raise TenantDatabaseError(f"database `{name}` can't be used: {why}")


def refuse_schema(name: str) -> None:
    """Raises TenantDatabaseError for a schema that PostgreSQL would call otherwise, or that is no tenant's."""
    why = fault(name, "postgresql")
    if name.startswith("pg_"):
        why = "names that start with `pg_` are PostgreSQL's own"
    if name in ("public", "information_schema"):
        why = "it is not one tenant's alone"
    if why:
        raise TenantDatabaseError(f"schema `{name}` can't be used: {why}")
