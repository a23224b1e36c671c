"""Users of this machine that a test makes and takes away again: tests that need them are run by root."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

SYSTEM = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Account:
    """A user who may log in with the key of the tests' sshd."""

    name: str
    uid: int
    home: Path
    authorized_keys: Path

    def owns(self, *paths: Path) -> None:
        for path in paths:
            os.chown(path, self.uid, self.uid)

    def writes(self, name: str, text: str) -> None:
        """Put a file into the home."""
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.owns(file, file.parent)


@contextlib.contextmanager
def account(identity: Path, *, shell: str = "/bin/sh", password: str = "", home: bool = True):
    """Make a user with a login shell, and a home unless it shall have none."""
    if os.geteuid() != 0:
        pytest.skip("these tests are not run by root, who may make users")
    if shutil.which("useradd", path=f"/usr/sbin:{SYSTEM}") is None:
        pytest.skip("useradd is not installed (Debian: passwd)")
    folder = Path(tempfile.mkdtemp(prefix="opskit-account-"))
    folder.chmod(0o755)
    name = f"opskit-{secrets.token_hex(4)}"
    # `*` and not `!`: a locked account may not log in with a key either
    made = ["useradd", "-M", "-U", "-d", folder / "home", "-s", shell, "-p", "*", name]
    subprocess.run(made, check=True, capture_output=True)
    uid = pwd.getpwnam(name).pw_uid
    try:
        if password:
            subprocess.run(["chpasswd"], input=f"{name}:{password}\n".encode(), check=True, capture_output=True)
        keys = shutil.copy(identity.with_suffix(".pub"), folder / "authorized_keys")
        user = Account(name, uid, folder / "home", Path(keys))
        if home:
            user.home.mkdir(mode=0o755)
            user.owns(user.home)
        yield user
    finally:
        subprocess.run(["userdel", "-f", name], check=False, capture_output=True)
        shutil.rmtree(folder)
        shutil.rmtree(
            Path(tempfile.gettempdir()) / f"opskit-{uid}", ignore_errors=True
        )  # the state of one without home


def python() -> str:
    """A Python that every user may start."""
    found = shutil.which("python3", path=SYSTEM)
    user = pwd.getpwnam("nobody")
    if (
        found is None
        or subprocess.run([found, "-V"], user=user.pw_uid, capture_output=True, check=False, cwd="/").returncode
    ):
        pytest.skip(f"there is no python3 in {SYSTEM} that everybody may start")
    return found
