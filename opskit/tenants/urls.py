"""A database's URL, as an environment variable holds it, read into Django's settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.db.utils import load_backend

from opskit.tenants.errors import TenantDatabaseError

_ENGINES = {
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
    "sqlite": "django.db.backends.sqlite3",
}


def over(master: dict[str, Any], url: str, variable: str) -> dict[str, Any]:
    """The master's settings with what `postgresql://user:password@host:5432/name?sslmode=require` says.

    Of another kind of database, the master's OPTIONS are left out. Raises TenantDatabaseError, which names the
    variable and never what it holds.
    """
    try:
        parts = urlsplit(url)
        engine, port = _ENGINES[parts.scheme], parts.port
    except (KeyError, ValueError) as error:
        known = ", ".join(f"`{scheme}://`" for scheme in sorted(_ENGINES))
        raise TenantDatabaseError(f"the environment variable `{variable}` holds no URL that starts with {known}") from (
            error if isinstance(error, KeyError) else None
        )
    alike = vendor(master["ENGINE"]) == vendor(engine)
    return {
        **master,
        "ENGINE": master["ENGINE"] if alike else engine,
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "OPTIONS": {**(master["OPTIONS"] if alike else {}), **dict(parse_qsl(parts.query))},
    }


def vendor(engine: str) -> str:
    """`postgresql`, `mysql`, `sqlite` or another: also of a backend that builds on one of Django's."""
    return str(load_backend(engine).DatabaseWrapper.vendor)
