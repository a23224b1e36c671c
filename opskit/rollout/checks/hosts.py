"""The checks of one host: the way to the project, the host itself, its project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opskit import model
from opskit.rollout.checks import servers, words

ROOM = 200 * 2**20  # bytes: less free is a warning, since every command's output is kept until it has been heard
SKEW = 5.0  # seconds
TESTED = {  # versions of the framework that opskit is tested against
    "omnitenant": ("1.0.2",),
    "django-tenants": ("4.0.1",),
    "django-pgschemas": ("1.1.1", "1.3.2"),
    "django-tenant-schemas": ("2.0.0",),
}
OWNERS = {  # the app that gives the framework's commands
    "omnitenant": "django_omnitenant",
    "opskit": "opskit.tenants",
    "django-tenants": "django_tenants",
    "django-pgschemas": "django_pgschemas",
    "django-tenant-schemas": "tenant_schemas",
}


# ---------------------------------------------------------------- the way to the project


def judge(seen: model.Seen, look: model.Look, environment: model.Environment) -> Iterator[model.Check]:
    yield from _way(seen, environment)
    if seen.refused:
        return
    if seen.project is not None:
        yield _manage(seen, environment)
    yield from _about(seen, len(look.hosts))
    if seen.project is not None and not seen.no_command:
        yield from _project(seen, seen.project, look, environment)


def _way(seen: model.Seen, environment: model.Environment) -> Iterator[model.Check]:
    """Every gate up to the project, as far as it went."""
    for name, found in _gates(seen, environment).items():
        if name == seen.refused:
            yield model.Check(name, seen.host.name, words.FAILED, seen.error, seen.hint or _GATE_HINTS.get(name, ""))
            return
        if found:
            yield model.Check(name, seen.host.name, words.OK, found)


def _gates(seen: model.Seen, environment: model.Environment) -> dict[str, str]:
    """{check: what is said where it went well}, "" where that is said elsewhere or there is nothing to say."""
    app = environment.app
    ours = seen.host.kind is model.HostKind.LOCAL
    return {
        "connection": "" if ours else "reached",
        "host key": "" if ours else "known",
        "sudo": f"to {app.run_as}, without a password" if app.run_as else "",
        "python": seen.python or "started",
        "env file": app.env_file or "",
        "state folder": "",
        "path": seen.path,
        "manage.py": "",
    }


_GATE_HINTS = {
    "connection": "`ssh` to that host, typed by hand, says more.",
    "sudo": "sudo must not ask for a password: a NOPASSWD rule for `app.run_as`.",
    "python": "`app.python` is the project's own interpreter on the host, 3.8 or newer, inside `app.wrapper`.",
    "env file": "`app.env_file` is read on the host, as the user that the commands run as.",
    "state folder": "set `app.state_dir` to a folder of the user that the commands run as.",
    "path": "`app.path` is the folder with manage.py, as seen from inside `app.wrapper`.",
    "manage.py": "`app.manage` is relative to `app.path`.",
}


def _manage(seen: model.Seen, environment: model.Environment) -> model.Check:
    if not seen.no_command:
        return model.Check("manage.py", seen.host.name, words.OK, environment.app.manage)
    status = words.UNKNOWN if environment.framework == "custom" else words.FAILED
    said = seen.project.error if seen.project else ""
    hint = "opskit stands in for a command of Django's: without it, versions and databases stay unknown."
    return model.Check("manage.py", seen.host.name, status, said, hint)


# ---------------------------------------------------------------- a host


def _about(seen: model.Seen, hosts: int) -> Iterator[model.Check]:
    facts, of = seen.facts, seen.host.name
    if facts is None:
        yield model.Check("user", of, words.UNKNOWN, seen.facts_error, words.MORE_TIME)
        return
    yield model.Check("user", of, words.OK, facts.user)
    yield _state_folder(facts, of)
    yield from _disk(facts, of)
    yield _clock(seen, of)
    if seen.host.kind is not model.HostKind.LOCAL:
        yield _max_startups(facts, of, hosts)


def _state_folder(facts: model.HostFacts, of: str) -> model.Check:
    if facts.state_error:
        said = f"{facts.state_folder}: {facts.state_error}"
        return model.Check("state folder", of, words.FAILED, said, _GATE_HINTS["state folder"])
    return model.Check("state folder", of, words.OK, facts.state_folder)


def _disk(facts: model.HostFacts, of: str) -> Iterator[model.Check]:
    """One line for all file systems, with the worst of them in front."""
    if not facts.disks:
        yield model.Check("disk", of, words.UNKNOWN, "the host can't say how much is free")
        return
    judged = sorted(((_disk_status(disk), disk) for disk in facts.disks), key=lambda each: _WORST.index(each[0]))
    hint = "the output of each command is kept there until it has been heard: make room, or set `app.state_dir`."
    worst = judged[0][0]
    said = "; ".join(_disk_said(disk) for _, disk in judged)
    yield model.Check("disk", of, worst, said, "" if worst is words.OK else hint)


def _disk_status(disk: model.Disk) -> model.CheckStatus:
    written = any(name != "project" for name in disk.of)  # a project's own folder may well be read-only or full
    if disk.full or disk.read_only:
        return words.FAILED if written else words.OK
    return words.WARNING if disk.free < ROOM and written else words.OK


def _disk_said(disk: model.Disk) -> str:
    how = "read-only" if disk.read_only else "full" if disk.full else f"{words.size(disk.free)} free"
    return f"{how} ({', '.join(disk.of)})"


_WORST = (words.FAILED, words.WARNING, words.UNKNOWN, words.OK)


def _clock(seen: model.Seen, of: str) -> model.Check:
    least, most = seen.ahead
    off = least if least > 0 else most if most < 0 else 0.0  # what it is off at least
    if max(abs(least), abs(most)) <= SKEW:
        return model.Check("clock", of, words.OK, f"within {max(1.0, abs(least), abs(most)):.0f} s of this machine's")
    if abs(off) <= SKEW:
        return model.Check("clock", of, words.UNKNOWN, f"the host took {most - least:.0f} s to say its time")
    said = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine's"
    hint = "the journal has this machine's times, the host's logs the host's: is NTP at work on both?"
    return model.Check("clock", of, words.WARNING, said, hint)


def _max_startups(facts: model.HostFacts, of: str, hosts: int) -> model.Check:
    if not facts.max_startups:
        return model.Check("MaxStartups", of, words.UNKNOWN, facts.max_startups_error)
    begin = facts.max_startups.partition(":")[0]
    said = f"{facts.max_startups}; opskit opens one connection after the other, to {words.plural(hosts, 'host')}"
    if begin.isdigit() and int(begin) <= hosts:
        hint = "sshd refuses connections that have not logged in yet, from that many on: raise MaxStartups, on a "
        return model.Check("MaxStartups", of, words.WARNING, said, f"{hint}bastion before all.")
    return model.Check("MaxStartups", of, words.OK, said)


# ---------------------------------------------------------------- a host's project


def _project(
    seen: model.Seen, facts: model.ProjectFacts, look: model.Look, environment: model.Environment
) -> Iterator[model.Check]:
    of = seen.host.name
    if not facts.django:
        status = words.UNKNOWN if environment.framework == "custom" else words.FAILED
        hint = "`manage.py check` on the host says the same, with the settings and the env of `app`."
        yield model.Check("django", of, status, facts.error, words.or_more_time(facts.error, hint))
        return
    yield model.Check("django", of, words.OK, facts.django)
    if environment.framework not in ("custom", "databases"):
        yield _framework(facts, of, environment.framework)
    if look.commands:
        yield _commands(facts, of, look.commands, environment.framework)
    yield _database(facts, of)


def _framework(facts: model.ProjectFacts, of: str, name: str) -> model.Check:
    if name == "auto":
        there = " and ".join(facts.frameworks) or "none that opskit knows"
        said = f"the inventory names none, and INSTALLED_APPS has {there}"
        return model.Check("framework", of, words.FAILED, said, "name it in the inventory: `framework: …`.")
    said = f"{name} {facts.package}"
    if not facts.package:
        return model.Check("framework", of, words.UNKNOWN, f"{name}, of no version that pip knows")
    tested = TESTED.get(name, (facts.package,))
    if facts.package not in tested:
        hint = "what it prints may differ: migrate one tenant first (`--canary=1`), and read its output."
        told = f"{said}; opskit is tested against {' and '.join(tested)}"
        return model.Check("framework", of, words.WARNING, told, hint)
    return model.Check("framework", of, words.OK, said)


def _commands(facts: model.ProjectFacts, of: str, wanted: Sequence[str], framework: str) -> model.Check:
    missing = [name for name in wanted if name not in facts.commands]
    if missing:
        hint = "is the framework's app in INSTALLED_APPS, and `framework` in the inventory the right one?"
        return model.Check("commands", of, words.FAILED, f"manage.py has no {words.some(missing)}", hint)
    owner = OWNERS.get(framework)
    others = [f"`{name}` of {app}" for name, app in facts.commands.items() if app != owner and name != "migrate"]
    if owner and others:
        hint = "of two apps with one command, Django takes the first in INSTALLED_APPS. Is that one meant?"
        return model.Check("commands", of, words.WARNING, f"not {owner}'s own: {', '.join(others)}", hint)
    return model.Check("commands", of, words.OK, ", ".join(wanted))


def _database(facts: model.ProjectFacts, of: str) -> model.Check:
    """The shared database, as this host reaches it."""
    if not facts.servers:
        return model.Check("database", of, words.FAILED, facts.error, words.MORE_TIME)
    return servers.entered(facts.servers[0], of)
