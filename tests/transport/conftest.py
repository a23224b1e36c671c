"""What several files about the way to a host start from."""

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An operator's home, with an empty ~/.ssh/config; no agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh" / "config").touch()
    return tmp_path
