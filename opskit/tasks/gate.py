"""`--gate`: the operator's own command says whether the next tenant may start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime

from opskit import model, redaction
from opskit.reporters.text import printable

LIMIT = 60.0  # seconds: a gate that says nothing for so long has not said yes
_KEPT = 4000  # characters of what it printed


def ask(command: str, tenant: model.Tenant, about: Mapping[str, str], folder: str) -> model.GateAnswered:
    """What the gate says of a tenant. `about` are variables for its environment; `folder` is where it runs.

    It has a session of its own, so that a Ctrl-C that lets the run finish does not end it.
    """
    environment = {**os.environ, **about, "OPSKIT_TENANT": tenant.id}
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env=environment,
        )
    except (OSError, ValueError) as error:  # an id with a NUL can't be in an environment
        return _answer(tenant, None, str(error))
    try:
        printed, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        _kill(process)
        return _answer(tenant, None, f"it did not answer in {LIMIT:.0f} s")
    except BaseException:  # a second Ctrl-C
        _kill(process)
        raise
    return _answer(tenant, process.returncode, printed.decode("utf-8", "replace"))


def _answer(tenant: model.Tenant, code: int | None, printed: str) -> model.GateAnswered:
    output = redaction.redact(printed)[-_KEPT:]
    lines = output.strip().splitlines()
    return model.GateAnswered(datetime.now(UTC), tenant.id, code, printable(lines[-1].strip()) if lines else "", output)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
