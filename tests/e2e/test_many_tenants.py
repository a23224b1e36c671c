"""A hundred thousand tenants in a listing: what needs somebody is shown, the others are counted."""

from __future__ import annotations

import json

import pytest

from e2e import operator

MANY = 100_000
HUNDREDS = [f"t{number:06}" for number in range(0, MANY, 475)]  # 211, all over the listing
LISTING = f"print(json.dumps([{{'tenant_id': f't{{n:06}}', 'name': 'x' * 20}} for n in range({MANY})]))\n"
PENDING = f"""\
some, done = set(sys.argv[2:]), (here / "migrated").read_text().split() if (here / "migrated").exists() else ()
ids = [f"t{{n:06}}" for n in range({MANY})]
print(json.dumps({{each: ["m.0001"] if each not in done and (not some or each in some) else [] for each in ids}}))
"""


@pytest.fixture
def many(empty):
    """`prod` is an environment in which two have something pending; in `some` 211 have, and in `new` everybody."""
    empty.project(listing=LISTING, migrate="if tenant == 't099999': sys.exit('no')\n" + operator.MIGRATE)
    manage = empty.app / "manage.py"
    manage.write_text(
        manage.read_text().replace(
            'elif command == "migrate_shared"',
            f'elif command == "who":\n    exec({PENDING!r})\nelif command == "migrate_shared"',
        )
    )
    for name, some in (("prod", ["t000007", "t099999"]), ("some", HUNDREDS), ("new", [])):
        empty.inventory(name, framework={**operator.FRAMEWORK, "pending": ["who", *some]})
    return empty


def test_a_run_over_a_hundred_thousand_shows_those_that_were_migrated(many):
    result = many.run("migrate-all", "--env=prod")

    assert (result.code, many.asked) == (5, ["t000007", "t099999"])
    assert [line.split()[:2] for line in result.out.splitlines()[2:4]] == [
        ["t000007", "migrated"],
        ["t099999", "failed"],
    ]
    assert "100000 tenants: 1 migrated, 99998 current, 1 failed." in result.out
    assert (len(result.out.splitlines()) < 10, len(result.err.splitlines()) < 10) == (True, True)
    assert " 1 migrated, 99998 current, 1 failed " in many.run("runs").out


def test_a_few_hundred_of_a_hundred_thousand_run_in_their_order_and_nobody_else(many):
    result = many.run("migrate-all", "--env=some", "--canary=3", patience=300.0)

    shown = json.loads(many.run("show-run", "--format=json").out)
    assert (result.code, many.asked == HUNDREDS, many.migrated == HUNDREDS) == (0, True, True)
    assert result.out.splitlines()[0].startswith("and without a row: 211 migrated.")
    assert "100000 tenants: 211 migrated, 99789 current." in result.out
    assert [each["tenant_id"] for each in shown["outcomes"] if each["status"] == "migrated"] == HUNDREDS
    assert {each["verified"] for each in shown["outcomes"]} == {True}
    assert many.run("migrate-all", "--env=some", "--plan").out.startswith("0 of 100000 tenants would be migrated; ")


def test_a_plan_for_a_hundred_thousand_is_a_few_lines_and_its_json_has_everyone(many):
    (many.folder / "ids.txt").write_text("\n".join(f"t{number:06}" for number in range(0, MANY, 2)))
    (many.folder / "others.txt").write_text("\n".join(f"other{number}" for number in range(MANY)))

    plan = many.run("migrate-all", "--env=new", "--plan", "--exclude=@ids.txt", "--canary=2")
    planned = many.run("migrate-all", "--env=new", "--plan", "--format=json")
    nobody = many.run("migrate-all", "--env=new", "--plan", "--tenants=@others.txt")

    assert (plan.code, len(plan.out.splitlines()) < 10) == (0, True)
    assert "t000001, t000003, t000005, t000007, t000009 and 49995 more" in plan.out
    assert "50000 of 50000 tenants would be migrated; 0 have nothing pending." in plan.out
    assert len(json.loads(planned.out)["tenants"]) == MANY
    assert (nobody.code, len(nobody.err) < 500) == (2, True)
    assert "`other4` and 99995 more among 100000 tenants" in nobody.err
