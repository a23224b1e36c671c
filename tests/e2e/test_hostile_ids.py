"""Tenant ids out of a nightmare, over a real sshd: each one's own database is migrated, and nobody else's."""

from __future__ import annotations

import json
import re
import sqlite3

import hostile
import pytest

from e2e import operator

EVERYONE = (*hostile.IDS, hostile.LONG, *hostile.IMPOSSIBLE)
POSSIBLE = (*hostile.IDS, hostile.LONG)

# A database a tenant, named for its place in the list: what is in it says who was migrated.
MANAGE = """\
import json, os, sqlite3, sys
here = os.path.dirname(os.path.abspath(__file__))
ids = json.load(open(os.path.join(here, "ids.json")))

def database(tenant):
    return sqlite3.connect(os.path.join(here, "%03d.sqlite3" % ids.index(tenant)))

def applied(tenant):
    with database(tenant) as opened:
        opened.execute("CREATE TABLE IF NOT EXISTS applied (tenant TEXT)")
        return [name for (name,) in opened.execute("SELECT tenant FROM applied")]

command, *words = sys.argv[1:]
if command == "tenants":
    print(json.dumps([{"tenant_id": each, "name": each} for each in ids]))
elif command == "pending":
    print(json.dumps({each: [] if "\\0" not in each and "\\ud83d" not in each and len(each) < 99999 and applied(each) else ["m.0001"] for each in ids}))
else:
    tenant = words[0][len("--tenant="):]
    applied(tenant)
    with database(tenant) as opened:
        opened.execute("INSERT INTO applied VALUES (?)", [tenant])
    print("  Applying m.0001... OK")
    print("Migrated %s" % tenant)
"""
FRAMEWORK = {
    "name": "custom",
    "list": ["tenants"],
    "pending": ["pending"],
    "migrate": ["migrate_one", "--tenant={tenant}"],
    "success": "^Migrated ",
}


def project(desk, sshd, ids) -> None:
    """Write the project with these tenants, reached over a real sshd."""
    desk.app.mkdir(exist_ok=True)
    (desk.app / "manage.py").write_text(MANAGE)
    (desk.app / "ids.json").write_text(json.dumps(ids))
    desk.over_ssh(sshd, known_hosts=sshd.known_hosts, framework=FRAMEWORK)


def databases(desk, ids) -> dict[str, list[str]]:
    """{tenant: what its own database holds}."""
    return {each: _applied(desk.app / f"{number:03}.sqlite3") for number, each in enumerate(ids)}


def _applied(file) -> list[str]:
    if not file.exists():
        return []
    with sqlite3.connect(file) as opened:
        return [name for (name,) in opened.execute("SELECT tenant FROM applied")]


@pytest.fixture(scope="module")
def run(tmp_path_factory, sshd):
    """Everyone in one run, with all that they print: (desk, result). To be read only."""
    desk = operator.Desk(tmp_path_factory.mktemp("hostile"))
    project(desk, sshd, EVERYONE)
    return desk, desk.run("migrate-all", "-v", f"--log-file={desk.folder / 'log'}")


def test_each_ones_own_database_is_migrated_and_nobody_elses(run):
    desk, result = run

    assert result.code == 5
    assert databases(desk, EVERYONE) == {
        **{each: [each] for each in POSSIBLE},
        **{each: [] for each in hostile.IMPOSSIBLE},
    }


def test_who_can_not_be_named_to_a_command_is_failed_alone_and_none_is_sent(run):
    desk, _ = run

    shown = json.loads(desk.run("show-run", "--format=json").out)

    assert {each["tenant_id"]: each["status"] for each in shown["outcomes"]} == {
        **dict.fromkeys(POSSIBLE, "migrated"),
        **dict.fromkeys(hostile.IMPOSSIBLE, "failed"),
    }
    errors = [each["error"] for each in shown["outcomes"] if each["status"] == "failed"]
    assert errors == [
        f"its id {why} (no command was sent)"
        for why in ("holds a NUL", "holds half a character", "is longer than 127 KB")
    ]


def test_no_id_was_a_command_of_a_shell(run):
    desk, _ = run

    assert list(desk.folder.rglob("x")) == []
    assert (desk.app / "manage.py").exists()


def test_nothing_raw_reaches_stdout_stderr_or_the_logs(run):
    desk, result = run

    printed = [result.out, result.err, desk.log(), (desk.folder / "log").read_text()]
    printed += [desk.run(*argv).out for argv in (["show-run"], ["runs"], ["show-tenants", "--status"])]
    printed += [desk.run("migrate-all", "--all", "--plan").out]
    lines = [line for text in printed for line in text.split("\n")]
    assert {line for line in lines if not line.replace("\t", "").isprintable()} == set()


def test_a_line_of_the_log_is_one_entry_whatever_an_id_holds(run):
    desk, _ = run

    lines = desk.log().splitlines()

    assert [
        line for line in lines if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) ", line)
    ] == []
    assert [line for line in lines if re.match(r"\S+ ERROR tenant=acme", line)] == []
    starts = [line for line in lines if " migrating, " in line]
    assert len(starts) == len(POSSIBLE)
    assert (desk.folder / "log").read_text() == desk.log()


def test_each_tenants_output_has_a_file_of_its_own_on_any_file_system(run):
    desk, _ = run

    files = list((desk.runs[0] / "tenants").iterdir())

    assert len({file.name.casefold() for file in files}) == len(POSSIBLE)
    assert [file.name for file in files if not re.fullmatch(r"[A-Za-z0-9_-]{1,49}\.log", file.name)] == []


def test_a_table_bears_an_id_of_10_kb(run):
    desk, result = run

    tables = [result.out, desk.run("show-tenants").out, desk.run("migrate-all", "--all", "--plan").out]

    assert [max(map(len, table.splitlines())) < 400 for table in tables] == [True] * 3


def test_json_has_every_id_as_it_is(run):
    desk, _ = run

    listed = json.loads(desk.run("show-tenants", "--format=json", program="opskit").out)
    planned = json.loads(desk.run("migrate-all", "--plan", "--all", "--format=json", program="opskit").out)

    assert [each["tenant_id"] for each in listed] == list(EVERYONE)
    assert [each["tenant_id"] for each in planned["tenants"]] == list(EVERYONE)


def test_a_second_run_finds_nothing_to_do_for_them(run):
    desk, _ = run

    planned = desk.run("migrate-all", "--plan", "--format=json")

    tenants = json.loads(planned.out)["tenants"]
    assert [each["tenant_id"] for each in tenants if each["pending"]] == list(hostile.IMPOSSIBLE)


# ---------------------------------------------------------------- typed by hand

TYPED = (
    "a b",
    "a\nb",
    "$(touch x)",
    "--help",
    "-x",
    "=3",
    "1e5",
    "\x1b[2J\x1b[31mred",
    "\N{ELEPHANT}",
    "one,two",
    "case",
)


@pytest.fixture
def small(tmp_path, sshd):
    """Those who are typed by hand."""
    desk = operator.Desk(tmp_path)
    project(desk, sshd, TYPED)
    return desk


def migrated(desk) -> list[str]:
    return [each for each, held in databases(desk, TYPED).items() if held == [each]]


def test_an_id_is_typed_after_an_equals_sign_whatever_it_is(small):
    for number, each in enumerate(("a\nb", "$(touch x)", "--help", "=3", "\x1b[2J\x1b[31mred"), 1):
        result = small.run("migrate-tenant", f"--tenant-id={each}", program=("invoke", "opskit")[number % 2])
        assert (result.code, len(migrated(small)), each in migrated(small)) == (0, number, True), result.err


def test_a_file_names_those_that_a_comma_separated_list_can_not(small):
    (small.folder / "ids.txt").write_text("# tonight\none,two\n  a b\n\n--help\r\n")
    (small.folder / "ids.json").write_text(json.dumps(["a\nb", "=3"]))

    result = small.run("migrate-all", "--tenants=@ids.txt,@ids.json,1*,$(touch x)", "--exclude==3")

    assert (result.code, set(migrated(small))) == (0, {"one,two", "a b", "--help", "a\nb", "1e5", "$(touch x)"})


def test_a_canary_is_named_whatever_it_is_called(small):
    result = small.run("migrate-all", "--canary==--help,==3", "--fail-fast")

    finished = [each["outcome"]["tenant"] for each in small.journal() if each["event"] == "TenantFinished"]
    assert (result.code, finished[:2], set(finished)) == (0, ["--help", "=3"], set(TYPED))


def test_who_is_not_there_is_told_in_one_line(small):
    unknown = small.run("migrate-tenant", "--tenant-id=no\nnothing was migrated\x1b[2J")
    unmatched = small.run("migrate-all", "--tenants=no\nbody")

    assert (unknown.code, unmatched.code) == (2, 2)
    assert unknown.message == "there is no tenant `no\\nnothing was migrated\\x1b[2J` among 11. nothing was migrated."
    assert unmatched.message.startswith(
        "--tenants: nothing matches `no\\nbody` among 11 tenants. nothing was migrated. "
    )


def test_the_command_to_type_next_is_one_that_a_shell_understands(small):
    (small.app / "manage.py").write_text(MANAGE.replace("    applied(tenant)\n", "    sys.exit(3)\n"))

    failed = small.run("migrate-tenant", "--tenant-id=a\nb")
    planned = small.run("--dry", "migrate-tenant", "--tenant-id=a\nb")

    assert "`invoke migrate-tenant --env=prod --tenant-id=$'a\\nb'`, or" in failed.out
    assert planned.out.splitlines()[-1] == "next: `invoke migrate-tenant $'--tenant-id=a\\nb' --env=prod`"
