"""One new migration on every tenant: opskit, the same in a shell loop over ssh, and in a Fabric loop.

For orientation: opskit starts `manage.py` a tenant as the loops do, and asks before and after. Each has a
database of its own with the same omnitenant schemas; all are whole commands over a real sshd on loopback.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import contenders
import measuring
from measuring import Row


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--tenants", type=int, default=20)
    given = parser.parse_args()
    omnitenant = measuring.of_the_tests("omnitenant")
    with (
        tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder,
        measuring.server("postgres") as postgres,
        measuring.server("sshd") as sshd,
    ):

        def made(name: str) -> tuple[contenders.Contenders, Any, list[str]]:
            project = omnitenant.new_project(postgres, Path(folder, name))
            ids = project.create_tenants(schemas=given.tenants)
            return contenders.Contenders(project, sshd, Path(folder, name, "operator")), project, ids

        def measured(name: str, way: str) -> float:
            """The seconds that a way takes to apply one migration everywhere, compiled code and all."""
            measuring.progress(f"{name}: {given.tenants} tenants")
            them, project, ids = made(name)
            project.manage("showtenants", PYTHONDONTWRITEBYTECODE="")  # compiles the project
            added = project.add_migration()
            body = them.opskit if way == "opskit" else lambda: getattr(them, way)(ids)
            seconds = measuring.timed(body)
            behind = [tenant for tenant in ids if added not in project.history(tenant)]
            if behind:
                measuring.missing(f"{name} left {len(behind)} tenants without {added}.")
            return seconds

        ours = measured("opskit", "opskit")
        shell = measured("shell", "shell_loop")
        fabric = measured("fabric", "fabric_loop")
    each = given.tenants
    measuring.report(
        [
            Row(f"one migration on {each} schemas: the ssh loop / opskit", f"{shell / ours:.2f}"),
            Row("… a Fabric loop / opskit", f"{fabric / ours:.2f}"),
            Row("… opskit", f"{ours:.1f} s, {ours / each * 1000:.0f} ms a tenant"),
            Row("… the ssh loop", f"{shell:.1f} s, {shell / each * 1000:.0f} ms a tenant"),
            Row("… a Fabric loop", f"{fabric:.1f} s, {fabric / each * 1000:.0f} ms a tenant"),
        ],
        markdown=given.markdown,
    )


if __name__ == "__main__":
    main()
