"""The shape of a framework: its commands, and how its answers read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from opskit import model


@dataclass(frozen=True)
class Target:
    """How far a tenant is migrated: all the way, one app, or to one of its migrations."""

    app_label: str = ""
    migration_name: str = ""

    @property
    def args(self) -> tuple[str, ...]:
        return tuple(part for part in (self.app_label, self.migration_name) if part)


@dataclass(frozen=True)
class Framework:
    """What opskit needs of a tenancy framework.

    `read_list` raises ListingError. `judge` never raises: whatever a tenant did is an Outcome.
    `survey` is None where nobody can be asked what is pending. `list` is None where the framework
    has no command for it: the survey lists the tenants then.
    """

    name: str
    migrate: Callable[[model.Tenant, Target], model.Command]
    judge: Callable[[model.Tenant, model.Reply], model.Outcome]
    marks: tuple[re.Pattern[str], ...]  # each begins with plain letters where it can: that is fast
    list: model.Command | None = None
    read_list: Callable[[model.Reply], tuple[model.Tenant, ...]] | None = None
    survey: model.Command | None = None
    read_survey: Callable[[model.Reply], model.Survey] | None = None
    shared: model.Command | None = None
