"""Fixtures that are expensive enough to be shared by the whole run, and the rule about skips."""

from __future__ import annotations

import os
import signal

import pytest
import servers

NO_SKIPS = os.environ.get("OPSKIT_NO_SKIPS", "") not in ("", "0")


def pytest_configure():
    """A suite that was started in the background has SIGINT ignored, and would hand that on to all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL: servers.Postgres."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def sshd():
    """A real OpenSSH server: servers.Sshd."""
    with servers.sshd() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _without_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _without_skip((yield))


def _without_skip(report):
    """Where everything is installed, a skip hides a test that should have run: make it a failure."""
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"OPSKIT_NO_SKIPS is set, and this was skipped: {reason}"
    return report
