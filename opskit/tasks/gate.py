"""`--gate`: the operator's own command says whether the next tenant may start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime

from opskit import model, redaction
from opskit.reporters.text import printable
from opskit.tasks import child

LIMIT = 60.0  # seconds: a gate that says nothing for so long has not said yes
_KEPT = 4000  # characters of what it printed


def ask(command: str, tenant: model.Tenant, about: Mapping[str, str], folder: str) -> model.GateAnswered:
    """What the gate says of a tenant. `about` are variables for its environment; `folder` is where it runs."""
    environ = {**os.environ, **about, "OPSKIT_TENANT": tenant.id}
    ended = child.run(("/bin/sh", "-c", command), "", environ, folder, LIMIT)
    output = redaction.redact(ended.output)[-_KEPT:]
    lines = output.strip().splitlines() if ended.code is not None else [ended.why]
    said = printable(lines[-1].strip()) if lines else ""
    return model.GateAnswered(datetime.now(UTC), tenant.id, ended.code, said, output)
