"""Puts the figures of benchmarks/results/ into docs/benchmarks.md, and draws docs/images/benchmarks.svg of them.

    page.py      # benchmarks/all does this at its end

Everything between the two marks of the page is written anew; whatever else stands there is a person's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import measuring

PAGE = measuring.ROOT / "docs" / "benchmarks.md"
CHART = measuring.ROOT / "docs" / "images" / "benchmarks.svg"
BEGIN, END = "<!-- benchmarks/page.py writes from here -->\n", "<!-- to here -->\n"
CHARTED = ("one-small", "one-big", "nothing-small", "fresh-small")

Found = dict[str, dict[str, Any]]  # {case: what measuring.report wrote}


def write(results: Path, page: Path = PAGE, chart: Path = CHART) -> None:
    """Put in what there is; a case without a result is left out."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + BEGIN + "\n".join(_tables(found)) + "\n" + END + after, encoding="utf-8")
    chart.write_text(_chart([race for name in CHARTED if name in found for race in found[name]["races"]]), "utf-8")


# ---------------------------------------------------------------- the tables


def _tables(found: Found) -> Iterator[str]:
    yield "\n| case | contender | seconds a tenant | times opskit's | target | met |\n|---|---|---|---|---|---|"
    for each in found.values():
        for race in each["races"]:
            yield from _laps(race)
    yield "\n| what | measured | target | met |\n|---|---|---|---|"
    for each in found.values():
        for row in each["rows"]:
            yield f"| {row['what']} | {row['measured']} | {row['target'] or '-'} | {_met(row['met'])} |"
    yield "\n| result | when, on what | load | arguments |\n|---|---|---|---|"
    for name, each in found.items():
        flags = " ".join(f"{flag}={value}" for flag, value in each["flags"].items() if value is not False)
        yield f"| {name} | {each['at']}, {each['machine']} | {each['load']} | {flags or '-'} |"
    yield ""


def _laps(race: dict[str, Any]) -> Iterator[str]:
    tenants, first = race["tenants"], race["laps"][0]
    for lap in race["laps"]:
        case = f"{race['case']}, {tenants} tenants" if lap is first else "…"
        ratio = lap["seconds"] / first["seconds"]
        some = "" if lap["measured"] == tenants else f" ({lap['measured']} measured)"
        target = "-" if lap["least"] is None else f"at least {lap['least']:.2f}"
        met = None if lap["least"] is None else ratio >= lap["least"]
        yield f"| {case} | {lap['contender']} | {_each(race, lap)}{some} | {ratio:.2f} | {target} | {_met(met)} |"


def _each(race: dict[str, Any], lap: dict[str, Any]) -> str:
    return f"{lap['seconds'] / race['tenants']:.3f}"


def _met(met: bool | None) -> str:
    return "-" if met is None else "yes" if met else "no"


# ---------------------------------------------------------------- the chart


WIDTH, MARGIN, ROW, HEAD = 790, 20, 24, 40
NAMES, BARS = 300, 310  # pixels for a contender's name, and for the longest bar
TITLE = "Seconds a tenant, by case and contender"
STYLE = """\
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .case { font-weight: 600; font-size: 14px }
  .card { fill: #ffffff; stroke: #d1d9e0 }
  .bar { fill: #9aa5b1 }
  .ours { fill: #0b7a53 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .card { fill: #151b23; stroke: #3d444d }
    .bar { fill: #6b7682 }
    .ours { fill: #3fb68b }
  }"""


def _chart(races: list[dict[str, Any]]) -> str:
    """Bars of seconds a tenant, a scale a case, on a card of its own colour: it is read on any page."""
    parts, at = [_text(MARGIN, MARGIN + 10, f"{TITLE}. whole commands; shorter is better", "title")], MARGIN + ROW
    for race in races:
        parts += _panel(race, at)
        at += HEAD + ROW * len(race["laps"])
    height = at + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{TITLE}</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _panel(race: dict[str, Any], top: int) -> list[str]:
    longest = max(lap["seconds"] for lap in race["laps"])
    first = race["laps"][0]
    parts = [_text(MARGIN, top + 16, f"{race['case']}, {race['tenants']} tenants", "case")]
    for number, lap in enumerate(race["laps"]):
        y = top + HEAD - 12 + ROW * number
        length = max(1.0, BARS * lap["seconds"] / longest)
        colour = "ours" if lap is first or lap["contender"].startswith("opskit") else "bar"
        bar = f'x="{MARGIN + NAMES}" y="{y + 2}" width="{length:.1f}" height="16"'
        ratio = "" if lap is first else f", {_short(lap['seconds'] / first['seconds'])} times"
        parts += [
            _text(MARGIN, y + 14, lap["contender"].replace("`", ""), "name"),
            f'<rect class="{colour}" {bar}/>',
            _text(MARGIN + NAMES + length + 8, y + 14, f"{_each(race, lap)} s{ratio}", "figure"),
        ]
    return parts


def _short(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}"


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}">{escape(text)}</text>'


if __name__ == "__main__":
    write(measuring.HERE / "results")
