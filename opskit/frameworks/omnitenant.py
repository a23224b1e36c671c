"""django-omnitenant 1.0.2, as it is.

Its `migratetenant` catches every exception, prints `Migrations failed for tenant …` and exits 0
(django-omnitenant 1.0.2, management/commands/migratetenant.py).
"""

from __future__ import annotations

import re

from opskit import model
from opskit.frameworks import django, listing, survey
from opskit.frameworks.framework import Framework, Target

ISOLATION = {0: "schema", 1: "database"}  # BaseTenant.IsolationType, 1.0.2
NOBODY = "No tenants found."
_FAILED = "Migrations failed for tenant "
_DONE = "Migrations completed successfully for tenant "


def read_list(reply: model.Reply) -> tuple[model.Tenant, ...]:
    """Read `showtenants --format=json`: numbers for isolation, passwords in `config`, a sentence for nobody."""
    out = listing.answer(reply, "`manage.py showtenants --format=json`")
    if NOBODY in (line.strip() for line in out.splitlines()):
        return ()
    return listing.tenants(listing.parse(out, list), "tenant_id", "name", ISOLATION)


def migrate(tenant: model.Tenant, target: Target) -> model.Command:
    """`migratetenant` takes no --noinput and no --plan (1.0.2)."""
    return model.Command(args=("migratetenant", f"--tenant-id={tenant.id}", *target.args))


def judge(tenant: model.Tenant, reply: model.Reply) -> model.Outcome:
    """Read omnitenant's answer to `migratetenant`.

    The exit code is not enough: success needs its success sentence as the last thing that
    `migratetenant` said, and no failure sentence before it. What other code prints while the process
    ends (an error reporter flushing, say) is not `migratetenant` speaking.
    A reply without an exit code (connection lost) is UNKNOWN, never FAILED.
    """
    early = django.judge_end(tenant, reply)
    if early is not None:
        return early
    said = [mark for mark in reply.marks if _FAILED in mark or _DONE in mark or django.APPLYING in mark]
    failures = [mark for mark in said if _FAILED in mark]
    if failures:
        why = failures[-1].partition(f"{_FAILED}'{tenant.id}': ")[2] or failures[-1]
        error = f"{why} (it exited 0, but printed `{_FAILED}'{tenant.id}'`)"
        return django.outcome(tenant, reply, model.Status.FAILED, error, why=why)
    if not said or not _is_success(said[-1].strip(), tenant):
        last = reply.tail.strip().splitlines()[-1:] or ["nothing"]
        error = f"it exited 0 without its success sentence, and ended with `{last[0]}`"
        return django.outcome(tenant, reply, model.Status.FAILED, error)
    return django.outcome(tenant, reply, model.Status.MIGRATED)


def _is_success(line: str, tenant: model.Tenant) -> bool:
    """Whether a line is the success sentence, of which it has the beginning where the id holds a newline."""
    sentence = f"{_DONE}'{tenant.id}'.".partition("\n")[0].strip()
    return line.startswith(sentence.removesuffix(".")) or django.shows(line, sentence)


FRAMEWORK = Framework(
    name="omnitenant",
    list=model.Command(args=("showtenants", "--format=json")),
    read_list=read_list,
    migrate=migrate,
    judge=judge,
    marks=(*django.MARKS, re.compile(_FAILED), re.compile(_DONE)),
    survey=survey.command("omnitenant"),
    read_survey=survey.read,
    shared=model.Command(args=("migrate", "--noinput")),
)
