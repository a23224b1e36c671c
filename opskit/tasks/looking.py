"""Looks at every host of an environment, and at the databases through the first whose project starts."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from opskit import errors, frameworks, model
from opskit.frameworks import facts
from opskit.rollout import drive
from opskit.tasks import project
from opskit.transport import fleet

_GATES = {"env_file": "env file", "state_dir": "state folder", "manage": "manage.py"}


def look(environment: model.Environment, patience: float, clock: drive.Clock) -> model.Look:
    """Everything that the checks judge. Takes no lock and changes nothing; `patience` are seconds a question.

    A host that fails hides no other: never raises for what a host or its project did.
    """
    framework = frameworks.get(environment)
    found = _of(model.Look(hosts=()), framework)
    for host in environment.hosts:
        alone = replace(environment, hosts=(host,), timeout=patience)
        with contextlib.closing(fleet.Fleet(alone)) as line:
            there = project.Project(alone, framework, line)
            asked = _Asked(there, clock)
            seen = asked.host(host, deep=not found.serving)
            framework = there.framework = _found(framework, environment, seen)
            found = _of(found, framework)
            found = replace(found, hosts=(*found.hosts, seen))
            if not found.serving and _serves(seen, environment):
                found = asked.environment(replace(found, serving=host.name), seen)
    return found


def _of(found: model.Look, framework: frameworks.Framework) -> model.Look:
    needed = () if framework.name == frameworks.AUTO else facts.commands(framework)
    return replace(found, framework=framework.name, commands=needed)


def _found(framework: frameworks.Framework, environment: model.Environment, seen: model.Seen) -> frameworks.Framework:
    """The framework, now that a host's project has said which apps it has."""
    told = seen.project.frameworks if seen.project else ()
    if framework.name != frameworks.AUTO or len(told) != 1 or told[0] not in frameworks.KNOWN:
        return framework
    return frameworks.get(replace(environment, framework=told[0]))


def _serves(seen: model.Seen, environment: model.Environment) -> bool:
    started = seen.project is not None and bool(seen.project.django)
    return not seen.refused and (started or environment.framework == "custom")


class _Asked:
    """One host's answers."""

    def __init__(self, asked: project.Project, clock: drive.Clock) -> None:
        self._project = asked
        self._clock = clock

    def host(self, host: model.Host, *, deep: bool) -> model.Seen:
        try:
            ready = self._project.fleet.open()
        except errors.OpskitError as error:
            return model.Seen(
                host, refused=_gate(error, host, self._project.environment), error=str(error), hint=error.hint
            )
        seen = model.Seen(host, path=ready.path, python=ready.python, revision=ready.revision)
        return self._about_project(self._about_host(seen), deep=deep)

    def _about_host(self, seen: model.Seen) -> model.Seen:
        before = self._clock.now().timestamp()
        try:
            about = facts.read_host(self._ask(facts.about_host(self._project.environment.app.state_dir)))
        except errors.OpskitError as error:
            return replace(seen, facts_error=str(error))
        after = self._clock.now().timestamp()
        return replace(seen, facts=about, ahead=(about.clock - after, about.clock - before))

    def _about_project(self, seen: model.Seen, *, deep: bool) -> model.Seen:
        try:
            reply = self._ask(facts.about_project(self._project.framework, deep=deep))
        except errors.OpskitError as error:
            return replace(seen, project=model.ProjectFacts(error=str(error)))
        no_command = facts.never_came_to_a_command(reply)
        return replace(seen, project=facts.read_project(reply), no_command=no_command)

    def _ask(self, command: model.Command) -> model.Reply:
        return self._project.fleet.ask(replace(command, timeout=self._project.environment.timeout))

    def environment(self, found: model.Look, seen: model.Seen) -> model.Look:
        """The listing and the survey. A shared database that does not answer is not asked twice more."""
        servers = seen.project.servers if seen.project else ()
        if self._project.environment.framework != "custom" and (not servers or servers[0].error):
            silent = "the shared database does not answer"
            return replace(found, listing_error=silent, survey_error=silent)
        try:
            found = replace(found, survey=self._project.survey())
        except errors.OpskitError as error:
            found = replace(found, survey_error=str(error))
            if self._project.framework.list is None:  # the same question
                return replace(found, listing_error=str(error))
        try:
            return replace(found, tenants=self._project.tenants(found.survey, least=0))
        except errors.OpskitError as error:
            return replace(found, listing_error=str(error))


def _gate(error: errors.OpskitError, host: model.Host, environment: model.Environment) -> str:
    """The check that a host failed."""
    if isinstance(error, errors.HostKeyError):
        return "host key"
    if isinstance(error, errors.RemoteError):
        return _GATES.get(error.why, error.why or "python")
    if host.kind is model.HostKind.LOCAL:  # there is no connection, but there may be no such program
        return "sudo" if environment.app.run_as else "python"
    return "connection"
