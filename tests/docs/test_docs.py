"""The README and docs/ say what is true: links lead somewhere, commands parse, inventories load, tables are whole."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import invoke
import pytest
import yaml
from invoke.parser import Parser, ParserContext

import opskit
from opskit import errors, inventory, model
from opskit.reporters import checks as reported
from opskit.reporters import summary
from opskit.rollout import checks
from opskit.rollout import run as runs
from opskit.tasks import hooks, namespace, undoing

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
SMALLEST = {"app": {"path": "/srv/acme"}, "framework": "omnitenant", "hosts": ["app1.example.com"]}
OUTCOMES = {0, 5, 6, 130}  # what runs.Run.exit_code answers; the others are errors'

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str

    @property
    def title(self) -> str:
        """Its first line, where that is a comment: the file that it shows."""
        first = self.text.partition("\n")[0]
        return first.removeprefix("# ") if first.startswith("# ") else ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.title or self.text.strip().splitlines()[0]}"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(language: str) -> list[Block]:
    return [
        Block(page, language, text)
        for page in PAGES
        for found, text in _FENCE.findall(page.read_text("utf-8"))
        if found == language
    ]


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def section(page: Path, heading: str) -> str:
    """A section's text with its subsections, up to the next heading of its level."""
    level = heading.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}$\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, f"{name(page)} has no section `{heading}`"
    return found[1]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exit_classes() -> dict[str, int]:
    """{class: exit code} of all errors."""
    return {
        each: kind.exit_code
        for each, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.OpskitError)
    }


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_ours_leads_somewhere(page):
    lost = []
    for target in _LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    assert [] == lost


def test_every_page_stands_in_the_index():
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in _LINK.findall(prose(index))}
    assert set() == set((ROOT / "docs").rglob("*.md")) - linked - {index}


# ---------------------------------------------------------------- commands


def typed(block: Block) -> list[list[str]]:
    """The words of each command that a console block shows, up to where its output goes."""
    lines = [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]
    found = []
    for part in (part for line in lines for part in line.split("&&")):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # a variable for this one command
            del words[0]
        found.append(list(itertools.takewhile(lambda word: word not in (">", ">>", "|"), words)))
    return [words for words in found if words]


def commands(block: Block) -> list[list[str]]:
    """Those of them that are `invoke …` and `opskit …`."""
    return [words for words in typed(block) if words[0] in ("invoke", "opskit")]


def programs(block: Block) -> list[str]:
    """Those of them that are programs of this repository: `scripts/test`, `benchmarks/all`."""
    return [words[0] for words in typed(block) if "/" in words[0] and not words[0].startswith((".", "/"))]


def python_files(block: Block) -> list[str]:
    """The files that a Python of this repository is given."""
    return [words[1] for words in typed(block) if words[0] == ".venv/bin/python" and words[1:2]]


def contexts(page: Path) -> list[ParserContext]:
    """What can be typed on a page: our tasks, and those that the page itself writes."""
    text = "".join(block.text for block in blocks("python") if block.page == page)
    own = sorted(set(re.findall(r"^@task\ndef (\w+)", text, re.MULTILINE)))
    return [*namespace.to_contexts(), *map(ParserContext, own)]


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_every_command_parses(block):
    program = invoke.Program(namespace=namespace)
    parser = Parser(contexts=contexts(block.page), initial=program.initial_context)
    for words in commands(block):
        parser.parse_argv(words[1:])


@pytest.mark.parametrize("block", [block for block in blocks("console") if programs(block)], ids=str)
def test_every_program_of_ours_is_there_and_can_be_run(block):
    lost = [each for each in programs(block) if not (ROOT / each).is_file() or not os.access(ROOT / each, os.X_OK)]
    assert [] == lost


@pytest.mark.parametrize("block", [block for block in blocks("console") if python_files(block)], ids=str)
def test_every_file_that_python_is_given_is_there(block):
    assert [] == [each for each in python_files(block) if not (ROOT / each).is_file()]


def test_a_flag_that_is_not_there_would_be_seen():
    program = invoke.Program(namespace=namespace)
    parser = Parser(contexts=namespace.to_contexts(), initial=program.initial_context)
    with pytest.raises(invoke.ParseError):
        parser.parse_argv(["migrate-all", "--no-such-flag"])


def test_the_readme_begins_with_two_commands():
    shown = [each for block in blocks("console") if block.page.name == "README.md" for each in programs(block)]
    assert ["scripts/demo", "scripts/test"] == shown


@pytest.mark.parametrize("block", [block for block in blocks("python") if block.title == "tasks.py"], ids=str)
def test_a_tasks_file_of_ones_own_has_our_tasks_and_its_own(block, tmp_path):
    (tmp_path / "tasks.py").write_text(block.text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--list"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    listed = {line.split()[0].rpartition(".")[2] for line in done.stdout.splitlines() if line.strip()}
    assert {"deploy", "migrate-all", "show-tenants"} <= listed


# ---------------------------------------------------------------- inventories


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if block.title != "invoke.yaml"], ids=str)
def test_every_inventory_loads(block, tmp_path):
    """One that shows only a part is completed with the smallest there is."""
    shown = yaml.load(block.text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes nothing but text
    rest = {key: value for key, value in SMALLEST.items() if key != "hosts" or "hosts_from" not in shown}
    whole = block.text if "app" in shown else yaml.safe_dump({**rest, **shown})
    (tmp_path / "ansible").mkdir()
    (tmp_path / "ansible" / "hosts.ini").write_text("[web]\napp1.example.com\n", "utf-8")
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "shown.yaml").write_text(whole, "utf-8")
    (tmp_path / "inventories" / "staging.yaml").write_text(yaml.safe_dump(SMALLEST), "utf-8")
    loaded = inventory.load(
        tmp_path,
        "shown",
        {"HOME": str(tmp_path), "ACME_SENTRY_DSN": "x", "ACME_SLACK_WEBHOOK": "https://hooks.example.com/x"},
    )
    assert isinstance(loaded, model.Environment)


def test_the_readmes_inventory_has_six_lines():
    (block,) = [block for block in blocks("yaml") if block.page.name == "README.md"]
    assert 6 == len(block.text.splitlines())


# ---------------------------------------------------------------- exit codes and messages


@pytest.mark.parametrize("page", ["README.md", "docs/tasks.md"])
def test_the_table_of_exit_codes_is_whole(page):
    table = section(ROOT / page, "## Exit codes")
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert sorted(OUTCOMES | set(exit_classes().values())) == told


def test_every_error_class_stands_with_its_exit_code():
    page = ROOT / "docs" / "errors.md"
    told = {
        kind: int(code) for code, kind in re.findall(r"^\| (\d+) \| `(\w+)` \|", page.read_text("utf-8"), re.MULTILINE)
    }
    assert exit_classes() == told


def test_every_error_class_is_explained_under_its_exit_code():
    page = ROOT / "docs" / "errors.md"
    lost = [each for each, code in exit_classes().items() if f"`{each}`" not in section(page, f"## Exit {code}")]
    assert [] == lost


def test_every_message_of_an_error_is_explained():
    explained = "".join((ROOT / "docs" / page).read_text("utf-8") for page in ("errors.md", "inventory.md"))
    plain = explained.replace("`", "").replace("\n", " ")
    lost = [
        f"{file.relative_to(ROOT)}:{line}: {piece}"
        for file in sorted((ROOT / "opskit").rglob("*.py"))
        if file.name != "testing.py"
        for line, piece in messages(file)
        if piece not in plain
    ]
    assert [] == lost


def messages(file: Path) -> list[tuple[int, str]]:
    """(line, the longest piece without a value in it) of each message that an error of ours is made with."""
    found = []
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in exit_classes():
            pieces = [piece.strip(" .,:;()") for arg in node.args[:1] for piece in fixed(arg)]
            longest = max(pieces, key=len, default="")
            if len(longest.split()) > 2:
                found.append((node.lineno, longest))
    return found


def fixed(message: ast.expr) -> list[str]:
    """The texts between the values of a message's first sentence."""
    parts = message.values if isinstance(message, ast.JoinedStr) else [message]
    whole = "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in parts)
    return whole.partition(". ")[0].replace("`", "").split("\0")


# ---------------------------------------------------------------- tasks


@pytest.mark.parametrize("task", sorted(namespace.task_names))
def test_every_flag_of_a_task_is_in_the_docs(task):
    page = ROOT / "docs" / "tasks.md"
    text = section(page, "## The demo's tasks" if task.startswith("demo.") else f"## `{task}`")
    (found,) = [context for context in namespace.to_contexts() if context.name == task]
    assert set() == {f"`{flag}" for flag in found.flags if not re.search(rf"`{flag}\b", text)}
    assert f"`{task}`" in text or not task.startswith("demo.")


@pytest.mark.parametrize("task", sorted(namespace.task_names))
def test_every_task_is_in_the_readme(task):
    assert f"`{task}`" in section(ROOT / "README.md", "## The tasks")


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_every_json_is_json(block):
    json.loads(block.text)


def test_the_json_of_a_run_has_the_keys_that_are_told():
    run = runs.Run(outcomes={"acme": model.Outcome("acme", model.Status.MIGRATED)})
    made = json.loads(summary.as_json(run, "20261122T140203-prod", "prod"))
    (told,) = [
        shown
        for shown in map(json.loads, (block.text for block in blocks("json")))
        if "outcomes" in shown and "event" not in shown
    ]
    assert list(made) == list(told)
    assert list(made["counts"]) == list(told["counts"])
    assert list(made["outcomes"][0]) == list(told["outcomes"][0])


def test_the_json_of_a_way_back_has_the_keys_that_are_told():
    way = model.WayBack(("a.0002",), (("a", "0001"),), "", ("table a.B",))
    made = json.loads(undoing.as_json("20261122T140203-prod", runs.Run(), "prod", {"acme": way}))
    (told,) = [shown for shown in map(json.loads, (block.text for block in blocks("json"))) if "uncertain" in shown]
    assert set(made) == set(told)
    assert set(made["tenants"][0]) == set(told["tenants"][0])
    assert set(made["tenants"][0]["steps"][0]) == set(told["tenants"][0]["steps"][0])


def test_the_document_of_a_hook_has_the_keys_that_are_told():
    started = model.RunStarted(datetime.now(UTC), "20261122T140203-prod", "prod", "1.0", "deploy@ops1", "ops1", ())
    outcome = summary.as_data(model.Outcome("acme", model.Status.MIGRATED))
    made = hooks.document("tenant_after", "prod", started.run_id, started, None, "acme", attempt=1, outcome=outcome)
    (told,) = [shown for shown in map(json.loads, (block.text for block in blocks("json"))) if "event" in shown]
    assert list(made) == list(told)
    assert list(outcome) == list(told["outcome"])


def test_every_status_is_in_the_glossary():
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    assert [] == [status for status in [*model.Status][1:] if f"| **{status}** |" not in glossary]


# ---------------------------------------------------------------- changes


def test_the_changelog_has_this_version():
    assert f"## [{opskit.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


# ---------------------------------------------------------------- checks


def test_every_check_has_its_section_in_the_order_in_which_they_are_shown_and_nothing_else_has():
    page = (ROOT / "docs" / "checks.md").read_text("utf-8")
    told = re.findall(r"^### `(.+)`$", page, re.MULTILINE)
    assert list(checks.NAMES) == told


def test_the_json_of_the_checks_has_the_keys_that_are_told():
    found = model.Check("connections", "db1:5432", model.CheckStatus.WARNING, "7 of 100 free")
    made = json.loads(reported.as_json([found], "prod"))
    (told,) = [shown for shown in map(json.loads, (block.text for block in blocks("json"))) if "checks" in shown]
    assert list(made) == list(told)
    assert list(made["counts"]) == list(told["counts"])
    assert list(made["checks"][0]) == list(told["checks"][0])
