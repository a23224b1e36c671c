from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from opskit.tenants import creating, interrupting, models, printing, registry, telling

_QUESTIONS = {"tenant_id": "Tenant ID", "name": "Name", "isolation_type": "Isolation (database or schema)"}
_WHERE = ("database", "schema", "alias", "url_variable")
_UNDONE = "interrupted. nothing of it is left"
_LEFT = "left at once: a part of it may be there. `manage.py createtenant` with the same id says what"


class Command(BaseCommand):
    help = "Creates a tenant with a database or schema of its own and migrates it. A failure leaves nothing behind."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant-id", help="asked for at a terminal, as are the name and the isolation")
        parser.add_argument("--name")
        parser.add_argument("--isolation-type", choices=models.Isolation.values)
        parser.add_argument("--database", default="", help="its name, where `<id>_db` is not wanted")
        parser.add_argument("--schema", default="", help="its name, where `public_<id>` is not wanted")
        parser.add_argument("--alias", default="", help="a key of DATABASES: use that database, which is there already")
        parser.add_argument("--url-variable", default="", help="an environment variable that holds a database's URL")
        parser.add_argument("--no-migrate", action="store_true", help="leave the new database empty")
        parser.add_argument("--noinput", "--no-input", action="store_false", dest="interactive", help="ask nothing")

    def handle(self, **options: Any) -> None:
        try:
            with interrupting.Undoing(lambda text: printing.write(self.stderr, text)) as interrupts:
                self._create(options, interrupts)
        except interrupting.LeftError as error:
            raise CommandError(_LEFT, returncode=creating.INTERRUPTED) from error
        except KeyboardInterrupt as error:
            raise CommandError(_UNDONE, returncode=creating.INTERRUPTED) from error

    def _create(self, options: dict[str, Any], interrupts: interrupting.Undoing) -> None:
        registry.every()  # a tenant table that is missing has its own sentence
        said = self._said(options)
        hear = None if options["no_migrate"] else telling.as_text(self.stdout)
        where = {name: options[name] for name in _WHERE}
        tenant = creating.create(
            said["tenant_id"],
            said["name"],
            hear,
            interrupts,
            isolation_type=said["isolation_type"] or "database",
            **where,
        )
        printing.write(self.stdout, f"✓ Tenant '{printing.shown(tenant.tenant_id)}' created.")

    def _said(self, options: dict[str, Any]) -> dict[str, Any]:
        """What the flags say, and the answers to questions for what they don't."""
        said = {name: options[name] for name in _QUESTIONS}
        missing = [name for name in ("tenant_id", "name") if said[name] is None]
        if missing and not (options["interactive"] and sys.stdin and sys.stdin.isatty()):
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in missing)
            raise CommandError(f"{flags} must be given: there is nobody to ask")
        if missing:
            said |= {name: self._ask(name) for name in _QUESTIONS if said[name] is None}
        return said

    def _ask(self, name: str) -> str:
        printing.write(self.stdout, f"{_QUESTIONS[name]}: ", ending="")
        answer = sys.stdin.readline()
        if not answer:
            raise CommandError("nothing was answered, and nothing was created")
        return answer.strip()
