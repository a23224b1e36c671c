"""The Invoke tasks: parse, wire, exit code; nothing else.

`namespace` is what a tasks.py of one's own imports; tasks of its own are added to it::

    from opskit.tasks import namespace
    namespace.add_task(my_task)

What a task needs beyond Invoke is imported inside it: Fabric, pydantic and rich are two thirds of
the start-up time of `invoke --list`.
"""

from __future__ import annotations

from invoke import Collection

from opskit.tasks import check, demo, history, init, inventories, migrate, migrations, steering, tenants

__all__ = ["namespace"]

namespace = Collection(
    tenants.show_tenants,
    migrations.show_migrations,
    migrate.migrate_all,
    migrate.migrate_tenant,
    migrate.undo,
    check.check,
    history.runs,
    history.show_run,
    steering.status,
    steering.pause,
    steering.continue_,
    steering.stop,
    inventories.inventory,
    init.init,
    demo=Collection(demo.add_migration, demo.break_tenant, demo.reset),
)
namespace.configure({"opskit": {"env": None}})
