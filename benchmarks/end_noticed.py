"""How soon the controller knows that a remote command ended, over a real sshd on loopback.

The command's last act is to print the machine's monotonic clock; the controller reads the same clock when it
has the reply. Between the two lie the process's own exit, the agent, the connection and the record of how it
ended; a poll would show as its tick. Fabric's own `run` does the same for comparison.
"""

from __future__ import annotations

import shlex
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measuring
import sites
from measuring import Row

from opskit import model


def opskit(site: dict[str, Any], folder: str, times: int) -> tuple[list[float], list[float]]:
    """Seconds from each command's end to its reply, and those of the whole call beyond the command's own."""
    late, beyond = [], []
    with sites.opened(site, folder) as hosts:
        for _ in range(times):
            said: list[str] = []
            began = time.monotonic()
            reply = hosts.run(model.Command(("moment",)), "acme", (), _keeper(said))
            now = time.monotonic()
            late.append(now - float("".join(said)))
            beyond.append(now - began - reply.seconds)
    return late, beyond


def _keeper(said: list[str]) -> Any:
    return lambda text, _: said.append(text)


def fabric(site: dict[str, Any], folder: str, times: int) -> list[float]:
    from fabric import Connection  # noqa: PLC0415 - only for this comparison

    late = []
    given = {"key_filename": site["identity_file"]}
    command = f"cd {shlex.quote(folder)}/app && {sys.executable} manage.py moment"
    with Connection(site["address"], user=site["user"], port=site["port"], connect_kwargs=given) as connection:
        for _ in range(times):
            done = connection.run(command, hide=True, in_stream=False)
            late.append(time.monotonic() - float(done.stdout))
    return late


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--times", type=int, default=200)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder,
        measuring.server("sshd") as sshd,
    ):
        sites.project(Path(folder))
        site = sites.of_sshd(sshd)
        measuring.progress(f"{given.times} commands through the agent, and as many through Fabric's `run`")
        late, beyond = opskit(site, folder, given.times)
        theirs = fabric(site, folder, given.times)
    measuring.report(
        given,
        Row("from a command's end to its reply", measuring.spread(late), "a few ms"),
        Row("… a call's time beyond its command's", measuring.spread(beyond), "a few ms"),
        Row("… Fabric's `run`, from the end to its result", measuring.spread(theirs)),
        Row("… Fabric's `run` / opskit, medians", f"{statistics.median(theirs) / statistics.median(late):.1f}"),
    )


if __name__ == "__main__":
    main()
