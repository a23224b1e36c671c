"""What a process builds before it is forked for tenants (opskit/remote/warm.py), so that each of them finds it built.

A fork's memory is its own from there on: what it makes or spoils of this is gone with it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import DEFAULT_DB_ALIAS, connections

from opskit.tenants import code, executing, history

Names = list[list[str]]  # [[app label, migration name], …]


def begin(tell: Callable[[Names], None]) -> None:
    """Load the migrations for this process and its forks. In a fork `tell` hears with which histories tenants wait."""
    code.share().tell = lambda start: tell(sorted(map(list, start)))


def build(names: Names, until: float) -> None:
    """Build what tenants with this history will look at; at `until`, of time.monotonic, the rest is left to them.

    The connection gives its class, and is not opened. A history that names what the code has not is nobody's.
    """
    shared = code.current()
    start = frozenset((label, name) for label, name in names)
    if start.issubset(shared.disk_migrations):
        loader = code.Loader(None, shared, dict.fromkeys(start))
        loader.known.consistent.add(start)  # whoever told of it had looked
        executor = executing.MigrationExecutor(connections[DEFAULT_DB_ALIAS], loader=loader)
        executor.build(history.resolve(loader, history.Target()), until)
