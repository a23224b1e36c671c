"""`init`: from an empty folder to an inventory with which the tenants can be listed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import omnitenant
import pytest

from e2e import operator
from opskit import frameworks

NAMES = f"{', '.join(frameworks.NAMED)} or custom"

NOWHERE = "nothing was written."


@pytest.fixture
def nothing(empty):
    """An operator's folder without inventories/."""
    (empty.folder / "inventories").rmdir()
    return empty


def django_project(folder: Path, apps: tuple[str, ...] = ()) -> Path:
    """A Django project without tenants, with a virtual environment of its own beside it."""
    (folder / "acme").mkdir(parents=True)
    (folder / "manage.py").write_text(
        'import os, sys\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "acme.settings")\n'
        "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
    )
    (folder / "acme" / "settings.py").write_text(f"SECRET_KEY = 'x'\nINSTALLED_APPS = {list(apps)}\n")
    return folder


def make_venv(folder: Path) -> Path:
    """A virtual environment that has what the tests' own has."""
    venv.create(folder, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "here.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in ours))
    return folder / "bin" / "python"


def written(desk, name: str = "prod") -> str:
    return (desk.folder / "inventories" / f"{name}.yaml").read_text()


# ---------------------------------------------------------------- with flags alone


def test_local_and_a_path_are_enough_and_the_tenants_can_be_listed(nothing, demo_template):
    shutil.copytree(demo_template, nothing.folder / "srv" / "acme")
    make_venv(nothing.folder / "srv" / "venv")

    result = nothing.run("init", "--env=prod", "--host=local", f"--path={nothing.folder}/srv")
    listed = nothing.run("show-tenants", "--format=json")

    assert (result.code, result.err) == (0, "looking for a Django project on `local`…\n")
    assert result.out == (
        "wrote `inventories/prod.yaml` and `inventories/inventory.schema.json`\nnext: `invoke check --env=prod`\n"
    )
    assert f"  path: {nothing.folder}/srv/acme\n" in written(nothing)
    assert f"  python: {nothing.folder}/srv/venv/bin/python\n" in written(nothing)
    assert "# opskit.tenants is in INSTALLED_APPS.\nframework: opskit\n" in written(nothing)
    assert (listed.code, len(json.loads(listed.out))) == (0, 12)


def test_over_ssh_a_project_with_an_env_file_is_found_below_its_folder(nothing, postgres, sshd):
    """django-omnitenant as it is, whose settings want variables; the name in ~/.ssh/config says how to log in."""
    project = omnitenant.new_project(postgres, nothing.folder / "host" / "acme" / "releases")
    project.create_tenants(schemas=2)
    acme = nothing.folder / "host" / "acme"
    (acme / "current").symlink_to("releases/project")
    python = make_venv(acme / "venv")
    (acme / "env").write_text("".join(f"export {key}='{value}'\n" for key, value in project.env.items()))
    ssh_config(nothing, sshd)

    result = nothing.run(
        "init", "--env=eu.prod", "--host=app1", f"--path={acme}", f"--env-file={acme}/env", program="opskit"
    )
    listed = nothing.run("show-tenants", "--format=json")

    assert (result.code, result.out.splitlines()[-1]) == (0, "next: `opskit check --env=eu.prod`")
    assert f"  path: {acme}/current\n" in written(nothing, "eu.prod")
    assert f"  python: {python}\n" in written(nothing, "eu.prod")
    assert f"  env_file: {acme}/env\n" in written(nothing, "eu.prod")
    assert "framework: omnitenant\n" in written(nothing, "eu.prod")
    assert "hosts: [app1]\n" in written(nothing, "eu.prod")
    assert project.env["DB_PASSWORD"] not in written(nothing, "eu.prod") + result.err
    assert (listed.code, len(json.loads(listed.out))) == (0, 2)


def ssh_config(desk, sshd, known: bool = True) -> None:
    (desk.home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    (desk.home / ".ssh" / "config").write_text(
        f"Host app1\n  HostName {sshd.host}\n  Port {sshd.port}\n  User {sshd.user}\n  IdentityFile {sshd.identity_file}\n"
    )
    (desk.home / ".ssh" / "known_hosts").write_text(sshd.known_hosts_line() if known else "")


def test_settings_that_want_variables_are_told_and_stand_in_the_file(nothing, postgres):
    omnitenant.new_project(postgres, nothing.folder)
    flags = ("--path=project", f"--python={sys.executable}", "--framework=omnitenant")  # of several installed

    result = nothing.run("init", "--env=prod", "--host=local", *flags)

    assert result.code == 0
    assert (
        f"the settings of `{nothing.folder}/project` can't be imported by themselves: KeyError: 'DB_NAME'. "
        "the project may need `app.env` or `app.env_file`.\n"
    ) in result.err
    assert "# Its settings could not be imported: KeyError: 'DB_NAME'\n" in written(nothing)
    assert "\nframework: omnitenant\n" in written(nothing)


def test_a_framework_that_opskit_does_not_know_gets_a_mapping_to_fill_in(nothing):
    django_project(nothing.app, apps=("dj_lite_tenant",))

    result = nothing.run("init", "--env=prod", "--host=local", "--path=app", f"--python={sys.executable}")
    shown = nothing.run("inventory", "--format=json")

    assert (result.code, result.out.splitlines()[-1]) == (
        0,
        "next: fill in `framework` in inventories/prod.yaml, then `invoke check --env=prod`",
    )
    assert json.loads(shown.out)["framework"]["migrate"]["value"] == ["migrate_one", "--tenant={tenant}"]


def test_a_framework_that_opskit_knows_is_written_by_its_name(nothing):
    django_project(nothing.app, apps=("django_tenants",))

    nothing.run("init", "--env=prod", "--host=local", "--path=app", f"--python={sys.executable}")

    assert "# django-tenants is in INSTALLED_APPS.\nframework: django-tenants\n" in written(nothing)


def test_dry_prints_what_would_be_written(nothing):
    django_project(nothing.app, apps=("opskit.tenants",))
    flags = ("--env=prod", "--host=local", "--path=app", f"--python={sys.executable}")

    shown = nothing.run("--dry", "init", *flags)
    there = (nothing.folder / "inventories").exists()
    nothing.run("init", *flags)

    assert (shown.code, there, shown.out) == (0, False, written(nothing))


def test_from_a_folder_below_it_goes_beside_the_others(desk):
    django_project(desk.folder / "srv" / "acme", apps=("opskit.tenants",))
    (desk.folder / "env").write_text("A=b\n")
    below = desk.folder / "below"
    below.mkdir()

    flags = ("--host=local", "--path=srv", f"--python={sys.executable}", "--env-file=env")
    result = desk.run("init", "--env=new", *flags, program="opskit", cwd=below)

    assert (result.code, result.out.splitlines()[-1]) == (0, "next: `opskit check --env=new`")
    assert f"  path: {desk.folder}/srv/acme\n" in written(desk, "new")
    assert not (below / "inventories").exists()


def test_the_flags_win_over_what_is_found(nothing):
    django_project(nothing.app, apps=("opskit.tenants",))
    flags = ("--framework=custom", "--settings=acme.settings_prod")

    result = nothing.run("init", "--env=prod", "--host=local", "--path=app", f"--python={sys.executable}", *flags)

    assert result.code == 0
    assert "  name: custom\n" in written(nothing)
    assert "    DJANGO_SETTINGS_MODULE: acme.settings_prod\n" in written(nothing)
    assert "INSTALLED_APPS" not in written(nothing)


# ---------------------------------------------------------------- refused


def refused(desk, code: int, what: str, hint: str = "", *argv: str, **run) -> operator.Result:
    """Nothing was written, and one message said why, after the lines of progress."""
    result = desk.run("init", *argv, **run)
    said = [line for line in result.err.splitlines() if not line.startswith(("looking for", "2 projects:"))]
    expected = " ".join(each for each in (what, NOWHERE if code == 3 else "", hint) if each)
    assert (result.code, result.out, said) == (code, "", [expected])
    assert not list(desk.folder.glob("inventories/*"))
    return result


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "--env: the environment's name? there is nobody to ask."),
        (("--env=prod",),
         "--host: where the project runs (user@address, a Host of ~/.ssh/config, or local)? there is nobody to ask."),
        (("--env=",), "--env: expected a value, found nothing: an unset variable?"),
        (("--env=prod", "--host= "), "--host: expected a value, found nothing: an unset variable?"),
        (("--env=../x", "--host=local"),
         "`../x` is no environment's name: it has letters, digits, `_`, `.` and `-`, and starts with no `.` or `-`. "
         "such as `prod`."),
        (("--env=x.example", "--host=local"), "`x.example` would be an example, and an example is never an environment."),
        (("--env=prod", "--host=a b"), "--host: address: expected a host's name or address alone; `user` and `port` are "
         "keys of their own."),
        (("--env=prod", "--host=a:22a"), "--host: port: expected a whole number, found `22a`."),
        (("--env=prod", "--host=-oProxyCommand=x"), "--host: address: starts with `-`: a program would read it as an option."),
        (("--env=prod", "--host=demo"), "--host: `demo` is the demo's own server, and has its inventory already."),
        (("--env=prod", "--host=local", "--framework=django"),
         "--framework: expected `auto`, `omnitenant`, `opskit`, `django-tenants`, `django-pgschemas`, `django-tenant-schemas` or `custom`, found `django`."),
        (("--env=prod", "--host=local", "--python=-x"), "--python: starts with `-`: a program would read it as an option."),
        (("--env=prod", "--host=local", "--run-as=a b"), "--run-as: a user has no space in it."),
        (("--env=prod", "--host=local", "--host-keys=any"), "--host-keys: expected `strict` or `accept-new`, found `any`."),
        (("--env=prod", "--host=local", "--ssh-client=x"), "--ssh-client: expected `fabric` or `openssh`, found `x`."),
        (("--env=prod", "--host=local", "--settings=a/b"),
         "--settings: expected a module such as `acme.settings`, found `a/b`."),
    ],
)  # fmt: skip
def test_a_flag_that_can_not_be_meant_is_named(nothing, argv, message):
    refused(nothing, 2, message, "", *argv)


@pytest.mark.parametrize("stdin", ["nobody", "somebody"])
def test_an_inventory_that_is_there_is_refused_before_anything_is_asked(desk, stdin):
    before = written(desk)
    with contextlib.ExitStack() as stack:
        end = subprocess.DEVNULL
        if stdin == "somebody":
            ours, end = pty.openpty()
            stack.callback(os.close, ours)
            stack.callback(os.close, end)
        operator.refuses(
            desk.run("init", "--env=prod", "--host=nowhere.invalid", stdin=end),
            2,
            "inventories/prod.yaml is there already, and `init` overwrites nothing. name another environment, or move it away",
        )
    assert written(desk) == before


def test_a_host_that_can_not_be_reached_is_one_message(nothing, sshd):
    gone = f"{sshd.host}:1"
    refused(
        nothing, 3, f"cannot connect to {gone} as `root`: connection refused.", "", "--env=prod", f"--host=root@{gone}"
    )


def test_a_host_key_that_is_not_known_is_shown_and_never_accepted(nothing, sshd):
    ssh_config(nothing, sshd, known=False)

    result = nothing.run("init", "--env=prod", "--host=app1")

    assert (result.code, result.out) == (3, "")
    assert re.search(
        rf"the host key of \[{sshd.host}\]:{sshd.port} is not known: it shows ssh-ed25519 SHA256:\S+\. {NOWHERE} "
        r"compare that with the host's own: `ssh app1` shows it too, and asks\. then run this again, "
        r"or give `--host-keys=accept-new`\.$",
        result.message,
    )
    assert (nothing.home / ".ssh" / "known_hosts").read_text() == ""
    assert not (nothing.folder / "inventories").exists()


def test_accept_new_adds_the_key_on_request(nothing, sshd):
    ssh_config(nothing, sshd, known=False)
    django_project(nothing.app, apps=("opskit.tenants",))
    flags = (f"--path={nothing.app}", f"--python={sys.executable}", "--host-keys=accept-new")

    result = nothing.run("init", "--env=prod", "--host=app1", *flags)

    assert result.code == 0
    assert sshd.host_key.split()[1] in (nothing.home / ".ssh" / "known_hosts").read_text()
    assert "accept-new" not in written(nothing)


def test_with_openssh_it_is_the_systems_ssh(nothing, sshd, tmp_path):
    """A HOME whose ssh_config is read by the account's own home: so everything stands on the command line."""
    ssh_config(nothing, sshd)
    result = nothing.run("init", "--env=prod", "--host=nobody@nowhere.invalid", "--ssh-client=openssh")

    assert (result.code, result.out) == (3, "")
    assert (
        "cannot connect to nowhere.invalid as `nobody`: ssh: Could not resolve hostname nowhere.invalid" in result.err
    )
    assert NOWHERE in result.err


def test_no_project_is_one_message(nothing):
    (nothing.folder / "srv").mkdir()
    what = f"local: there is no Django project in `{nothing.folder}/srv`."
    refused(nothing, 3, what, "", "--env=prod", "--host=local", "--path=srv")


def test_two_projects_must_be_told_apart(nothing):
    django_project(nothing.folder / "srv" / "a")
    django_project(nothing.folder / "srv" / "b")
    what = f"--path: local has 2 Django projects: `{nothing.folder}/srv/a` and `{nothing.folder}/srv/b`. name one."
    refused(nothing, 2, what, "", "--env=prod", "--host=local", "--path=srv")


def test_a_python_without_django_is_refused(nothing):
    django_project(nothing.app)
    venv.create(nothing.folder / "bare", symlinks=True)
    python = nothing.folder / "bare" / "bin" / "python"
    refused(
        nothing,
        3,
        f"local: `{python}`: ModuleNotFoundError: No module named 'django'.",
        "it needs the Python that has the project's Django.",
        *("--env=prod", "--host=local", "--path=app", f"--python={python}"),
    )


def test_a_python_that_is_not_there_is_refused(nothing, sshd):
    django_project(nothing.app)
    ssh_config(nothing, sshd)
    result = nothing.run("init", "--env=prod", "--host=app1", f"--path={nothing.app}", "--python=/nowhere/python")

    assert (result.code, result.out) == (3, "")
    assert re.search(
        rf"app1: its Python did not start: .*/nowhere/python.* \(exit 127\)\. {NOWHERE} `--python` names another",
        result.message,
    )


def test_nothing_tells_the_framework(nothing):
    django_project(nothing.app)
    what = f"--framework: its tenancy framework ({NAMES})? there is nobody to ask."
    refused(nothing, 2, what, "", "--env=prod", "--host=local", "--path=app", f"--python={sys.executable}")


def test_an_env_file_that_is_not_there_is_named(nothing):
    django_project(nothing.app)
    what = f"local: `{nothing.folder}/gone`: No such file or directory."
    refused(nothing, 3, what, "", "--env=prod", "--host=local", "--path=app", f"--env-file={nothing.folder}/gone")


def test_a_folder_that_can_not_be_written_to_is_named(nothing):
    django_project(nothing.app, apps=("opskit.tenants",))
    (nothing.folder / "inventories").write_text("")
    result = nothing.run("init", "--env=prod", "--host=local", "--path=app", f"--python={sys.executable}")
    assert (result.code, result.message.splitlines()[-1]) == (
        2,
        "inventories/prod.yaml can't be written: file exists.",
    )


# ---------------------------------------------------------------- with somebody to ask


@pytest.fixture
def typist():
    """Starts an `invoke` at a terminal, with somebody there who answers: Typist."""
    with contextlib.ExitStack() as stack:

        def start(desk, *argv: str) -> Typist:
            started = Typist(desk, *argv)
            stack.callback(started.leave)
            return started

        yield start


class Typist:
    """Somebody at a terminal, who waits for each question before the answer is typed."""

    def __init__(self, desk, *argv: str) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [operator.BIN / "invoke", *argv],
            cwd=desk.folder,
            env=desk.environ(),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""

    def answer(self, question: str, typed: str) -> None:
        """Wait for a question, and type."""
        self.sees(question)
        self.seen = self.seen.partition(question)[2]
        os.write(self._ours, typed.encode())

    def end(self) -> operator.Result:
        self._wait(lambda: self._process.poll() is not None and not self._read(0), "an end")
        out, _ = self._process.communicate(timeout=operator.PATIENCE)
        return operator.Result(self._process.returncode, out, self.seen)

    def leave(self) -> None:
        self._process.kill()
        self._process.communicate()
        os.close(self._ours)

    def press_ctrl_c(self) -> None:
        """By hand: a session without a controlling terminal has no process in front."""
        os.killpg(self._process.pid, signal.SIGINT)

    def sees(self, words: str) -> None:
        self._wait(lambda: words in self.seen, words)

    def _wait(self, come, what: str) -> None:
        patience = time.monotonic() + operator.PATIENCE
        while not come():
            self._read(0.05)
            if time.monotonic() > patience:
                raise AssertionError(f"there never was {what!r}: {self.seen!r}")

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other end is closed
            return False
        self.seen += data.decode().replace("\r\n", "\n")
        return bool(data)


def test_the_questions_propose_what_was_found(nothing, demo_template, typist):
    shutil.copytree(demo_template, nothing.app)
    python = make_venv(nothing.folder / "venv")
    asked = typist(nothing, "init")

    asked.answer("the environment's name [prod]: ", "staging\n")
    asked.answer("where the project runs (user@address, a Host of ~/.ssh/config, or local): ", "\nlocal\n")
    asked.answer(f"the folder that holds manage.py [{nothing.app}]: ", "\n")
    asked.answer(f"the project's Python [{python}]: ", "\n")
    asked.answer(f"its tenancy framework ({NAMES}) [opskit]: ", "\n")
    result = asked.end()

    assert (result.code, result.out.splitlines()[-1]) == (0, "next: `invoke check --env=staging`")
    assert nothing.run("show-tenants").out.splitlines()[-1] == "12 tenants"


def test_wrong_answers_are_asked_again(nothing, postgres, typist):
    project = omnitenant.new_project(postgres, nothing.folder)
    (nothing.folder / "env").write_text("".join(f"{key}={value}\n" for key, value in project.env.items()))
    django_project(nothing.folder / "zebra")
    asked = typist(nothing, "init", "--env=prod", "--host=local", f"--path={nothing.folder}")

    asked.answer(f"2 projects: `{nothing.folder}/project`, `{nothing.folder}/zebra`.", "")
    asked.answer(f"the folder that holds manage.py [{nothing.folder}/project]: ", f"{nothing.folder}/gone\n")
    asked.answer(f"there is no Django project in `{nothing.folder}/gone`.", "")
    asked.answer("the folder that holds manage.py: ", f"{nothing.folder}/project\n")
    asked.answer(f"the project's Python [{sys.executable}]: ", "/nowhere/python\n")
    asked.answer("`/nowhere/python`: it can't be started: No such file or directory", "")
    asked.answer("the project's Python: ", f"{sys.executable}\n")
    asked.answer("a file of KEY=VALUE lines on the host that they need [none]: ", f"{nothing.folder}/env\n")
    asked.answer(f"its tenancy framework ({NAMES}) [omnitenant]: ", "omni\n")
    asked.answer(f"its tenancy framework ({NAMES}) [omnitenant]: ", "\n")
    result = asked.end()

    assert result.code == 0
    assert f"  env_file: {nothing.folder}/env\n" in written(nothing)
    assert "# django-omnitenant is in INSTALLED_APPS.\nframework: omnitenant\n" in written(nothing)


def test_settings_are_asked_for_where_there_are_several(nothing, typist):
    django_project(nothing.app)
    package = nothing.app / "acme" / "settings"
    package.mkdir()
    (nothing.app / "acme" / "settings.py").rename(package / "dev.py")
    (package / "production.py").write_text("SECRET_KEY = 'x'\nINSTALLED_APPS = ['opskit.tenants']\n")
    manage = nothing.app / "manage.py"
    manage.write_text(manage.read_text().replace("acme.settings", "acme.settings.dev"))
    asked = typist(nothing, "init", "--env=prod", "--host=local", "--path=app", f"--python={sys.executable}")

    asked.answer("its settings (acme.settings.production) [acme.settings.dev]: ", "acme.settings.production\n")
    asked.answer(f"its tenancy framework ({NAMES}) [opskit]: ", "\n")
    result = asked.end()

    assert result.code == 0
    assert "  env:\n    DJANGO_SETTINGS_MODULE: acme.settings.production\n" in written(nothing)


def test_yes_asks_nothing_though_there_is_a_terminal(nothing, typist):
    django_project(nothing.app, apps=("opskit.tenants",))
    asked = typist(nothing, "init", "--env=prod", "--host=local", "--path=app", f"--python={sys.executable}", "--yes")
    assert asked.end().code == 0


@pytest.mark.parametrize(("key", "code", "said"), [("\x04", 3, "there was no answer"), ("\x03", 130, "interrupted.")])
def test_who_leaves_leaves_nothing_behind(nothing, typist, key, code, said):
    asked = typist(nothing, "init")
    asked.answer("the environment's name [prod]: ", "prod\n")
    asked.sees("or local): ")
    asked.press_ctrl_c() if key == "\x03" else asked.answer("or local): ", key)
    result = asked.end()
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert not (nothing.folder / "inventories").exists()
