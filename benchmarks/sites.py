"""Where the transport's benchmarks run their commands: this machine, a real sshd, the demo's embedded server.

A site is a small mapping that a fresh process can be given as JSON.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opskit import model
from opskit.transport import fleet

MANAGE = '''\
"""Commands for benchmarks: `much 200` prints 200 MB, `moment` when it ends, `agent` what the agent's memory came to."""

import os
import sys
import time

LINE = b"INFO 2026-11-22 14:02:00,123 members.migrations copied row 0000000 of members_member to its new column\\n"


def much(megabytes):
    block = LINE * (1_000_000 // len(LINE))
    for _ in range(int(megabytes)):
        sys.stdout.buffer.write(block)


def moment():
    os.write(1, b"%.6f\\n" % time.monotonic())
    os._exit(0)


def agent():
    with open("/proc/%d/status" % os.getppid()) as status:
        print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))


globals()[sys.argv[1]](*sys.argv[2:])
'''


def project(folder: Path) -> Path:
    """A project in `folder` whose manage.py has the commands above, and imports nothing slow."""
    made = folder / "app"
    made.mkdir()
    (made / "manage.py").write_text(MANAGE)
    return made


def of_sshd(sshd: Any) -> dict[str, Any]:
    return {
        "address": sshd.host,
        "port": sshd.port,
        "user": sshd.user,
        "identity_file": str(sshd.identity_file),
        "known_hosts": str(sshd.known_hosts),
    }


@contextlib.contextmanager
def opened(site: dict[str, Any], folder: str) -> Iterator[fleet.Fleet]:
    """A fleet on `site` that holds the lock of `folder`/app. An empty site is this machine."""
    with _environment(site, folder) as environment:
        hold = fleet.Hold("20261122T140200-bench", "bench", "2026-11-22T14:02:00+00:00")
        with contextlib.closing(fleet.Fleet(environment, hold)) as hosts:
            hosts.open()
            yield hosts


@contextlib.contextmanager
def _environment(site: dict[str, Any], folder: str) -> Iterator[model.Environment]:
    app = model.App(f"{folder}/app", python=sys.executable, state_dir=f"{folder}/state")
    with _host(site, folder) as (host, ssh):
        yield model.Environment("bench", (host,), app, "omnitenant", ssh=ssh, root=folder)


@contextlib.contextmanager
def _host(site: dict[str, Any], folder: str) -> Iterator[tuple[model.Host, model.Ssh]]:
    if "known_hosts" in site:
        known_hosts = site["known_hosts"]
        given = {name: value for name, value in site.items() if name != "known_hosts"}
        yield model.Host("app1", **given), model.Ssh(known_hosts=(known_hosts,))
    elif site.get("embedded"):
        from opskit.demo import server  # noqa: PLC0415 - Paramiko's memory is not the local transport's

        with server.running(Path(folder)) as at:
            host = model.Host("demo", at.host, user=at.user, port=at.port, identity_file=str(at.identity_file))
            yield host, model.Ssh(known_hosts=(str(at.known_hosts),))
    else:
        yield model.Host("here", "localhost", model.HostKind.LOCAL), model.Ssh()
