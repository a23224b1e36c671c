"""What a project may print over a real sshd: lines of 50 MB, bytes that are no text, secrets cut in two, a flood."""

from __future__ import annotations

import re
import time

import pytest

from e2e import operator

SECRET = "correct-horse-battery"
LINE = 50_000_000

# Each tenant prints something else; what is printed where no newline follows it is one line of that length.
MIGRATE = f"""\
out = sys.stdout.buffer
secret, url = os.environ["API_TOKEN"], "postgres://acme:hunter2hunter2@db/x"
if tenant == "acme":
    for _ in range({LINE} // 1_000_000):
        out.write(b"x" * 1_000_000)
elif tenant == "globex":
    out.write(bytes(range(256)) * 100 + b"\\xe2\\x82\\n\\0\\0\\x1b[2J\\x1b]0;t\\x07" + b"\\r 10%\\r 20%\\r")
else:
    for size in (256 * 1024, 64 * 1024, 4096, 16 * 1024):  # what the host and we read, keep and cut at once
        for shift in range(0, 40, 3):
            out.write(b"y" * (size - shift) + secret.encode() + b" " + url.encode())
            out.flush()
        out.write(b"\\n")
out.write(b"\\n")
out.flush()
{operator.MIGRATE}
"""


@pytest.fixture
def printed(empty, sshd):
    """All of that in one run: (desk, result)."""
    empty.project(migrate=MIGRATE)
    empty.over_ssh(sshd, known_hosts=sshd.known_hosts, app={"env": {"API_TOKEN": SECRET}})
    return empty, empty.run("migrate-all")


def test_whatever_is_printed_the_tenants_are_migrated_and_no_secret_leaves_the_host(printed):
    desk, result = printed

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS)), result.err
    acme, globex, initech = (
        next((desk.runs[0] / "tenants").glob(f"{name}-*")).read_bytes() for name in operator.TENANTS
    )
    assert acme.count(b"x") == LINE
    assert b"\0\0\x1b[2J\x1b]0;t\x07\r 10%\r 20%\r\n" in globex  # in its file as it is, bytes that are no text apart
    assert initech.count(b"[REDACTED]") == 2 * 4 * len(range(0, 40, 3))
    told = desk.kept() + result.out + result.err
    parts = [SECRET[at : at + 8] for at in range(len(SECRET) - 8)] + ["hunter2"]
    assert [part for part in parts if part in told] == []
    assert re.search(r"[\x00\x07\x1b]", desk.log() + result.out + result.err) is None


@pytest.mark.parametrize("term", ["dumb", "xterm"])  # with the live view, which is drawn anew after what scrolls by
def test_a_flood_at_a_terminal_that_stands_still_for_a_while_is_read_to_its_end(desk, term):
    desk.project(migrate="print(('z' * 99 + '\\n') * 20_000, end='')\n" + operator.MIGRATE)
    stood = []

    def stand_still(said: str, _resize) -> None:
        if "zzz" in said and not stood:
            stood.append(time.sleep(1.5))

    result = desk.at_a_terminal("migrate-all", "-v", "--tenants=acme", env={"TERM": term}, meanwhile=stand_still)

    assert (result.code, stood) == (0, [None])
    assert result.out.count("acme | " + "z" * 99 + "\r\n") == 20_000
