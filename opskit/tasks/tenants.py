"""`show-tenants`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

import invoke

from opskit import model
from opskit.tasks.task import ENV, FORMAT, answer, answer_data, complain, environment, one_of, task, width


@task(
    help={
        "env": ENV,
        "format": FORMAT,
        "status": "add what is applied and pending, and each tenant's latest migrations",
    }
)
def show_tenants(
    context: invoke.Context,
    env: str | None = None,
    format: str = "table",
    status: bool = False,
) -> None:
    """List the tenants, as the project on a host knows them."""
    from opskit import frameworks  # noqa: PLC0415 - start-up time
    from opskit.tasks import project, wiring  # noqa: PLC0415
    from opskit.transport import fleet  # noqa: PLC0415

    as_json = one_of("format", format, ("table", "json")) == "json"
    chosen = environment(context, env)
    with wiring.reachable(chosen) as reached, contextlib.closing(fleet.Fleet(reached, notice=complain)) as hosts:
        hosts.open()
        asked = project.Project(reached, frameworks.get(reached), hosts)
        survey = asked.survey() if status else None
        tenants = asked.tenants(survey, least=0)
    states = survey.tenants if survey else {}
    if as_json:
        answer_data(_json(tenants, states, status))
    else:
        answer(_table(tenants, states, status))
    if status and survey is None:
        complain(f"`{asked.framework.name}` can't be asked what is applied and pending.")


def _json(tenants: tuple[model.Tenant, ...], states: Mapping[str, model.TenantState], status: bool) -> str:
    rows: list[dict[str, object]] = [
        {"tenant_id": each.id, "name": each.name, "isolation_type": each.isolation} for each in tenants
    ]
    if status:
        for row in rows:
            row.update(_state(states.get(str(row["tenant_id"]))))
    return json.dumps(rows, indent=2)


def _state(state: model.TenantState | None) -> dict[str, object]:
    if state is None:
        return {"applied": None, "pending": None, "latest": [], "error": "it was not asked"}
    return {
        "applied": state.applied,
        "pending": None if state.error else len(state.pending),
        "latest": list(state.latest),
        "error": state.error,
    }


def _numbers(state: model.TenantState | None) -> list[str]:
    if state is None:
        return ["", "", "it was not asked"]
    return [
        "" if state.applied is None else str(state.applied),
        str(len(state.pending)),
        state.error or ", ".join(state.latest),
    ]


def _table(tenants: tuple[model.Tenant, ...], states: Mapping[str, model.TenantState], status: bool) -> str:
    from opskit.reporters import tables  # noqa: PLC0415 - start-up time
    from opskit.reporters.text import named, plural, printable, shortened  # noqa: PLC0415

    headers = ["tenant", "name", "isolation"] + (["applied", "pending", "latest"] if status else [])
    rows = []
    for each in tenants:
        row = [named(each.id), shortened(printable(each.name)), shortened(printable(each.isolation))]
        if status:
            row += map(printable, _numbers(states.get(each.id)))
        rows.append(row)
    if not rows:
        return "there are no tenants."
    table = tables.table(headers, rows, width(), folds=("name", "latest"), least=("isolation", "name"))
    return f"{table}\n{plural(len(tenants), 'tenant')}"
