"""What the agent keeps on the host: folders and files for their owner alone, written whole."""

import contextlib
import json
import os
import stat
import tempfile

from . import frames


def state_folder(configured):
    """Where lock, records and output are kept: app.state_dir, else ~/.opskit, else one under the temporary folder."""
    if configured:
        path = os.path.abspath(os.path.expanduser(configured))
        why = unfit(path)
        if why:
            raise frames.Refused("state_dir", "app.state_dir `%s`: %s" % (path, why))
        return path
    for path in (
        os.path.join(os.path.expanduser("~"), ".opskit"),
        os.path.join(temporary_folder(), "opskit-%d" % os.getuid()),
    ):
        if os.path.isabs(path) and not unfit(path):
            return path
    raise frames.Refused("state_dir", "there is no folder for opskit's state: set app.state_dir")


def temporary_folder():
    """Where Python puts what it does not keep. Where nothing can be written at all, that is said."""
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise frames.Refused(
            "state_dir", "there is no temporary folder that can be written: set TMPDIR in app.env"
        ) from error


def unfit(path):
    """Make `path` a folder of ours alone (0700). Why it can't be one, "" where it is."""
    before = os.umask(0o077)  # makedirs gives its mode to the last folder alone
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        status = os.lstat(path)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    finally:
        os.umask(before)  # the project's own files keep the host's
    if not stat.S_ISDIR(status.st_mode):
        return (
            "it is a link: somebody else may be able to turn it" if stat.S_ISLNK(status.st_mode) else "it is no folder"
        )
    if status.st_uid != os.getuid():
        return "it belongs to another user than the one that the agent runs as"
    return "" if os.access(path, os.W_OK) else "it can't be written"


def full(folder):
    """Whether nothing can be written there any more: then a command may have failed of that alone."""
    try:
        return os.statvfs(folder).f_bavail == 0
    except OSError:
        return False


def write_json(path, content):
    """Put `content` at `path`, whole or not at all, readable by its owner only."""
    partial = "%s.%d" % (path, os.getpid())
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(json.dumps(content))  # `dump` goes without the encoder in C
    os.rename(partial, path)


def read_json(path):
    try:
        with open(path) as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def remove(paths):
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
