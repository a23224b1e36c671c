"""The keys of an inventory: what pydantic checks once every short form has been brought into one shape.

No unions, so that an error's path is the path the user wrote; "not given" is empty text, 0 or an empty tuple.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from opskit import errors, frameworks
from opskit.inventory import forms, values, wording


def _filled_in(value: str, info: ValidationInfo) -> str:
    """`value` as it was written; only asks whether it can be filled in, so that all errors come at once."""
    values.fill_in(value, info.context or {})
    return value


def _hook(value: object, info: ValidationInfo) -> str | tuple[str, ...]:
    return values.hook(value, info.context or {})


def _webhook(value: str, info: ValidationInfo) -> str:
    values.webhook(value, info.context or {})
    return value


Text = Annotated[str, AfterValidator(values.text), WithJsonSchema(forms.TEXT)]
Undashed = Annotated[str, AfterValidator(values.undashed), WithJsonSchema(forms.UNDASHED)]
User = Annotated[str, AfterValidator(values.user), WithJsonSchema(forms.UNDASHED)]
Address = Annotated[str, AfterValidator(values.address), WithJsonSchema(forms.UNDASHED)]
OperatorPath = Annotated[str, AfterValidator(values.operator_path), WithJsonSchema(forms.TEXT)]
Pattern = Annotated[str, AfterValidator(values.text), AfterValidator(values.pattern), WithJsonSchema(forms.TEXT)]
Words = Annotated[
    tuple[Annotated[str, AfterValidator(values.argument)], ...],
    BeforeValidator(values.words),
    WithJsonSchema(forms.WORDS),
]
Command = Annotated[Words, AfterValidator(values.command)]
ForEveryone = Annotated[Words, AfterValidator(values.for_everyone)]
ForOneTenant = Annotated[Words, AfterValidator(values.for_one_tenant)]
Aliases = Annotated[
    tuple[Annotated[str, AfterValidator(values.alias)], ...],
    BeforeValidator(values.globs),
    WithJsonSchema(forms.TEXTS),
]
Env = Annotated[
    dict[Annotated[str, AfterValidator(values.variable)], Annotated[str, AfterValidator(_filled_in)]],
    WithJsonSchema(forms.ENV),
]
Port = Annotated[int, PlainValidator(values.port), WithJsonSchema(forms.PORT)]
Pause = Annotated[float, PlainValidator(values.pause), WithJsonSchema(forms.DURATION)]
Limit = Annotated[float, PlainValidator(values.limit), WithJsonSchema(forms.DURATION)]
LimitOrNone = Annotated[float, PlainValidator(values.limit_or_none), WithJsonSchema(forms.DURATION_OR_NONE)]
Environments = Annotated[
    tuple[Annotated[str, AfterValidator(values.environment)], ...],
    BeforeValidator(values.environments),
    WithJsonSchema(forms.TEXTS),
]
StatementLimit = Annotated[float, PlainValidator(values.statement_limit), WithJsonSchema(forms.DURATION_OR_NONE)]
Hook = Annotated[Any, PlainValidator(_hook), WithJsonSchema(forms.HOOK)]  # a line for a shell, or a tuple of words
Hooks = Annotated[tuple[Hook, ...], WithJsonSchema(forms.HOOKS)]
Webhook = Annotated[str, AfterValidator(_webhook), WithJsonSchema(forms.TEXT)]


def told(default: Any, kind: str, meaning: str, *, example: str = "", unset: str = "", secret: bool = False) -> Any:
    """A field as the reference and the editors tell it.

    `kind` is its form in words, `unset` what happens without it, where `default` does not say that by itself.
    A `secret` one's value is never shown.
    """
    extra: dict[str, Any] = {"unset": unset, "secret": secret}
    return Field(default, title=kind, description=meaning, examples=[example], json_schema_extra=extra)


class Entry(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # most are built with the one that they are part of, and of the outermost only one is used
    )


class AppEntry(Entry):
    """The Django project on the host, and how a command gets into it."""

    path: Text = told(
        ...,
        "path on the host",
        "The folder that holds `manage.py`. A relative path starts in the login directory; with `[local]` it starts at "
        "the root. Links are resolved once a run",
        example="/srv/acme/current",
    )
    python: Undashed = told(  # the build knows the default: it depends on the hosts
        "",
        "path or command",
        "The project's interpreter. With a `wrapper` it is looked for inside. With `[local]` and a wrapper into a "
        "container, set it: the default is this machine's",
        example="/srv/acme/venv/bin/python",
        unset="`python3`; with `[local]` and `[demo]` the interpreter that runs opskit",
    )
    manage: Undashed = told(
        "manage.py",
        "path, relative to `app.path`",
        "The project's `manage.py`. A leading `-` is refused",
        example="src/manage.py",
    )
    env: Env = told(
        {},
        "mapping of names to text",
        "Environment variables of the commands. See below",
        example="{DJANGO_SETTINGS_MODULE: acme.settings.production}",
        unset="none",
    )
    env_file: Text = told(
        "",
        "path on the host",
        "`KEY=VALUE` lines, read on the host; the values never leave it. The user of `run_as` must be able to read it",
        example="/etc/acme/env",
        unset="none",
    )
    run_as: User = told(
        "",
        "user on the host",
        "`sudo -n -u acme`, outside the wrapper: a sudo that asks for a password fails, unless `sudo_password` "
        "gives one",
        example="acme",
        unset="the user that logs in",
    )
    sudo_password: Annotated[str, PlainValidator(values.ask_or_file), WithJsonSchema(forms.TEXT)] = told(
        "",
        "`ask`, or a path on your machine with a `/` in it",
        "`ask`: you are asked, once, before any host is contacted; without a terminal that is refused. A file: its "
        "first line is the password, and nobody else may read it (`chmod 600`). It is the password of the user who "
        "logs in, the same on all hosts; the host gets it only where sudo asks, and once",
        example="ask",
        unset="none: sudo must not ask",
    )
    wrapper: Command = told(
        (),
        "list, or one line split as a shell would",
        "Words that stand before the command. Nothing else of a shell is done: no `$NAME`, no `*`, no pipe",
        example="[docker, compose, exec, -T, web]",
        unset="none",
    )
    state_dir: Text = told(
        "",
        "folder on the host",
        "The lock and the records. Where two operators run commands as different users, both need one folder that both "
        "can write to, or neither sees the other's lock",
        example="/var/lib/opskit",
        unset="`~/.opskit` of the user that runs there",
    )

    @model_validator(mode="after")
    def _sudo_is_used(self) -> "AppEntry":
        if self.sudo_password and not self.run_as:
            raise ValueError("`sudo_password` is given, and there is no `run_as`: sudo is not used")
        return self


class HostEntry(Entry):
    """One app host. What is left out is left to `~/.ssh/config`."""

    address: Address = told(
        ...,
        "name, IP address, or a `Host` of `~/.ssh/config`",
        "IPv6 stands in brackets in the short form. A leading `-` is refused",
        example="app1.example.com",
    )
    user: User = told(
        "",
        "text",
        "`user:password@host` is refused: use a key or an agent",
        example="deploy",
        unset="what ssh_config says",
    )
    port: Port = told(
        0, "1 to 65535", "The port of its SSH server", example="2222", unset="what ssh_config says, else 22"
    )
    identity_file: OperatorPath = told(
        "",
        "path on your machine",
        "`~` is your home; a relative path starts at the root; `~other/` is refused",
        example="~/.ssh/acme",
        unset="what ssh_config says, else the agent and the usual keys",
    )

    @model_validator(mode="after")
    def _here_is_not_logged_in_to(self) -> "HostEntry":
        if self.address in values.HERE and (self.user or self.port or self.identity_file):
            raise ValueError(f"`{self.address}` stands alone: no user, no port, no identity_file")
        return self


class HostsFromEntry(Entry):
    """Hosts that another inventory already names. Instead of `hosts`."""

    ansible: OperatorPath = told(
        ...,
        "path on your machine",
        "An Ansible inventory: a file, a folder or a dynamic inventory script, read by `ansible-inventory --list`. "
        "Or a `.json` file with what that printed. `~` and relative paths as for `identity_file`",
        example="ansible/hosts.ini",
    )
    group: Text = told(
        ...,
        "name of a group",
        "Its hosts, then those of the groups in it, in the order in which Ansible lists them. They share the databases",
        example="web",
    )


class SshEntry(Entry):
    """How the hosts are connected to."""

    client: Annotated[
        str, PlainValidator(values.one_of("fabric", "openssh")), WithJsonSchema(forms.choice("fabric", "openssh"))
    ] = told(
        "fabric",
        "`fabric` or `openssh`",
        "`openssh` starts the system's own `ssh`, for ControlMaster, host certificates, security keys, a second "
        "factor. It never prompts: what needs a password or a code must have been answered before, by `ssh-add` or "
        "a ControlMaster",
        example="openssh",
    )
    known_hosts: Annotated[tuple[OperatorPath, ...], BeforeValidator(values.paths), WithJsonSchema(forms.TEXTS)] = told(
        ("~/.ssh/known_hosts",),
        "path on your machine, or a list",
        "`~` and relative paths as for `identity_file`",
        example="[~/.ssh/known_hosts, known_hosts]",
    )
    host_keys: Annotated[
        str, PlainValidator(values.one_of("strict", "accept-new")), WithJsonSchema(forms.choice("strict", "accept-new"))
    ] = told(
        "strict",
        "`strict` or `accept-new`",
        "`strict` refuses a host whose key is in no file; `accept-new` adds it to the first file. A changed key is "
        "refused either way",
        example="accept-new",
    )
    connect_timeout: Limit = told(
        10.0,
        "duration",
        "How long a host may take to answer, or turn us away, before the next one is tried. More than 0",
        example="5s",
    )
    reconnect: Pause = told(
        300.0,
        "duration",
        "How long a host that was lost in the middle of a tenant is tried again, to hear how that tenant ends. `0` is "
        "not at all",
        example="15m",
    )


class RolloutEntry(Entry):
    """How a run is paced, and when it stops."""

    stagger: Pause = told(
        0.0,
        "duration",
        "The pause between the end of one tenant's command and the start of the next. `--stagger` overrides it",
        example="10s",
    )
    forks: Annotated[int, PlainValidator(values.forks), WithJsonSchema(forms.FORKS)] = told(
        1,
        "1 to 64",
        "How many tenants are migrated at a time, spread over the hosts: "
        "[several at a time](tasks.md#several-at-a-time). Not together with `stagger`. `--forks` overrides it",
        example="4",
    )
    canary: Annotated[Any, PlainValidator(values.canary), WithJsonSchema(forms.TEXTS)] = told(
        None,
        "a count, or a list of ids and globs",
        "Who goes first, alone; a failure there stops the run. `--canary` overrides it. `=3` is the tenant whose id "
        "is 3",
        example="[internal]",
        unset="none",
    )
    max_failures: Annotated[Any, PlainValidator(values.max_failures), WithJsonSchema(forms.ALLOWANCE)] = told(
        None,
        "a number, or a share",
        "The run stops when more have failed; a share of the tenants to migrate is rounded down. `--max-failures` "
        "overrides it",
        example="5%",
        unset="any number",
    )
    stop_after_same: Annotated[int, PlainValidator(values.same), WithJsonSchema(forms.SAME)] = told(
        0,
        "a number from 2 on",
        "The run stops when so many tenants in a row have failed alike: of one exception, in one migration, with one "
        "sentence. `--stop-after-same` overrides it",
        example="3",
        unset="any number",
    )
    retries: Annotated[int, PlainValidator(values.retries), WithJsonSchema(forms.RETRIES)] = told(
        0,
        "0 to 10",
        "How often a tenant is tried again, at the end of the queue, that failed of a lock, a deadlock or a "
        "serialization failure. `--retries` overrides it",
        example="2",
    )
    lock_timeout: StatementLimit = told(
        0.0,
        "duration or `none`",
        "How long a statement may wait for a lock: PostgreSQL's `lock_timeout`. `retries` tries such a failure again. "
        "`--lock-timeout` overrides it",
        example="5s",
        unset="as it is in the database",
    )
    statement_timeout: StatementLimit = told(
        0.0,
        "duration or `none`",
        "How long a statement may run: PostgreSQL's `statement_timeout`. `--statement-timeout` overrides it",
        example="10m",
        unset="as it is in the database",
    )
    timeout: LimitOrNone = told(
        3600.0,
        "duration or `none`",
        "Of one tenant's command; then its process group is killed. `0` is refused: write `none` for no limit. "
        "`--timeout` overrides it",
        example="30m",
    )
    runner: Annotated[
        str, PlainValidator(values.one_of("auto", "warm", "cold")), WithJsonSchema(forms.choice("auto", "warm", "cold"))
    ] = told(
        "auto",
        "`auto`, `warm` or `cold`",
        "Whether the host loads the project once and forks a child of it for each command, or starts each one anew: "
        "[the warm runner](runner.md). `--runner` overrides it",
        example="cold",
    )
    settle: Pause = told(
        300.0,
        "duration",
        "How long it is waited, after a command was killed, timed out or lost, until PostgreSQL has nothing of it at "
        "work and says what is pending. After that the tenant is unknown, and the run stops",
        example="10m",
    )


class HooksEntry(Entry):
    """Commands that run where opskit runs, around a run and its tenants."""

    before: Hooks = told(
        (),
        "list of commands",
        "One that fails stops the run before its first command: exit 3. `[./maintenance, on]` is two commands; "
        "`[[./maintenance, on]]` is one",
        example="[./maintenance on]",
        unset="none",
    )
    tenant_before: Hooks = told(
        (),
        "list of commands",
        "One that fails stops the run before that tenant",
        example="['./backup \"$OPSKIT_TENANT\"']",
        unset="none",
    )
    tenant_after: Hooks = told(
        (),
        "list of commands",
        "One that fails is a warning",
        example="['./restart \"$OPSKIT_TENANT\"']",
        unset="none",
    )
    failure: Hooks = told(
        (),
        "list of commands",
        "Run once, at the first failure. One that fails is a warning",
        example="[./page-somebody]",
        unset="none",
    )
    after: Hooks = told(
        (),
        "list of commands",
        "Runs whenever `before` was reached. One that fails is a warning",
        example="[./maintenance off]",
        unset="none",
    )
    timeout: LimitOrNone = told(
        300.0,
        "duration or `none`",
        "Of each hook; then its process group is ended, and it has failed",
        example="30m",
    )


class CustomEntry(Entry):
    """Commands of the project's own."""

    name: Annotated[str, PlainValidator(values.mapping), WithJsonSchema(forms.choice("custom"))] = told(
        ..., "`custom` or `databases`", "Other frameworks take no mapping", example="custom"
    )
    list: ForEveryone = told(..., "command", "Prints a JSON list of tenants", example="[tenants, --json]")
    migrate: ForOneTenant = told(
        ...,
        "command with `{tenant}`",
        "Without `{tenant}` it is refused. In YAML, `{tenant}` inside brackets needs quotes",
        example='[migrate_one, "--tenant={tenant}"]',
    )
    success: Pattern = told(
        ...,
        "regular expression",
        "Looked for in the output, line by line. One that matches empty text is refused: every answer would be a "
        "success",
        example='"^Migrated \\\\S+"',
    )
    failure: Pattern = told(
        "",
        "regular expression",
        "Found in the output, the tenant is failed whatever the exit code. `(?i)` is written `(?i:…)`",
        example='"^Migration of \\\\S+ failed"',
        unset="none",
    )
    id_field: Text = told("tenant_id", "a field of the list", "Where the list has a tenant's id", example="slug")
    name_field: Text = told("name", "a field of the list", "Where the list has a tenant's name", example="title")
    pending: ForEveryone = told(
        (),
        "command",
        "Prints `{tenant id: [migration, …]}`. Without it every tenant gets a command, and no outcome is verified",
        example="[pending_migrations, --json]",
        unset="none",
    )
    shared: ForEveryone = told(
        (),
        "command",
        "Migrates the shared database",
        example="[migrate, --database=default, --noinput]",
        unset="none",
    )


def _hosts_agree(hosts: dict[Any, HostEntry]) -> dict[Any, HostEntry]:
    names = [host_name(key, host) for key, host in hosts.items()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two hosts are called {wording.listed(twice)}. name them: `{{one: …, two: …}}`")
    here = sorted({host.address for host in hosts.values() if host.address in values.HERE})
    if here and len(hosts) > 1:
        raise ValueError(f"{wording.listed(here)} can't be mixed with other hosts")
    return hosts


def host_name(key: Any, host: HostEntry) -> str:
    """A host in a list is called by its address."""
    return key if isinstance(key, str) else host.address


class DatabasesEntry(Entry):
    """Aliases of plain Django's DATABASES."""

    name: Annotated[str, PlainValidator(values.mapping), WithJsonSchema(forms.choice("databases"))] = told(
        ..., "`databases`", "Plain Django with many `DATABASES`", example="databases"
    )
    aliases: Aliases = told(
        ...,
        "list of globs",
        "With `databases`, and there alone: which aliases of `DATABASES` are tenants. `default` never is one. One that "
        "matches nothing is refused",
        example='["tenant_*"]',
    )


Hosts = Annotated[
    dict[
        Annotated[Any, AfterValidator(values.host_name)],
        Annotated[HostEntry, BeforeValidator(values.host)],
    ],
    BeforeValidator(values.hosts),
    AfterValidator(_hosts_agree),
]

_HOSTS: TypeAdapter[dict[str, HostEntry]] = TypeAdapter(Hosts)


class _Common(Entry):
    app: AppEntry = told(..., "mapping", "The Django project on the host, and how a command gets into it")
    hosts: Hosts = told(
        {},
        "list or mapping",
        "The hosts share the databases: a tenant is migrated once, from one of them. Two hosts of one name are "
        "refused: two ports of one address need the mapping",
        example="[deploy@app1.example.com]",
        unset="required, not empty, unless there is `hosts_from`",
    )
    hosts_from: HostsFromEntry = told(
        HostsFromEntry.model_construct(ansible="", group=""),
        "mapping",
        "Hosts that an Ansible inventory names. Instead of `hosts`",
        example="{ansible: ansible/hosts.ini, group: web}",
        unset="none",
    )
    ssh: SshEntry = told(SshEntry(), "mapping", "How the hosts are connected to")
    rollout: RolloutEntry = told(RolloutEntry(), "mapping", "How a run is paced, and when it stops")
    confirm: Annotated[bool, PlainValidator(values.truth), WithJsonSchema(forms.TRUTH)] = told(
        False,
        "`true`, `false`, `yes`, `no`",
        "Asks before anything is migrated. Without a terminal and without `--yes` the task refuses to start",
        example="true",
    )
    hooks: HooksEntry = told(
        HooksEntry(), "mapping", "Commands that run where opskit runs, around a run and its tenants"
    )
    notify: Webhook = told(
        "",
        "a webhook's address",
        "Slack's JSON is sent there at the start, the first failure and the end of a run. It is a secret. `${NAME}` is "
        "filled in as under `app.env`; a variable that is set and empty is refused",
        example="${ACME_SLACK_WEBHOOK}",
        unset="none",
        secret=True,
    )
    requires: Environments = told(
        (),
        "name of an environment, or a list",
        "What is pending here must be applied there first, on every tenant: before the first tenant is migrated, those "
        "environments are asked. `--override-requires` goes on without",
        example="staging",
        unset="none",
    )


class NamedFramework(_Common):
    framework: Annotated[
        str, PlainValidator(values.framework), WithJsonSchema(forms.choice(frameworks.AUTO, *frameworks.NAMED))
    ] = told(
        frameworks.AUTO,
        "name, or mapping",
        "The tenancy framework. `auto` takes the one whose app is in INSTALLED_APPS. `custom` and `databases` alone "
        "are refused: they are mappings",
        example="omnitenant",
    )


class CustomFramework(_Common):
    """A model of its own: a `framework` that may be a name or a mapping would be a union."""

    framework: CustomEntry = told(..., "mapping", "Commands of the project's own")


class DatabasesFramework(_Common):
    framework: DatabasesEntry = told(..., "mapping", "Aliases of plain Django's DATABASES")


Inventory = NamedFramework | CustomFramework | DatabasesFramework

MAPPINGS: tuple[type[Entry], ...] = (CustomEntry, DatabasesEntry)  # of `framework`

SECTIONS: dict[str, type[Entry]] = {
    "app": AppEntry,
    "hosts": HostEntry,
    "hosts_from": HostsFromEntry,
    "framework": CustomEntry,
    "ssh": SshEntry,
    "rollout": RolloutEntry,
    "hooks": HooksEntry,
}


def check(tree: Mapping[str, Any], label: str, environ: Mapping[str, str]) -> Inventory:
    """The inventory in `tree`. Raises InventoryError with every complaint, a line each."""
    model = _model(tree.get("framework"))
    complaints = _whose_hosts(tree)
    try:
        entry = model.model_validate(tree, context=environ)
    except ValidationError as error:
        complaints = _complaints(error) + complaints
    if complaints:
        # from None: pydantic's error holds the values, and some of them are secrets
        raise errors.InventoryError("\n".join(f"{label}: {line}" for line in complaints)) from None
    return entry


def _model(framework: Any) -> type[Inventory]:
    if not isinstance(framework, dict):
        return NamedFramework
    return DatabasesFramework if str(framework.get("name")).lower() == "databases" else CustomFramework


def _whose_hosts(tree: Mapping[str, Any]) -> list[str]:
    if "hosts" in tree and "hosts_from" in tree:
        return ["hosts_from: stands instead of `hosts`. keep one of them"]
    return [] if "hosts" in tree or "hosts_from" in tree else ["hosts: is missing, and has no default"]


def check_hosts(hosts: Mapping[str, Mapping[str, str]], keys: Mapping[str, str]) -> dict[str, HostEntry]:
    """Hosts that another inventory names; `keys` is what that calls our keys. Raises ValueError, a line a mistake."""
    try:
        return _HOSTS.validate_python(hosts)
    except ValidationError as error:
        raise ValueError("\n".join(_foreign(each, keys) for each in error.errors(include_url=False))) from None


def _foreign(each: ErrorDetails, keys: Mapping[str, str]) -> str:
    name, *rest = (str(part) for part in each["loc"] if part != "[key]") if each["loc"] else ("",)
    what = "".join(f"{keys.get(part, part)}: " for part in rest)
    return f"host {wording.shown(name)}: {what}{_reason(each, each['loc'])}" if name else _reason(each, ())


# ---------------------------------------------------------------- complaints

_EXPECTED = {
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
}


def _complaints(error: ValidationError) -> list[str]:
    return [_complaint(each) for each in error.errors(include_url=False)]


def _complaint(each: ErrorDetails) -> str:
    loc = tuple(part for part in each["loc"] if part != "[key]")  # where pydantic means the key, not its value
    return f"{wording.path(loc)}: {_reason(each, loc)}"


def _reason(each: ErrorDetails, loc: tuple[int | str, ...]) -> str:
    if each["type"] == "value_error":
        return str(each["ctx"]["error"])
    if each["type"] == "extra_forbidden":
        return _unknown(loc)
    if each["type"] == "missing":
        return "is missing, and has no default"
    # the sort of thing, never the thing: this may be `app.env`
    return f"expected {_EXPECTED.get(each['type'], 'something else')}, found {wording.kind(each['input'])}"


def _unknown(loc: tuple[int | str, ...]) -> str:
    *parents, key = (str(part) for part in loc)
    known = list(SECTIONS[parents[0]].model_fields if parents else NamedFramework.model_fields)
    if key in known or (parents == ["framework"] and key in DatabasesEntry.model_fields):
        return f"belongs to {'`databases`, not to `custom`' if key == 'aliases' else '`custom`, not to `databases`'}"
    meant = wording.nearest(key, known) or _elsewhere(key)
    if meant:
        return f"unknown key. did you mean `{meant}`?"
    return f"unknown key. known here are {wording.listed(known)}"


def _elsewhere(key: str) -> str:
    """The path of a key that stands in the wrong section."""
    return next(
        (f"{name}.{key}" for name in ("app", "ssh", "rollout", "hooks") if key in SECTIONS[name].model_fields), ""
    )
