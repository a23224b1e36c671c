"""The project's surroundings: its folder, its revision, the variables of its commands."""

import os

from . import frames


def parse_env_file(text):
    """{key: value} of KEY=VALUE lines; `export`, quotes and comments are understood, nothing is evaluated."""
    values = {}
    for line in map(str.strip, text.splitlines()):
        setting = line[len("export ") :].lstrip() if line.startswith("export ") else line
        key, equals, value = setting.partition("=")
        if not equals or line.startswith("#") or not key.strip():
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        values[key.strip()] = value
    return values


def read_env_file(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return parse_env_file(file.read())
    except OSError as error:
        raise frames.Refused("env_file", "app.env_file `%s`: %s" % (path, error.strerror)) from error


def environment_of(env, message):
    """A command's variables. Of a setting of PostgreSQL the last one wins: ours stand behind those that are there.

    The usual ones stand before them.
    """
    env = dict(env, **message.get("env", {}))
    options = [message.get("pgusual"), env.get("PGOPTIONS"), message.get("pgoptions")]
    if any(options):
        env["PGOPTIONS"] = " ".join(filter(None, options))
    return env


def settings_of(env, base):
    """What a command's variables have beyond those of the warm runner that forks it."""
    return {name: value for name, value in env.items() if base.get(name) != value}


def enter(path, manage):
    """Go into the project; its path with links resolved, so that a deploy in mid-run changes nothing."""
    path = os.path.expanduser(path)
    try:
        os.chdir(path)
    except OSError as error:
        raise frames.Refused("path", "app.path `%s`: %s" % (path, error.strerror)) from error
    if not os.path.isfile(manage):
        raise frames.Refused("manage", "app.manage `%s`: there is no such file in `%s`" % (manage, os.getcwd()))
    return os.getcwd()


def speaks_of_django(manage):
    """Whether a manage.py may be one of Django's."""
    try:
        with open(manage, "rb") as file:
            return b"django" in file.read()
    except OSError:
        return False


def revision(path):
    """The commit that the project's checkout is at, read from its files; "" where it is none."""
    git = os.path.join(path, ".git")
    head = read_line(os.path.join(git, "HEAD"))
    if not head.startswith("ref: "):
        return head[:40]
    return read_line(os.path.join(git, head[5:]))[:40] or packed(os.path.join(git, "packed-refs"), head[5:])


def packed(path, ref):
    """The commit of a ref that git has moved into one file with the others, as `git gc` does."""
    try:
        with open(path) as file:
            return next((line[:40] for line in file if line.rstrip().endswith(" " + ref)), "")
    except (OSError, ValueError):
        return ""


def read_line(path):
    try:
        with open(path) as file:
            return file.read(4096).strip()
    except (OSError, ValueError):
        return ""
