"""Lets PostgreSQL look whether a command is still there, so that what was killed does not go on in the database."""

from __future__ import annotations

from opskit import errors, model
from opskit.tasks import project
from opskit.transport import fleet

SETTING = {"client_connection_check_interval": "10000"}  # milliseconds; PostgreSQL 14 and newer, others refuse it
_TOLD = ("omnitenant", "opskit", "django-tenants", "django-pgschemas", "django-tenant-schemas", "databases")
"""The frameworks whose every connection `remote/timeouts.py` can try: a custom one's commands may make any."""


def told(asked: project.Project, survey: model.Survey | None) -> None:
    """Give commands that setting where the survey found that every connection takes it; else nobody asks again."""
    if survey is not None and survey.holds is not None:
        asked.fleet.usual[asked.fleet.host] = dict(SETTING) if survey.holds else {}


def switch_on(asked: project.Project, *, tenants: bool = True) -> None:
    """Give commands that setting, where every connection takes it and nothing there says otherwise.

    Where the survey has tried that, nothing is asked. Without `tenants` the shared database's alone are tried, for its
    own command: see `switch_off`.
    """
    hosts = asked.fleet
    if asked.framework.name not in _TOLD or hosts.host in hosts.usual:
        return
    hosts.usual[hosts.host] = dict(SETTING)
    try:
        refused = asked.timeouts(fleet.pgoptions(SETTING), SETTING, tenants=tenants, usual=True)
    except errors.OpskitError:  # it is no more than a help: without it, it is waited longer
        refused = None
    if refused is None or refused:
        hosts.usual[hosts.host] = {}


def switch_off(asked: project.Project) -> None:
    """Forget what was tried: the tenants' connections are yet to be."""
    asked.fleet.usual.clear()
