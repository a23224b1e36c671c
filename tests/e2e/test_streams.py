"""Standard streams that are closed, full, or read by nobody any more: the run and its exit code stay what they are."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest

from e2e import operator


def shell(desk, redirected: str) -> operator.Result:
    """Type a line as a shell takes it, with `invoke` in its PATH; the code is that of the first program."""
    line = f"PATH={shlex.quote(str(operator.BIN))}:$PATH; {redirected}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=desk.folder,
        env=desk.environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=operator.PATIENCE,
    )
    return operator.Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "2>/dev/full", "| true", "2>&1 | head -n 1"])
def test_a_run_that_nobody_reads_is_a_run_all_the_same(desk, redirection):
    result = shell(desk, f"invoke migrate-all {redirection}")

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert desk.journal()[-1]["reason"] == "done"
    assert "Traceback" not in result.err + result.out
    assert "broke" not in result.err


def test_a_failure_that_nobody_reads_still_exits_5(desk):
    desk.project(migrate="raise RuntimeError('column exists')")

    assert shell(desk, "invoke migrate-all >&- 2>&-").code == 5


def test_a_result_that_does_not_fit_on_the_disk_is_told_on_stderr(desk):
    result = shell(desk, "invoke show-tenants >/dev/full")

    assert result == operator.Result(1, "", "the result can't be written to stdout: no space left on device.\n")


def test_without_any_stdin_a_confirmation_is_refused(desk):
    desk.inventory(confirm="true")

    operator.refuses(
        shell(desk, "invoke migrate-all <&-"),
        3,
        "`prod` asks for a confirmation, and there is no terminal to ask",
        "`--yes` answers it.",
    )
    assert desk.asked == []


def test_progress_and_results_never_share_a_stream(desk):
    result = shell(desk, "invoke migrate-all --format=json 2>progress")

    assert json.loads(result.out)["counts"]["migrated"] == 3
    assert "acme: finished" in (desk.folder / "progress").read_text()


def test_colours_go_where_they_are_forced_and_nowhere_else(desk):
    plain = desk.run("migrate-all")
    forced = desk.run("migrate-all", env={"FORCE_COLOR": "1"})
    refused = desk.run("migrate-all", env={"FORCE_COLOR": "1", "NO_COLOR": "1"})

    assert ["\x1b" in each.out + each.err for each in (plain, forced, refused)] == [False, True, False]
