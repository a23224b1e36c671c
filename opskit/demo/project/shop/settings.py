"""A web shop with a database per tenant: data/shared.sqlite3 lists the tenants, the others are beside it."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "this shop serves nobody"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["opskit.tenants", "shop", "users", "products"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "data" / "shared.sqlite3",
    }
}
DATABASE_ROUTERS = ["opskit.tenants.routers.TenantRouter"]
