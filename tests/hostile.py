"""Tenant ids that nobody should choose, and somebody will: the same ones for every framework's tests."""

from __future__ import annotations

IDS = (
    "a b",
    " a b ",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "a\\nb",
    "line\n2026-11-22T14:02:03Z ERROR tenant=acme forged",
    "$(touch x)",
    "`touch x`",
    "'; rm -rf .",
    "x; touch x #",
    "| touch x",
    "../../etc",
    "/etc/passwd",
    "-x",
    "--",
    "--help",
    "--settings=nowhere",
    "=3",
    "@acme",
    "#acme",
    "one,two",
    "*",
    "[/x]",
    "[red]",
    "{tenant}",
    "%s",
    "${HOME}",
    "1e5",
    "007",
    "null",
    "ERROR tenant=acme failed",
    "run `invoke demo.reset`",
    "\N{ELEPHANT}",
    "\u00fc",
    "u\u0308",  # the same letter, written in two characters
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\u202egnp.exe",
    "a\u2028b",
    "Case",
    "case",
    "password=hunter2",
    "postgres://u:hunter2@db/x",
    '{"v": 1, "seq": 1}',
    "Applying x.0001_y... OK",
)
"""Each can be a command's argument: it is migrated, and nobody else is."""

LONG = "long " * 2_000
"""10 kB, where a framework has room for it."""

IMPOSSIBLE = ("nul\0nul", "half \ud83d", "huge " * 40_000)
"""No command can be given these: the tenant alone is failed, and none is sent."""

STARTING_DJANGO = (
    "a b",
    "a\nb",
    "$(touch x)",
    "'; rm -rf .",
    "../../etc",
    "--help",
    "[/x]",
    "1e5",
    "\N{ELEPHANT}",
    "\x1b[2J\x1b[31mred",
    "Case",
    "case",
    "password=hunter2",
)
"""Those of whom a process of Django is started: that is half a second each."""
