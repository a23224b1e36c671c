"""What squawk says of SQL, and that one that is missing, broken, slow or of another age harms nothing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from opskit import model
from opskit.tasks import linting

REAL = Path(sys.executable).parent
LOCK, TEXT, CONCURRENT = "require-lock-timeout", "prefer-text-field", "require-concurrent-index-creation"
STATEMENTS = (
    "ALTER TABLE a\n  ADD COLUMN b varchar(50)\n  NOT NULL DEFAULT '';",
    "CREATE INDEX c ON a (b);",
    "CREATE INDEX CONCURRENTLY d ON a (b);",
)
FOUND = {"a.0002": model.Sql(STATEMENTS, vendor="postgresql")}
INSTALL = "`pip install squawk-cli` installs it"


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Puts a program of this text on the PATH as the only squawk, or none."""

    def put(text: str = "") -> Path:
        program = tmp_path / "bin" / "squawk"
        program.parent.mkdir()
        if text:
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        return program

    return put


@pytest.fixture
def squawk(monkeypatch):
    monkeypatch.setenv("PATH", f"{REAL}{os.pathsep}{os.environ['PATH']}")


def look(folder: Path, found=FOUND, limits=None) -> tuple[dict, list[str]]:
    said: list[str] = []
    return linting.look(found, limits or {}, str(folder), said.append), said


def rules(folder: Path, **how) -> set[tuple[int, str]]:
    told, said = look(folder, **how)
    assert said == []
    return {(each.statement, each.rule) for each in told["a.0002"]}


def test_each_finding_names_its_statement(squawk, tmp_path):
    found = rules(tmp_path)

    assert {(0, LOCK), (0, TEXT), (1, CONCURRENT)} <= found
    assert (2, CONCURRENT) not in found


def test_a_limit_that_the_run_sets_is_not_missed(squawk, tmp_path):
    found = rules(tmp_path, limits={"lock_timeout": "5000", "statement_timeout": "60000"})

    assert (0, TEXT) in found
    assert not {LOCK, "require-statement-timeout"} & {rule for _statement, rule in found}


@pytest.mark.parametrize("atomic", [True, False])
def test_a_migration_that_is_one_transaction_is_read_as_one(squawk, tmp_path, atomic):
    found = rules(tmp_path, found={"a.0002": model.Sql(STATEMENTS, vendor="postgresql", atomic=atomic)})

    assert ((2, "ban-concurrent-index-creation-in-transaction") in found) is atomic


def test_the_operators_own_configuration_is_heard(squawk, tmp_path):
    (tmp_path / ".squawk.toml").write_text(f'excluded_rules = ["{TEXT}"]\n')

    assert (0, TEXT) not in rules(tmp_path)


def test_what_is_well_has_no_findings_and_what_is_nothing_is_not_read(squawk, tmp_path):
    found = {"a.0001": model.Sql(("SELECT 1;",), vendor="postgresql"), "a.0002": model.Sql(vendor="postgresql")}

    assert look(tmp_path, found) == ({"a.0001": ()}, [])


def test_without_squawk_one_line_says_so(on_path, tmp_path):
    on_path()

    assert look(tmp_path) == (
        {},
        [f"no linter looked at the SQL: squawk is not on the PATH of this machine. {INSTALL}."],
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo '[]'; exit 0", ""),
        (
            "echo \"error: unexpected argument '--reporter'\" >&2; exit 2",
            "it exited 2: error: unexpected argument '--reporter'",
        ),
        ("kill -9 $$", "it was ended by signal 9"),
        ("echo '[{\"line\": 1}]'; exit 1", 'it exited 1: [{"line": 1}]'),
        ('echo \'[{"line": "x", "rule_name": "", "level": "", "message": ""}]\'', "its answer is of another shape: "),
        ("echo '[1]'", "its answer is of another shape: [1]"),
        ("printf '[{\"line\": 0,'", 'its answer is of another shape: [{"line": 0,'),
        ("printf '\\033[2J'; exit 1", "it exited 1: \\x1b[2J"),
    ],
)
def test_one_that_can_not_be_used_is_named_once(on_path, tmp_path, text, why):
    program = on_path(text)

    told, said = look(tmp_path, {**FOUND, "a.0003": FOUND["a.0002"]})

    if not why:
        assert (told, said) == ({"a.0002": (), "a.0003": ()}, [])
        return
    (line,) = said
    assert told == {}
    assert line.startswith(f"no linter looked at the SQL: `{program}` can't be used: {why}")
    assert line.endswith(f". {INSTALL}, version 2.")


@pytest.mark.parametrize(
    ("vendors", "said"),
    [
        (["sqlite"], ["no linter looked at SQL for sqlite: squawk reads PostgreSQL's."]),
        (["sqlite", "mysql", "sqlite"], ["no linter looked at SQL for mysql and sqlite: squawk reads PostgreSQL's."]),
        ([""], []),
        ([], []),
    ],
)
def test_other_databases_have_no_linter(squawk, tmp_path, vendors, said):
    found = {f"a.{number}": model.Sql(("SELECT 1",), vendor=vendor) for number, vendor in enumerate(vendors)}

    assert look(tmp_path, found) == ({}, said)


@pytest.mark.parametrize(("line", "statement"), [(0, -1), (1, 0), (3, 0), (4, 1), (5, 2), (99, 2)])
def test_which_statement_a_line_is_in(line, statement):
    row = {"line": line, "rule_name": "r", "level": "Warning", "message": "m", "help": None}

    found = linting._read(json.loads(json.dumps(row)), [1, 3, 1, 1])

    assert found == ([] if statement < 0 else [model.Lint(statement, "r", "warning", "m")])
