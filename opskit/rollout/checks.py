"""Judges what was seen of an environment before the first migration: facts in, a line a check out.

What could not be asked, because an earlier check of that host failed, has no line. docs/checks.md
has a section for each name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from opskit import model
from opskit.rollout import places
from opskit.rollout.places import short

_OK, _WARNING, _FAILED, _UNKNOWN = (
    model.CheckStatus.OK,
    model.CheckStatus.WARNING,
    model.CheckStatus.FAILED,
    model.CheckStatus.UNKNOWN,
)

NAMES = (
    *("connection", "host key", "sudo", "python", "env file", "path", "manage.py"),
    *("user", "state folder", "disk", "clock", "MaxStartups"),
    *("django", "framework", "commands", "database"),
    *("revision", "listing", "shared database", "tenants", "master", "places", "names"),
    *("connections", "locks", "database size", "database disk", "PGOPTIONS", "pooler"),
)
"""Every check, in the order in which they are shown: a host's, the environment's, a database server's."""

ROOM = 200 * 2**20  # bytes: less free is a warning, since every command's output is kept until it has been heard
DATABASE_ROOM = 100 * 2**20  # bytes: PostgreSQL writes its log in pieces of 16 MB, and stops where there is no room
SKEW = 5.0  # seconds
FEWEST = 2  # connections that one tenant's command may need: the master's and the tenant's
FEW = 10  # free connections: less is a warning, since the application takes some, too
TESTED = {"omnitenant": "1.0.2"}  # versions of the framework that opskit is tested against
OWNERS = {"omnitenant": "django_omnitenant", "opskit": "opskit.tenants"}  # the app that gives the framework's commands
_SHOWN = 5  # names in a message


def judge(look: model.Look, environment: model.Environment) -> tuple[model.Check, ...]:
    """All that was found, in the order of NAMES for each host, then for the environment, then for each server."""
    checks: list[model.Check] = []
    for seen in look.hosts:
        checks += _host(seen, look, environment)
    if look.serving:
        checks += _environment(look, environment)
        in_schemas = any(state.place and state.place.schema for state in _states(look).values())
        for server in _servers(look):
            checks += _server(server, look, in_schemas=in_schemas)
        checks += _unasked(look, environment)
    return tuple(checks)


def counts(checks: Iterable[model.Check]) -> dict[str, int]:
    """{status: checks}, every status in it."""
    found = [check.status for check in checks]
    return {status.value: found.count(status) for status in model.CheckStatus}


# ---------------------------------------------------------------- the way to the project


def _host(seen: model.Seen, look: model.Look, environment: model.Environment) -> Iterator[model.Check]:
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
            yield model.Check(name, seen.host.name, _FAILED, seen.error, seen.hint or _GATE_HINTS.get(name, ""))
            return
        if found:
            yield model.Check(name, seen.host.name, _OK, found)


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
        return model.Check("manage.py", seen.host.name, _OK, environment.app.manage)
    status = _UNKNOWN if environment.framework == "custom" else _FAILED
    said = seen.project.error if seen.project else ""
    hint = "opskit stands in for a command of Django's: without it, versions and databases stay unknown."
    return model.Check("manage.py", seen.host.name, status, said, hint)


# ---------------------------------------------------------------- a host


def _about(seen: model.Seen, hosts: int) -> Iterator[model.Check]:
    facts, of = seen.facts, seen.host.name
    if facts is None:
        yield model.Check("user", of, _UNKNOWN, seen.facts_error, _MORE_TIME)
        return
    yield model.Check("user", of, _OK, facts.user)
    yield _state_folder(facts, of)
    yield from _disk(facts, of)
    yield _clock(seen, of)
    if seen.host.kind is not model.HostKind.LOCAL:
        yield _max_startups(facts, of, hosts)


def _state_folder(facts: model.HostFacts, of: str) -> model.Check:
    if facts.state_error:
        said = f"{facts.state_folder}: {facts.state_error}"
        return model.Check("state folder", of, _FAILED, said, _GATE_HINTS["state folder"])
    return model.Check("state folder", of, _OK, facts.state_folder)


def _disk(facts: model.HostFacts, of: str) -> Iterator[model.Check]:
    """One line for all file systems, with the worst of them in front."""
    if not facts.disks:
        yield model.Check("disk", of, _UNKNOWN, "the host can't say how much is free")
        return
    judged = sorted(((_disk_status(disk), disk) for disk in facts.disks), key=lambda each: _WORST.index(each[0]))
    hint = "the output of each command is kept there until it has been heard: make room, or set `app.state_dir`."
    worst = judged[0][0]
    said = "; ".join(_disk_said(disk) for _, disk in judged)
    yield model.Check("disk", of, worst, said, "" if worst is _OK else hint)


def _disk_status(disk: model.Disk) -> model.CheckStatus:
    written = any(name != "project" for name in disk.of)  # a project's own folder may well be read-only or full
    if disk.full or disk.read_only:
        return _FAILED if written else _OK
    return _WARNING if disk.free < ROOM and written else _OK


def _disk_said(disk: model.Disk) -> str:
    how = "read-only" if disk.read_only else "full" if disk.full else f"{size(disk.free)} free"
    return f"{how} ({', '.join(disk.of)})"


_WORST = (_FAILED, _WARNING, _UNKNOWN, _OK)


def _clock(seen: model.Seen, of: str) -> model.Check:
    least, most = seen.ahead
    off = least if least > 0 else most if most < 0 else 0.0  # what it is off at least
    if max(abs(least), abs(most)) <= SKEW:
        return model.Check("clock", of, _OK, f"within {max(1.0, abs(least), abs(most)):.0f} s of this machine's")
    if abs(off) <= SKEW:
        return model.Check("clock", of, _UNKNOWN, f"the host took {most - least:.0f} s to say its time")
    said = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine's"
    hint = "the journal has this machine's times, the host's logs the host's: is NTP at work on both?"
    return model.Check("clock", of, _WARNING, said, hint)


def _max_startups(facts: model.HostFacts, of: str, hosts: int) -> model.Check:
    if not facts.max_startups:
        return model.Check("MaxStartups", of, _UNKNOWN, facts.max_startups_error)
    begin = facts.max_startups.partition(":")[0]
    said = f"{facts.max_startups}; opskit opens one connection after the other, to {_plural(hosts, 'host')}"
    if begin.isdigit() and int(begin) <= hosts:
        hint = "sshd refuses connections that have not logged in yet, from that many on: raise MaxStartups, on a "
        return model.Check("MaxStartups", of, _WARNING, said, f"{hint}bastion before all.")
    return model.Check("MaxStartups", of, _OK, said)


# ---------------------------------------------------------------- a host's project


def _project(
    seen: model.Seen, facts: model.ProjectFacts, look: model.Look, environment: model.Environment
) -> Iterator[model.Check]:
    of = seen.host.name
    if not facts.django:
        status = _UNKNOWN if environment.framework == "custom" else _FAILED
        hint = "`manage.py check` on the host says the same, with the settings and the env of `app`."
        yield model.Check("django", of, status, facts.error, _or_more_time(facts.error, hint))
        return
    yield model.Check("django", of, _OK, facts.django)
    if environment.framework != "custom":
        yield _framework(facts, of, environment.framework)
    yield _commands(facts, of, look.commands, environment.framework)
    yield _database(facts, of)


def _framework(facts: model.ProjectFacts, of: str, name: str) -> model.Check:
    said = f"{name} {facts.package}"
    if not facts.package:
        return model.Check("framework", of, _UNKNOWN, f"{name}, of no version that pip knows")
    if facts.package != TESTED.get(name, facts.package):
        hint = "what it prints may differ: migrate one tenant first (`--canary=1`), and read its output."
        return model.Check("framework", of, _WARNING, f"{said}; opskit is tested against {TESTED[name]}", hint)
    return model.Check("framework", of, _OK, said)


def _commands(facts: model.ProjectFacts, of: str, wanted: Sequence[str], framework: str) -> model.Check:
    missing = [name for name in wanted if name not in facts.commands]
    if missing:
        hint = "is the framework's app in INSTALLED_APPS, and `framework` in the inventory the right one?"
        return model.Check("commands", of, _FAILED, f"manage.py has no {_some(missing)}", hint)
    owner = OWNERS.get(framework)
    others = [f"`{name}` of {app}" for name, app in facts.commands.items() if app != owner and name != "migrate"]
    if owner and others:
        hint = "of two apps with one command, Django takes the first in INSTALLED_APPS. Is that one meant?"
        return model.Check("commands", of, _WARNING, f"not {owner}'s own: {', '.join(others)}", hint)
    return model.Check("commands", of, _OK, ", ".join(wanted))


def _database(facts: model.ProjectFacts, of: str) -> model.Check:
    """The shared database, as this host reaches it."""
    if not facts.servers:
        return model.Check("database", of, _FAILED, facts.error, _MORE_TIME)
    return _entered(facts.servers[0], of)


def _entered(server: model.Server, of: str) -> model.Check:
    if server.error:
        hint = "from that host, with the project's own settings: is it up, and is the password right?"
        return model.Check("database", of, _FAILED, f"{server.name}: {server.error}", hint)
    if server.vendor != "postgresql":
        return model.Check("database", of, _OK, f"{server.vendor}, {server.database}")
    said = f"PostgreSQL {server.version} on {server.name}, {server.database} as {server.user}"
    if server.standby:
        return model.Check("database", of, _FAILED, f"{said}: a standby, which only reads", "name the primary.")
    return model.Check("database", of, _OK, said)


# ---------------------------------------------------------------- the environment


def _environment(look: model.Look, environment: model.Environment) -> Iterator[model.Check]:
    of = environment.name
    yield _revision(look, of)
    yield _listing(look, of)
    yield _shared(look, of)
    if look.survey is not None:
        yield _tenants(look, look.survey, of)
    homes = {name: state for name, state in _states(look).items() if state.place is not None}
    if homes:
        yield _master(look, homes, of)
        yield _places(look, homes, of)
        yield _names(homes, of)


def _revision(look: model.Look, of: str) -> model.Check:
    hint = "opskit migrates through the first host that answers: deploy the same code to all, or list only one."
    reached = [seen for seen in look.hosts if not seen.refused]
    different = _different(reached)
    if different:
        return model.Check("revision", of, _FAILED, different, hint)
    known = {seen.host.name: seen.revision for seen in reached}
    if len(set(filter(None, known.values()))) > 1:
        said = ", ".join(f"{name} {revision[:12] or 'unknown'}" for name, revision in known.items())
        return model.Check("revision", of, _FAILED, said, hint)
    if "" in known.values():
        same = " (the migrations are the same)" if len(known) > 1 and _code(reached[0]) else ""
        return model.Check("revision", of, _UNKNOWN, f"`app.path` is no git checkout{same}")
    return model.Check("revision", of, _OK, reached[0].revision[:12])


def _different(reached: Sequence[model.Seen]) -> str:
    """Whose migrations differ from the first host's; "" where nobody's do."""
    told = [(seen.host.name, code) for seen in reached if (code := _code(seen)) is not None]
    for name, code in told[1:]:
        first, all_of_them = told[0]
        if all_of_them - code:
            return f"{name} lacks what {first} has: {_some(sorted(all_of_them - code))}"
        if code - all_of_them:
            return f"{first} lacks what {name} has: {_some(sorted(code - all_of_them))}"
    return ""


def _code(seen: model.Seen) -> frozenset[str] | None:
    return seen.project.migrations if seen.project else None


def _listing(look: model.Look, of: str) -> model.Check:
    if look.tenants is None:
        shared = look.survey.shared if look.survey else None
        if shared:  # the tenant table itself may be what is pending: it is migrated first
            hint = "what is pending in the shared database may be the reason: see there."
            return model.Check("listing", of, _WARNING, look.listing_error, hint)
        hint = "the same command, on the host and in `app.path`, shows all of it."
        return model.Check("listing", of, _FAILED, look.listing_error, _or_more_time(look.listing_error, hint))
    if not look.tenants:
        return model.Check("listing", of, _WARNING, "no tenants", "is it the right database?")
    return model.Check("listing", of, _OK, _plural(len(look.tenants), "tenant"))


def _shared(look: model.Look, of: str) -> model.Check:
    if look.survey_error:
        hint = _or_more_time(look.survey_error, "`manage.py migrate --plan` on the host shows all of it.")
        return model.Check("shared database", of, _FAILED, look.survey_error, hint)
    if look.survey is None or look.survey.shared is None:
        return model.Check("shared database", of, _UNKNOWN, "this framework can't be asked what is pending there")
    pending = look.survey.shared
    if pending:
        hint = f"`invoke migrate-all --env={of} --shared` migrates it first; without the flag it is refused."
        said = f"{_plural(len(pending), 'pending migration')}: {_some(pending)}"
        return model.Check("shared database", of, _WARNING, said, hint)
    return model.Check("shared database", of, _OK, "nothing is pending")


def _tenants(look: model.Look, survey: model.Survey, of: str) -> model.Check:
    """Who could not be asked, and who has no schema yet."""
    listed = [tenant.id for tenant in look.tenants or ()]
    faults = {name: state.error for name, state in survey.tenants.items() if state.error}
    faults |= {name: "it was not mentioned" for name in listed if name not in survey.tenants}
    if faults:
        said = "; ".join(f"{short(name)}: {why}" for name, why in list(faults.items())[:_SHOWN])
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        hint = f"they would be refused. `invoke show-tenants --env={of} --status` shows them all."
        return model.Check("tenants", of, _FAILED, f"{len(faults)} of {len(survey.tenants)}: {said}{more}", hint)
    missing = [name for name, state in survey.tenants.items() if state.missing]
    if missing:
        hint = "the framework makes the schema at the first migration. Is that meant?"
        return model.Check(
            "tenants", of, _WARNING, f"{_plural(len(missing), 'schema')} missing: {_some(missing)}", hint
        )
    pending = sum(1 for state in survey.tenants.values() if state.pending)
    return model.Check("tenants", of, _OK, f"{len(survey.tenants)} asked, {pending} with something pending")


def _states(look: model.Look) -> dict[str, model.TenantState]:
    """The tenants' states, in places whose servers have one name each."""
    names = _one_name(look)
    states = dict(look.survey.tenants) if look.survey else {}
    return {name: _renamed(state, names) for name, state in states.items()}


def _renamed(state: model.TenantState, names: Mapping[str, str]) -> model.TenantState:
    if state.place is None:
        return state
    server = names.get(state.place.server, state.place.server)
    return dataclasses.replace(state, place=dataclasses.replace(state.place, server=server))


def _master(look: model.Look, homes: Mapping[str, model.TenantState], of: str) -> model.Check:
    """Whose migrations would run on the shared database."""
    there = _master_place(look)
    if there is None:
        return model.Check("master", of, _UNKNOWN, "the shared database could not be entered")
    harmed = [name for name, state in homes.items() if state.place == there]
    if harmed:
        hint = "give each a `db_config` with a NAME of its own: migratetenant would migrate the master."
        return model.Check("master", of, _FAILED, f"their database is the shared one: {_some(harmed)}", hint)
    public = [name for name, state in homes.items() if state.place == dataclasses.replace(there, schema="public")]
    if public:
        hint = "the shared tables are in that schema, too. Is that meant?"
        return model.Check("master", of, _WARNING, f"in the shared schema `public`: {_some(public)}", hint)
    return model.Check("master", of, _OK, "no tenant is in the shared database's own place")


def _master_place(look: model.Look) -> model.Place | None:
    server = next((server for server in _all_servers(look) if not server.error), None)
    if server is None or server is not _all_servers(look)[0]:
        return None
    return model.Place(_one_name(look).get(server.name, server.name), server.database)


def _places(look: model.Look, homes: Mapping[str, model.TenantState], of: str) -> model.Check:
    there = _master_place(look)
    double = {place: names for place, names in places.shared(homes).items() if place != there}
    if not double:
        return model.Check("places", of, _OK, "each tenant has a database or schema of its own")
    said = "; ".join(f"{place}: {_some(names)}" for place, names in list(double.items())[:_SHOWN])
    more = f"; and {len(double) - _SHOWN} more" if len(double) > _SHOWN else ""
    hint = "one's migrations would run on the other's data: give each its own before anything is migrated."
    return model.Check("places", of, _FAILED, f"{said}{more}", hint)


def _names(homes: Mapping[str, model.TenantState], of: str) -> model.Check:
    cut = [name for name, state in homes.items() if state.cut]
    if not cut:
        return model.Check("names", of, _OK, "none is too long for PostgreSQL")
    hint = "PostgreSQL keeps 63 bytes of a name: two that begin alike become one. Rename the schema or database."
    return model.Check("names", of, _WARNING, f"cut after 63 bytes, of {_some(cut)}", hint)


# ---------------------------------------------------------------- database servers


def _all_servers(look: model.Look) -> tuple[model.Server, ...]:
    """Those that the serving host told of, the master's first."""
    project = next((seen.project for seen in look.hosts if seen.host.name == look.serving), None)
    return project.servers if project else ()


def _one_name(look: model.Look) -> dict[str, str]:
    """{name: the first name} of each server: `localhost` and `127.0.0.1` started at the same microsecond."""
    first: dict[str, str] = {}
    return {
        server.name: first.setdefault(server.started, server.name) if server.started else server.name
        for server in _all_servers(look)
    }


def _servers(look: model.Look) -> list[model.Server]:
    names = _one_name(look)
    return [server for server in _all_servers(look) if names[server.name] == server.name]


def _server(server: model.Server, look: model.Look, *, in_schemas: bool) -> Iterator[model.Check]:
    if server is not _all_servers(look)[0]:
        yield _entered(server, server.name)
    if server.error or server.vendor != "postgresql":
        return
    for check in (_connections, _locks, _size):
        yield check(server)
    yield _database_disk(server, look.serving)
    yield _pgoptions(server)
    yield _pooler(server, in_schemas=in_schemas)


def _unasked(look: model.Look, environment: model.Environment) -> Iterator[model.Check]:
    """Where time was up, nobody knows which further servers there are."""
    project = next((seen.project for seen in look.hosts if seen.host.name == look.serving), None)
    if project is not None and project.servers and project.error:
        said = f"not every server has been asked: {project.error}"
        yield model.Check("database", environment.name, _UNKNOWN, said)


def _connections(server: model.Server) -> model.Check:
    if server.max_connections is None or server.used is None:
        return model.Check("connections", server.name, _UNKNOWN, "this user may not ask")
    free = server.max_connections - (server.reserved or 0) - server.used
    said = f"{free} of {server.max_connections} free"
    hint = "end what is idle, or raise max_connections: the application needs some, too."
    if free < FEWEST:
        return model.Check("connections", server.name, _FAILED, said, hint)
    return model.Check("connections", server.name, *((_WARNING, said, hint) if free < FEW else (_OK, said)))


def _locks(server: model.Server) -> model.Check:
    if server.lock_slots is None or server.locks is None or server.relations is None:
        return model.Check("locks", server.name, _UNKNOWN, "this user may not ask, or it takes too long")
    free = server.lock_slots - server.locks
    said = f"room for {free} locks; the largest schema of {server.database} has {server.relations} tables and indexes"
    if free < 2 * server.relations:
        hint = "a migration locks each table and index it touches until its end: raise max_locks_per_transaction."
        return model.Check("locks", server.name, _WARNING, said, hint)
    return model.Check("locks", server.name, _OK, said)


def _size(server: model.Server) -> model.Check:
    if server.size is None or server.largest is None:
        return model.Check("database size", server.name, _UNKNOWN, "this user may not ask, or it takes too long")
    said = f"{size(server.size)} in all databases, the largest has {size(server.largest)}"
    return model.Check("database size", server.name, _OK, said)


def _database_disk(server: model.Server, host: str) -> model.Check:
    """Free room where the server keeps its data: seen only from the host that it runs on."""
    if server.disk_free is None:
        said = f"it is no disk of {host}'s, or the server does not say where its data is"
        return model.Check("database disk", server.name, _UNKNOWN, said)
    said = f"{size(server.disk_free)} free on {host}, where the server runs"
    if server.disk_free < DATABASE_ROOM:
        return model.Check("database disk", server.name, _FAILED, said, "PostgreSQL stops where it can't write.")
    if server.disk_free < (server.largest or 0):
        hint = "a migration that rewrites a table needs as much room again."
        return model.Check("database disk", server.name, _WARNING, f"{said}, less than the largest database", hint)
    return model.Check("database disk", server.name, _OK, said)


def _pgoptions(server: model.Server) -> model.Check:
    now = f"lock_timeout is {server.lock_timeout}"
    if server.pgoptions == "through":
        return model.Check("PGOPTIONS", server.name, _OK, f"reaches the server; {now}")
    if not server.pgoptions:
        return model.Check("PGOPTIONS", server.name, _UNKNOWN, "the server takes no further connection")
    said = f"refused: {server.pgoptions_error}" if server.pgoptions == "refused" else "does not reach the server"
    hint = "a pooler drops it, or the project's own OPTIONS win: set lock_timeout there, or for the role."
    status = _FAILED if server.pgoptions_set else _WARNING
    return model.Check("PGOPTIONS", server.name, status, f"{said}; {now}", hint)


def _pooler(server: model.Server, *, in_schemas: bool) -> model.Check:
    if server.pooler == "none":
        return model.Check("pooler", server.name, _OK, "none is seen in between")
    if not server.pooler:
        return model.Check("pooler", server.name, _UNKNOWN, "the database driver does not tell")
    if server.pooler == "transaction":
        said = "one in between, which hands a connection on between transactions"
        hint = "the search_path, and with it the tenant's schema, may get lost in between: migrate past the pooler."
        return model.Check("pooler", server.name, _FAILED if in_schemas else _WARNING, said, hint)
    hint = "in transaction mode a setting such as search_path gets lost: migrate past it, or in session mode."
    return model.Check("pooler", server.name, _WARNING, "one in between, of unknown mode", hint)


# ---------------------------------------------------------------- words


def size(number: int) -> str:
    """Bytes for people: `1.2 GB`."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} {unit}" if unit in ("B", "kB", "MB") else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"`{short(name)}`" for name in names[:_SHOWN]) + more


_MORE_TIME = "`--timeout` gives each question more time."


def _or_more_time(error: str, hint: str) -> str:
    return _MORE_TIME if error.endswith("timed out") else hint
