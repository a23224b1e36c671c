"""The post_migrate signal, without asking again and again what two questions answer.

Django's own receivers look, for every app, for content types and permissions that are missing: a hundred queries for
a tenant that has them all. Here it is asked once what there is; the two are called for those apps only where they
have something to create, and in their turn, so that ids come out the same. Everybody else's receiver is called as ever.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from django.apps import apps as installed
from django.contrib.auth import get_permission_codename
from django.contrib.auth.management import create_permissions
from django.contrib.contenttypes.management import create_contenttypes
from django.core.management.base import OutputWrapper
from django.core.management.sql import emit_post_migrate_signal
from django.db import router
from django.db.models.signals import post_migrate

_CREATING = (create_contenttypes, create_permissions)


def emit_post_migrate(connection: Any, apps: Any, plan: list[Any]) -> None:
    """Tell every app's receivers, as Django's emit_post_migrate_signal (5.2, core/management/sql.py)."""
    named = {"stdout": OutputWrapper(sys.stdout), "apps": apps, "plan": plan}
    if not _can_ask(connection.alias, apps):
        emit_post_migrate_signal(0, False, connection.alias, **named)
        return
    missing = _Missing(connection, apps)
    for config in installed.get_app_configs():
        if config.models_module is not None:
            named |= {"app_config": config, "verbosity": 0, "interactive": False, "using": connection.alias}
            _send(config, missing, named)


def _send(config: Any, missing: _Missing, named: dict[str, Any]) -> None:
    receivers = _receivers(config)
    if receivers is None:
        with missing.watched():
            post_migrate.send(config, **named)
        return
    for receiver in receivers:
        if receiver not in _CREATING:
            with missing.watched():
                receiver(signal=post_migrate, sender=config, **named)
        elif config.label in missing.labels():
            receiver(signal=post_migrate, sender=config, **named)


def _receivers(config: Any) -> list[Any] | None:
    """Who hears of this app, in order; None where somebody has to be awaited, which is left to Django."""
    found = post_migrate._live_receivers(config)  # noqa: SLF001 - what `send` calls
    if isinstance(found, list):  # Django 4.2
        return found
    plain, awaited = found
    return None if awaited else plain


def forget_cached(apps: Any) -> None:
    """Empty what managers keep for a connection's name (ContentType's, Site's): the next database may have it."""
    for model in (*apps.get_models(), *installed.get_models()):
        for manager in model._meta.managers:  # noqa: SLF001 - Django's documented model API
            clear = getattr(manager, "clear_cache", None)
            if clear is not None:
                clear()


class _Missing:
    """The apps that lack a content type or a permission; asked again once a receiver has sent something."""

    def __init__(self, connection: Any, apps: Any) -> None:
        self._connection = connection
        self._apps = apps
        self._labels: frozenset[str] | None = None

    def labels(self) -> frozenset[str]:
        if self._labels is None:
            self._labels = frozenset(self._ask())
        return self._labels

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        with self._connection.execute_wrapper(self._sent):
            yield

    def _sent(self, execute: Any, *statement: Any) -> Any:
        self._labels = None
        return execute(*statement)

    def _ask(self) -> Iterator[str]:
        types = self._rows("contenttypes", "ContentType", "app_label", "model")
        permissions = self._rows("auth", "Permission", "content_type__app_label", "content_type__model", "codename")
        for model in self._apps.get_models():
            label, name = model._meta.app_label, model._meta.model_name  # noqa: SLF001 - as above
            if (label, name) not in types or any((label, name, each) not in permissions for each in _codenames(model)):
                yield label

    def _rows(self, label: str, name: str, *columns: str) -> frozenset[tuple[str, ...]]:
        rows = self._apps.get_model(label, name)._base_manager.using(self._connection.alias)  # noqa: SLF001 - as above
        return frozenset(rows.values_list(*columns))


def _can_ask(alias: str, apps: Any) -> bool:
    """Whether the two create anything here at all."""
    try:
        kinds = (apps.get_model("contenttypes", "ContentType"), apps.get_model("auth", "Permission"))
    except LookupError:
        return False
    return all(router.allow_migrate_model(alias, kind) for kind in kinds)


def _codenames(model: Any) -> list[str]:
    """The permissions that a model has (django.contrib.auth, management, _get_all_permissions)."""
    options = model._meta  # noqa: SLF001 - as above
    usual = [get_permission_codename(action, options) for action in options.default_permissions]
    return [*usual, *(codename for codename, _ in options.permissions)]
