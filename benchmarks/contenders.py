"""The ways to migrate every tenant of a project over SSH: opskit, loops, the framework's own commands.

All of them reach the same sshd with the same key and give the command the same environment. The floor is what
PostgreSQL itself takes for the statements.
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


_PLAYBOOK = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.command": {"argv": "{{ item }}", "chdir": "{{ folder }}"},
                "environment": "{{ settings }}",
                "loop": "{{ commands }}",
            }
        ],
    }
]

_ANSIBLE = """\
[defaults]
host_key_checking = true
[ssh_connection]
pipelining = true
"""


class Contenders:
    """A project, an sshd in front of it, and an operator's folder.

    `one` is the management command for one tenant, with {} for its id.
    """

    def __init__(self, project: Any, sshd: Any, folder: Path, framework: str, one: str) -> None:
        self._project = project
        self._sshd = sshd
        self._folder = folder
        self._one = one
        (folder / "inventories").mkdir(parents=True)
        (folder / "tasks.py").write_text("from opskit.tasks import namespace\n")
        (folder / "inventories" / "prod.yaml").write_text(json.dumps(self._inventory(framework)))  # JSON is YAML

    def _inventory(self, framework: str) -> dict[str, Any]:
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
            "framework": framework,
            "hosts": {"app1": app1},
            "ssh": {"known_hosts": str(self._sshd.known_hosts)},
        }

    def opskit(self, *flags: str) -> dict[str, Any]:
        """`invoke migrate-all`, the whole command; its report."""
        argv = [measuring.program("invoke"), "migrate-all", "--env=prod", "--format=json", *flags]
        report: dict[str, Any] = json.loads(
            measuring.ran(argv, cwd=self._folder, env={**os.environ, "HOME": str(self._folder)})
        )
        return report

    def shell_loop(self, tenants: Sequence[str]) -> None:
        """`for t in …; do ssh … manage.py …; done`, in one bash."""
        remote = shlex.quote(self._remote(self._one.format("TENANT"))).replace("TENANT", "'$t'")
        loop = f"set -e; for t in {' '.join(tenants)}; do {shlex.join(self._ssh())} {remote}; done"
        measuring.ran(["bash", "-c", loop])

    def on_the_host(self, command: str) -> None:
        """A management command for all tenants, over one ssh."""
        measuring.ran([*self._ssh(), self._remote(command)])

    def _ssh(self) -> list[str]:
        if shutil.which("ssh") is None:
            measuring.missing("ssh is not installed (Debian: openssh-client).")
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={self._sshd.known_hosts}")
        ssh = ["ssh", "-F", "none", "-n", "-i", str(self._sshd.identity_file), "-p", str(self._sshd.port)]
        return ssh + [word for option in options for word in ("-o", option)] + [f"{self._sshd.user}@{self._sshd.host}"]

    def ansible_loop(self, tenants: Sequence[str]) -> None:
        """A playbook with one looped task, pipelining on, no facts gathered."""
        given = {
            "commands": [[sys.executable, "manage.py", *self._one.format(tenant).split()] for tenant in tenants],
            "folder": str(self._project.folder),
            "settings": self._project.env,
            "ansible_host": self._sshd.host,
            "ansible_port": self._sshd.port,
            "ansible_user": self._sshd.user,
            "ansible_ssh_private_key_file": str(self._sshd.identity_file),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={self._sshd.known_hosts}",
            "ansible_python_interpreter": sys.executable,
        }
        (self._folder / "ansible.cfg").write_text(_ANSIBLE)
        (self._folder / "playbook.json").write_text(json.dumps(_PLAYBOOK))
        (self._folder / "given.json").write_text(json.dumps(given))
        argv = [measuring.program("ansible-playbook"), "-i", "app1,", "-e", "@given.json", "playbook.json"]
        measuring.ran(argv, cwd=self._folder, env={**os.environ, "HOME": str(self._folder)})

    def floor(self, statements: str) -> None:
        """The statements alone, in one psql on this machine."""
        postgres = self._project.postgres
        where = ["-h", postgres.host, "-p", str(postgres.port), "-U", postgres.user, "-d", self._project.database]
        file = self._folder / "floor.sql"
        file.write_text(statements)
        argv = [str(postgres.bin / "psql"), "-q", "-v", "ON_ERROR_STOP=1", *where, "-f", str(file)]
        measuring.ran(argv, env={**os.environ, "PGPASSWORD": postgres.password})

    def fabric_loop(self, tenants: Sequence[str]) -> None:
        """`connection.run` for each tenant, over one connection."""
        given = {
            "host": self._sshd.host,
            "user": self._sshd.user,
            "port": self._sshd.port,
            "identity_file": str(self._sshd.identity_file),
            "commands": [self._remote(self._one.format(tenant)) for tenant in tenants],
        }
        measuring.ran([sys.executable, "-c", _FABRIC, json.dumps(given)])

    def _remote(self, command: str) -> str:
        """What is typed on the host."""
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in self._project.env.items())
        folder = shlex.quote(str(self._project.folder))
        return f"cd {folder} && env {settings} {sys.executable} manage.py {command}"


def counts(report: dict[str, Any]) -> str:
    """`50 current`: what a report says became of the tenants."""
    return ", ".join(f"{number} {status}" for status, number in report["counts"].items() if number)
