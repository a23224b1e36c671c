"""Which framework `init` takes a project to be on."""

import pytest

from opskit.tasks import interview


@pytest.mark.parametrize(
    ("apps", "packages", "error", "found"),
    [
        (["a", "django_tenants"], [], "", ("django-tenants", "django-tenants is in INSTALLED_APPS")),
        (["tenant_schemas"], [], "", ("django-tenant-schemas", "django-tenant-schemas is in INSTALLED_APPS")),
        (["django_pgschemas.apps.AppConfig"], [], "", ("django-pgschemas", "django-pgschemas is in INSTALLED_APPS")),
        (["dj_lite_tenant"], [], "", ("custom", "dj-lite-tenant is in INSTALLED_APPS")),
        ([], ["django-tenants", "opskit"], "KeyError: 'X'", ("django-tenants", "django-tenants is installed")),
        ([], ["django-tenants", "django-omnitenant"], "KeyError: 'X'", ("", "")),
        (["a"], ["django-tenants"], "", ("", "")),
    ],
)
def test_a_guess(apps, packages, error, found):
    python = {"apps": apps, "packages": dict.fromkeys(packages, "1"), "error": error}
    assert interview._guess(python) == found
