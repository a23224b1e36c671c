"""Three ways to migrate every tenant of one omnitenant project over SSH: opskit, a shell loop, a Fabric loop.

All of them reach the same sshd with the same key and give the command the same environment.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measuring

_FABRIC = """\
import json, sys
import fabric

given = json.loads(sys.argv[1])
with fabric.Connection(
    given["host"], user=given["user"], port=given["port"], connect_kwargs={"key_filename": given["identity_file"]}
) as connection:
    for command in given["commands"]:
        connection.run(command, hide=True, in_stream=False)
"""


class Contenders:
    """A project of tests/omnitenant.py, an sshd in front of it, and an operator's folder."""

    def __init__(self, project: Any, sshd: Any, folder: Path) -> None:
        self._project = project
        self._sshd = sshd
        self._folder = folder
        (folder / "inventories").mkdir(parents=True)
        (folder / "tasks.py").write_text("from opskit.tasks import namespace\n")
        (folder / "inventories" / "prod.yaml").write_text(json.dumps(self._inventory()))  # JSON is YAML

    def _inventory(self) -> dict[str, Any]:
        app1 = {
            "address": self._sshd.host,
            "port": str(self._sshd.port),
            "user": self._sshd.user,
            "identity_file": str(self._sshd.identity_file),
        }
        return {
            "app": {
                "path": str(self._project.folder),
                "python": sys.executable,
                "env": self._project.env,
                "state_dir": str(self._folder / "state"),
            },
            "framework": "omnitenant",
            "hosts": {"app1": app1},
            "ssh": {"known_hosts": str(self._sshd.known_hosts)},
        }

    def opskit(self) -> dict[str, Any]:
        """`invoke migrate-all`, the whole command; its report."""
        argv = [measuring.program("invoke"), "migrate-all", "--env=prod", "--format=json"]
        report: dict[str, Any] = json.loads(
            measuring.ran(argv, cwd=self._folder, env={**os.environ, "HOME": str(self._folder)})
        )
        return report

    def shell_loop(self, tenants: Sequence[str]) -> None:
        """`for t in …; do ssh … manage.py migratetenant; done`, in one bash."""
        if shutil.which("ssh") is None:
            measuring.missing("ssh is not installed (Debian: openssh-client).")
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={self._sshd.known_hosts}")
        ssh = ["ssh", "-F", "none", "-n", "-i", str(self._sshd.identity_file), "-p", str(self._sshd.port)]
        ssh += [word for option in options for word in ("-o", option)] + [f"{self._sshd.user}@{self._sshd.host}"]
        remote = shlex.quote(self._remote("TENANT")).replace("TENANT", "'$t'")
        loop = f"set -e; for t in {' '.join(tenants)}; do {shlex.join(ssh)} {remote}; done"
        measuring.ran(["bash", "-c", loop])

    def fabric_loop(self, tenants: Sequence[str]) -> None:
        """`connection.run` for each tenant, over one connection."""
        given = {
            "host": self._sshd.host,
            "user": self._sshd.user,
            "port": self._sshd.port,
            "identity_file": str(self._sshd.identity_file),
            "commands": [self._remote(tenant) for tenant in tenants],
        }
        measuring.ran([sys.executable, "-c", _FABRIC, json.dumps(given)])

    def _remote(self, tenant: str) -> str:
        """What both loops type on the host."""
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in self._project.env.items())
        folder = shlex.quote(str(self._project.folder))
        return f"cd {folder} && env {settings} {sys.executable} manage.py migratetenant --tenant-id={tenant}"


def counts(report: dict[str, Any]) -> str:
    """`50 current`: what a report says became of the tenants."""
    return ", ".join(f"{number} {status}" for status, number in report["counts"].items() if number)
