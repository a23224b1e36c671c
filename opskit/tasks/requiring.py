"""`requires`: what is pending here must have been applied in another environment first, which is asked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from opskit import errors, frameworks, inventory, model
from opskit.reporters.text import plural, some
from opskit.rollout import plan, requires, resume
from opskit.tasks import project, secrets, wiring
from opskit.tasks.task import complain
from opskit.transport import fleet

_PATIENCE = 300.0  # seconds that one question may take there: it answers in a few
_SHOWN = 6  # lines of what is missing


def refuse_flag(environment: model.Environment, why: str | None) -> None:
    """Raises UsageError for a --override-requires that gives no reason, or overrides nothing."""
    if why is not None and not why.strip():
        raise errors.UsageError("--override-requires: expected a reason, found nothing. it is written down")
    if why is not None and not environment.requires:
        raise errors.UsageError(f"--override-requires: `{environment.name}` requires no other environment")


def reached(environment: model.Environment, options: project.Options) -> project.Options:
    """The options with the environments that must come first, and all that their hosts will ask for.

    So that a question for a passphrase comes before anything happens. Where one can't be had, it is said when it is
    needed. A key that both have is asked for once.
    """
    found: dict[str, model.Environment] = {}
    for name in () if options.override or options.undo else environment.requires:
        with contextlib.suppress(errors.OpskitError):
            there = inventory.load(Path(environment.root), name, os.environ)
            known = {**environment.ssh.passphrases, **there.ssh.passphrases}
            found[name] = secrets.asked(replace(there, ssh=replace(there.ssh, passphrases=known)))
    return replace(options, required=found)


@dataclass(frozen=True)
class Required:
    """The environments that must come first. Each is asked once, over a connection of its own, without a lock."""

    environment: model.Environment
    options: project.Options
    say: Callable[[str], None] = complain
    answers: dict[str, model.Survey] = field(default_factory=dict)

    def refuse_missing(self, survey: model.Survey | None, reviewed: model.Plan | None = None) -> None:
        """Raises RequiredFirst where what is about to be applied is not applied everywhere there."""
        names = self.environment.requires
        if not names or self.options.override:
            return
        if survey is None:
            raise _refusal(f"nobody can say what is pending here, so {_named(names)} can't be asked for it", ())
        wanted = self._wanted(survey, reviewed)
        if wanted.all:
            for name in names:
                self._refuse(name, wanted)

    def _refuse(self, name: str, wanted: requires.Wanted) -> None:
        news = name not in self.answers
        found = requires.lacks(wanted, self._asked(name))
        if found:
            raise _refusal(
                f"`{self.environment.name}` requires `{name}`, which lacks what is pending here:", _lines(found), name
            )
        if news:
            self.say(f"`{name}` has {plural(len(wanted.all), 'migration')} that {_are(wanted.all)} pending here")

    def _asked(self, name: str) -> model.Survey:
        if name not in self.answers:
            try:
                survey = self._survey(name)
            except errors.OpskitError as error:
                raise _unasked(name, str(error)) from None
            if survey is None:
                raise _unasked(name, "its framework can't be asked what is pending")
            self.answers[name] = survey
        return self.answers[name]

    def _survey(self, name: str) -> model.Survey | None:
        """What is pending there. Raises OpskitError."""
        answered = name in self.options.required
        there = self.options.required[name] if answered else inventory.load(self._root, name, os.environ)
        there = replace(there, timeout=_PATIENCE)
        with (
            wiring.reachable(there, answered=answered) as reachable,
            contextlib.closing(fleet.Fleet(reachable, notice=complain)) as hosts,
        ):
            return project.Project(reachable, frameworks.get(reachable), hosts).survey()

    @property
    def _root(self) -> Path:
        return Path(self.environment.root)

    def _wanted(self, survey: model.Survey, reviewed: model.Plan | None) -> requires.Wanted:
        """All that may be applied: of a tenant that is left out in the end, too."""
        options = self.options
        return requires.Wanted(
            tenants=frozenset(
                each
                for name in self._meant(survey, reviewed)
                for each in requires.meant(survey.tenants[name].pending, options.app_label, options.migration_name)
            ),
            shared=frozenset(survey.shared or ()) if options.shared else frozenset(),
            code=survey.code,
        )

    def _meant(self, survey: model.Survey, reviewed: model.Plan | None) -> Iterable[str]:
        options = self.options
        if options.tenant_id:
            names: Iterable[str] = [options.tenant_id]
        elif options.resume:
            names = resume.left(options.resume.run)
        elif reviewed:
            names = reviewed.pending
        else:
            everyone = tuple(map(model.Tenant, survey.tenants))
            names = [tenant.id for tenant in plan.matching(everyone, options.only, options.exclude)]
        return [name for name in names if name in survey.tenants]


def told(why: str, environment: model.Environment) -> str:
    """What is written down where the operator goes on without asking."""
    return f"{_named(environment.requires)} must have this first, and was not asked (--override-requires): {why}"


def _unasked(name: str, why: str) -> errors.RequiredFirst:
    return _refusal(f"`{name}` could not be asked whether it has what is pending here: {why}", ())


def _refusal(what: str, lines: Iterable[str], first: str = "") -> errors.RequiredFirst:
    migrate = f"`invoke migrate-all --env={first}` migrates it. " if first else ""
    return errors.RequiredFirst(
        "\n".join((what, *lines)),
        hint=f'{migrate}`--override-requires="why"` goes on without it, and writes that down.',
    )


def _lines(found: list[requires.Lack]) -> list[str]:
    more = [f"  and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return [f"  {_line(each)}" for each in found[:_SHOWN]] + more


def _line(found: requires.Lack) -> str:
    return f"{found.what}: {some(found.names)}" if found.names else found.what


def _named(names: tuple[str, ...]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _are(names: frozenset[str]) -> str:
    return "is" if len(names) == 1 else "are"
