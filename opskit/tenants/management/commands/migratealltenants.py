from __future__ import annotations

import shlex
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from opskit import errors, model
from opskit.rollout import run as runs
from opskit.tenants import code, flags, interrupting, logs, printing, rolling, telling

_INTERRUPTED = 130
_LEFT = (
    "left at once, in the middle of a tenant. what its database had not committed is taken back, where it can do that. "
    "`manage.py showtenants --status` tells what is pending"
)
_NO_EVENTS = "--plan and --check migrate nothing and have no events: leave out --format=jsonl"


class Command(BaseCommand):
    help = "Migrates every tenant that has something pending, one at a time, and exits 0 only when all are home."

    def add_arguments(self, parser: CommandParser) -> None:
        flags.add_selection(parser)
        parser.add_argument(
            "--stagger", help="the pause between the end of one tenant and the start of the next: `60s`"
        )
        parser.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
        parser.add_argument("--max-failures", help="stop when more than this many have failed: `3`, or `5%%`")
        parser.add_argument("--all", action="store_true", help="run for tenants with nothing pending, too")
        parser.add_argument("--plan", action="store_true", help="show what would run, and run nothing")
        parser.add_argument("--check", action="store_true", help="exit 1 when something would run, and run nothing")
        parser.add_argument("--format", choices=["text", "jsonl"], default="text", help="jsonl: events, one a line")
        parser.add_argument("--log-file", help="write a log to this file, too")
        flags.add_limits(parser)
        # nothing here asks anything: taken because scripts pass it to migrate
        parser.add_argument("--noinput", "--no-input", action="store_true")

    def handle(self, **options: Any) -> None:
        try:
            asked = _asked(options)
            preview = options["plan"] or options["check"]
            if preview and options["format"] == "jsonl":
                raise CommandError(_NO_EVENTS, returncode=flags.WRONG)
            with logs.opened(options["log_file"]) as log, code.shared():
                rollout = self._prepared(asked)
                if preview:
                    self._preview(rollout, options)
                else:
                    self._migrate(rollout, asked, options["format"], log)
        except errors.UsageError as error:
            raise flags.refusal(error) from error

    def _prepared(self, asked: rolling.Options) -> rolling.Rollout:
        try:
            return rolling.prepare(asked)
        except CommandError as error:
            printing.write(self.stderr, f"ERROR {printing.shown(str(error))}")  # what grep looks for in a log
            raise

    def _preview(self, rollout: rolling.Rollout, options: dict[str, Any]) -> None:
        todo = {
            tenant.id: rollout.plan.pending[tenant.id] for batch in rollout.plan.batches for tenant in batch.tenants
        }
        if options["plan"]:
            self._show(rollout, todo)
        if rollout.plan.refused:
            names = "; ".join(f"{name}: {why}" for name, why in rollout.plan.refused.items())
            raise CommandError(f"can't be migrated: {printing.shown(names)}")
        if options["check"] and any(todo.values()):
            raise SystemExit(1)

    def _show(self, rollout: rolling.Rollout, todo: dict[str, tuple[str, ...] | None]) -> None:
        for tenant in rollout.tenants:
            printing.write(self.stdout, f"Planned migrations for tenant: {printing.shown(tenant.id)}")
            refused = rollout.plan.refused.get(tenant.id)
            lines = [f"✗ {refused}"] if refused else todo.get(tenant.id) or ["No planned migrations."]
            for line in lines:
                printing.write(self.stdout, f"  {printing.shown(line)}")

    def _migrate(self, rollout: rolling.Rollout, asked: rolling.Options, form: str, log: telling.Hear) -> None:
        events = form == "jsonl"
        hear = telling.as_events(self.stdout, self.stderr) if events else telling.as_rollout(self.stdout)
        hearers = (hear, telling.as_errors(self.stderr), log)

        def emit(heard: telling.Heard) -> None:
            for each in hearers:
                each(heard)

        try:
            with interrupting.Interrupts(lambda text: printing.write(self.stderr, text)) as interrupts:
                run = rolling.roll_out(rollout, asked, emit, interrupts.word)
        except KeyboardInterrupt as error:
            raise CommandError(_LEFT, returncode=_INTERRUPTED) from error
        if not events:
            telling.write_summary(self.stdout, run, rollout.tenants)
        _end(run)


def _asked(options: dict[str, Any]) -> rolling.Options:
    only, exclude = flags.selection(options)
    return rolling.Options(
        only=only,
        exclude=exclude,
        controls=flags.pacing(options),
        everything=options["all"],
        limits=flags.limits(options),
    )


def _end(run: runs.Run) -> None:
    """Raises CommandError, with the command's exit code, where not all are home."""
    code = run.exit_code()
    if code == _INTERRUPTED:
        raise CommandError("interrupted. `manage.py migratealltenants` goes on with what is pending", returncode=code)
    if code:
        reason = run.finished.reason if run.finished else ""
        stopped = f" (stopped: {reason})" if reason != "done" else ""
        failed, skipped = run.counts()["failed"], run.counts()["skipped"]
        raise CommandError(f"{failed} failed, {skipped} not started{stopped}. {_next(run)}")


def _next(run: runs.Run) -> str:
    """What to type."""
    first = next((each.tenant for each in run.settled() if each.status is model.Status.FAILED), "")
    one = f"`manage.py migratetenant --tenant-id={shlex.quote(first)}`, or " if first.isprintable() else ""
    return f"next: fix the cause, then {one}`manage.py migratealltenants` for all that are left"
