"""The golden replies can be read, and are those of the package that the other tests run."""

import importlib.metadata

import captured
import pytest

FOLDER = f"omnitenant-{importlib.metadata.version('django-omnitenant')}"
NAMES = sorted(path.stem for path in (captured.GOLDEN / FOLDER).glob("*.txt"))


def test_there_are_replies_of_the_installed_version():
    assert {"showtenants", "showtenants-none", "migratetenant-ok", "migratetenant-failed-column-exists"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_reply_is_written_as_it_is_read(name, tmp_path):
    reply = captured.read(f"{FOLDER}/{name}")
    captured.write("again", reply, tmp_path)
    assert (tmp_path / "again.txt").read_bytes() == (captured.GOLDEN / FOLDER / f"{name}.txt").read_bytes()


def test_a_failure_stands_behind_what_was_being_applied_and_exits_0():
    reply = captured.read(f"{FOLDER}/migratetenant-failed-column-exists")
    assert reply.args == ("migratetenant", "--tenant-id=s04")
    assert (reply.exit, reply.stderr) == (0, "")
    assert reply.stdout.splitlines()[-1] == (
        "  Applying members.0004_member_phone...Migrations failed for tenant 's04': "
        'column "phone" of relation "members_member" already exists'
    )
