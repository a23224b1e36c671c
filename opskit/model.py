"""Every noun of opskit, frozen.

Durations are seconds as float. Times are aware UTC datetimes, always called `at`.
A migration is the string `app_label.name`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

# ---------------------------------------------------------------- where


class HostKind(enum.StrEnum):
    """How a host is reached."""

    SSH = "ssh"
    LOCAL = "local"  # this machine, without a connection
    DEMO = "demo"  # the SSH server that opskit embeds for its demo


@dataclass(frozen=True)
class Host:
    """One app host. What is None is left to ssh_config and its defaults."""

    name: str
    address: str
    kind: HostKind = HostKind.SSH
    user: str | None = None
    port: int | None = None
    identity_file: str | None = None


@dataclass(frozen=True)
class App:
    """The Django project on the host, and how a command gets into it."""

    path: str
    python: str = "python3"
    manage: str = "manage.py"
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = frozenset()  # the keys of env whose values are never shown
    filled_in: frozenset[str] = field(default=frozenset(), repr=False)  # what `${…}` stands for in them
    env_file: str | None = None
    run_as: str | None = None
    sudo_password_from: str | None = None  # "ask", or a file on the operator's machine
    sudo_password: str | None = field(default=None, repr=False)  # what came from there
    wrapper: tuple[str, ...] = ()
    state_dir: str | None = None  # on the host: lock, records, output; None is ~/.opskit


@dataclass(frozen=True)
class Ssh:
    """How the environment's hosts are connected to."""

    client: str = "fabric"  # or "openssh": the system's own ssh
    known_hosts: tuple[str, ...] = ("~/.ssh/known_hosts",)
    accept_new: bool = False
    connect_timeout: float = 10.0
    reconnect: float = 300.0  # how long a host that was lost in mid-command is tried again; 0: not at all
    passphrases: Mapping[str, str] = field(default_factory=dict, repr=False)  # {file of a key: what was typed}


@dataclass(frozen=True)
class Custom:
    """A project's own commands, as the inventory's `framework` mapping gives them."""

    list: tuple[str, ...]
    migrate: tuple[str, ...]  # holds {tenant}
    success: str  # a regular expression that a good answer contains
    failure: str | None = None
    id_field: str = "tenant_id"
    name_field: str = "name"
    pending: tuple[str, ...] | None = None  # prints {tenant_id: [migration, ...]}
    shared: tuple[str, ...] | None = None  # migrates the shared database


@dataclass(frozen=True)
class Canary:
    """Who goes first, alone: the first `count` that have something pending, or those that match `patterns`."""

    count: int = 0
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Allowance:
    """How many tenants may fail before the run stops: a number, or per cent of the run."""

    number: int
    percent: bool = False


@dataclass(frozen=True)
class Controls:
    """How a rollout is paced and when it stops, as the inventory and the flags say it."""

    stagger: float = 0.0
    canary: Canary = Canary()
    max_failures: Allowance | None = None  # None: any number
    retries: int = 0
    order: str = "listed"  # one of rollout.controls.ORDERS
    deadline: datetime | None = None  # after which no tenant is started
    gate: str = ""  # a command for /bin/sh, asked before each tenant; "" is none
    pause_after_canary: bool = False
    stop_after_same: int = 0  # failures of one fingerprint in a row; 0: any number
    lock_timeout: float = 0.0  # of a statement, in PostgreSQL; 0: as it is there
    statement_timeout: float = 0.0
    go_on: bool = False  # with the others, although nobody knows how one ended
    forks: int = 1  # tenants at a time


class Runner(enum.StrEnum):
    """How the host starts commands."""

    AUTO = "auto"  # warm, but on macOS, where a process that has loaded a project may not be forked
    WARM = "warm"  # the project is loaded once, and every command is a fork of that process
    COLD = "cold"  # every command starts Python, Django and the project anew


@dataclass(frozen=True)
class Hooks:
    """Commands that run where opskit runs: each an argv, in the order in which they are run."""

    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()
    failure: tuple[tuple[str, ...], ...] = ()
    tenant_before: tuple[tuple[str, ...], ...] = ()
    tenant_after: tuple[tuple[str, ...], ...] = ()
    timeout: float | None = 300.0  # of one command; None is no limit
    secrets: frozenset[str] = frozenset()  # values that their output must not show


@dataclass(frozen=True)
class Environment:
    """One deployment of the app. Its hosts share its databases: any one of them serves."""

    name: str
    hosts: tuple[Host, ...]
    app: App
    framework: str  # a key of opskit.frameworks, or `auto`
    custom: Custom | None = None
    aliases: tuple[str, ...] = ()  # globs of the aliases that are tenants, for `databases`
    ssh: Ssh = Ssh()
    rollout: Controls = Controls()
    timeout: float | None = 3600.0  # of one tenant's command; None is no limit
    runner: Runner = Runner.AUTO
    settle: float = 300.0  # how long it is waited for the database to be done with a command that was ended or lost
    confirm: bool = False
    root: str = "."  # the folder that holds inventories/
    hooks: Hooks = field(default=Hooks(), repr=False)  # their arguments may hold secrets
    notify: str = field(default="", repr=False)  # a webhook's address, a secret; "" is none
    requires: tuple[str, ...] = ()  # environments that must have applied first what is pending here


# ---------------------------------------------------------------- who and what


@dataclass(frozen=True)
class Tenant:
    """A tenant, as the framework lists it. Never credentials."""

    id: str
    name: str = ""
    isolation: str = ""  # "database", "schema", "shared", or "" where nobody says


SHARED = Tenant(id="(shared)", name="shared database", isolation="shared")
"""The shared (master, public) database: rolled out as a tenant of its own, before the others."""


FILES = "files"
"""The server of databases that are files."""


@dataclass(frozen=True)
class Place:
    """Where a tenant's data lives; `schema` is "" for the usual one of a database."""

    server: str  # host:port, or FILES
    database: str
    schema: str = ""

    def __str__(self) -> str:
        inside = f"schema `{self.schema}` in " if self.schema else ""
        on = "" if self.server == FILES else f" on {self.server}"
        return f"{inside}database `{self.database}`{on}"


@dataclass(frozen=True)
class TenantState:
    """What a tenant's database says. `error` is why it could not be asked, or must not be migrated.

    `place` is where its data lives, None where nobody says. `unrecorded` are squashed migrations of which nothing
    is pending, since all that they replace is applied: Django records them at the next `migrate`.
    """

    applied: int | None = None  # how many; None where nobody can say
    latest: tuple[str, ...] = ()  # the newest applied migrations, oldest first
    pending: tuple[str, ...] = ()  # in the order in which they would be applied
    error: str = ""
    place: Place | None = None
    missing: bool = False  # its schema is not there yet
    cut: bool = False  # PostgreSQL keeps only the beginning of its schema's or database's name
    unrecorded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """The answer to `what is pending`.

    `shared` is the shared database's pending, None where nobody can say; `tenants` is {tenant_id: TenantState};
    `busy` those of the application names asked for that have a connection at work; `code` is
    {migration: digest of its source} for every migration of the code, empty where nobody can say;
    `replaces` is {squashed migration: those that it replaces}; `framework` is what the project is on;
    `listed` are the tenants, in the project's order, where it tells them; `shared_unrecorded` is the shared
    database's unrecorded (TenantState); `holds` is whether every connection takes the settings of PostgreSQL that
    were to be tried, None where that was not tried; `waits` are the histories that most tenants wait with, each the
    migrations that are recorded, where that was asked and the project shares what it builds for them.
    """

    shared: tuple[str, ...] | None
    tenants: Mapping[str, TenantState]
    busy: frozenset[str] = frozenset()
    code: Mapping[str, str] = field(default_factory=dict)
    listed: tuple[Tenant, ...] = ()
    replaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    framework: str = ""
    shared_unrecorded: tuple[str, ...] = ()
    holds: bool | None = None
    waits: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Command:
    """Arguments for manage.py, or the name of a question from `remote/` with its arguments."""

    args: tuple[str, ...]
    question: str = ""  # "" is a management command
    timeout: float | None = None


@dataclass(frozen=True)
class Reply:
    """How a command ended, as far as anybody knows.

    `exit` is None where nobody knows, and negative for a signal. `marks` are the lines
    that the framework's patterns matched while streaming, oldest first. `tail` is the
    end of the output. `out` is the whole stdout of a listing or a question.
    `error` is what the agent or the transport has to say (a timeout, a lost connection).
    `over` is whether a command without an exit code is known not to run any more. `stuck` is whether a fork of the
    warm runner was killed since it reached no database and said nothing.
    """

    exit: int | None
    marks: tuple[str, ...] = ()
    tail: str = ""
    out: str = field(default="", repr=False)
    seconds: float = 0.0
    timed_out: bool = False
    asked: bool = False  # the operator asked for its end
    over: bool = False
    stuck: bool = False
    error: str = ""


class Status(enum.StrEnum):
    """What became of a tenant."""

    MIGRATED = "migrated"
    CURRENT = "current"  # nothing was pending
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"  # the run stopped before it


@dataclass(frozen=True)
class Fingerprint:
    """What a failure has in common with those of other tenants. What is not known is ""."""

    exception: str = ""  # the most telling class: psycopg's rather than Django's
    sqlstate: str = ""  # PostgreSQL's code of the error
    migration: str = ""  # that was at work
    text: str = ""  # its sentence, without names, numbers and ids

    def __str__(self) -> str:
        app, _, name = self.migration.partition(".")
        number = name[: len(_NUMBER)] if name[: len(_NUMBER)].isdigit() else name
        place = f" in {app}.{number}" if name else ""
        return f"{self.exception}{place}: {self.text}" if self.exception else f"{self.text}{place}"


_NUMBER = "0042"  # as Django begins the name of a migration


@dataclass(frozen=True)
class Outcome:
    """What became of one tenant, with its evidence."""

    tenant: str
    status: Status
    applied: tuple[str, ...] = ()  # by this run, oldest first
    verified: bool = False  # the database was asked, and agrees
    error: str = ""  # one line
    seconds: float = 0.0
    attempt: int = 0  # 0: no command was sent
    host: str = ""
    retryable: bool = False  # it failed of what may be gone the next time: a lock, a deadlock
    fingerprint: Fingerprint | None = None  # of a command that failed
    taken_back: tuple[str, ...] = ()  # by a run that undoes another, oldest first


# ---------------------------------------------------------------- looking before the first migration


class CheckStatus(enum.StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `of` is a host, a database server, or the environment."""

    name: str  # one of rollout.checks.NAMES
    of: str
    status: CheckStatus
    found: str
    hint: str = ""  # what to do about it


@dataclass(frozen=True)
class Disk:
    """A file system of a host. `free` is in bytes."""

    of: tuple[str, ...]  # what opskit or the project keeps there
    free: int
    full: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class HostFacts:
    """What a host says of itself. `clock` is in seconds since 1970."""

    clock: float
    user: str
    state_folder: str
    state_error: str = ""
    disks: tuple[Disk, ...] = ()
    max_startups: str = ""
    max_startups_error: str = ""


@dataclass(frozen=True)
class Server:
    """What a database server says of itself. Sizes are in bytes; what is None, nobody may ask.

    Two names of one server have the same `started`. `pgoptions` is "through", "dropped" or "refused",
    `pooler` is "none", "pooler" or "transaction"; "" is not known.
    """

    name: str  # host:port
    database: str = ""  # through which it was asked
    error: str = ""
    vendor: str = ""
    version: str = ""
    user: str = ""
    standby: bool = False
    started: str = ""
    lock_timeout: str = ""
    max_connections: int | None = None
    reserved: int | None = None  # connections for superusers
    used: int | None = None
    lock_slots: int | None = None
    locks: int | None = None
    relations: int | None = None  # tables and indexes of the largest schema
    size: int | None = None  # of all databases
    largest: int | None = None  # database
    disk_free: int | None = None
    pgoptions: str = ""
    pgoptions_set: bool = False  # by the environment's own settings
    pgoptions_error: str = ""
    pooler: str = ""


@dataclass(frozen=True)
class ProjectFacts:
    """What the project on a host says of itself. The first server is the master's.

    `commands` is {command: the app that gives it} of those asked for; `migrations` those of the code.
    `frameworks` are those whose apps it has.
    """

    django: str = ""  # "" where it did not start
    frameworks: tuple[str, ...] = ()
    package: str = ""  # the framework's version
    commands: Mapping[str, str] = field(default_factory=dict)
    migrations: frozenset[str] | None = None
    migrations_error: str = ""
    servers: tuple[Server, ...] = ()
    error: str = ""  # why there is no more


@dataclass(frozen=True)
class Seen:
    """What was seen of one host.

    `refused` is the check at which it ended, with `error` and `hint`; "" where the project was entered.
    `ahead` are the least and the most seconds by which its clock may be ahead of ours.
    """

    host: Host
    refused: str = ""
    error: str = ""
    hint: str = ""
    path: str = ""
    python: str = ""
    revision: str = ""
    facts: HostFacts | None = None
    facts_error: str = ""
    ahead: tuple[float, float] = (0.0, 0.0)
    project: ProjectFacts | None = None
    no_command: bool = False  # manage.py was run, and never came to a command


@dataclass(frozen=True)
class Look:
    """All that `check` has seen of an environment. The last three are what one host, `serving`, answered."""

    hosts: tuple[Seen, ...]
    serving: str = ""  # "" where no project could be entered
    framework: str = ""  # as it was found
    commands: tuple[str, ...] = ()  # that the framework needs
    tenants: tuple[Tenant, ...] | None = None
    listing_error: str = ""
    survey: Survey | None = None
    survey_error: str = ""


# ---------------------------------------------------------------- the rollout


@dataclass(frozen=True)
class Batch:
    """Tenants in the order they run, and how many of them may fail before the run stops."""

    tenants: tuple[Tenant, ...]
    max_failures: int | None = None  # None: any number


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    `pending` is {tenant_id: migrations}, None for a tenant that nobody could ask.
    `current` tenants get no command; `refused` is {tenant_id: why it must not be migrated}.
    """

    batches: tuple[Batch, ...]
    pending: Mapping[str, tuple[str, ...] | None]
    current: tuple[Tenant, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    stagger: float = 0.0
    canaries: int = 0  # how many of the batches, from the first on, are canaries
    retries: int = 0  # of one tenant, where its outcome is retryable
    stop_after_same: int = 0  # failures of one fingerprint in a row; 0: any number
    deadline: datetime | None = None  # after which no tenant is started; None is no limit
    expected: Mapping[str, float] = field(default_factory=dict)  # {tenant_id: seconds it took the last time}
    gate: str = ""  # a command for /bin/sh, asked before each tenant
    pause_after_canary: bool = False  # wait for a person's word when the canary is home
    go_on: bool = False  # with the others, although nobody knows how one ended
    forks: int = 1  # tenants at a time, a canary apart, which is alone
    code: Mapping[str, str] = field(default_factory=dict)  # {migration: digest of its source}, of those pending
    back: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # {tenant_id: what is to be taken back}


@dataclass(frozen=True)
class WayBack:
    """How a tenant gets back to where it was before a run, as its project says; or why it does not."""

    left: tuple[str, ...] = ()  # what the run applied and is applied now, oldest first
    steps: tuple[tuple[str, str], ...] = ()  # (app, the name of a migration or `zero`): the targets, in this order
    refusal: str = ""
    loses: tuple[str, ...] = ()  # the tables and fields that go with it


@dataclass(frozen=True)
class Sql:
    """What a migration would say to the database, as its project writes it; why some or all of that is `missing`."""

    statements: tuple[str, ...] = ()
    missing: str = ""
    vendor: str = ""  # `postgresql`; "" where nobody could say
    atomic: bool = True  # it runs in one transaction


@dataclass(frozen=True)
class Lint:
    """What a linter says of one of a migration's statements, which is told by its place among them, from 0."""

    statement: int
    rule: str
    level: str  # `warning`, `error`
    message: str
    help: str = ""


@dataclass(frozen=True)
class Reviewed:
    """A plan as it is written to a file for somebody to read, with all that must still hold when it is applied.

    `code` is {migration: digest of its source} of all that are pending, the shared database's among them.
    `revision` is "" and `shared_pending` None where nobody can say.
    """

    at: datetime
    opskit: str  # version
    operator: str
    machine: str
    args: tuple[str, ...]  # redacted
    environment: str
    revision: str
    code: Mapping[str, str]
    shared: bool  # --shared was given
    shared_pending: tuple[str, ...] | None
    only: tuple[str, ...]  # patterns
    exclude: tuple[str, ...]
    everything: bool
    rollout: Controls
    timeout: float | None
    plan: Plan


# ---------------------------------------------------------------- events


@dataclass(frozen=True)
class RunStarted:
    at: datetime
    run_id: str
    environment: str
    opskit: str  # version
    operator: str
    machine: str
    args: tuple[str, ...]  # redacted
    host: str = ""
    path: str = ""  # of the project on the host, links resolved
    revision: str = ""  # of the project's code, where it can be told
    app_label: str = ""  # where only this app was to be migrated
    migration_name: str = ""  # and to where
    rollout: Controls = Controls()
    timeout: float | None = 3600.0  # of one tenant's command; None is no limit
    applies: str = ""  # the digest of the plan file that was applied
    undoes: str = ""  # the run whose migrations this one takes back
    override: str = ""  # why the environments that must come first were not asked


@dataclass(frozen=True)
class RunResumed:
    """The run goes on, in the same journal. What it left open is decided anew."""

    at: datetime
    opskit: str  # version
    operator: str
    machine: str
    args: tuple[str, ...]  # redacted
    host: str = ""
    path: str = ""
    revision: str = ""
    override: str = ""


@dataclass(frozen=True)
class PlanMade:
    at: datetime
    plan: Plan


@dataclass(frozen=True)
class TenantStarted:
    at: datetime
    tenant: str
    attempt: int
    host: str
    pending: tuple[str, ...] | None


@dataclass(frozen=True)
class TenantMoved:
    """The line died after TenantStarted, and another host serves now: the command leaves for that one."""

    at: datetime
    tenant: str
    attempt: int
    host: str


@dataclass(frozen=True)
class TenantFollowed:
    """A command that an earlier part of the run left at work was found there: it is heard to its end, not started."""

    at: datetime
    tenant: str
    attempt: int
    host: str
    since: datetime | None = None  # by the host's clock
    process: int | None = None


@dataclass(frozen=True)
class TenantFinished:
    at: datetime
    outcome: Outcome


@dataclass(frozen=True)
class TenantVerified:
    """The database was asked after the last command; `outcome` is what stands."""

    at: datetime
    outcome: Outcome


@dataclass(frozen=True)
class GateAnswered:
    """What the operator's gate said before a tenant: exit 0 is go on, 1 stop, 2 wait; anything else stops, too."""

    at: datetime
    tenant: str
    exit: int | None  # None: it did not end in time, or could not be started
    said: str = ""  # its last line, secrets removed
    output: str = ""  # all of it, bounded


@dataclass(frozen=True)
class Notice:
    """Something the operator should know that is no tenant's outcome."""

    at: datetime
    text: str


@dataclass(frozen=True)
class RunFinished:
    at: datetime
    reason: str  # "done", "interrupted", or why the run stopped
    counts: Mapping[str, int]  # {status: tenants}
    seconds: float | None = None  # that it was going on, its earlier parts included
    tenants_seconds: float | None = None  # that its tenants' commands took


@dataclass(frozen=True)
class Output:
    """What a tenant's command printed, secrets removed. Reported, not journalled."""

    tenant: str
    text: str  # whole lines
    partial: str = ""  # the beginning of the line that is not whole yet


@dataclass(frozen=True)
class Said:
    """What a program on the operator's side printed or did, secrets removed. Logged, not journalled."""

    at: datetime
    source: str  # `hooks.before[0]`
    text: str  # whole lines
    tenant: str = ""  # that it was run for
    quiet: bool = True  # on the screen with -v only


@dataclass(frozen=True)
class Waiting:
    """The countdown of the stagger, or another wait. Reported, not journalled."""

    seconds: float | None  # left; None: until somebody says so
    tenant: str  # that comes next
    why: str = ""  # "" is the stagger


Journalled = (
    RunStarted
    | RunResumed
    | PlanMade
    | TenantStarted
    | TenantMoved
    | TenantFollowed
    | TenantFinished
    | TenantVerified
    | GateAnswered
    | Notice
    | RunFinished
)
Event = Journalled | Output | Said | Waiting
