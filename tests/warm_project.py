"""A real Django project on SQLite whose command `act` runs the text it is given: whatever a command may do to itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

MANAGE = """
import os, sys
print("manage.py is read", flush=True)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
print("manage.py goes on", flush=True)
"""

SETTINGS = """
import os
SECRET_KEY = "of the tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["acting"]
ROOT_URLCONF = "urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(os.path.dirname(__file__), "db")}}
"""

ACT = """
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("text")

    def handle(self, *, text, **_):
        exec(text, {"command": self})
"""


_FUNCTION = """
from django.core.management.base import BaseCommand
from acting import functions

class Command(BaseCommand):
    def run_from_argv(self, argv):
        functions.{name}(*argv[2:])
"""


def make(
    folder: Path, *, settings: str = "", manage: str = MANAGE, ready: str = "pass", commands: Path | None = None
) -> Path:
    """Write the project: `settings` is added to its settings, `ready` is what its app does at set-up.

    Of `commands`, a module, every function is a command of its own.
    """
    folder.mkdir(exist_ok=True)
    files = {
        "manage.py": manage,
        "settings.py": SETTINGS + settings,
        "urls.py": "urlpatterns = []\n",
        "acting/__init__.py": "",
        "acting/apps.py": "from django.apps import AppConfig\n\nclass Acting(AppConfig):\n"
        f"    name = 'acting'\n\n    def ready(self):\n        {ready}\n",
        "acting/management/__init__.py": "",
        "acting/management/commands/__init__.py": "",
        "acting/management/commands/act.py": ACT,
    }
    if commands is not None:
        files["manage.py"] = re.sub("(?m)^print.*", "", manage)
        files["acting/functions.py"] = text = commands.read_text()
        for name in re.findall(r"(?m)^def (\w+)", text):
            files[f"acting/management/commands/{name}.py"] = _FUNCTION.format(name=name)
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (1, 1))  # long before whatever loads it
    return folder
