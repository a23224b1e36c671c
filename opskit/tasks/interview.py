"""What `init` asks: the flags first, then the host, then the operator."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opskit import errors, frameworks, inventory, model, redaction
from opskit.inventory import draft, values, wording
from opskit.reporters.text import plural, printable
from opskit.tasks.task import complain
from opskit.transport import fleet, look

_MARK = b"\0opskit-find 1\n"
_SECONDS = 10.0  # for the search on the host
FRAMEWORKS = (frameworks.AUTO, *frameworks.NAMED, "custom")
_WHICH = f"its tenancy framework ({', '.join(frameworks.NAMED)} or custom)"

# What an entry of INSTALLED_APPS begins with, and what that means. Of the last ones only the name is known.
_APPS = (
    ("django_omnitenant", "omnitenant", "django-omnitenant"),
    ("opskit.tenants", "opskit", "opskit.tenants"),
    ("django_tenants", "django-tenants", "django-tenants"),
    ("django_pgschemas", "django-pgschemas", "django-pgschemas"),
    ("tenant_schemas", "django-tenant-schemas", "django-tenant-schemas"),
    ("dj_lite_tenant", "custom", "dj-lite-tenant"),
    ("django_multitenant", "custom", "django-multitenant"),
    ("tenant_users", "custom", "django-tenant-users"),
)

# What a complaint about a sketch is about, as flags.
_FLAGS = {
    "hosts[0]": "--host",
    "app.path": "--path",
    "app.python": "--python",
    "app.run_as": "--run-as",
    "app.env_file": "--env-file",
    "ssh.client": "--ssh-client",
    "ssh.host_keys": "--host-keys",
    "hosts": "--host",
}


@dataclass(frozen=True)
class Asker:
    """The operator: what was given as flags, and whether there is somebody to ask for the rest."""

    flags: Mapping[str, str]
    asking: bool

    def given(self, flag: str) -> str:
        return self.flags.get(flag, "")

    def ask(self, flag: str, what: str, found: str = "") -> str:
        """The flag's value, else the operator's answer, to whom `found` is proposed. Raises UsageError or Declined."""
        return self.given(flag) or self.again(flag, what, found)

    def maybe(self, what: str) -> str:
        """An answer that may be empty."""
        sys.stderr.write(f"{what} [none]: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip()

    def again(self, flag: str, what: str, found: str = "") -> str:
        """The operator's answer, whatever the flag said; without anybody to ask, what was found."""
        if not self.asking:
            if found:
                return found
            raise errors.UsageError(f"--{flag}: {what}? there is nobody to ask")
        while True:
            sys.stderr.write(f"{what}{f' [{printable(found)}]' if found else ''}: ")
            sys.stderr.flush()
            said = sys.stdin.readline()
            if not said.endswith("\n"):  # Ctrl-D leaves the cursor where it is
                sys.stderr.write("\n")
            if not said:
                raise errors.Declined("there was no answer")
            if said.strip() or found:
                return said.strip() or found


class Interview:
    """One inventory to be."""

    def __init__(self, asker: Asker, here: Path, environ: Mapping[str, str]) -> None:
        self._asker = asker
        self._here = here
        self._root = here  # of the inventory, where relative paths on this machine start
        self._environ = environ
        self._env_file = asker.given("env-file")

    def write(self, *, dry: bool = False) -> str:
        """Ask, look, write. What was written, and what to do next; `dry`, what would be written.

        Raises OpskitError; nothing is written then.
        """
        name = self._asker.ask("env", "the environment's name", "prod" if self._asker.asking else "")
        folder = inventory.check_new(self._here, name)
        self._root = folder.parent
        host = self._asker.ask("host", "where the project runs (user@address, a Host of ~/.ssh/config, or local)")
        found = self._found(draft.Draft(name, host, "", "", ""))
        if dry:
            return draft.text(found).rstrip("\n")
        files = draft.create(folder, found, self._environ)
        shown = " and ".join(f"`{os.path.relpath(file, self._here)}`" for file in files)
        first = f"fill in `framework` in {os.path.relpath(files[0], self._here)}, then " * (found.framework == "custom")
        return f"wrote {shown}\nnext: {first}`invoke check --env={name}`"

    # -- on the host

    def _found(self, new: draft.Draft) -> draft.Draft:
        """What the flags, the host and the operator say of the project."""
        new = replace(new, run_as=self._asker.given("run-as"), client=self._asker.given("ssh-client"))
        settings = self._asker.given("settings")
        if settings and not re.fullmatch(r"[A-Za-z_][\w.]*", settings):
            raise errors.UsageError(
                f"--settings: expected a module such as `acme.settings`, found {wording.shown(settings)}"
            )
        project = self._project(new.host, settings)
        others = tuple(each for each in project["others"] if _fits(each))
        usual = str(project["settings"])
        if others and not settings:
            settings = self._asker.ask("settings", f"its settings ({', '.join(others)})", usual)
            if settings != usual:
                project = self._same(new.host, project, settings)
        new = replace(new, path=project["path"], settings="" if settings == usual else settings)
        python = self._python(new, project)
        if python["error"] and self._asker.asking and not self._env_file:
            python = self._with_env_file(new, project, python)
        new = replace(
            new,
            python=python["path"],
            known=f"Python {python['version']} with Django {python['django']}",
            trouble=_told(python["error"]),
            env_file=self._env_file,
            usual=usual,
            others=others,
        )
        if new.trouble and (self._env_file or not self._asker.asking):
            complain(
                f"the settings of `{new.path}` can't be imported by themselves: {new.trouble}. "
                "the project may need `app.env` or `app.env_file`."
            )
        return self._framework(new, python)

    def _look(self, host: str, path: str = "", settings: str = "", python: str = "") -> dict[str, Any]:
        """What is found on the host. Raises what connecting raises."""
        environment = self._environment(host, path)
        question = {
            "path": path,
            "python": python or self._asker.given("python"),
            "settings": settings,
            "env_file": self._env_file,
            "seconds": _SECONDS,
        }
        try:
            line = fleet.connect(environment, environment.hosts[0])
            found = look.ask(line, "find", _MARK, question)
        except errors.HostKeyError as error:
            raise _unknown(error, environment.hosts[0]) from None
        except errors.RemoteError as error:
            raise errors.RemoteError(f"{host}: {error}", hint="`--python` names another Python there.") from None
        if "error" in found:
            raise errors.RemoteError(f"{host}: {_told(found['error'])}")
        found["projects"] = [each for each in found["projects"] if _fits(each["path"])]
        for each in found["projects"]:
            each["pythons"] = [one for one in each["pythons"] if _fits(one["path"])]
        return found

    def _same(self, host: str, project: dict[str, Any], settings: str, python: str = "") -> dict[str, Any]:
        """The same project again, with other settings or another Python."""
        found = self._look(host, project["path"], settings, python)["projects"]
        if [each["path"] for each in found] != [project["path"]]:
            raise errors.RemoteError(f"{host}: `{project['path']}` has changed meanwhile")
        return dict(found[0])

    def _environment(self, host: str, path: str) -> model.Environment:
        app = {key.replace("-", "_"): self._asker.given(key) for key in ("python", "run-as")}
        app |= {"path": path, "env_file": self._env_file}
        ssh = {"client": self._asker.given("ssh-client"), "host_keys": self._asker.given("host-keys")}
        try:
            made = inventory.sketch(self._root, host, self._environ, _without_empty(app), _without_empty(ssh))
        except errors.InventoryError as error:
            raise errors.UsageError(_as_flags(str(error))) from None
        if made.hosts[0].kind is model.HostKind.DEMO:
            raise errors.UsageError("--host: `demo` is the demo's own server, and has its inventory already")
        return made

    # -- the project

    def _project(self, host: str, settings: str) -> dict[str, Any]:
        """The project that is meant, among those that are found."""
        path = self._asker.given("path")
        while True:
            complain(f"looking for a Django project on `{host}`…")
            found = self._look(host, path, settings)
            projects: dict[str, dict[str, Any]] = {each["path"]: each for each in found["projects"]}
            if len(projects) > 1:
                complain(f"{plural(len(projects), 'project')}: {', '.join(f'`{each}`' for each in projects)}.")
            if path in projects or (len(projects) == 1 and (path or not self._asker.asking)):
                return projects.get(path) or next(iter(projects.values()))
            self._be_able_to_ask(host, path, projects, found)
            path = self._asker.again("path", "the folder that holds manage.py", next(iter(projects), ""))
            if path in projects:
                return projects[path]

    def _be_able_to_ask(self, host: str, path: str, projects: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Where nobody can be asked, say why the project is not clear."""
        searched = ", ".join(f"`{each}`" for each in found["searched"])
        nothing = f"{host}: there is no Django project in {searched}" + (
            " as far as was looked" if found["cut"] else ""
        )
        if self._asker.asking:
            if not projects:
                complain(f"{nothing}.")
        elif projects:
            names = wording.listed(projects)
            raise errors.UsageError(f"--path: {host} has {plural(len(projects), 'Django project')}: {names}. name one")
        else:
            raise errors.RemoteError(nothing, hint="" if path else "`--path` says where it is.")

    def _python(self, new: draft.Draft, project: dict[str, Any]) -> dict[str, Any]:
        """The interpreter that is meant: one with Django."""
        wanted = self._asker.given("python")
        while True:
            pythons: dict[str, dict[str, Any]] = {each["path"]: each for each in project["pythons"] if each["django"]}
            if wanted and pythons:  # it alone was looked at
                return next(iter(pythons.values()))
            why = "; ".join(
                f"`{each['path']}`: {_told(each['error'])}" for each in project["pythons"] if not each["django"]
            )
            if wanted and not self._asker.asking:
                raise errors.RemoteError(
                    f"{new.host}: {why}", hint="it needs the Python that has the project's Django."
                )
            if not pythons:
                said = f"{new.host}: no Python with Django was found for `{new.path}`" + (f" ({why})" if why else "")
                if not self._asker.asking:
                    raise errors.RemoteError(said, hint="`--python` names it.")
                complain(f"{said}.")
            wanted = self._asker.again("python", "the project's Python", "" if wanted else next(iter(pythons), ""))
            if wanted in pythons:
                return pythons[wanted]
            project = self._same(new.host, project, new.settings, wanted)

    def _with_env_file(self, new: draft.Draft, project: dict[str, Any], python: dict[str, Any]) -> dict[str, Any]:
        """The interpreter again, with the environment that the project's settings want, where the operator knows it."""
        complain(f"its settings can't be imported by themselves: {_told(python['error'])}.")
        self._env_file = self._asker.maybe("a file of KEY=VALUE lines on the host that they need")
        if not self._env_file:
            return python
        again = self._same(new.host, project, new.settings, python["path"])["pythons"]
        return next((each for each in again if each["path"] == python["path"]), python)

    def _framework(self, new: draft.Draft, python: Mapping[str, Any]) -> draft.Draft:
        framework, reason = _guess(python)
        chosen = self._asker.ask("framework", _WHICH, framework)
        while chosen not in FRAMEWORKS:
            chosen = self._asker.again("framework", _WHICH, framework)
        if chosen != framework:
            return replace(new, framework=chosen)
        return replace(new, framework=chosen, reason=reason)


def _guess(python: Mapping[str, Any]) -> tuple[str, str]:
    """(framework, why); the framework is "" where nothing tells."""
    for prefix, framework, package in _APPS:
        if any(app == prefix or app.startswith(f"{prefix}.") for app in python["apps"]):
            return framework, f"{package} is in INSTALLED_APPS"
    installed = [each[1:] for each in _APPS if each[2] in python["packages"] and each[1] not in ("custom", "opskit")]
    if python["error"] and len(installed) == 1:
        ((framework, package),) = installed
        return framework, f"{package} is installed"
    return "", ""


def _unknown(error: errors.HostKeyError, host: model.Host) -> errors.HostKeyError:
    """There is no inventory yet that could accept new keys: a flag does."""
    if "accept-new" not in error.hint:
        return error
    words = ["ssh", *(["-p", str(host.port)] if host.port else []), f"{host.user}@" * bool(host.user) + host.address]
    return errors.HostKeyError(
        str(error),
        hint=f"compare that with the host's own: `{shlex.join(words)}` shows it too, and asks. then run this again, "
        "or give `--host-keys=accept-new`.",
    )


def _as_flags(complaint: str) -> str:
    """A sketch's complaint, with the flags in the place of its keys."""
    return "\n".join(_as_flag(line.removeprefix(f"{inventory.SKETCH}: ")) for line in complaint.splitlines())


def _as_flag(line: str) -> str:
    for key, flag in _FLAGS.items():
        if line.startswith(key):
            return f"{flag}: {line.removeprefix(key).lstrip('.: ')}"
    return line


def _without_empty(given: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in given.items() if value}


def _fits(found: object) -> bool:
    """Whether what a host says can stand in an inventory."""
    try:
        return isinstance(found, str) and bool(values.text(found))
    except ValueError:
        return False


def _told(said: object) -> str:
    """What a host says, as far as it may be shown: one line, and no passwords."""
    return wording.printable(redaction.redact(str(said)))[:300]
