"""Ask a host about itself: who we are there, its clock, its disks, its sshd. Nothing is created.

This text runs on the host, by itself, with the project's folder as working directory::

    python -u -c <this text> host <manage.py> '{"state_dir": "/var/lib/acme" or null}'

and answers with one line of JSON on stdout::

    {"v": 1, "time": 1763820123.4, "user": "acme",
     "state": {"path": "/home/acme/.opskit", "error": ""},
     "disks": [{"of": ["state folder", "project"], "free": 123456, "full": false, "read_only": false}, ...],
     "max_startups": "10:30:100" or "", "max_startups_error": why it is not known}

`time` is in seconds since 1970, `free` in bytes that we may use; `full` counts inodes, too.

Standard library only, Python 3.8 and newer.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List, Optional, Tuple

NOW = time.time()
SBIN = "/usr/sbin:/usr/local/sbin:/sbin"  # of which a login's PATH knows nothing
PATIENCE = 5  # seconds for sshd to say how it is configured


def main() -> int:
    params = json.loads(sys.argv[3])
    path, error = state_folder(params.get("state_dir"))
    startups, unknown = max_startups()
    answer = {
        "v": 1,
        "time": NOW,
        "user": user(),
        "state": {"path": path, "error": error},
        "disks": disks({"state folder": path, "temporary folder": tempfile.gettempdir(), "project": os.getcwd()}),
        "max_startups": startups,
        "max_startups_error": unknown,
    }
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a uid without a name, as containers have it
        return str(os.getuid())


# ---------------------------------------------------------------- folders


def state_folder(configured: Optional[str]) -> Tuple[str, str]:
    """Where a run would keep its lock and its records, and why it can't: what the agent does, without doing it."""
    if configured:
        path = os.path.abspath(os.path.expanduser(configured))
        return path, unusable(path)
    home = os.path.join(os.path.expanduser("~"), ".opskit")
    temporary = os.path.join(tempfile.gettempdir(), "opskit-%d" % os.getuid())
    for path in (home, temporary):
        if os.path.isabs(path) and not unusable(path):
            return path, ""
    return home, unusable(home) or "it is no absolute path"


def unusable(path: str) -> str:
    """Why a folder of ours can't be made or kept there; "" where it can."""
    if os.path.lexists(path):
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            return "it is not a folder"
        if status.st_uid != os.getuid():
            return "it is not this user's"
        return "" if os.access(path, os.W_OK | os.X_OK) else "this user can't write there"
    above = existing(path)
    if not os.path.isdir(above):
        return "`%s` is not a folder" % above
    return "" if os.access(above, os.W_OK | os.X_OK) else "this user can't write to `%s`" % above


def existing(path: str) -> str:
    """The nearest folder upward that is there."""
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def disks(folders: Dict[str, str]) -> List[Dict[str, Any]]:
    """The file systems that these folders are on, each once."""
    found: Dict[int, Dict[str, Any]] = {}
    for name, path in folders.items():
        try:
            place = existing(path)
            device, room = os.stat(place).st_dev, os.statvfs(place)
        except OSError:
            continue
        if device in found:
            found[device]["of"].append(name)
            continue
        found[device] = {
            "of": [name],
            "free": room.f_bavail * room.f_frsize,
            "full": room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0),
            "read_only": bool(room.f_flag & os.ST_RDONLY),
        }
    return list(found.values())


# ---------------------------------------------------------------- sshd


def max_startups() -> Tuple[str, str]:
    """What sshd is configured with, and why that is not known. `sshd -T` reads the host's keys: it needs root."""
    came_to = os.environ.get("SSH_CONNECTION", "").split()[3:4]
    program = shutil.which("sshd", path=SBIN + ":" + os.environ.get("PATH", ""))
    if os.getuid() != 0:
        return "", "only root may ask sshd"
    if not came_to or program is None:
        return "", "no sshd brought us here" if program else "there is no sshd"
    try:
        asked = subprocess.run(
            [program, "-T"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", "`sshd -T`: %s" % error
    return read_settings(asked.stdout.decode("utf-8", "replace"), came_to[0])


def read_settings(said: str, port: str) -> Tuple[str, str]:
    """MaxStartups in the output of `sshd -T`, where that is the sshd which listens on `port`."""
    settings = [line.split(None, 1) for line in said.lower().splitlines() if len(line.split(None, 1)) == 2]
    ports = [value for name, value in settings if name == "port"]
    startups = [value for name, value in settings if name == "maxstartups"]
    if not startups:
        return "", "`sshd -T` did not say"
    if port not in ports:
        return "", "the sshd on port %s has another configuration" % port
    return startups[0], ""


if __name__ == "__main__":
    sys.exit(main())
