"""Projects that are not where the inventory says, that list nonsense, or that print what nobody should read."""

from __future__ import annotations

import pytest

from e2e import operator

DJANGO = """\
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
"""
LIST = "`manage.py tenants --json`"


def refuses(desk, what: str, hint: str = "", *argv: str) -> None:
    operator.refuses(desk.run("migrate-all", *argv), 3, what, hint)
    assert desk.asked == []


# ---------------------------------------------------------------- not where the inventory says


@pytest.mark.parametrize(
    ("app", "complaint"),
    [
        ({"path": "/nowhere/app"}, "local: app.path `/nowhere/app`: No such file or directory"),
        ({"python": "/nowhere/python"}, "cannot start `/nowhere/python` on local: No such file or directory"),
        ({"wrapper": ["/nowhere/wrapper"]}, "cannot start `/nowhere/wrapper` on local: No such file or directory"),
        ({"env_file": "/nowhere/env"}, "local: app.env_file `/nowhere/env`: No such file or directory"),
        (
            {"state_dir": "/dev/null"},
            "local: app.state_dir `/dev/null`: file exists",
        ),
    ],
)
def test_what_is_missing_on_the_host_is_named_by_its_key(desk, app, complaint):
    desk.inventory(app=app)

    refuses(desk, complaint)
    assert desk.runs == []


def test_a_missing_manage_py_is_looked_for_in_the_path(desk):
    desk.inventory(app={"manage": "src/manage.py"})

    refuses(desk, f"local: app.manage `src/manage.py`: there is no such file in `{desk.app}`")


def test_a_python_that_is_not_on_the_host_is_told_in_the_words_of_its_shell(desk, sshd):
    desk.over_ssh(sshd, known_hosts=sshd.known_hosts, app={"python": "/nowhere/python"})

    result = desk.run("migrate-all")

    assert (result.code, result.out, desk.asked) == (3, "", [])
    assert result.message.startswith("app1: the agent did not start: ")
    assert "/nowhere/python: " in result.message
    assert result.message.endswith(f" (exit 127). {operator.UNTOUCHED}")


def test_a_python_that_is_none_is_told_in_its_own_words(desk):
    program = desk.folder / "python"
    program.write_text("#!/bin/sh\necho 'use python3.11 instead' >&2\nexit 9\n")
    program.chmod(0o755)
    desk.inventory(app={"python": str(program)})

    refuses(desk, "local: the agent did not start: use python3.11 instead (exit 9)")


@pytest.mark.parametrize("framework", ["opskit", "custom"])
def test_wrong_settings_are_told_in_pythons_own_sentence(desk, framework):
    (desk.app / "manage.py").write_text(DJANGO)
    own = {**operator.FRAMEWORK, "list": ["showtenants", "--format=json"]}
    desk.inventory(
        app={"env": {"DJANGO_SETTINGS_MODULE": "shop.settings.production"}},
        framework=own if framework == "custom" else framework,
    )

    asked = "`manage.py showtenants --format=json`" if framework == "custom" else "asking what is pending"
    refuses(desk, f"local: {asked} failed: it exited 1: ModuleNotFoundError: No module named 'shop'")


# ---------------------------------------------------------------- what it lists


@pytest.mark.parametrize(
    ("listing", "complaint"),
    [
        pytest.param("print('[]')", "`prod` has no tenants", id="nobody"),
        pytest.param("print('[1, 2]')", "local: expected an object for tenant [0], found a number", id="numbers"),
        pytest.param("print('{}')", "local: expected a list of tenants, found an object", id="an object"),
        pytest.param(
            "print(json.dumps([{'tenant_id': 'acme'}, {'slug': 'globex', 'password': 'hunter2'}]))",
            "local: tenant [1] has no `tenant_id`: it has `slug`, `password`",
            id="without ids",
        ),
        pytest.param(
            "print('no such table: tenants', file=sys.stderr); sys.exit(1)",
            f"local: {LIST} failed: it exited 1: no such table: tenants",
            id="exit 1",
        ),
        pytest.param(
            "raise RuntimeError('no such table: tenants')",
            f"local: {LIST} failed: it exited 1: RuntimeError: no such table: tenants",
            id="a traceback",
        ),
    ],
)
def test_a_listing_that_can_not_be_read_is_described(desk, listing, complaint):
    desk.project(listing=listing)

    refuses(desk, complaint)


@pytest.mark.parametrize("listing", ["pass", "print('tenants: acme, globex')", """print('[{"tenant_id": "ac')"""])
def test_a_listing_that_is_not_json_migrates_nobody(desk, listing):
    desk.project(listing=listing)

    result = desk.run("migrate-all")

    assert (result.code, result.out, desk.asked) == (3, "", [])
    assert result.message.startswith("local: ")
    assert result.message.endswith(operator.UNTOUCHED)
    assert result.message.count("\n") == 0


def test_a_tenant_that_is_listed_twice_is_named(desk):
    desk.project(listing="print(json.dumps([{'tenant_id': name} for name in ('acme', 'globex', 'acme')]))")

    result = desk.run("migrate-all")

    assert (result.code, result.out, desk.asked) == (3, "", [])
    assert "listed more than once: `acme`" in result.message


def test_warnings_around_a_listing_are_no_part_of_it(desk):
    desk.project(
        listing="""\
print("[pool] opening 3 connections")
print("RuntimeWarning: naive datetime", file=sys.stderr)
print(json.dumps([{"tenant_id": "acme"}, {"tenant_id": "globex"}], indent=2))
print("[pool] closed")
"""
    )

    result = desk.run("migrate-all")

    assert (result.code, desk.migrated) == (0, ["acme", "globex"])


def test_a_listing_that_hangs_is_ended_after_the_timeout(desk):
    desk.project(listing="time.sleep(600)")

    result = desk.run("migrate-all", "--timeout=500ms")

    assert (result.code, result.out, desk.asked) == (3, "", [])
    assert result.message.startswith(f"local: {LIST} failed: it timed out")
    assert result.message.endswith(operator.UNTOUCHED)


# ---------------------------------------------------------------- what nobody should read


def everything(desk, *results) -> str:
    """All that anybody could see afterwards: the screens, the journal, the logs, what is left on the host."""
    left = [file for file in (desk.folder / "state").rglob("*") if file.is_file()]
    return "\n".join(
        [each.out + each.err for each in results] + [desk.kept()] + [file.read_text(errors="replace") for file in left]
    )


def test_passwords_in_a_listing_are_dropped(desk):
    desk.project(
        listing="""\
config = {"ENGINE": "postgresql", "USER": "shop", "PASSWORD": "hunter2", "PASSWD": "hunter3"}
print("connecting to postgres://shop:hunter4@db/shop", file=sys.stderr)
print(json.dumps([{"tenant_id": name, "name": name, "config": config} for name in ("acme", "globex")]))
"""
    )

    listed = desk.run("show-tenants"), desk.run("show-tenants", "--format=json")
    migrated = desk.run("migrate-all", "-v", "--log-file=migrations.log")
    again = desk.run("show-run"), desk.run("show-run", "--format=json")

    seen = everything(desk, *listed, migrated, *again) + (desk.folder / "migrations.log").read_text()
    assert [each.code for each in (*listed, migrated, *again)] == [0, 0, 0, 0, 0]
    assert "hunter" not in seen


def test_passwords_in_a_listing_that_can_not_be_read_are_not_repeated(desk):
    desk.project(listing='print(\'tenants at postgres://shop:hunter2@db/shop, password=hunter3, "token": "hunter4"\')')

    result = desk.run("migrate-all")

    assert result.code == 3
    assert "tenants at postgres://shop:[REDACTED]@db/shop" in result.message
    assert "hunter" not in everything(desk, result)


def test_passwords_in_a_commands_output_are_removed(desk):
    desk.project(
        migrate="""\
print("connecting to postgres://shop:hunter2@db/shop with password=hunter3")
print("PGPASSWORD: 'hunter4'", file=sys.stderr)
raise RuntimeError("FATAL: postgres://shop:hunter2@db/shop refused password=hunter3")
"""
    )

    result = desk.run("migrate-all", "-v", "--log-file=migrations.log")
    again = desk.run("migrate-all", "--format=json")

    seen = everything(desk, result, again, desk.run("show-run")) + (desk.folder / "migrations.log").read_text()
    assert (result.code, again.code) == (5, 5)
    assert "FATAL: postgres://shop:[REDACTED]@db/shop refused password=[REDACTED]" in seen
    assert "hunter" not in seen


def test_what_the_inventory_and_the_env_file_keep_secret_stays_on_the_host(desk):
    (desk.folder / "env").write_text(
        "export SIGNING_KEY='s1gn1ng'\nDATABASE_URL=postgres://shop:fr0mf1le@db/shop\nREGION=eu-central\n"
    )
    desk.inventory(
        app={
            "env": {"SENTRY": "https://${ACME_DSN}@sentry/1", "API_TOKEN": "wr1tten", "COLOUR": "green"},
            "env_file": str(desk.folder / "env"),
        }
    )
    names = ("SENTRY", "API_TOKEN", "COLOUR", "SIGNING_KEY", "DATABASE_URL", "REGION")
    show = f"shown = [os.environ[name] for name in {names}]"
    desk.project(
        migrate=f"""\
{show}
print("\\n".join(shown), flush=True)
open(here / "seen", "w").write("\\n".join(shown))
raise RuntimeError(f"{{tenant}} can't use {{shown}}")
"""
    )

    result = desk.run("migrate-all", "-v", "--format=json", env={"ACME_DSN": "0per4t0r"})

    told = (desk.app / "seen").read_text()
    seen = everything(desk, result, desk.run("show-run"))
    secrets = ("0per4t0r", "wr1tten", "s1gn1ng", "fr0mf1le")
    assert result.code == 5
    assert [secret for secret in secrets if secret in told] == list(secrets)
    assert [secret for secret in secrets if secret in seen] == []
    assert "green" in seen
    assert "eu-central" in seen


KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
SHOW = """\
url, key = os.environ["DATABASE_URL"], os.environ["SIGNING_KEY"]
password = __import__("urllib.parse").parse.unquote(url.partition("shop:")[2].partition("@db")[0])
(here / "seen").write_text(password + key)
print(url, password, sep="\\n")
print(key)
print(repr({"url": url, "password": password, "key": key}))
print(json.dumps([url, password, key]), file=sys.stderr)
print("in parts:", *(f"<{line}>" for line in key.splitlines()))
raise RuntimeError(f"{tenant} can't sign: {key!r}, {password!r}, {url}")
"""


@pytest.mark.parametrize("where", ["env", "env_file", "the operator's environment"])
def test_a_secret_is_recognized_in_every_form_in_which_it_is_printed(desk, where):
    url = "postgres://shop:hunter%402%2F%22quoted%27@db/shop"
    secrets = {"DATABASE_URL": url, "SIGNING_KEY": KEY}
    app, env = {"env": secrets}, {}
    if where == "env_file":  # which has no way to write a value of several lines
        (desk.folder / "env").write_text(f"DATABASE_URL={url}\n")
        app = {"env": {"SIGNING_KEY": KEY}, "env_file": str(desk.folder / "env")}
    elif where != "env":
        app, env = {"env": {name: f"${{OPS_{name}}}" for name in secrets}}, {f"OPS_{k}": v for k, v in secrets.items()}
    desk.inventory(app=app)
    desk.project(migrate=SHOW)

    result = desk.run("migrate-all", "-v", "--log-file=migrations.log", env=env)
    shown = desk.run("show-run"), desk.run("show-run", "--format=json")

    seen = everything(desk, result, *shown) + (desk.folder / "migrations.log").read_text()
    assert (result.code, desk.asked) == (5, list(operator.TENANTS))
    assert (desk.app / "seen").read_text() == f"hunter@2/\"quoted'{KEY}"
    assert [word for word in ("hunter", "quoted", "MIIEvQ", "hkiG9w", "BEGIN", "END PRIVATE") if word in seen] == []
    assert "in parts: <[REDACTED]> <[REDACTED]> <[REDACTED]> <[REDACTED]>" in seen
    assert "acme can't sign: '[REDACTED]', " in seen


def test_secrets_in_a_flag_are_not_journalled(desk):
    desk.run("migrate-all", "--tenants=acme", "--log-file=password=hunter2.log")

    assert "hunter2" not in desk.kept()
