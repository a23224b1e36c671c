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
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from opskit import errors
from opskit.inventory import values, wording


def _filled_in(value: str, info: ValidationInfo) -> str:
    """`value` as it was written; only asks whether it can be filled in, so that all errors come at once."""
    values.fill_in(value, info.context or {})
    return value


def _hook(value: object, info: ValidationInfo) -> str | tuple[str, ...]:
    return values.hook(value, info.context or {})


def _webhook(value: str, info: ValidationInfo) -> str:
    values.webhook(value, info.context or {})
    return value


Text = Annotated[str, AfterValidator(values.text)]
Undashed = Annotated[str, AfterValidator(values.undashed)]
User = Annotated[str, AfterValidator(values.user)]
OperatorPath = Annotated[str, AfterValidator(values.operator_path)]
Pattern = Annotated[str, AfterValidator(values.text), AfterValidator(values.pattern)]
Words = Annotated[tuple[Annotated[str, AfterValidator(values.argument)], ...], BeforeValidator(values.words)]
Command = Annotated[Words, AfterValidator(values.command)]
ForEveryone = Annotated[Words, AfterValidator(values.for_everyone)]
ForOneTenant = Annotated[Words, AfterValidator(values.for_one_tenant)]
Env = dict[Annotated[str, AfterValidator(values.variable)], Annotated[str, AfterValidator(_filled_in)]]
Hook = Annotated[Any, PlainValidator(_hook)]  # a line for a shell, or a tuple of words
Webhook = Annotated[str, AfterValidator(_webhook)]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AppEntry(Entry):
    path: Text
    python: Undashed = ""  # the build knows the default: it depends on the hosts
    manage: Undashed = "manage.py"
    env: Env = {}
    env_file: Text = ""
    run_as: User = ""
    sudo_password: Annotated[str, PlainValidator(values.ask_or_file)] = ""
    wrapper: Command = ()
    state_dir: Text = ""

    @model_validator(mode="after")
    def _sudo_is_used(self) -> "AppEntry":
        if self.sudo_password and not self.run_as:
            raise ValueError("`sudo_password` is given, and there is no `run_as`: sudo is not used")
        return self


class HostEntry(Entry):
    address: Annotated[str, AfterValidator(values.address)]
    user: User = ""
    port: Annotated[int, PlainValidator(values.port)] = 0
    identity_file: OperatorPath = ""

    @model_validator(mode="after")
    def _here_is_not_logged_in_to(self) -> "HostEntry":
        if self.address in values.HERE and (self.user or self.port or self.identity_file):
            raise ValueError(f"`{self.address}` stands alone: no user, no port, no identity_file")
        return self


class SshEntry(Entry):
    client: Annotated[str, PlainValidator(values.one_of("fabric", "openssh"))] = "fabric"
    known_hosts: Annotated[tuple[OperatorPath, ...], BeforeValidator(values.paths)] = ("~/.ssh/known_hosts",)
    host_keys: Annotated[str, PlainValidator(values.one_of("strict", "accept-new"))] = "strict"
    connect_timeout: Annotated[float, PlainValidator(values.limit)] = 10.0


class RolloutEntry(Entry):
    stagger: Annotated[float, PlainValidator(values.pause)] = 0.0
    canary: Annotated[Any, PlainValidator(values.canary)] = None
    max_failures: Annotated[Any, PlainValidator(values.max_failures)] = None
    retries: Annotated[int, PlainValidator(values.retries)] = 0
    timeout: Annotated[float, PlainValidator(values.limit_or_none)] = 3600.0


class HooksEntry(Entry):
    before: tuple[Hook, ...] = ()
    after: tuple[Hook, ...] = ()
    failure: tuple[Hook, ...] = ()
    tenant_before: tuple[Hook, ...] = ()
    tenant_after: tuple[Hook, ...] = ()
    timeout: Annotated[float, PlainValidator(values.limit_or_none)] = 300.0


class CustomEntry(Entry):
    name: Annotated[str, PlainValidator(values.custom)]
    list: ForEveryone
    migrate: ForOneTenant
    success: Pattern
    failure: Pattern = ""
    id_field: Text = "tenant_id"
    name_field: Text = "name"
    pending: ForEveryone = ()
    shared: ForEveryone = ()


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


class _Common(Entry):
    app: AppEntry
    hosts: Annotated[
        dict[
            Annotated[Any, AfterValidator(values.host_name)],
            Annotated[HostEntry, BeforeValidator(values.host)],
        ],
        BeforeValidator(values.hosts),
        AfterValidator(_hosts_agree),
    ]
    ssh: SshEntry = SshEntry()
    rollout: RolloutEntry = RolloutEntry()
    confirm: Annotated[bool, PlainValidator(values.truth)] = False
    hooks: HooksEntry = HooksEntry()
    notify: Webhook = ""


class NamedFramework(_Common):
    framework: Annotated[str, PlainValidator(values.framework)]


class CustomFramework(_Common):
    """A model of its own: a `framework` that may be a name or a mapping would be a union."""

    framework: CustomEntry


SECTIONS: dict[str, type[Entry]] = {
    "app": AppEntry,
    "hosts": HostEntry,
    "framework": CustomEntry,
    "ssh": SshEntry,
    "rollout": RolloutEntry,
    "hooks": HooksEntry,
}


def check(tree: Mapping[str, Any], label: str, environ: Mapping[str, str]) -> NamedFramework | CustomFramework:
    """The inventory in `tree`. Raises InventoryError with every complaint, a line each."""
    model = CustomFramework if isinstance(tree.get("framework"), dict) else NamedFramework
    try:
        return model.model_validate(tree, context=environ)
    except ValidationError as error:
        # from None: pydantic's error holds the values, and some of them are secrets
        raise errors.InventoryError("\n".join(f"{label}: {line}" for line in _complaints(error))) from None


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
    meant = wording.nearest(key, known) or _elsewhere(key)
    if meant:
        return f"unknown key. did you mean `{meant}`?"
    return f"unknown key. known here are {wording.listed(known)}"


def _elsewhere(key: str) -> str:
    """The path of a key that stands in the wrong section."""
    return next(
        (f"{name}.{key}" for name in ("app", "ssh", "rollout", "hooks") if key in SECTIONS[name].model_fields), ""
    )
