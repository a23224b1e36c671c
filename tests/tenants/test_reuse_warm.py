"""What the loaded project has built for its forks, and that nobody can tell by what comes out."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass

import counting
import databases_compared
import pytest
import warm_runner

TENANTS = ("cold", "first", "second")
ADDED = "migrations.AddField('product', 'sku', models.CharField(max_length=40, null=True))"
MORE = f"""{ADDED},
        migrations.RunPython(look),
        migrations.RenameField('product', 'sku', 'code'),
        migrations.CreateModel('Shelf', [
            ('id', models.BigAutoField(primary_key=True)),
            ('product', models.ForeignKey('products.product', models.CASCADE)),
        ]),
        migrations.RunPython(look)"""
REPLACES = "replaces = [('products', '0002_category'), ('products', '0003_more')]"
LOOK = """
def look(apps, editor):
    for model in apps.get_models():
        names = [each.name for each in model._meta.get_fields()]
        apps.get_model('products', 'Category').objects.using(editor.connection.alias).create(
            name=f"{apps.get_model('products', 'Category').objects.using(editor.connection.alias).count()} "
            f"{model.__name__} {hasattr(model, 'seen')} {' '.join(names)}"[:80])
        model.seen = True
"""
SPOIL = (
    LOOK
    + """
from opskit.tenants import code

def spoil(apps, editor):
    if editor.connection.alias == "tenant:first":
        shared = code.current()
        for start in shared.states._starts.values():
            for route in start._routes.values():
                for stages in route._stages.values():
                    for stage in stages:
                        stage.before.clear()
                        stage.after.clear()
                        stage._rendered = None
            start.models.clear()
        shared.tell(frozenset())
        shared.tell(frozenset(shared.disk_migrations))
        shared.graphs.clear()
        shared.disk_migrations.clear()
        raise ValueError("it has spoilt all there is")
"""
)


@dataclass(frozen=True)
class Shop:
    """A project whose tenants are schemas, and what counts the models that a process renders."""

    project: object
    postgres: object
    database: str

    def cold(self, tenant_id):
        """How many models Django's own start of the command renders."""
        return rendered(self.project.manage("migratetenant", f"--tenant-id={tenant_id}", "--format=jsonl").out)

    def held(self, tenant_id):
        with self.postgres.connect(self.database) as connection:
            return databases_compared.held(connection, f"public_{tenant_id}")

    def assert_alike(self):
        cold = self.held("cold")
        assert ("products", "0003_more") in {history(row) for row in cold["rows of django_migrations"]}
        for tenant in TENANTS[1:]:
            assert cold == self.held(tenant)


def history(row):
    return dict(row)["app"], dict(row)["name"]


def rendered(out):
    return int(out.rsplit("rendered ", 1)[1].split()[0])


@pytest.fixture
def shop(project, postgres):
    database = postgres.new_database("master")
    master = {"ENGINE": "django.db.backends.postgresql", **postgres.django(database)}
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "users", "products"]
    counting.write(project.folder)
    with (project.folder / "shop" / "settings.py").open("a") as settings:
        settings.write(
            f"\nDATABASES = {{'default': {master!r}}}\nOPSKIT_TENANTS = {{'TENANT_APPS': {apps}}}\n"
            f"INSTALLED_APPS = ['counting', *{apps[:2]}, *INSTALLED_APPS]\n"
        )
    made = Shop(project, postgres, database)
    project.manage("migrate", "opskit_tenants")
    for tenant in TENANTS:
        project.manage("createtenant", f"--tenant-id={tenant}", "--name=N", "--isolation-type=schema")
    return made


@pytest.fixture
def start(shop, tmp_path):
    """Load the project in a warm runner, and ask what is pending."""
    with contextlib.ExitStack() as stack:

        def begin(asked=True):
            runner = warm_runner.Warm(shop.project.folder, tmp_path)
            stack.callback(runner.process.wait, 10)
            stack.callback(runner.close)
            runner.until("ready")
            if asked:
                code, said = runner.ask("status", "opskit", "manage.py", "{}")
                answer = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
                assert (code, len(TENANTS)) == (0, len(answer["tenants"]))
            return runner

        yield begin


def migrated(runner, tenant_id, expected=0):
    out = runner.send("migratetenant", f"--tenant-id={tenant_id}", "--format=jsonl")
    assert expected == runner.until("exited")[-1]["exit"], out.read_text()
    return out.read_text()


def test_a_command_finds_graph_and_models_built_and_does_what_a_cold_one_does(shop, start):
    shop.project.add_migration(ADDED)
    runner = start()
    assert [0, 0] == [rendered(migrated(runner, tenant)) for tenant in TENANTS[1:]]
    assert shop.cold("cold") > 0
    shop.assert_alike()


def test_a_data_migration_sees_models_that_nobody_has_seen_before(shop, start):
    shop.project.add_migration(MORE, LOOK)
    runner = start()
    for tenant in TENANTS[1:]:
        migrated(runner, tenant)
    shop.cold("cold")
    shop.assert_alike()
    assert any("Product False" in str(row) for row in shop.held("cold")["rows of products_category"])


def test_what_no_question_has_seen_a_command_builds_for_itself(shop, start):
    shop.project.add_migration(MORE, LOOK)
    runner = start(asked=False)
    for tenant in TENANTS[1:]:
        migrated(runner, tenant)
    shop.cold("cold")
    shop.assert_alike()


def test_a_history_that_has_changed_since_it_was_asked_is_the_commands_own(shop, start):
    shop.project.add_migration(MORE, LOOK)
    runner = start()
    for tenant in ("cold", "second"):
        shop.project.manage("migratetenant", f"--tenant-id={tenant}", "products", "0001")
    migrated(runner, "second")
    shop.cold("cold")
    assert shop.held("cold") == shop.held("second")


def test_what_a_command_spoils_is_gone_with_it(shop, start):
    shop.project.add_migration(f"{MORE}, migrations.RunPython(spoil)", SPOIL)
    runner = start()
    assert "it has spoilt all there is" in migrated(runner, "first", expected=1)
    migrated(runner, "second")
    shop.cold("cold")
    assert shop.held("cold") == shop.held("second")


def test_a_squashed_migration_of_which_a_part_is_applied(shop, start):
    shop.project.add_migration(ADDED, "import django.db.models.deletion")
    folder = shop.project.folder / "products" / "migrations"
    squashed = (folder / "0003_more.py").read_text()
    category = (folder / "0002_category.py").read_text().split("operations = [")[1].rpartition("]")[0]
    for before, after in (
        ("[('products', '0002_category')]", f"[('products', '0001_initial')]\n    {REPLACES}"),
        ("operations = [", f"operations = [{category}"),
    ):
        assert before in squashed
        squashed = squashed.replace(before, after)
    (folder / "0002_squashed.py").write_text(squashed)
    runner = start()
    assert [0, 0] == [rendered(migrated(runner, tenant)) for tenant in TENANTS[1:]]
    shop.cold("cold")
    shop.assert_alike()
    assert ("products", "0002_squashed") in {history(row) for row in shop.held("first")["rows of django_migrations"]}
