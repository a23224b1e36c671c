"""The benchmarks run: nothing here looks at a time."""

import dataclasses
import json
import re
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import cases  # noqa: E402
import distant  # noqa: E402
import measuring  # noqa: E402
import page  # noqa: E402

RACE = measuring.Race(
    "one new migration, <small>",
    50,
    (
        measuring.Lap("opskit", 5.0, 50),
        measuring.Lap("the `loop`", 60.0, 10, least=10.0),
        measuring.Lap("its own", 4.0, 50, least=1.0),
    ),
)


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_every_case_has_a_script_that_knows_its_arguments(case):
    words = [*case.full.split(), *(case.quick or "").split(), "--json", "nowhere", "--help"]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{case.script}.py", *words], check=True, capture_output=True, text=True
    )
    known = set(re.findall(r"--[a-z]+", done.stdout))
    assert set() == {word.partition("=")[0] for word in words if word.startswith("--")} - known


def test_no_benchmark_has_the_name_of_a_module_of_the_tests():
    tests = {file.stem for file in Path(__file__).parents[1].rglob("*.py")} - {"__init__"}
    assert set() == tests & {file.stem for file in BENCHMARKS.glob("*.py")}


def test_a_case_is_there_once():
    names = [case.name for case in cases.CASES]
    assert sorted(set(names)) == sorted(names)


def test_a_rollout_with_a_host_that_answers_at_once_is_measured():
    given = json.dumps({"tenants": 3, "sync": True})
    argv = [sys.executable, BENCHMARKS / "controller.py", "--part", given]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (0, "") == (done.returncode, done.stderr)
    assert {"seconds", "processor", "peak"} == set(json.loads(done.stdout))


def test_a_race_compares_everybody_with_the_first():
    rows = [dataclasses.astuple(row) for row in RACE.rows()]
    assert [
        ("one new migration, <small>, 50 tenants: opskit", "5.00 s, 100 ms a tenant", "", None),
        ("… the `loop`", "60.00 s, 1200 ms a tenant (10 of them measured), 12.00 times", "at least 10.00", True),
        ("… its own", "4.00 s, 80.0 ms a tenant, 0.80 times", "at least 1.00", False),
    ] == rows


@pytest.fixture
def written(tmp_path):
    """A page and a chart, into which one result has been put, and then once more."""
    text, chart = tmp_path / "page.md", tmp_path / "chart.svg"
    text.write_text(f"before\n{page.BEGIN}old\n{page.END}after\n")
    given = measuring.flags("").parse_args(["--json", str(tmp_path / "results" / "one-small.json")])
    measuring.report(given, RACE, measuring.Row("memory", "3 MB", "flat"))
    page.write(tmp_path / "results", text, chart)
    page.write(tmp_path / "results", text, chart)
    return text.read_text(), chart.read_text()


def test_the_page_gets_the_figures_between_its_marks(written):
    text, _ = written
    assert text.startswith(f"before\n{page.BEGIN}")
    assert text.endswith(f"{page.END}after\n")
    assert "old" not in text
    assert [
        "| one new migration, <small>, 50 tenants | opskit | 0.100 | 1.00 | - | - |",
        "| … | the `loop` | 1.200 (10 measured) | 12.00 | at least 10.00 | yes |",
        "| … | its own | 0.080 | 0.80 | at least 1.00 | no |",
        "| memory | 3 MB | flat | - |",
    ] == [line for line in text.splitlines() if re.match(r"\| (one new|…|memory)", line)]


def test_the_chart_has_a_bar_a_contender_in_proportion(written):
    chart = ET.fromstring(written[1])  # noqa: S314 - ours
    bars = [bar for bar in chart.iter("{http://www.w3.org/2000/svg}rect") if bar.get("class") != "card"]
    assert [("ours", "25.8"), ("bar", "310.0"), ("bar", "20.7")] == [
        (bar.get("class"), bar.get("width")) for bar in bars
    ]
    texts = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1:4] == ["one new migration, <small>, 50 tenants", "opskit", "0.100 s"]


def test_what_goes_over_a_long_line_arrives_whole_both_ways_and_is_counted():
    with socket.create_server((distant.LOOPBACK, 0)) as server, distant.line(server.getsockname()[1], 0.001) as line:
        for _ in range(2):
            near = socket.create_connection((distant.LOOPBACK, line.port))
            far, _ = server.accept()
            with near, far:
                near.sendall(b"a" * 100_000)
                near.shutdown(socket.SHUT_WR)
                assert b"a" * 100_000 == _everything(far)
                far.sendall(b"b" * 200_000)
                far.shutdown(socket.SHUT_WR)
                assert b"b" * 200_000 == _everything(near)
        line.close()
    assert (2, 2) == (line.connections, line.turns)


def _everything(end):
    return b"".join(iter(lambda: end.recv(65536), b""))
