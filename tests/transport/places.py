"""The places where the contract holds: this machine, a real sshd, the embedded server."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import warm_project

from opskit import model
from opskit.transport import agent, fleet

FAST = agent.Timing(beat=0.2, silence=10.0, start=30.0)
MANAGE = Path(__file__).parent / "manage.py"
HOLD = fleet.Hold("20261122T140200-test", "deploy@ops1", "2026-11-22T14:02:00+00:00")
NAMES = ("local", "sshd", "openssh", "embedded", "warm")


@contextlib.contextmanager
def environment(name: str, folder: Path, request):
    """An environment with one host, whose project is tests/transport/manage.py in `folder`/app."""
    with _reached(name, folder, request) as (host, ssh):
        made = model.Environment("test", (host,), app(folder), "custom", ssh=ssh, root=str(folder))
        if name == "warm":
            warm_project.make(folder / "app", commands=MANAGE)
            made = replace(made, runner=model.Runner.WARM)
        yield made


def app(folder: Path, **more) -> model.App:
    project = folder / "app"
    project.mkdir(exist_ok=True)
    (project / "manage.py").write_text(MANAGE.read_text())
    return model.App(**{"path": str(project), "python": sys.executable, "state_dir": str(folder / "state"), **more})


@contextlib.contextmanager
def _reached(name: str, folder: Path, request):
    if name in ("local", "warm"):
        yield model.Host("here", "localhost", model.HostKind.LOCAL), model.Ssh()
    elif name in ("sshd", "openssh"):
        host, ssh = of_sshd(request.getfixturevalue("sshd"))
        yield host, replace(ssh, client="openssh" if name == "openssh" else "fabric")
    else:
        from opskit.demo import server

        with server.running(folder) as at:
            host = model.Host("demo", at.host, user=at.user, port=at.port, identity_file=str(at.identity_file))
            yield host, model.Ssh(known_hosts=(str(at.known_hosts),))


def of_sshd(sshd) -> tuple[model.Host, model.Ssh]:
    host = model.Host("app1", sshd.host, user=sshd.user, port=sshd.port, identity_file=str(sshd.identity_file))
    return host, model.Ssh(known_hosts=(str(sshd.known_hosts),), connect_timeout=5.0)


def run(hosts: fleet.Fleet, *args: str, timeout: float | None = 60.0, marks: str = "^mark", hear=lambda *_: None):
    return hosts.run(model.Command(args, timeout=timeout), "acme", (re.compile(marks, re.MULTILINE),), hear)


def reaches(made: model.Environment) -> bool:
    """Whether a command sent there says what it was given; what the way to it raises is raised."""
    with contextlib.closing(fleet.Fleet(made, HOLD, timing=FAST)) as hosts:
        hosts.open()
        return json.loads(run(hosts, "show", "a b").tail) == ["a b"]
