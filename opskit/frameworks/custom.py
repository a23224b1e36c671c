"""A project's own commands, as its inventory describes them."""

from __future__ import annotations

import re

from opskit import errors, model
from opskit.frameworks import django, listing
from opskit.frameworks.framework import Framework, Target

HOLE = "{tenant}"


def framework(spec: model.Custom) -> Framework:
    """The framework that a `framework: {name: custom, …}` mapping describes."""
    patterns = [spec.success] + ([spec.failure] if spec.failure else [])
    return Framework(
        name="custom",
        list=model.Command(args=spec.list),
        read_list=lambda reply: read_list(spec, reply),
        migrate=lambda tenant, target: migrate(spec, tenant, target),
        judge=lambda tenant, reply: judge(spec, tenant, reply),
        marks=(*django.MARKS, *(re.compile(pattern, re.MULTILINE) for pattern in patterns)),
        survey=model.Command(args=spec.pending) if spec.pending else None,
        read_survey=read_pending if spec.pending else None,
        shared=model.Command(args=spec.shared) if spec.shared else None,
    )


def read_list(spec: model.Custom, reply: model.Reply) -> tuple[model.Tenant, ...]:
    out = listing.answer(reply, f"`manage.py {' '.join(spec.list)}`")
    return listing.tenants(listing.parse(out, list), spec.id_field, spec.name_field, {})


def read_pending(reply: model.Reply) -> model.Survey:
    """Read `{tenant_id: [migration, …]}`, oldest first. Raises ListingError."""
    content = listing.parse(listing.answer(reply, "asking what is pending"), dict)
    if not isinstance(content, dict):
        raise errors.ListingError("asking what is pending gave no object of {tenant id: [migration, …]}")
    states = {
        name: model.TenantState(pending=listing.strings(pending, f"`{name}`")) for name, pending in content.items()
    }
    return model.Survey(shared=None, tenants=states)


def migrate(spec: model.Custom, tenant: model.Tenant, target: Target) -> model.Command:
    """Fill the template. Raises UsageError where an id would be read as an option."""
    if HOLE in spec.migrate and tenant.id.startswith("-"):
        raise errors.UsageError(f"its id would be read as an option: write `--some-option={HOLE}` in framework.migrate")
    filled = tuple(part.replace(HOLE, tenant.id) for part in spec.migrate)
    return model.Command(args=(*filled, *target.args))


def judge(spec: model.Custom, tenant: model.Tenant, reply: model.Reply) -> model.Outcome:
    """The exit code, then the failure pattern, then the success pattern: all three must agree."""
    early = django.judge_end(tenant, reply)
    if early is not None:
        return early
    text = "\n".join((*reply.marks, reply.tail))
    failure = re.search(spec.failure, text, re.MULTILINE) if spec.failure else None
    if failure:
        return django.outcome(tenant, reply, model.Status.FAILED, f"it printed `{failure[0]}`", why=failure[0])
    if not re.search(spec.success, text, re.MULTILINE):
        return django.outcome(
            tenant, reply, model.Status.FAILED, f"it exited 0 without printing its success pattern `{spec.success}`"
        )
    return django.outcome(tenant, reply, model.Status.MIGRATED)
