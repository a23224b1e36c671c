"""Finds the Django projects on a host: folder, interpreter, settings, apps. Writes nothing.

It comes over stdin, as the agent does, with one line after it, the question as JSON: `path` and `python` as far as
they are known, else "", `settings` to import instead of manage.py's own, `env_file`, a file of KEY=VALUE lines for
the project's environment, and `seconds` for the whole search.

The answer is a mark and one JSON object: `projects`, each {path, settings, others, pythons}; `searched`, the folders
where the search began; `cut`, whether it ended before it was through; or `error` alone. A python is {path, version,
django, apps, packages, error}.
"""

import collections
import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

MARK = b"\0opskit-find 1\n"
DEEPEST = 4  # folders below where a search begins
FOLDERS = 5000  # that are looked into
PROJECTS = 20
PYTHONS = 6  # a project
PROBE_SECONDS = 20.0
ROOTS = ("/srv", "/opt", "/var/www", "/usr/src", "/app", "/usr/local/src")
PASSED_OVER = ("node_modules", "site-packages", "dist-packages", "lib", "lib64", "static", "media", "proc", "sys")
VENVS = ("venv", ".venv", "env", ".env", "virtualenv", ".virtualenv")
SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE['\"]\s*(?:,|\]\s*=)\s*['\"]([\w.]+)['\"]")
PROBE = """
import json, sys
found = {"version": "%d.%d.%d" % sys.version_info[:3], "django": "", "apps": [], "packages": {}, "error": ""}
try:
    import django
    found["django"] = django.get_version()
    try:
        from importlib import metadata
        for name in ("django-omnitenant", "opskit", "django-tenants", "django-pgschemas", "django-tenant-schemas"):
            try:
                found["packages"][name] = metadata.version(name)
            except Exception:  # it is not installed, or what it says of itself can't be read
                pass
    except ImportError:
        pass
    from django.conf import settings
    found["apps"] = [str(app) for app in settings.INSTALLED_APPS]
except BaseException as error:
    found["error"] = "%s: %s" % (type(error).__name__, error)
sys.stdout.write("\\n\\0opskit-probe " + json.dumps(found) + "\\n")
"""


# ---------------------------------------------------------------- folders


class Search:
    """A search for manage.py, breadth first, bounded in depth, folders and time."""

    def __init__(self, seconds):
        self.deadline = time.monotonic() + seconds
        self.looked = 0
        self.seen = set()
        self.cut = False

    def projects(self, roots):
        """The folders of Django projects at or below `roots`, as few links resolved as may be."""
        found = []
        waiting = collections.deque((root, 0) for root in roots)
        while waiting and len(found) < PROJECTS and not self.over():
            folder, depth = waiting.popleft()
            if not self.new(folder):
                continue
            if is_project(folder):
                found.append(folder)
            elif depth < DEEPEST:
                waiting.extend((below, depth + 1) for below in below_of(folder))
        self.cut = self.cut or bool(waiting)
        return found

    def over(self):
        return self.looked >= FOLDERS or time.monotonic() > self.deadline

    def new(self, folder):
        real = os.path.realpath(folder)
        if real in self.seen:
            return False
        self.seen.add(real)
        self.looked += 1
        return True


def below_of(folder):
    """The folders in a folder, links first; where one leads into another of them, the other is passed over."""
    links, plain = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.name[:1] != "." and entry.name not in PASSED_OVER and entry.is_dir():
                        (links if entry.is_symlink() else plain).append(entry.path)
    except OSError:
        return []
    led_to = {os.path.realpath(link) for link in links}
    plain = [path for path in sorted(plain) if not any(is_below(real, os.path.realpath(path)) for real in led_to)]
    return [path for path in sorted(links) + plain if not os.path.exists(os.path.join(path, "pyvenv.cfg"))]


def is_below(path, folder):
    return path.startswith(folder + os.sep)


def is_project(folder):
    text = manage_py(folder)
    return "django" in text and ("execute_from_command_line" in text or "DJANGO_SETTINGS_MODULE" in text)


def manage_py(folder):
    """The text of a folder's manage.py; "" where there is none that can be read."""
    try:
        path = os.path.join(folder, "manage.py")
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def roots():
    """Where projects usually are. The login folder first."""
    usual = [os.getcwd(), os.path.expanduser("~"), *ROOTS, *sorted(glob.glob("/home/*"))]
    there = [folder for folder in usual if os.path.isdir(folder) and folder != "/"]
    return list(collections.OrderedDict.fromkeys(there))


# ---------------------------------------------------------------- a project


def project(folder, question, env):
    """What is known of the project in `folder`."""
    settings = (SETTINGS.findall(manage_py(folder)) or [""])[0]
    wanted = [as_started(question["python"])] if question["python"] else interpreters(folder)
    wants = question["settings"] or settings
    pythons = [probe(python, folder, wants, env) for python in wanted[:PYTHONS]]
    if not question["python"] and not any(each["django"] for each in pythons):
        pythons.append(probe(sys.executable or "python3", folder, wants, env))
    pythons.sort(key=lambda each: (not each["django"], bool(each["error"])))  # stable: nearest first
    return {"path": folder, "settings": settings, "others": others(folder, settings), "pythons": pythons}


def as_started(python):
    """A given interpreter as the agent would be started with it: a path starts in the login folder."""
    return os.path.abspath(os.path.expanduser(python)) if os.sep in python else python


def others(folder, settings):
    """The settings modules that stand beside the one that manage.py names, or in it."""
    place = os.path.join(folder, *settings.split("."))
    package = settings
    if not os.path.isdir(place):
        place, package = os.path.dirname(place), settings.rpartition(".")[0]
    if not os.path.basename(place).startswith("settings"):
        return []
    names = sorted(os.path.splitext(os.path.basename(path))[0] for path in glob.glob(glob.escape(place) + "/[!_]*.py"))
    found = ["%s.%s" % (package, name) for name in names]
    return [each for each in found if each != settings][:20]


def interpreters(folder):
    """The Pythons of the virtual environments in and around a project, nearest first."""
    venvs = []
    for start in (folder, os.path.realpath(folder)):
        parent, above = os.path.dirname(start), os.path.dirname(os.path.dirname(start))
        for each in (start, parent, above):
            venvs += [os.path.join(each, *shared, name) for shared in ([], ["shared"]) for name in VENVS]
        venvs += sorted(map(os.path.dirname, glob.glob(os.path.join(glob.escape(start), "*", "pyvenv.cfg"))))
        venvs += [venv for venv in sorted(glob.glob(glob.escape(parent) + "/*")) if is_named_for(venv, start)]
    found = collections.OrderedDict()
    for venv in venvs + kept_elsewhere(folder):
        python = os.path.join(venv, "bin", "python")
        if os.path.exists(os.path.join(venv, "pyvenv.cfg")) and os.access(python, os.X_OK):
            found.setdefault(os.path.realpath(venv), python)
    return list(found.values())


def is_named_for(venv, folder):
    """`acme-venv`, `acme-8f3k` beside `acme`: another project's would be the wrong one."""
    return os.path.basename(venv).startswith((os.path.basename(folder) + "-", os.path.basename(folder) + "_"))


def kept_elsewhere(folder):
    """Virtual environments that virtualenvwrapper, pipenv and poetry keep, by the project's name; a container's own."""
    named = [folder, os.path.dirname(folder), os.path.realpath(folder)]
    places = ("~/.virtualenvs", "~/.local/share/virtualenvs", "~/.cache/pypoetry/virtualenvs")
    kept = [venv for place in places for venv in sorted(glob.glob(os.path.expanduser(place) + "/*"))]
    mine = [
        venv
        for venv in kept
        for each in named
        if os.path.basename(venv) == os.path.basename(each) or is_named_for(venv, each)
    ]
    return [*mine, "/venv", "/opt/venv"]


def probe(python, folder, settings, env):
    """What an interpreter has: Django, and the apps of the project's settings."""
    found = {"path": python, "version": "", "django": "", "apps": [], "packages": {}, "error": ""}
    env = dict(env, DJANGO_SETTINGS_MODULE=settings) if settings else env
    try:
        process = subprocess.Popen(
            [python, "-B", "-c", PROBE],  # without __pycache__: nothing is written
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return dict(found, error="it can't be started: %s" % (getattr(error, "strerror", None) or error))
    try:
        out, _ = process.communicate(timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return dict(found, error="importing its settings took more than %d s" % PROBE_SECONDS)
    told = out.decode("utf-8", "replace").rpartition("\0opskit-probe ")[2]
    try:
        found.update(json.loads(told))
    except ValueError:
        found["error"] = "it ended with exit %d and said nothing" % process.returncode
    return found


# ---------------------------------------------------------------- the answer


def env_file(path):
    """{key: value} of KEY=VALUE lines, as the agent reads them; nothing without a path."""
    values = {}
    if path:
        with open(os.path.expanduser(path), encoding="utf-8", errors="surrogateescape") as file:
            for line in map(str.strip, file):
                setting = line[len("export ") :].lstrip() if line.startswith("export ") else line
                key, equals, value = setting.partition("=")
                if equals and not line.startswith("#") and key.strip() and "\0" not in line:
                    values[key.strip()] = unquoted(value.strip())
    return values


def unquoted(value):
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def answer(question):
    try:
        env = dict(os.environ, **env_file(question["env_file"]))
    except OSError as error:
        return {"error": "`%s`: %s" % (question["env_file"], error.strerror)}
    search = Search(question["seconds"])
    given = os.path.expanduser(question["path"])
    begin = [os.path.abspath(given)] if given else roots()
    folders = [begin[0]] if given and is_project(begin[0]) else search.projects(begin)
    projects = [project(folder, question, env) for folder in folders]
    return {"projects": projects, "searched": begin, "cut": search.cut}


def main():
    """Read the question, print the answer."""
    if sys.version_info < (3, 8):
        sys.exit("this is Python %d.%d: opskit needs 3.8 or newer on the host" % sys.version_info[:2])
    question = json.loads(sys.stdin.buffer.readline().decode())
    out = os.dup(1)
    os.dup2(2, 1)  # what anybody else prints is no answer
    found = answer(question)
    with os.fdopen(out, "wb") as stream:
        stream.write(MARK + json.dumps(found).encode())


if __name__ == "__main__":
    main()
