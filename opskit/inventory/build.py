"""A checked inventory as the nouns of opskit.model: defaults that depend on the hosts, paths, secrets."""

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opskit import model
from opskit.inventory import schema, values


@dataclass(frozen=True)
class Place:
    """The operator's side: what relative paths, `~` and `${…}` stand for."""

    root: Path
    environ: Mapping[str, str]

    def path(self, text: str) -> str:
        """`text` as an absolute path. Where nobody can tell a home, `~` is a name like others."""
        home = self.environ.get("HOME")
        if home and re.match(r"~(/|$)", text):
            text = home + text[1:]
        return str(self.root / text)


def environment(name: str, entry: schema.Inventory, place: Place) -> model.Environment:
    hosts = tuple(_host(key, host, place) for key, host in entry.hosts.items())
    framework = _framework(entry)
    return model.Environment(
        name=name,
        hosts=hosts,
        app=_app(entry.app, hosts[0].kind, place),
        **framework,
        ssh=_ssh(entry.ssh, place),
        rollout=model.Controls(
            stagger=entry.rollout.stagger,
            canary=entry.rollout.canary or model.Canary(),
            max_failures=entry.rollout.max_failures,
            lock_timeout=entry.rollout.lock_timeout,
            statement_timeout=entry.rollout.statement_timeout,
            stop_after_same=entry.rollout.stop_after_same,
            retries=entry.rollout.retries,
            forks=entry.rollout.forks,
        ),
        timeout=None if math.isinf(entry.rollout.timeout) else entry.rollout.timeout,
        runner=model.Runner(entry.rollout.runner),
        settle=entry.rollout.settle,
        confirm=entry.confirm,
        root=str(place.root),
        hooks=_hooks(entry, place),
        notify=values.webhook(entry.notify, place.environ) if entry.notify else "",
        requires=entry.requires,
    )


def _hooks(entry: schema.Inventory, place: Place) -> model.Hooks:
    given = entry.hooks
    kinds = ("before", "after", "failure", "tenant_before", "tenant_after")
    written = [hook for kind in kinds for hook in getattr(given, kind)]
    secrets = {place.environ[name] for hook in written for name in _secret_names(hook) if name in place.environ}
    if entry.notify:
        secrets.add(values.webhook(entry.notify, place.environ))
    return model.Hooks(
        **{kind: tuple(_hook(hook, place) for hook in getattr(given, kind)) for kind in kinds},
        timeout=None if math.isinf(given.timeout) else given.timeout,
        secrets=frozenset(secrets),
    )


def _hook(written: str | tuple[str, ...], place: Place) -> tuple[str, ...]:
    """A line is the shell's, which fills in `${NAME}` by itself: nothing of ours is put into its text."""
    if isinstance(written, str):
        return ("/bin/sh", "-c", written)
    return tuple(values.fill_in(word, place.environ) for word in written)


def _secret_names(written: str | tuple[str, ...]) -> set[str]:
    """The variables whose values are secrets: all that opskit fills in, and what a line's names make look like one."""
    if isinstance(written, str):
        return {name for name in values.variables(written) if values.SECRET.search(name)}
    return {name for word in written for name in values.variables(word)}


def _host(key: int | str, entry: schema.HostEntry, place: Place) -> model.Host:
    here = entry.address in values.HERE
    return model.Host(
        name=schema.host_name(key, entry),
        address=entry.address,
        kind=model.HostKind(entry.address) if here else model.HostKind.SSH,
        user=entry.user or None,
        port=entry.port or None,
        identity_file=place.path(entry.identity_file) if entry.identity_file else None,
    )


def _app(entry: schema.AppEntry, kind: model.HostKind, place: Place) -> model.App:
    return model.App(
        path=place.path(entry.path) if kind is model.HostKind.LOCAL else entry.path,
        python=entry.python or ("python3" if kind is model.HostKind.SSH else sys.executable),
        manage=entry.manage,
        env={key: values.fill_in(value, place.environ) for key, value in entry.env.items()},
        secrets=frozenset(key for key, value in entry.env.items() if _is_secret(key, value)),
        filled_in=frozenset(place.environ[name] for text in entry.env.values() for name in values.filled_in(text)),
        env_file=entry.env_file or None,
        run_as=entry.run_as or None,
        sudo_password_from=_sudo_password_from(entry, place),
        wrapper=entry.wrapper,
        state_dir=entry.state_dir or None,
    )


def _sudo_password_from(entry: schema.AppEntry, place: Place) -> str | None:
    given = entry.sudo_password
    return place.path(given) if given not in ("", "ask") else given or None


def _is_secret(key: str, value: str) -> bool:
    return bool(values.SECRET.search(key)) or values.is_filled_in(value)


def _ssh(entry: schema.SshEntry, place: Place) -> model.Ssh:
    return model.Ssh(
        client=entry.client,
        known_hosts=tuple(place.path(path) for path in entry.known_hosts),
        accept_new=entry.host_keys == "accept-new",
        connect_timeout=entry.connect_timeout,
        reconnect=entry.reconnect,
    )


def _framework(entry: schema.Inventory) -> dict[str, Any]:
    if isinstance(entry, schema.NamedFramework):
        return {"framework": entry.framework}
    if isinstance(entry, schema.DatabasesFramework):
        return {"framework": "databases", "aliases": entry.framework.aliases}
    return {"framework": "custom", "custom": _custom(entry.framework)}


def _custom(given: schema.CustomEntry) -> model.Custom:
    return model.Custom(
        list=given.list,
        migrate=given.migrate,
        success=given.success,
        failure=given.failure or None,
        id_field=given.id_field,
        name_field=given.name_field,
        pending=given.pending or None,
        shared=given.shared or None,
    )
