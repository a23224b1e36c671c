"""opskit.tenants, this project's own Django app: it speaks the journal's events on stdout."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from opskit import model
from opskit.frameworks import django, events, listing, survey
from opskit.frameworks.framework import Framework, Target

_EVENT = r'\{"v": ?\d+, ?"seq"'


def read_list(reply: model.Reply) -> tuple[model.Tenant, ...]:
    out = listing.answer(reply, "`manage.py showtenants --format=json`")
    return listing.tenants(listing.parse(out, list), "tenant_id", "name", {})


def migrate(tenant: model.Tenant, target: Target) -> model.Command:
    return model.Command(args=("migratetenant", f"--tenant-id={tenant.id}", "--format=jsonl", *target.args))


def judge(tenant: model.Tenant, reply: model.Reply) -> model.Outcome:
    """Read the TenantFinished event; without one, an exit of 0 is no success."""
    told = _finished(reply.marks, tenant)
    early = django.judge_end(tenant, reply)
    if early is not None:
        error = told.get("error") if early.status is model.Status.FAILED and not reply.timed_out else None
        found = django.outcome(tenant, reply, early.status, str(error or early.error))
        return replace(found, retryable=found.retryable or (bool(error) and told.get("retryable") is True))
    if told.get("status") in (model.Status.MIGRATED, model.Status.CURRENT):
        return django.outcome(tenant, reply, model.Status.MIGRATED)
    said = told.get("error") or "it exited 0 without saying that it finished"
    return django.outcome(tenant, reply, model.Status.FAILED, str(said))


def _finished(marks: tuple[str, ...], tenant: model.Tenant) -> dict[str, Any]:
    """The outcome in the tenant's last TenantFinished event, {} where there is none."""
    for mark in reversed(marks):
        event = events.read(mark)
        outcome = event.get("outcome")
        if event.get("event") == "TenantFinished" and isinstance(outcome, dict):
            told: dict[str, Any] = outcome
            if django.shows(str(told.get("tenant")), tenant.id):
                return told
    return {}


FRAMEWORK = Framework(
    name="opskit",
    list=model.Command(args=("showtenants", "--format=json")),
    read_list=read_list,
    migrate=migrate,
    judge=judge,
    marks=(*django.MARKS, re.compile(_EVENT)),
    survey=survey.command("opskit"),
    read_survey=survey.read,
    shared=model.Command(args=("migrate", "--noinput")),
)
