"""Terminals that are narrow, dumb, not UTF-8, or change their width; and what wants to take them over."""

from __future__ import annotations

import json
import re

import pytest

from e2e import operator

IDS = ("\x1b[2J\x1b[31mred", "[/x]", "\N{ELEPHANT}\N{ELEPHANT}")
LISTING = f"print(json.dumps([{{'tenant_id': name, 'name': name}} for name in {IDS!r}]))"
EVIL = "\\x1b[2J\\x1b]0;taken over\\x07\\x9b2J\\0\\u202e \\N{ELEPHANT}"
MIGRATE = f"""\
sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
print("  Applying members.0001_initial... OK")
print("x" * 60, "{EVIL}")
for percent in range(0, 100, 20):
    print("  %d%% \\udcff" % percent, end="\\r", flush=True)
time.sleep(0.2)
if tenant != "[/x]":
    raise RuntimeError("{EVIL} is in the way")
print(f"Migrated {{tenant}}")
"""
COLOURS_AND_MOVEMENTS = r"\x1b\[(?:[0-9;]*m|2K|\d*A|\?25[lh])"


@pytest.fixture
def evil(empty):
    """Three tenants whose names, output and errors try to take the terminal over."""
    empty.project(listing=LISTING, migrate=MIGRATE)
    empty.inventory()
    return empty


def seen(result: operator.Result) -> str:
    """What is left of what a terminal was sent without the live view's own movements."""
    return re.sub(COLOURS_AND_MOVEMENTS, "", result.out.replace("\r\n", "\n"))


def is_harmless(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\r\t" for letter in text)


@pytest.mark.parametrize(
    ("columns", "env"),
    [
        (60, {}),
        (40, {}),
        (20, {}),
        (60, {"PYTHONIOENCODING": "ascii"}),
        (40, {"PYTHONIOENCODING": "latin-1"}),
        (40, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
        (40, {"TERM": "dumb"}),
        (40, {"TERM": None}),
        (40, {"TERM": ""}),
        (100, {"COLUMNS": "40"}),
    ],
    ids=str,
)
def test_nothing_takes_a_terminal_over_and_the_view_stays_inside(evil, columns, env):
    result = evil.at_a_terminal("migrate-all", "-v", columns=columns, env=env)

    assert result.code == 5, result.out
    shown = seen(result)
    assert is_harmless(shown), repr(result.out)
    assert "3 tenants: 1 migrated, 2 failed." in shown
    if env.get("TERM", "xterm") == "xterm":
        views = re.findall(r"(?m)^(\d/3 (?:ETA|tenants, ).*)\n(.*)\r", shown)
        widest = max(_columns(row) for view in views for row in view)
        assert (len(views) > 3, widest <= int(env.get("COLUMNS", columns))) == (True, True), shown
    else:
        assert "\x1b[2K" not in result.out
        assert re.search(r"(?m)^\d\d:\d\d:\d\d \[/x\]: finished: 1 migration", shown)


def _columns(row: str) -> int:
    return len(row.replace("\N{ELEPHANT}", "xx"))


def test_a_summary_on_a_narrow_terminal_is_sentences(evil):
    evil.project(listing=LISTING)

    shown = seen(evil.at_a_terminal("migrate-all", columns=40))

    assert f"\n{IDS[1]}: migrated\n{IDS[2]}: migrated\n3 tenants: 3 migrated.\n" in shown.replace("\r", "\n")


def test_a_terminal_may_change_its_width_during_a_run(desk):
    def narrow(said: str, resize) -> None:
        if "starts in" in said:
            resize(40)

    result = desk.at_a_terminal("migrate-all", "--stagger=1", "--tenants=acme,globex", columns=100, meanwhile=narrow)

    assert result.code == 0
    assert "0/2 tenants, " in seen(result)
    assert "1/2 ETA " in seen(result)
    assert "acme: migrated\nglobex: migrated\n" in seen(result).replace("\r", "\n")


def test_what_is_left_of_the_stagger_is_in_the_eta_of_the_view_and_of_status(desk):
    assert desk.run("migrate-all", "--tenants=acme,globex").code == 0  # the history
    left = []

    def stop_in_the_pause(said: str, resize) -> None:
        if not left and re.search(r"1/2 tenants, \S+ gone, ETA (9m|10m00s)", re.sub(COLOURS_AND_MOVEMENTS, "", said)):
            left.extend(each["left"] for each in json.loads(desk.run("status", "--format=json").out))
            assert desk.run("stop").code == 0

    result = desk.at_a_terminal(
        "migrate-all", "--stagger=10m", "--tenants=acme,globex", columns=60, meanwhile=stop_in_the_pause
    )

    assert result.code == 5, seen(result)
    assert re.search(r"0/2 tenants, \S+ gone, ETA 10m", seen(result)), seen(result)
    assert [540 < seconds <= 660 for seconds in left] == [True], left


def test_a_host_takes_no_terminal_over_with_its_banner_its_paths_or_its_revision(evil, sshd, tmp_path):
    evil.project()
    (tmp_path / "banner").write_text("\x1b[2J\x1b]0;taken over\x07 welcome\n")
    (evil.app / ".git").mkdir()
    (evil.app / ".git" / "HEAD").write_text("\x1b[2J\x1b[31m0123456789\n")
    real = evil.folder / "app\x1b[2J"
    evil.app.rename(real)
    evil.app.symlink_to(real)
    server = sshd.another(options=(f"Banner {tmp_path / 'banner'}",))
    told = []
    for client in ("fabric", "openssh"):
        evil.over_ssh(server, known_hosts=server.known_hosts, ssh={"client": client}, app={"manage": "gone.py"})
        told.append(evil.at_a_terminal("migrate-all"))
        evil.over_ssh(server, known_hosts=server.known_hosts, ssh={"client": client})
        told.append(evil.at_a_terminal("migrate-all"))
    server.stop()

    assert [(each.code, is_harmless(seen(each))) for each in told] == [(3, True), (0, True)] * 2, told
    assert "there is no such file in `" in told[0].out
    started = evil.journal()[0]
    assert (started["path"], started["revision"]) == (str(real), "\x1b[2J\x1b[31m0123456789")
    assert is_harmless(seen(evil.at_a_terminal("show-run")) + seen(evil.at_a_terminal("runs")))


def test_a_listing_takes_no_terminal_over(evil):
    for argv in (["show-tenants"], ["migrate-all", "--plan"], ["show-tenants", "--format=json"]):
        result = evil.at_a_terminal(*argv, columns=40)
        assert (result.code, is_harmless(seen(result))) == (0, True)
    assert [each["tenant_id"] for each in json.loads(result.out)] == list(IDS)
    evil.project(listing=f"print('{EVIL}')")
    broken = evil.at_a_terminal("show-tenants")
    assert (broken.code, is_harmless(seen(broken))) == (3, True)
