"""What goes over SSH is compressed by the connection, where the host takes part in that."""

from __future__ import annotations

import re
from dataclasses import replace

import places
import pytest

from opskit import model

AGREED = re.compile(r"kex: (client->server|server->client) cipher: .* compression: (\S+)")


@pytest.fixture(params=["fabric", "openssh"])
def client(request) -> str:
    return request.param


def agreed(folder, client: str, sshd, *options: str) -> dict[str, str]:
    """What the host says is done with each direction of a connection, over which a command has run."""
    there = sshd.another(options=("LogLevel DEBUG1", *options))
    host, settings = places.of_sshd(there)
    how = replace(settings, client=client)
    assert places.reaches(model.Environment("test", (host,), places.app(folder), "custom", ssh=how, root=str(folder)))
    there.stop()
    return dict(AGREED.findall(there.log.read_text()))


def test_what_travels_is_compressed_both_ways(tmp_path, sshd, client):
    both = {"client->server": "zlib@openssh.com", "server->client": "zlib@openssh.com"}
    assert both == agreed(tmp_path, client, sshd)


def test_a_host_that_compresses_nothing_is_served(tmp_path, sshd, client):
    assert {"client->server": "none", "server->client": "none"} == agreed(tmp_path, client, sshd, "Compression no")
