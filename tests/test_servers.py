"""The servers that other tests stand on, and the rule about skips."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import servers


def test_postgres_answers_over_tcp(postgres):
    assert postgres.execute("SELECT 1 + %s", 1) == [(2,)]


def test_postgres_refuses_a_wrong_password(postgres):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=postgres.host, port=postgres.port, user=postgres.user, password="wrong")


def test_a_new_database_is_empty(postgres):
    name = postgres.new_database()
    assert postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=name) == []


def test_sshd_lets_the_user_key_in(sshd):
    done = sshd.ssh("echo", "hello")
    assert (done.stdout, done.returncode) == ("hello\n", 0)


def test_sshd_refuses_another_key(sshd):
    done = sshd.ssh("true", identity_file=sshd.refused_key())
    assert (done.returncode, "Permission denied (publickey)" in done.stderr) == (255, True)


def test_another_sshd_has_a_host_key_of_its_own_and_ends_alone(sshd):
    other = sshd.another()
    assert other.host_key != sshd.host_key
    assert other.ssh("echo", "hi").stdout == "hi\n"
    other.stop()
    assert other.ssh("true").returncode == 255
    assert sshd.ssh("true").returncode == 0


def test_mariadb_answers_over_tcp_and_ends_with_its_folder():
    with servers.mariadb() as server:
        assert server.execute("SELECT 1 + %s", 1) == [(2,)]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((server.host, server.port))


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\n\ndef test_one():\n    pytest.skip('no sshd')\n",
        "import pytest\n\npytest.skip('no sshd', allow_module_level=True)\n",
        "import pytest\n\n@pytest.mark.skipif(True, reason='no sshd')\ndef test_one(): ...\n",
    ],
    ids=["in a test", "of a module", "by a mark"],
)
def test_a_skip_is_a_failure_where_skips_are_forbidden(tmp_path, source):
    allowed, forbidden = (_pytest(tmp_path, source, no_skips=flag) for flag in ("", "1"))
    assert "1 skipped" in allowed.stdout
    assert forbidden.returncode not in (0, 5)
    assert "OPSKIT_NO_SKIPS is set, and this was skipped: " in forbidden.stdout
    assert "no sshd" in forbidden.stdout


def test_an_expected_failure_is_no_skip(tmp_path):
    source = "import pytest\n\n@pytest.mark.xfail(strict=True)\ndef test_one():\n    assert not True\n"
    assert _pytest(tmp_path, source, no_skips="1").returncode == 0


def _pytest(folder, source, no_skips):
    here = Path(__file__).parent
    for name in ("conftest.py", "servers.py"):
        shutil.copy(here / name, folder)
    (folder / "test_it.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", folder, "-c", os.devnull, folder],
        env={**os.environ, "OPSKIT_NO_SKIPS": no_skips},
        capture_output=True,
        text=True,
        check=False,
    )
