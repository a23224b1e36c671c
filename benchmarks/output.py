"""A command that prints much: MB/s, and the peak memory of controller and agent, over every transport.

The command prints lines of a hundred characters. The controller does all that it does with a tenant's output:
decodes, looks for credentials and marks, writes the tenant's file. 20 MB and 200 MB must take the same memory.
Each figure is of a fresh process; Fabric's own `run` gets the small one, over the same sshd.
"""

from __future__ import annotations

import contextlib
import cProfile
import json
import os
import pstats
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measuring
import sites
from measuring import Row

from opskit import journal, model
from opskit.frameworks import omnitenant
from opskit.tasks import wiring


def part(site: dict[str, Any], megabytes: int, way: str = "opskit", profile: bool = False) -> dict[str, float]:
    """Run one command in this process: MB/s, and the peak memory on both sides."""
    with tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder:
        sites.project(Path(folder))
        if way == "fabric":
            return {"rate": _fabric(site, megabytes, folder)}
        with sites.opened(site, folder) as hosts:
            began = time.perf_counter()
            _run(hosts, megabytes, Path(folder), profile=profile)
            rate = megabytes / (time.perf_counter() - began)
            said: list[str] = []
            hosts.run(model.Command(("agent",)), "acme", (), lambda text, _: said.append(text))
        agent = int("".join(said).strip() or 0) * 1024 / measuring.MB
        return {"rate": rate, "controller": measuring.peak_mb(), "agent": agent}


def _run(hosts: Any, megabytes: int, folder: Path, *, profile: bool) -> None:
    """Run the command as the rollout does, with a record that hears its output."""
    command = model.Command(("much", str(megabytes)))
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        record = wiring.Record(folder, journal.new_id(folder, "bench", datetime.now(UTC)), log_file=None, verbose=False)
    with contextlib.closing(record):
        record.emit(model.TenantStarted(datetime.now(UTC), "acme", 1, "app1", None))
        reply = _profiled(profile)(
            hosts.run,
            command,
            "acme",
            omnitenant.FRAMEWORK.marks,
            lambda text, partial: record.emit(model.Output("acme", text, partial)),
        )
        outcome = model.Outcome("acme", model.Status.MIGRATED)
        record.emit(model.TenantFinished(datetime.now(UTC), outcome))
        printed = journal.tenant_file(record.folder, "acme").stat().st_size
    if reply.exit != 0 or printed < megabytes * 0.99 * measuring.MB:
        measuring.missing(f"the command ended with exit {reply.exit} {reply.error}, and {printed} bytes arrived.")


def _fabric(site: dict[str, Any], megabytes: int, folder: str) -> float:
    import fabric  # noqa: PLC0415 - its memory is not ours

    with fabric.Connection(
        site["address"],
        user=site["user"],
        port=site["port"],
        connect_kwargs={"key_filename": site["identity_file"]},
    ) as connection:
        connection.open()
        began = time.perf_counter()
        connection.run(_typed(folder, megabytes), hide=True, in_stream=False)
        return megabytes / (time.perf_counter() - began)


def _typed(folder: str, megabytes: int) -> str:
    return f"cd {shlex.quote(folder)}/app && {sys.executable} manage.py much {megabytes}"


def _ssh(sshd: Any, megabytes: int) -> float:
    """The system's ssh, to nowhere: what the machine can do."""
    with tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder:
        sites.project(Path(folder))
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={sshd.known_hosts}")
        argv = ["ssh", "-F", "none", "-n", "-i", str(sshd.identity_file), "-p", str(sshd.port)]
        argv += [word for option in options for word in ("-o", option)]
        argv += [f"{sshd.user}@{sshd.host}", _typed(folder, megabytes)]
        return megabytes / measuring.timed(lambda: subprocess.run(argv, stdout=subprocess.DEVNULL, check=True))


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--profile", action="store_true", help="name the costliest functions of each thread instead")
    parser.add_argument("--part", help="one command, for this script's own use")
    given = parser.parse_args()
    if given.part:
        print(json.dumps(part(**json.loads(given.part))))
        return
    with measuring.server("sshd") as sshd:
        over_ssh = sites.of_sshd(sshd)
        if given.profile:
            part(over_ssh, given.megabytes, profile=True)
            return
        rows = [*_rates("local", {}, given.megabytes), *_rates("sshd", over_ssh, given.megabytes)]
        rows += _rates("embedded server", {"embedded": True}, given.megabytes)
        measuring.progress("20 MB over sshd: opskit, Fabric and ssh")
        ours = measuring.in_a_process(__file__, site=over_ssh, megabytes=20)["rate"]
        fabric = measuring.in_a_process(__file__, site=over_ssh, megabytes=20, way="fabric")["rate"]
        rows += [
            Row("20 MB over sshd: opskit / Fabric's `run`", f"{ours / fabric:.0f} ({ours:.0f} / {fabric:.2f} MB/s)"),
            Row(f"… the system's ssh, {given.megabytes} MB to nowhere", f"{_ssh(sshd, given.megabytes):.0f} MB/s"),
        ]
    measuring.report(given, *rows)


def _rates(name: str, site: dict[str, Any], megabytes: int) -> list[Row]:
    measuring.progress(f"{megabytes} MB over {name}")
    few = measuring.in_a_process(__file__, site=site, megabytes=20)
    many = measuring.in_a_process(__file__, site=site, megabytes=megabytes)
    sizes = f"20 MB and {megabytes} MB"
    return [
        Row(
            f"{megabytes} MB from one command, {name}",
            f"{many['rate']:.0f} MB/s",
            "at least 30 MB/s",
            many["rate"] >= 30,
        ),
        Row(f"… controller's peak memory, {sizes}", f"{few['controller']:.0f} and {many['controller']:.0f} MB", "flat"),
        Row(f"… agent's peak memory, {sizes}", f"{few['agent']:.0f} and {many['agent']:.0f} MB", "flat"),
    ]


# ---------------------------------------------------------------- the profile


_PROFILERS: dict[str, cProfile.Profile] = {}


def _profile_threads() -> None:
    """Give every thread that starts from now on a profiler of its own: Paramiko's and the agent's reader, here."""

    def begin(*_: Any) -> None:
        sys.setprofile(None)
        thread = threading.current_thread()
        name = "Paramiko's transport" if type(thread).__name__ == "Transport" else thread.name
        profiler = _PROFILERS[name] = cProfile.Profile()
        profiler.enable()

    threading.setprofile(begin)


def _profiled(wanted: bool) -> Any:
    """What runs a function; where that is wanted, under a profiler, and prints those of all threads."""
    if not wanted:
        return lambda body, *args: body(*args)

    def run(body: Any, *args: Any) -> Any:
        profiler = cProfile.Profile()
        reply = profiler.runcall(body, *args)
        for name in ("Paramiko's transport", "opskit-reader"):
            _show(name, _PROFILERS[name])
        _show("main", profiler)
        return reply

    return run


def _show(thread: str, profiler: cProfile.Profile) -> None:
    print(f"\nthread: {thread} (waiting for a lock or for `recv` costs nothing)")
    profiler.disable()
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(12)


if __name__ == "__main__":
    if "--profile" in sys.argv:
        _profile_threads()
    main()
