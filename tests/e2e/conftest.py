"""What every test of the programs starts from."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import sqlite3

import pytest

from e2e import operator
from opskit.demo import data

SMALL = ("acme", "globex")  # the tenants of the small demo


@pytest.fixture
def empty(tmp_path):
    """An operator's folder with nothing in inventories/ and no project: operator.Desk."""
    return operator.Desk(tmp_path)


@pytest.fixture
def desk(empty):
    """An operator's folder with one environment, `prod`: three tenants of a project on this machine."""
    empty.project()
    empty.inventory()
    return empty


@pytest.fixture(scope="session")
def demo_template(tmp_path_factory):
    """The demo's project with its dozen empty tenants, made once."""
    folder = tmp_path_factory.mktemp("demo") / "app"
    data.prepare(folder)
    return folder


@pytest.fixture
def demo(empty, demo_template):
    """An operator's folder whose `prod` is a copy of the demo's project: real Django, `framework: opskit`."""
    shutil.copytree(demo_template, empty.app)
    empty.inventory(framework="opskit")
    return empty


@pytest.fixture(scope="session")
def small_template(demo_template, tmp_path_factory):
    """The demo's project with two tenants, who have all their migrations."""
    folder = tmp_path_factory.mktemp("small") / "app"
    shutil.copytree(demo_template, folder)
    with sqlite3.connect(folder / "data" / "shared.sqlite3") as shared:
        shared.execute(f"DELETE FROM opskit_tenants_tenant WHERE tenant_id NOT IN {SMALL}")
    for name in SMALL:
        assert data._run(folder, ["migratetenant", f"--tenant-id={name}"]).returncode == 0
    return folder


@pytest.fixture
def second(sshd):
    """One more server, which ends with the test."""
    server = sshd.another()
    yield server
    _end(server)


@pytest.fixture
def both_known(sshd, second, tmp_path):
    """A known_hosts that has `sshd` and `second`."""
    return _known_hosts(tmp_path, sshd, second)


@pytest.fixture
def apart(sshd, tmp_path):
    """Two servers and a known_hosts that has them: as two machines, with the HOMEs `one` and `two` in tmp_path."""
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    servers = [sshd.another(options=(f"SetEnv HOME={home}",)) for home in homes]
    yield servers, _known_hosts(tmp_path, *servers)
    for server in servers:
        _end(server)


def _end(server) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGTERM)


def _known_hosts(folder, *servers):
    file = folder / "known_hosts"
    file.write_text("".join(server.known_hosts_line() for server in servers))
    return file


@pytest.fixture
def typed():
    """A terminal for stdin in which the answer has been typed already."""
    ends = []

    def type_(answer: str) -> int:
        ends.extend(pty.openpty())
        os.write(ends[-2], answer.encode())
        return ends[-1]

    yield type_
    for end in ends:
        os.close(end)


@pytest.fixture
def terminal():
    """A terminal at which somebody waits to be asked."""
    with contextlib.closing(operator.Terminal()) as made:
        yield made
