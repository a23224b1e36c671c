"""opskit rolls Django migrations across every tenant of a multi-tenant system."""

__version__ = "0.1.0"
