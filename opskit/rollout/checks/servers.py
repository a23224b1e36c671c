"""The checks of each database server, as the serving host sees it."""

from __future__ import annotations

from collections.abc import Iterator

from opskit import model
from opskit.rollout.checks import words

DATABASE_ROOM = 100 * 2**20  # bytes: PostgreSQL writes its log in pieces of 16 MB, and stops where there is no room
FEWEST = 2  # connections that one tenant's command may need: the master's and the tenant's
FEW = 10  # free connections: less is a warning, since the application takes some, too


def every(look: model.Look) -> tuple[model.Server, ...]:
    """Those that the serving host told of, the master's first."""
    project = next((seen.project for seen in look.hosts if seen.host.name == look.serving), None)
    return project.servers if project else ()


def names(look: model.Look) -> dict[str, str]:
    """{name: the first name} of each server: `localhost` and `127.0.0.1` started at the same microsecond."""
    first: dict[str, str] = {}
    return {
        server.name: first.setdefault(server.started, server.name) if server.started else server.name
        for server in every(look)
    }


def distinct(look: model.Look) -> list[model.Server]:
    first = names(look)
    return [server for server in every(look) if first[server.name] == server.name]


def judge(server: model.Server, look: model.Look, *, in_schemas: bool, forks: int) -> Iterator[model.Check]:
    if server is not every(look)[0]:
        yield entered(server, server.name)
    if server.error or server.vendor != "postgresql":
        return
    yield _connections(server, forks)
    yield _locks(server, forks)
    yield _size(server)
    yield _database_disk(server, look.serving)
    yield _pgoptions(server)
    yield _pooler(server, in_schemas=in_schemas)


def entered(server: model.Server, of: str) -> model.Check:
    if server.error:
        hint = "from that host, with the project's own settings: is it up, and is the password right?"
        return model.Check("database", of, words.FAILED, f"{server.name}: {server.error}", hint)
    if server.vendor != "postgresql":
        return model.Check("database", of, words.OK, f"{server.vendor}, {server.database}")
    said = f"PostgreSQL {server.version} on {server.name}, {server.database} as {server.user}"
    if server.standby:
        return model.Check("database", of, words.FAILED, f"{said}: a standby, which only reads", "name the primary.")
    return model.Check("database", of, words.OK, said)


def unasked(look: model.Look, environment: model.Environment) -> Iterator[model.Check]:
    """Where time was up, nobody knows which further servers there are."""
    project = next((seen.project for seen in look.hosts if seen.host.name == look.serving), None)
    if project is not None and project.servers and project.error:
        said = f"not every server has been asked: {project.error}"
        yield model.Check("database", environment.name, words.UNKNOWN, said)


def _connections(server: model.Server, forks: int) -> model.Check:
    if server.max_connections is None or server.used is None:
        return model.Check("connections", server.name, words.UNKNOWN, "this user may not ask")
    free = server.max_connections - (server.reserved or 0) - server.used
    said, least = f"{free} of {server.max_connections} free{_for(forks)}", FEWEST * forks
    hint = "end what is idle, or raise max_connections: the application needs some, too."
    if free < least:
        return model.Check("connections", server.name, words.FAILED, said, hint)
    few = free < FEW + least - FEWEST
    return model.Check("connections", server.name, *((words.WARNING, said, hint) if few else (words.OK, said)))


def _for(forks: int) -> str:
    return "" if forks == 1 else f", for {forks} tenants at a time"


def _locks(server: model.Server, forks: int) -> model.Check:
    if server.lock_slots is None or server.locks is None or server.relations is None:
        return model.Check("locks", server.name, words.UNKNOWN, "this user may not ask, or it takes too long")
    free = server.lock_slots - server.locks
    said = f"room for {free} locks; the largest schema of {server.database} has {server.relations} tables and indexes"
    said += _for(forks)
    if free < 2 * server.relations * forks:
        hint = "a migration locks each table and index it touches until its end: raise max_locks_per_transaction."
        return model.Check("locks", server.name, words.WARNING, said, hint)
    return model.Check("locks", server.name, words.OK, said)


def _size(server: model.Server) -> model.Check:
    if server.size is None or server.largest is None:
        return model.Check("database size", server.name, words.UNKNOWN, "this user may not ask, or it takes too long")
    said = f"{words.size(server.size)} in all databases, the largest has {words.size(server.largest)}"
    return model.Check("database size", server.name, words.OK, said)


def _database_disk(server: model.Server, host: str) -> model.Check:
    """Free room where the server keeps its data: seen only from the host that it runs on."""
    if server.disk_free is None:
        said = f"it is no disk of {host}'s, or the server does not say where its data is"
        return model.Check("database disk", server.name, words.UNKNOWN, said)
    said = f"{words.size(server.disk_free)} free on {host}, where the server runs"
    if server.disk_free < DATABASE_ROOM:
        return model.Check("database disk", server.name, words.FAILED, said, "PostgreSQL stops where it can't write.")
    if server.disk_free < (server.largest or 0):
        hint = "a migration that rewrites a table needs as much room again."
        return model.Check("database disk", server.name, words.WARNING, f"{said}, less than the largest database", hint)
    return model.Check("database disk", server.name, words.OK, said)


def _pgoptions(server: model.Server) -> model.Check:
    now = f"lock_timeout is {server.lock_timeout}"
    if server.pgoptions == "through":
        return model.Check("PGOPTIONS", server.name, words.OK, f"reaches the server; {now}")
    if not server.pgoptions:
        return model.Check("PGOPTIONS", server.name, words.UNKNOWN, "the server takes no further connection")
    said = f"refused: {server.pgoptions_error}" if server.pgoptions == "refused" else "does not reach the server"
    hint = "a pooler drops it, or the project's own OPTIONS win: set lock_timeout there, or for the role."
    status = words.FAILED if server.pgoptions_set else words.WARNING
    return model.Check("PGOPTIONS", server.name, status, f"{said}; {now}", hint)


def _pooler(server: model.Server, *, in_schemas: bool) -> model.Check:
    if server.pooler == "none":
        return model.Check("pooler", server.name, words.OK, "none is seen in between")
    if not server.pooler:
        return model.Check("pooler", server.name, words.UNKNOWN, "the database driver does not tell")
    if server.pooler == "transaction":
        said = "one in between, which hands a connection on between transactions"
        hint = "the search_path, and with it the tenant's schema, may get lost in between: migrate past the pooler."
        return model.Check("pooler", server.name, words.FAILED if in_schemas else words.WARNING, said, hint)
    hint = "in transaction mode a setting such as search_path gets lost: migrate past it, or in session mode."
    return model.Check("pooler", server.name, words.WARNING, "one in between, of unknown mode", hint)
