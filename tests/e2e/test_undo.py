"""`undo`: exactly the tenants that a run changed go back to where they were, and the others are left alone."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from e2e import operator
from opskit.demo import data

SKU, WEIGHT = "products.0003_product_sku", "products.0004_product_weight_grams"
ONE_WAY = """\
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("users", "0002_alter_user_email")]
    operations = [migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL("SELECT 1")])]
"""


@pytest.fixture
def shop(empty, small_template):
    """Two tenants of real Django, with a migration that `migrated` applies."""
    shutil.copytree(small_template, empty.app)
    data.add_migration(empty.app)
    empty.inventory(framework="opskit")
    return empty


def migrate(desk, *words: str) -> str:
    """Migrate, and give the run's id."""
    assert desk.run("migrate-all", *words).code == 0
    return desk.runs[-1].name


def pending(desk) -> dict[str, list[str]]:
    rows = json.loads(data._run(desk.app, ["showtenants", "--status", "--format=json"]).stdout)
    return {row["tenant_id"]: row["pending"] for row in rows}


def columns(desk, tenant: str) -> set[str]:
    with sqlite3.connect(desk.app / "data" / f"{tenant}_db.sqlite3") as database:
        return {row[1] for row in database.execute("PRAGMA table_info(products_product)")}


def command(tenant: str, name: str) -> str:
    return f"`invoke migrate-tenant --env=prod --tenant-id={tenant} --app-label=products --migration-name={name}`"


def test_it_is_shown_and_nothing_is_done(shop):
    run = migrate(shop)

    shown = shop.run("undo", f"--run={run}")
    data_ = json.loads(shop.run("undo", f"--run={run}", "--format=json").out)

    assert shown == operator.Result(
        0,
        f"2 tenants (acme, globex): {SKU}\n"
        f"  {command('acme', '0002_category')}\n"
        f"  {command('globex', '0002_category')}\n"
        "with it goes what was written there since: field products.product.sku.\n"
        f"next: `invoke undo --run={run} --yes` takes 2 tenants back.\n",
        "",
    )
    assert data_ == {
        "run_id": run,
        "environment": "prod",
        "shared": [],
        "tenants": [
            {
                "tenant_id": name,
                "takes_back": [SKU],
                "steps": [{"app_label": "products", "migration_name": "0002_category"}],
                "loses": ["field products.product.sku"],
                "error": "",
            }
            for name in ("acme", "globex")
        ],
        "uncertain": [],
    }
    assert pending(shop) == {"acme": [], "globex": []}
    assert [each.name for each in shop.runs] == [run]


def test_it_is_done_as_a_run_and_a_second_time_there_is_nothing_left(shop):
    run = migrate(shop, "--tenants=acme")
    assert "sku" in columns(shop, "acme")

    done = shop.run("undo", f"--run={run}", "--yes")
    shown = shop.run("show-run")
    report = json.loads(shop.run("show-run", "--format=json").out)
    again = shop.run("undo", f"--run={run}", "--yes")
    left = shop.run("undo", f"--run={run}")

    assert (done.code, pending(shop)) == (0, {"acme": [SKU], "globex": [SKU]})
    assert "sku" not in columns(shop, "acme")
    assert f"1 tenant: 1 taken back.\nit took back what run {run} applied.\n" in done.out
    assert done.out.endswith(
        "next: deploy code without these migrations: `invoke migrate-all --env=prod` would apply them again.\n"
    )
    assert done.out == shown.out
    (outcome,) = report["outcomes"]
    assert (outcome["status"], outcome["taken_back"], outcome["applied"], outcome["verified"]) == (
        "migrated",
        [SKU],
        [],
        True,
    )
    events = [json.loads(line) for line in (shop.runs[1] / "journal.jsonl").read_text().splitlines()]
    assert events[0]["undoes"] == run
    assert [each["event"] for each in events[2:]] == [
        "PlanMade",
        "TenantStarted",
        "TenantFinished",
        "TenantVerified",
        "RunFinished",
    ]
    assert "run ended: done: 1 taken back" in done.err
    assert (again.code, f"nothing is left to take back of run {run}" in again.err) == (0, True)
    assert ("taking back what" in again.err, f"nothing was left of what run {run} applied.\n" in again.out) == (
        False,
        True,
    )
    assert left.out == f"nothing is left to take back of run {run}.\n"


def test_the_next_command_has_the_flags_that_were_looked_at(shop):
    run = migrate(shop, "--tenants=acme")

    shown = shop.run("undo", f"--run={run}", "--stagger=10s", "--canary=acme")

    again = f"next: `invoke undo --run={run} --stagger=10s --canary=acme --yes` takes 1 tenant back."
    assert shown.out.splitlines()[-1] == again


def test_several_apps_go_back_in_an_order_that_works(shop):
    for name in ("acme", "globex"):
        (shop.app / "data" / f"{name}_db.sqlite3").write_bytes(b"")  # as a new tenant's
    run = migrate(shop, "--tenants=globex")

    done = shop.run("undo", f"--run={run}", "--yes")

    assert done.code == 0, done.err
    assert pending(shop)["globex"] == pending(shop)["acme"]
    assert len(pending(shop)["globex"]) == 5


def test_what_came_later_and_depends_on_it_is_a_refusal_for_that_tenant_alone(shop):
    run = migrate(shop)
    data.add_migration(shop.app)
    migrate(shop, "--tenants=acme")

    shown = shop.run("undo", f"--run={run}")
    done = shop.run("undo", f"--run={run}", "--yes")

    why = f"{WEIGHT} came later and depends on it"
    assert f"not taken back: 1 tenant (acme): {why}.\n" in shown.out
    assert "--yes` takes 1 tenant back.\n" in shown.out
    assert done.code == 5
    assert f"{why} (no command was sent)" in done.out
    assert pending(shop) == {"acme": [], "globex": [SKU, WEIGHT]}


def test_what_can_not_be_reversed_is_not_touched(shop):
    (shop.app / "users" / "migrations" / "0003_one_way.py").write_text(ONE_WAY)
    run = migrate(shop)

    shown = shop.run("undo", f"--run={run}")
    done = shop.run("undo", f"--run={run}", "--yes")

    assert "not taken back: 2 tenants (acme, globex): it can't be reversed: users.0003_one_way (RunSQL).\n" in shown.out
    assert "--yes`" not in shown.out
    assert (done.code, pending(shop)) == (5, {"acme": [], "globex": []})


def test_code_that_went_is_named(shop):
    run = migrate(shop)
    (shop.app / "products" / "migrations" / "0003_product_sku.py").unlink()

    assert f"the code does not have {SKU} any more" in shop.run("undo", f"--run={run}").out


def test_a_failure_is_told_and_going_on_takes_back_the_rest(shop):
    run = migrate(shop)
    with sqlite3.connect(shop.app / "data" / "acme_db.sqlite3") as database:
        database.execute("ALTER TABLE products_product RENAME TO away")

    failed = shop.run("undo", f"--run={run}", "--yes")
    resumed = shop.run("migrate-all", "--resume")
    named = shop.run("migrate-all", f"--resume={shop.runs[-1].name}")
    with sqlite3.connect(shop.app / "data" / "acme_db.sqlite3") as database:
        database.execute("ALTER TABLE away RENAME TO products_product")
    done = shop.run("undo", f"--run={run}", "--yes")

    assert (failed.code, "2 tenants: 1 taken back, 1 failed.\n" in failed.out) == (5, True)
    assert f"next: `invoke undo --run={run}` shows what is left; `invoke undo --run={run} --yes` goes on" in failed.out
    assert (resumed.code, resumed.message.startswith("--resume: no run of `prod` left a tenant behind")) == (2, True)
    assert (named.code, f"`invoke undo --run={run} --yes` goes on with that" in named.message) == (2, True)
    assert (done.code, pending(shop)) == (0, {"acme": [SKU], "globex": [SKU]})


def test_only_those_that_the_run_changed_go_back(shop):
    migrate(shop, "--tenants=acme")
    run = migrate(shop)

    assert shop.run("undo", f"--run={run}", "--yes").code == 0
    assert pending(shop) == {"acme": [], "globex": [SKU]}


@pytest.mark.parametrize("words", [(), ("--run=",)])
def test_a_run_has_to_be_named(shop, words):
    operator.refuses(shop.run("undo", *words), 2, "--run says which run. `invoke runs` lists them")


def test_a_run_that_took_back_another_is_not_taken_back(shop):
    run = migrate(shop)
    shop.run("undo", f"--run={run}", "--yes")

    result = shop.run("undo", f"--run={shop.runs[-1].name}")

    operator.refuses(
        result,
        2,
        f"--run: `{shop.runs[-1].name}` took back what `{run}` applied",
        "`invoke migrate-all --env=prod` applies it again",
    )


def test_commands_of_ones_own_can_not_say_what_can_be_reversed(desk):
    desk.inventory(framework={**operator.FRAMEWORK, "pending": ["pending"]})
    desk.run("migrate-all")

    for words in ((), ("--yes",)):
        result = desk.run("undo", f"--run={desk.runs[0].name}", *words)
        assert (result.code, result.out) == (2, "")
        assert "`custom` can't say what can be reversed: it has commands of its own." in result.message
    assert desk.asked == list(operator.TENANTS)


def test_whom_the_run_lost_is_named_and_left_alone_and_that_is_no_success(shop):
    run = migrate(shop)
    record = shop.runs[0] / "journal.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if not ('"TenantVerified"' in line and '"globex"' in line)))
    why = "nobody knows what the run did there"
    told = f"not taken back: 1 tenant (globex): {why}. `invoke migrate-all --env=prod --resume={run}` finds out"

    shown = shop.run("undo", f"--run={run}")
    done = shop.run("undo", f"--run={run}", "--yes", "--format=json")

    assert f"{told}." in shown.out.splitlines()
    assert told in done.err
    assert (done.code, pending(shop)) == (5, {"acme": [SKU], "globex": []})
    assert {each["tenant_id"]: each["error"] for each in json.loads(done.out)["outcomes"]} == {
        "acme": "",
        "globex": f"{why} (no command was sent)",
    }
