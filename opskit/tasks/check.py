"""`check`."""

from __future__ import annotations

from dataclasses import replace

import invoke

from opskit import errors, model
from opskit.tasks.task import ENV, FORMAT, answer, duration, environment, one_of, task, width


@task(
    help={
        "env": ENV,
        "format": FORMAT,
        "timeout": "how long one question to a host may take: `60s`, `5m`",
    }
)
def check(
    context: invoke.Context,
    env: str | None = None,
    format: str = "table",
    timeout: str = "60s",
) -> int:
    """Look at hosts, project and databases before the first migration, and change nothing."""
    from opskit.reporters import checks as shown  # noqa: PLC0415 - start-up time
    from opskit.rollout import checks  # noqa: PLC0415
    from opskit.tasks import looking, wiring  # noqa: PLC0415

    as_json = one_of("format", format, ("table", "json")) == "json"
    patience = duration("timeout", timeout)
    if not patience:
        raise errors.UsageError("--timeout: `0` would end every question at once")
    chosen = environment(context, env)
    with wiring.reachable(chosen) as reached:
        seen = looking.look(reached, patience, wiring.Clock())
        found = checks.judge(seen, replace(reached, framework=seen.framework))
    answer(shown.as_json(found, chosen.name) if as_json else shown.as_table(found, chosen.name, width()))
    failed = any(each.status is model.CheckStatus.FAILED for each in found)
    return errors.CannotStart.exit_code if failed else 0
