"""What a project does with the app beside its commands: contexts, servers, a model of its own, signals, the admin."""

from __future__ import annotations

import contextlib
import sqlite3


def settings(project, text):
    with (project.folder / "shop" / "settings.py").open("a") as file:
        file.write(f"\n{text}\n")


def shell(project, code, **more):
    return project.manage("shell", "-v", "0", "-c", code, **more)


CONTEXT = """
import threading
from django.db import connections
from opskit.tenants.context import tenant_context
from opskit.tenants.models import Tenant
from products.models import Category
acme, globex = Tenant.objects.get(tenant_id="acme"), Tenant.objects.get(tenant_id="globex")
def names():
    return sorted(Category.objects.values_list("name", flat=True))
with tenant_context(acme):
    mine = Category.objects.create(name="acme's")
    with tenant_context(globex):
        Category.objects.create(name="globex's")
        print(names(), Tenant.objects.count())
    print(names())
    seen = []
    thread = threading.Thread(target=lambda: seen.append(_there()))
    def _there():
        with tenant_context(globex):
            found = names()
        connections.close_all()
        return found
    thread.start(); thread.join()
    print(seen, names())
print(mine._state.db, connections["tenant:acme"].connection, connections["tenant:globex"].connection)
"""


def test_a_context_sends_queries_to_its_tenant_and_closes_what_it_opened(project):
    for tenant in ("acme", "globex"):
        project.manage("migratetenant", f"--tenant-id={tenant}")
    assert [
        '["globex\'s"] 3',
        '["acme\'s"]',
        '[["globex\'s"]] ["acme\'s"]',
        "tenant:acme None None",
    ] == shell(project, CONTEXT).out.splitlines()


TASKS = """
import asyncio
from opskit.tenants.context import tenant_context
from opskit.tenants.models import Tenant
from products.models import Category
tenants = list(Tenant.objects.exclude(tenant_id="initech"))
async def names(tenant):
    with tenant_context(tenant):
        await Category.objects.acreate(name=tenant.tenant_id)
        await asyncio.sleep(0)
        return [each.name async for each in Category.objects.all()]
async def both():
    return await asyncio.gather(*map(names, tenants))
print(asyncio.run(both()))
"""


def test_two_tasks_at_once_are_in_a_tenant_each(project):
    for tenant in ("acme", "globex"):
        project.manage("migratetenant", f"--tenant-id={tenant}")
    assert "[['acme'], ['globex']]\n" == shell(project, TASKS).out


BOTH = """
from opskit.tenants.context import tenant_context
from opskit.tenants.models import Tenant
from users.models import User
User.objects.create(name="everywhere")
with tenant_context(Tenant.objects.get(tenant_id="acme")):
    User.objects.create(name="acme's")
    print([user.name for user in User.objects.all()])
print([user.name for user in User.objects.all()])
"""


def test_an_app_lives_in_the_master_in_tenants_or_in_both(project):
    settings(project, "OPSKIT_TENANTS = {'SHARED_APPS': ['users'], 'TENANT_APPS': ['users', 'products']}")
    project.manage("migrate")
    project.manage("migratetenant", "--tenant-id=acme")
    with contextlib.closing(sqlite3.connect(project.folder / "data" / "shared.sqlite3")) as master:
        tables = {name for (name,) in master.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"users_user", "opskit_tenants_tenant"} == tables - {"django_migrations", "sqlite_sequence"}
    tables = {name for (name,) in project.sql("acme", "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"users_user", "products_product", "products_category"} == tables - {"django_migrations", "sqlite_sequence"}
    assert ['["acme\'s"]', "['everywhere']"] == shell(project, BOTH).out.splitlines()


def test_a_tenant_may_name_an_alias_or_a_variable_and_its_secret_is_never_shown(project):
    elsewhere = project.folder / "elsewhere.sqlite3"
    elsewhere.touch()
    other = project.folder / "other.sqlite3"
    other.touch()
    settings(project, f"DATABASES['eu'] = {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': {str(elsewhere)!r}}}")
    project.manage("createtenant", "--tenant-id=hooli", "--name=N", "--alias=eu")
    project.manage("createtenant", "--tenant-id=stark", "--name=N", "--url-variable=STARK", STARK=f"sqlite:///{other}")
    for file in (elsewhere, other):
        with contextlib.closing(sqlite3.connect(file)) as database:
            assert [(4,)] == database.execute("SELECT count(*) FROM django_migrations").fetchall()
    url = "postgresql://u:hunter2@127.0.0.1:1/x"
    said = project.manage("showtenants", "--status", "--format=json", STARK=url)
    assert "hunter2" not in said.out + said.err
    said = project.manage("migratetenant", "--tenant-id=stark", STARK="oracle:hunter2", expect=1)
    assert "the environment variable `STARK` holds no URL that starts with `mariadb://`" in said.err
    assert "hunter2" not in said.err


MODEL = """
from django.db import models
from opskit.tenants.models import AbstractTenant


class Customer(AbstractTenant):
    plan = models.CharField(max_length=20, default="small")

    class Meta(AbstractTenant.Meta):
        abstract = False
"""


def test_a_tenant_model_of_the_projects_own_takes_the_place_of_the_apps(project):
    customers = project.folder / "customers"
    customers.mkdir()
    (customers / "__init__.py").touch()
    (customers / "models.py").write_text(MODEL)
    settings(project, "INSTALLED_APPS += ['customers']\nOPSKIT_TENANT_MODEL = 'customers.Customer'")
    project.manage("makemigrations", "customers")
    project.manage("migrate", "customers")
    assert "[]\n" == project.manage("showtenants", "--format=json").out
    project.manage("createtenant", "--tenant-id=hooli", "--name=Hooli")
    assert "✓ hooli - nothing to migrate" in project.manage("migratealltenants").out
    said = shell(project, "from customers.models import Customer; print(Customer.objects.get().plan)")
    assert "small\n" == said.out
    assert "No changes detected\n" == project.manage("makemigrations", "--check", "--dry-run").out


HEAR = """
from django.dispatch import receiver
from opskit.tenants.signals import post_tenant_migrate, pre_tenant_migrate


@receiver(pre_tenant_migrate)
def before(tenant, using, **kwargs):
    if tenant.tenant_id == "globex":
        raise ValueError("not globex")
    print("before", tenant, using)


@receiver(post_tenant_migrate)
def after(tenant, using, outcome, **kwargs):
    from products.models import Category
    print("after", tenant, outcome.status, Category.objects.count())
"""


def test_receivers_hear_before_and_after_each_tenant_and_may_refuse_one(project):
    with (project.folder / "products" / "models.py").open("a") as models:
        models.write(HEAR)
    said = project.manage("migratealltenants", "--exclude=initech", expect=1)
    assert ["before acme tenant:acme", "after acme migrated 0"] == said.err.splitlines()[:2]
    assert "✗ Migrations failed for tenant 'globex': ValueError: not globex" in said.out
    assert 4 == len(project.status()["globex"]["pending"])


ADMIN = """
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from opskit.tenants.models import Tenant
User.objects.create_superuser("root", "root@example.com", "x")
client = Client()
client.force_login(User.objects.get())
page = client.get("/admin/opskit_tenants/tenant/").content.decode()
print([text in page for text in ("4 applied, nothing pending", "0 applied, 4 pending", "can&#x27;t be opened", "tenant/add/")])
one = client.get(f"/admin/opskit_tenants/tenant/{Tenant.objects.get(tenant_id='globex').pk}/change/").content.decode()
print(["products.0002_category" in one, "deletelink" in one])
"""

ADMIN_SETTINGS = """
CONTRIB = ["admin", "auth", "contenttypes", "sessions", "messages"]
INSTALLED_APPS += [f"django.contrib.{name}" for name in CONTRIB]
OPSKIT_TENANTS = {"SHARED_APPS": CONTRIB}
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["testserver"]
"""


def test_the_admin_shows_tenants_with_their_status_and_neither_adds_nor_deletes(project):
    settings(project, ADMIN_SETTINGS)
    (project.folder / "shop" / "urls.py").write_text(
        "from django.contrib import admin\nfrom django.urls import path\nurlpatterns = [path('admin/', admin.site.urls)]\n"
    )
    project.manage("migrate")
    project.manage("migratetenant", "--tenant-id=acme")
    project.database("initech").unlink()
    assert ["[True, True, True, False]", "[True, False]"] == shell(project, ADMIN).out.splitlines()[-2:]
