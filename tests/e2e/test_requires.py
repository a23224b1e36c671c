"""`requires`: what is pending on prod must be applied on staging, which is asked. Real Django, two projects."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys

import pytest

from e2e import operator
from opskit.demo import data

KEPT = ("acme", "globex")
NEW = "products.0003_product_sku"
HOW = '`--override-requires="why"` goes on without it, and writes that down.'


@pytest.fixture
def two(empty, small_template):
    """An operator with `prod`, which requires `staging`; a migration is new on both."""
    for name in ("app", "staging"):
        shutil.copytree(small_template, empty.folder / name)
        assert NEW == data.add_migration(empty.folder / name)
    empty.inventory(framework="opskit", requires="staging")
    empty.inventory("staging", app={"path": "staging", "state_dir": str(empty.folder / "there")}, framework="opskit")
    return empty


def go(desk, *words: str) -> operator.Result:
    return desk.run("migrate-all", "--env=prod", *words)


def pending(desk, name: str = "app") -> dict[str, list[str]]:
    rows = json.loads(data._run(desk.folder / name, ["showtenants", "--status", "--format=json"]).stdout)
    return {row["tenant_id"]: row["pending"] for row in rows}


def notices(desk) -> list[str]:
    return [each["text"] for each in desk.journal() if each["event"] == "Notice"]


LACKS = f"""\
`prod` requires `staging`, which lacks what is pending here:
  tenants pending: {NEW}: acme, globex.
nothing was migrated. `invoke migrate-all --env=staging` migrates it. {HOW}"""


def test_what_is_not_applied_there_is_refused_and_named(two):
    for words in (("migrate-all",), ("migrate-tenant", "--tenant-id=acme")):
        result = two.run(*words, "--env=prod")
        assert (result.code, result.out, result.message) == (3, "", LACKS)
    assert pending(two) == {name: [NEW] for name in KEPT}
    assert not list((two.folder / "there").glob("*"))  # who only asks takes no lock


def test_what_is_applied_there_goes_on_and_writes_down_that_it_is(two):
    assert two.run("migrate-all", "--env=staging").code == 0

    result = go(two)

    assert (result.code, pending(two)) == (0, {name: [] for name in KEPT})
    assert "`staging` has 1 migration that is pending here" in notices(two)


def test_where_one_tenant_is_behind(two):
    two.run("migrate-tenant", "--env=staging", "--tenant-id=acme")

    assert f"  tenants pending: {NEW}: globex.\n" in go(two).message


def test_an_edited_migration_is_not_the_one_that_was_tried(two):
    two.run("migrate-all", "--env=staging")
    file = two.app / "products" / "migrations" / "0003_product_sku.py"
    file.write_text(file.read_text() + "# later\n")

    assert f"  of another source there: {NEW}.\n" in go(two).message


def test_a_migration_that_is_not_there_yet(two):
    two.run("migrate-all", "--env=staging")
    data.add_migration(two.app)

    message = go(two).message

    assert "  not in its code: products.0004_product_weight_grams.\n" in message


def test_going_on_without_is_written_down_and_shown(two):
    result = go(two, "--override-requires=hotfix for password=hunter2")
    shown = two.run("show-run")

    assert (result.code, pending(two)) == (0, {name: [] for name in KEPT})
    assert (
        "`staging` must have this first, and was not asked (--override-requires): hotfix for password=[REDACTED]"
        in (notices(two))
    )
    assert two.journal()[0]["override"] == "hotfix for password=[REDACTED]"
    assert "what is required first was overridden: hotfix for password=[REDACTED]\n" in shown.out
    assert "hunter2" not in result.out + result.err + shown.out + two.kept()


def test_a_resumed_run_asks_again_and_can_be_overridden_too(two):
    two.run("migrate-all", "--env=staging")
    data.add_migration(two.app)
    with sqlite3.connect(two.app / "data" / "globex_db.sqlite3") as database:
        database.execute("ALTER TABLE products_product ADD COLUMN sku varchar(50)")
    assert go(two, "--override-requires=first").code == 5
    with sqlite3.connect(two.app / "data" / "globex_db.sqlite3") as database:
        database.execute("ALTER TABLE products_product DROP COLUMN sku")

    refused = go(two, "--resume")
    resumed = go(two, "--resume", "--override-requires=again")

    assert (refused.code, "not in its code: products.0004_product_weight_grams" in refused.message) == (3, True)
    assert "nothing more was migrated. " in refused.message
    assert resumed.code == 0
    assert [each.get("override") for each in two.journal() if each["event"] in ("RunStarted", "RunResumed")] == [
        "first",
        "again",
    ]


def test_a_plan_says_that_it_would_be_refused_and_applying_it_is(two):
    plan = go(two, "--plan", "--out=plan.json")
    refused = two.run("migrate-all", "--apply=plan.json")
    two.run("migrate-all", "--env=staging")
    applied = two.run("migrate-all", "--apply=plan.json")

    assert (plan.code, plan.message.splitlines()[0]) == (
        0,
        "it would be refused: `prod` requires `staging`, which lacks what is pending here:",
    )
    assert (refused.code, refused.message) == (3, LACKS)
    assert applied.code == 0


def test_where_nothing_is_pending_nobody_is_asked(two):
    go(two, "--override-requires=first")
    shutil.rmtree(two.folder / "staging")

    assert go(two).code == 0


@pytest.mark.parametrize("what", ["folder", "inventory", "framework"])
def test_who_can_not_be_asked_has_not_shown_it(two, what):
    if what == "folder":
        shutil.rmtree(two.folder / "staging")
    elif what == "inventory":
        (two.folder / "inventories" / "staging.yaml").write_text("app: {}\n")
    else:
        two.inventory("staging", app={"path": "staging", "python": sys.executable})

    result = go(two)

    assert (result.code, result.out) == (3, "")
    assert "`staging` could not be asked whether it has what is pending here: " in result.message
    assert result.message.splitlines()[-1] == f"nothing was migrated. {HOW}"


def test_taking_back_asks_nobody(two):
    shutil.rmtree(two.folder / "staging")

    result = two.run(
        "migrate-tenant", "--env=prod", "--tenant-id=acme", "--app-label=products", "--migration-name=0001"
    )

    assert result.code == 0, result.err
    assert pending(two)["acme"] == ["products.0002_category", NEW]


@pytest.mark.parametrize(
    ("env", "why", "said"),
    [
        ("prod", " ", "--override-requires: expected a reason, found nothing. it is written down."),
        ("staging", "x", "--override-requires: `staging` requires no other environment."),
    ],
)
def test_an_override_needs_a_reason_and_something_to_override(two, env, why, said):
    result = two.run("migrate-all", f"--env={env}", f"--override-requires={why}")

    assert (result.code, result.message) == (2, said)


def test_what_is_typed_of_an_unknown_environment(desk):
    desk.inventory(requires="stagin")

    result = desk.run("migrate-all", "--plan")

    assert (result.code, result.message) == (
        2,
        "inventories/prod.yaml: requires: environment `stagin` has no file in inventories/, which has `prod`. "
        "name one of them, or write inventories/stagin.yaml.",
    )
