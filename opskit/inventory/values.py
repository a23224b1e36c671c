"""One value of an inventory, from the form it was written in to its one shape.

Each function raises ValueError with what the message says after the key. None but the
ones for ports, durations and choices quote what they found: the rest may hold a password.
"""

import ipaddress
import math
import re
import shlex
import urllib.parse
import warnings
from collections.abc import Callable, Mapping
from typing import TypeVar

from opskit import durations, errors, frameworks, model
from opskit.inventory import wording
from opskit.rollout import controls

Parsed = TypeVar("Parsed")

HERE = ("local", "demo")  # instead of an address: this machine, or the demo's own server

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"  # of an environment
_NAMED = frameworks.NAMED
_MONTH = 30 * 86400.0
_STATEMENT = 24 * 86400.0  # PostgreSQL counts milliseconds in 31 bits
_HOST = re.compile(
    r"(?:(?P<user>.*)@)?(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<address>[^:\[\]]*))(?::(?P<port>[^:]*))?", re.DOTALL
)
SECRET = re.compile("PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|KEY|DSN|URL|CREDENTIAL", re.IGNORECASE)
"""What a variable is called whose value is a secret."""

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


# ---------------------------------------------------------------- text


def text(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty. give it a value, or leave the key out")
    if not value.isprintable():
        raise ValueError("holds a newline, a NUL or another character that can't be printed")
    if "${" in value:
        raise ValueError("`${…}` is filled in under `app.env`, `hooks` and `notify` only")
    return value


def undashed(value: str) -> str:
    """Text that no program takes for an option."""
    if text(value).startswith("-"):
        raise ValueError("starts with `-`: a program would read it as an option")
    return value


def user(value: str) -> str:
    undashed(value)
    if ":" in value:
        raise ValueError("a user has no `:` in it. passwords are not read from inventories: use a key or an agent")
    if re.search(r"\s", value):
        raise ValueError("a user has no space in it")
    return value


def address(value: str) -> str:
    undashed(value)
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if ":" in bare:
        return _ipv6(bare)
    if not re.fullmatch(r"[^\s@/\[\]]+", bare):
        raise ValueError("expected a host's name or address alone; `user` and `port` are keys of their own")
    return bare


def _ipv6(value: str) -> str:
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        raise ValueError("expected a host's name or an IPv6 address; `port` is a key of its own") from None
    return value


def operator_path(value: str) -> str:
    """A path on the operator's machine."""
    if re.match(r"~[^/]", text(value)):
        raise ValueError("`~` stands for your own home only. give the whole path")
    return value


def argument(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


def pattern(value: str) -> str:
    """A regular expression that may stand inside a longer one, and finds nothing in an empty answer."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `[[` may change its meaning in a later Python
            re.compile(f"(?:{value})")
            finds_nothing = re.compile(value, re.MULTILINE).search("") is None
    except (re.error, OverflowError, RecursionError) as error:
        hint = ". write `(?i:…)` for `(?i)…`" if "global flags" in str(error) else ""
        raise ValueError(f"is no regular expression: {error}{hint}") from None
    if not finds_nothing:
        raise ValueError("matches empty text, so every answer would match")
    return value


# ---------------------------------------------------------------- numbers and choices


def port(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]+", value):
        raise ValueError(f"expected a whole number, found {wording.shown(value)}")
    digits = value.lstrip("0")[:6]  # int() refuses thousands of digits with a message of its own
    if not 1 <= int(digits or 0) <= 65535:  # noqa: PLR2004 - the ports there are
        raise ValueError(f"expected a port from 1 to 65535, found {wording.shown(value)}")
    return int(digits)


def pause(value: object) -> float:
    """Seconds, 0 among them."""
    try:
        seconds = durations.parse(value) if isinstance(value, str) else math.nan
    except errors.UsageError:
        seconds = math.nan
    if math.isnan(seconds):
        raise ValueError(f"expected a duration such as `60s`, `10m` or `1h30m`, found {wording.shown(value)}")
    if seconds > _MONTH:
        raise ValueError(f"expected 30 days at most, found {wording.shown(value)}")
    return seconds


def limit(value: object) -> float:
    """Seconds, more than none."""
    seconds = pause(value)
    if seconds == 0:
        raise ValueError(f"expected more than no time at all, found {wording.shown(value)}")
    return seconds


def limit_or_none(value: object) -> float:
    """Seconds; `none` is infinity."""
    return math.inf if value == "none" else limit(value)


def statement_limit(value: object) -> float:
    """Seconds that PostgreSQL takes; `none` is 0, and leaves it as it is there."""
    seconds = 0.0 if value == "none" else limit(value)
    if seconds > _STATEMENT:
        raise ValueError(f"expected 24 days at most, found {wording.shown(value)}")
    return seconds


def canary(value: object) -> model.Canary:
    """A count, or ids and globs: a text with commas, or a list."""
    given = value if isinstance(value, list) else [value]
    texts = [part for part in given if isinstance(part, str)]
    if not texts or len(texts) < len(given):
        raise ValueError(f"expected a count, or a list of ids and globs, found {wording.shown(value)}")
    return _as_flag(lambda: controls.parse_canary(",".join(texts)))


def max_failures(value: object) -> model.Allowance:
    return _as_flag(lambda: controls.parse_allowance(_scalar(value)))


def retries(value: object) -> int:
    return _as_flag(lambda: controls.parse_retries(_scalar(value)))


def forks(value: object) -> int:
    return _as_flag(lambda: controls.parse_forks(_scalar(value)))


def same(value: object) -> int:
    return _as_flag(lambda: controls.parse_same(_scalar(value)))


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else ""


def _as_flag(parse: Callable[[], Parsed]) -> Parsed:
    """What a flag of the same name takes, with the same words where it does not."""
    try:
        return parse()
    except errors.UsageError as error:
        raise ValueError(wording.printable(str(error))) from None


def truth(value: object) -> bool:
    return one_of("true", "false", "yes", "no")(value) in ("true", "yes")


def one_of(*choices: str) -> Callable[[object], str]:
    def choose(value: object) -> str:
        chosen = value.lower() if isinstance(value, str) else ""
        if chosen not in choices:
            raise ValueError(f"expected {' or '.join(f'`{c}`' for c in choices)}, found {wording.shown(value)}")
        return chosen

    return choose


def ask_or_file(value: object) -> str:
    """`ask`, or the path of a file. What is neither is probably a password: it is not quoted."""
    if value == "ask":
        return "ask"
    if not isinstance(value, str) or "/" not in value:
        raise ValueError("expected `ask`, or a file's path with a `/` in it. a password itself has no place here")
    return operator_path(value)


def framework(value: object) -> str:
    if value == "custom":
        raise ValueError("`custom` needs its commands: a mapping with `name: custom`, `list`, `migrate` and `success`")
    if value == "databases":
        raise ValueError("`databases` needs its aliases: a mapping with `name: databases` and `aliases`")
    return one_of(frameworks.AUTO, *_NAMED)(value)


def mapping(value: object) -> str:
    """The name in a framework's mapping."""
    if value in (frameworks.AUTO, *_NAMED):
        raise ValueError(f"{wording.shown(value)} takes no commands: write `framework: {value}` alone")
    return one_of("custom", "databases")(value)


def alias(value: str) -> str:
    """A glob. Raises ValueError for one that names the default alias: nobody else can match it."""
    given = text(value)
    if given == "default":
        raise ValueError("`default` is what the tenants share, and never a tenant. name others, such as `tenant_*`")
    return given


# ---------------------------------------------------------------- lists


def paths(value: object) -> object:
    """A path alone is a list of one."""
    if not value:
        raise ValueError("is empty. give a path, or leave the key out")
    return [operator_path(value)] if isinstance(value, str) else value


def environments(value: object) -> object:
    """A name alone is a list of one."""
    if not value:
        raise ValueError("is empty. name an environment, or leave the key out")
    return [value] if isinstance(value, str) else value


def environment(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise ValueError(f"{wording.shown(value)} is no environment's name")
    return value


def globs(value: object) -> object:
    """A glob alone is a list of one."""
    if not value:
        raise ValueError('is empty. name the aliases that are tenants, such as `["tenant_*"]`')
    return [value] if isinstance(value, str) else value


def words(value: object) -> object:
    """A text is split as a shell would split it, and nothing else of a shell is done."""
    return _split(text(value)) if isinstance(value, str) else value


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise ValueError(f"can't be split into words: {str(error).lower()}") from None


def command(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("is empty. give the command, and its arguments after it")
    undashed(value[0])
    return value


def for_everyone(value: tuple[str, ...]) -> tuple[str, ...]:
    if any("{tenant}" in word for word in command(value)):
        raise ValueError("`{tenant}` is filled in under `migrate` only: this command is not a tenant's")
    return value


def for_one_tenant(value: tuple[str, ...]) -> tuple[str, ...]:
    if not any("{tenant}" in word for word in command(value)):
        raise ValueError(
            'holds no `{tenant}`, so no tenant would be named. such as `[migrate_one, "--tenant={tenant}"]`'
        )
    return value


# ---------------------------------------------------------------- hosts


def hosts(value: object) -> object:
    """{what the user calls it, a name or a place in the list: the host}."""
    if not value:
        raise ValueError("is empty. give at least one, such as `[deploy@app1.example.com]`, or `[local]`")
    match value:
        case dict():
            return value
        case list():
            return dict(enumerate(value))
        case _:
            raise ValueError("expected a list such as `[deploy@app1.example.com]` or a mapping of names, found text")


def host(value: object) -> object:
    """`user@address:port`, `address`, `user@[::1]:22`, `local`, `demo` as a mapping."""
    if not isinstance(value, str):
        return value
    match = _HOST.fullmatch(value)
    if not match:
        raise ValueError("expected `user@address:port`; an IPv6 address stands in brackets: `user@[::1]:22`")
    found = {"user": match["user"], "address": match["address"], "port": match["port"]}
    if match["ipv6"] is not None:
        found["address"] = f"[{match['ipv6']}]"
    return {key: part for key, part in found.items() if part is not None}


def host_name(value: object) -> object:
    """A key of `hosts`: a place in the list, or a name."""
    return undashed(value) if isinstance(value, str) else value


# ---------------------------------------------------------------- app.env


def variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("is no variable's name. write `NAME: value`; a name has letters, digits and `_`")
    return value


# ---------------------------------------------------------------- hooks, notify


def hook(value: object, environ: Mapping[str, str]) -> str | tuple[str, ...]:
    """A line for a shell, or a program and its arguments: as it was written, once that can be filled in."""
    if isinstance(value, str) and value.strip():
        return argument(value)
    given = value if isinstance(value, list) else []
    words = [word for word in given if isinstance(word, str)]
    if not words or len(words) < len(given):
        raise ValueError("expected a line for a shell, or a list of a program and its arguments")
    shown = next((name for word in words for name in filled_in(word) if SECRET.search(name)), "")
    if shown:
        raise ValueError(
            f"`{shown}` would stand on a command line, where `ps` shows it. the hook has it in its environment"
        )
    program, *_ = [fill_in(word, environ) for word in words]
    if not program.strip():
        raise ValueError("is empty. give the program, and its arguments after it")
    return tuple(words)


def variables(value: str) -> set[str]:
    """The names that `value` takes from the operator's environment, by `$NAME` or `${NAME…`."""
    return set(re.findall(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)", value))


def webhook(value: str, environ: Mapping[str, str]) -> str:
    """The address that `value` stands for. No message quotes it: whoever knows it can write there."""
    address = fill_in(value, environ)
    if not address:
        raise ValueError("is empty: an unset variable? leave the key out where nobody is to be told")
    try:
        parts = urllib.parse.urlsplit(address)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or not address.isprintable() or " " in address:
        raise ValueError("expected a webhook's address, which starts with `https://`")
    return address


def is_filled_in(value: str) -> bool:
    """Whether a `${…}` in `value` is taken from the operator's environment."""
    return bool(filled_in(value))


def filled_in(value: str) -> tuple[str, ...]:
    """The names of the operator's variables that stand in `value` as `${NAME}`, in order."""
    return tuple(match["name"] for match in _VARIABLE.finditer(value) if match["name"])


def fill_in(value: str, environ: Mapping[str, str]) -> str:
    """`value` with each `${NAME}` taken from `environ`, and each `$${` a plain `${`."""
    filled = _VARIABLE.sub(lambda match: _replacement(match, environ), value)
    if "\0" in filled:
        raise ValueError("holds a NUL character")
    if any("\ud800" <= char <= "\udfff" for char in filled):  # how Python shows an environment's stray bytes
        raise ValueError("is not UTF-8 text")
    return filled


def _replacement(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match[0] == "$${":
        return "${"
    name = match["name"]
    if name is None:
        raise ValueError("`${` must be followed by one variable's name and `}`; write `$${` for a plain `${`")
    if name not in environ:
        raise ValueError(f"`{name}` is not set in your environment. export it, and run this again")
    return environ[name]


# ---------------------------------------------------------------- and back


Written = str | tuple["Written", ...]


def written(value: object) -> Written:
    """A checked value as an inventory would have it."""
    if isinstance(value, tuple):
        return tuple(map(written, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "none" if math.isinf(value) else durations.exact(value)
    if isinstance(value, model.Canary):
        return str(value.count) if value.count else value.patterns
    if isinstance(value, model.Allowance):
        return f"{value.number}{'%' if value.percent else ''}"
    return str(value)
