"""What the agent is made of, where it needs no process."""

import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit.remote.agent import files, frames, processes, project, redaction
from opskit.remote.agent.state import State

# ---------------------------------------------------------------- env files

ENV_FILES = [
    ("", {}),
    ("A=1\nB=2\n", {"A": "1", "B": "2"}),
    ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("export A=1\nexport  B=2", {"A": "1", "B": "2"}),
    ("# A=1\n  # B=2\nC=3", {"C": "3"}),
    ("A='one two'\nB=\"one two\"", {"A": "one two", "B": "one two"}),
    ("A='it''s'", {"A": "it''s"}),
    ("A='\nB=\"x'", {"A": "'", "B": "\"x'"}),
    ("A=\nB=''", {"A": "", "B": ""}),
    (" A = 1 ", {"A": "1"}),
    ("A=x=y=z", {"A": "x=y=z"}),
    ("A=1\nA=2", {"A": "2"}),
    ("just words\n=nothing\n\n", {}),
    ("A=$HOME\nB=$(id)\nC=`id`\nD=${X}\nE=a\\nb", {"A": "$HOME", "B": "$(id)", "C": "`id`", "D": "${X}", "E": "a\\nb"}),
    ("A=1 # not a comment", {"A": "1 # not a comment"}),
    ("URL=postgres://u:p#w@db/x", {"URL": "postgres://u:p#w@db/x"}),
    ("exported=1\nexport=2", {"exported": "1", "export": "2"}),
    ("Ä=ö", {"Ä": "ö"}),
]


@pytest.mark.parametrize(("text", "expected"), ENV_FILES)
def test_an_env_file_is_read_and_nothing_in_it_evaluated(text, expected):
    assert expected == project.parse_env_file(text)


def test_an_env_file_that_is_no_text_is_read_all_the_same(tmp_path):
    (tmp_path / "env").write_bytes(b"A=\xff\n")
    assert {"A": "\udcff"} == project.read_env_file(str(tmp_path / "env"))


def test_an_env_file_that_is_not_there_is_a_refusal_that_names_it(tmp_path):
    with pytest.raises(frames.Refused) as raised:
        project.read_env_file(str(tmp_path / "env"))
    expected = ("env_file", f"app.env_file `{tmp_path}/env`: No such file or directory")
    assert expected == (raised.value.why, str(raised.value))


# ---------------------------------------------------------------- secrets

SECRETS = [
    ({}, ["GONE"], []),
    ({"A": "hunter2", "B": "other"}, ["A"], [b"hunter2"]),
    ({"A": "abc", "B": ""}, ["A", "B"], []),
    ({"A": "abcd"}, ["A", "A"], [b"abcd"]),
    ({"A": "short", "B": "much longer"}, ["A", "B"], [b"much longer", b"short"]),
    ({"A": "postgres://acme:hunter2@db/x"}, ["A"], [b"postgres://acme:hunter2@db/x", b"hunter2"]),
    ({"A": "redis://:hunter2@cache"}, ["A"], [b"redis://:hunter2@cache", b"hunter2"]),
    ({"A": "caf\u00e9\udcff"}, ["A"], [b"caf\\u00e9\\udcff", b"caf\xc3\xa9\\udcff", b"caf\xc3\xa9\xff"]),
    ({"A": "p%40ss%2Fword"}, ["A"], [b"p%40ss%2Fword", b"p@ss/word"]),
    ({"A": "postgres://acme:p%40ss@db/x"}, ["A"], [b"postgres://acme:p%40ss@db/x", b"postgres://acme:p@ss@db/x", b"p%40ss", b"p@ss"]),
    ({"A": 'quo"te'}, ["A"], [b'quo\\"te', b'quo"te']),
    ({"A": "back\\slash"}, ["A"], [b"back\\\\slash", b"back\\slash"]),
    ({"A": "long line\nb\neight888"}, ["A"], [b"long line\\nb\\neight888", b"long line\nb\neight888", b"long line", b"eight888"]),
    ({"A": "p%22q%22r"}, ["A"], [b"p%22q%22r", b'p\\"q\\"r', b'p"q"r']),
    ({"A": "abc%"}, ["A"], [b"abc%"]),
]  # fmt: skip


@pytest.mark.parametrize(("env", "keys", "expected"), SECRETS)
def test_secrets_are_the_values_and_the_passwords_in_their_urls_longest_first(env, keys, expected):
    assert expected == redaction.secret_values(env, keys)
    assert expected == redaction.secret_values({}, [], [env.get(key, "") for key in keys])


def test_a_secret_is_removed_in_whatever_way_a_program_prints_it():
    key = "-----BEGIN KEY-----\nMIIBVgIBADAN\n-----END KEY-----\n"
    url = "postgres://acme:p%40ss'w@db/x"
    secrets = redaction.secret_values({"KEY": key, "URL": url}, ["KEY", "URL"])
    printed = "\n".join(
        [
            key,
            repr(key),
            json.dumps({"key": key}),
            "x MIIBVgIBADAN x",
            url,
            "connecting with p@ss'w",
            repr({"p": "p@ss'w"}),
        ]
    )
    seen = redaction.Redactor(secrets).feed(printed.encode(), last=True).decode()
    assert [] == [word for word in ("MIIB", "p%40", "p@ss", "BEGIN") if word in seen]
    assert "connecting with [REDACTED]" in seen


def test_short_lines_of_a_secret_are_no_secrets_of_their_own():
    assert "{" not in redaction.appearances('{\n"a": 1\n}')


def test_names_that_mean_a_secret_are_known():
    names = ["DB_PASSWORD", "SECRET_KEY", "api_token", "DATABASE_URL", "SENTRY_DSN", "AWS_CREDENTIALS", "DEBUG", "LANG"]
    assert names[:6] == [name for name in names if redaction.SECRET_NAME.search(name)]


def through(secrets, *pieces: bytes) -> bytes:
    redactor = redaction.Redactor(secrets)
    return b"".join([*(redactor.feed(piece) for piece in pieces), redactor.feed(b"", last=True)])


STREAMS = [
    ("none", [], b"nothing to hide", b"nothing to hide"),
    ("one", [b"hunter2"], b"a hunter2 b", b"a [REDACTED] b"),
    ("at both ends", [b"hunter2"], b"hunter2 and hunter2", b"[REDACTED] and [REDACTED]"),
    ("one after the other", [b"hunter2"], b"hunter2hunter2", b"[REDACTED][REDACTED]"),
    ("half of one", [b"hunter2"], b"hunter and unter2 hunte", b"hunter and unter2 hunte"),
    ("several", [b"correct horse", b"hunter2"], b"hunter2, correct horse, hunter2", b"[REDACTED], [REDACTED], [REDACTED]"),
    ("one that begins as another", [b"hunter2-prod", b"hunter2"], b"hunter2 hunter2-prod hunter2-pro", b"[REDACTED] [REDACTED] [REDACTED]-pro"),
    ("one inside another", [b"xx-hunter2-xx", b"hunter2"], b"xx-hunter2-xx xx-hunter2-x", b"[REDACTED] xx-[REDACTED]-x"),
    ("one that ends as another begins", [b"abcdEF", b"EFghi"], b"abcdEFghi EFghi", b"[REDACTED]ghi [REDACTED]"),
    ("with the letters of patterns", [b"a.c*(d"], b"a.c*(d abccd", b"[REDACTED] abccd"),
    ("over a line's end", [b"two\nlines"], b"two\nlines\n", b"[REDACTED]\n"),
    ("no text", [b"caf\xc3\xa9\xff"], b"caf\xc3\xa9\xff\xfe", b"[REDACTED]\xfe"),
]  # fmt: skip


@pytest.mark.parametrize(("secrets", "data", "expected"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])
def test_secrets_go_wherever_the_stream_is_split(secrets, data, expected):
    assert expected == through(secrets, data)
    assert expected == through(secrets, *(data[at : at + 1] for at in range(len(data))))
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            assert expected == through(secrets, data[:first], data[first:second], data[second:]), (first, second)


def test_without_secrets_nothing_is_held_back():
    assert b"abc" == redaction.Redactor([]).feed(b"abc")


def test_no_more_is_held_back_than_a_secret_is_long():
    redactor = redaction.Redactor([b"hunter2"])
    assert (b"x" * 94, b"x" * 6) == (redactor.feed(b"x" * 100), redactor.held)


# ---------------------------------------------------------------- the state folder


def test_a_project_is_named_for_its_path_in_safe_letters():
    name = State("/state", "/srv/ac me/cur'rent").name
    assert ("cur_rent-", 17) == (name[:9], len(name))


def test_two_projects_never_share_a_name():
    paths = ["/srv/a/current", "/srv/b/current", "/srv/a/Current", "/srv/a", "/", "/srv/a b", "/srv/a_b", "/\udcff"]
    assert len(paths) == len({State("/state", path).name for path in paths})


def test_ways_to_write_a_path_are_one_project():
    names = {State("/state", path).name for path in ("/srv/acme", "/srv/acme/", "/srv//acme", "/srv/x/../acme")}
    assert 1 == len(names)


def test_a_link_keeps_its_own_name_wherever_it_leads(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    link, names = tmp_path / "current", set()
    for target in ("one", "two"):
        link.symlink_to(tmp_path / target)
        names.add(State("/state", str(link)).name)
        link.unlink()
    assert 1 == len(names)


def test_lock_records_and_output_stand_side_by_side():
    state = State("/state", "/srv/acme")
    assert f"/state/{state.name}.lock" == state.path(".lock")
    assert f"/state/{state.name}.20261122T140200_2-prod.000007.json" == state.record_path("20261122T140200.2-prod", 7)
    assert f"/state/{state.name}.___x.000001.json" == state.record_path("../x", 1)


def test_records_are_this_projects_alone_oldest_first(tmp_path):
    state, other = State(str(tmp_path), "/srv/a[1]"), State(str(tmp_path), "/srv/a")
    for number in (2, 1, 10):
        files.write_json(state.record_path("run", number), {"number": number})
    files.write_json(other.record_path("run", 3), {"number": 3})
    assert [1, 2, 10] == [record["number"] for record in state.records()]
    assert [3] == [record["number"] for record in other.records()]
    assert [state.record_path("run", 1)] == [record["path"] for record in state.records()][:1]


def test_a_broken_record_is_one_without_content(tmp_path):
    state = State(str(tmp_path), "/srv/acme")
    for number, text in enumerate(('{"run": "x"', "[]", "", "\0")):
        Path(state.record_path("run", number)).write_text(text)
    assert [["path"]] * 4 == [list(record) for record in state.records()]


def test_a_record_is_written_whole_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "x.json"
    files.write_json(str(path), {"a": [1, "ä"]})
    assert ({"a": [1, "ä"]}, 0o600) == (files.read_json(str(path)), stat.S_IMODE(path.stat().st_mode))
    assert ["x.json"] == [each.name for each in tmp_path.iterdir()]


def test_output_goes_to_a_new_file_for_its_owner_alone(tmp_path):
    state = State(str(tmp_path), "/srv/acme")
    found = []
    for _ in range(2):
        fd, path = state.output()
        os.close(fd)
        found.append((Path(path).parent, stat.S_IMODE(Path(path).stat().st_mode)))
    assert [(tmp_path, 0o600)] * 2 == found
    assert 2 == len(list(tmp_path.glob(f"{state.name}.*.out")))


def test_a_state_folder_is_made_for_its_owner_alone(tmp_path):
    folder = files.state_folder(str(tmp_path / "a" / "b"))
    assert (str(tmp_path / "a" / "b"), 0o700) == (folder, stat.S_IMODE(Path(folder).stat().st_mode))


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_the_folders_above_it_are_for_its_owner_alone_too_and_the_umask_stays(tmp_path, umask):
    before = os.umask(umask)
    try:
        folder = files.state_folder(str(tmp_path / "a" / "b" / "c"))
        kept = os.umask(umask)
    finally:
        os.umask(before)
    above = [Path(folder), *Path(folder).parents[:2]]
    assert ([0o700] * 3, umask) == ([stat.S_IMODE(each.stat().st_mode) for each in above], kept)


def test_a_file_in_the_place_of_the_state_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(frames.Refused) as raised:
        files.state_folder(str(tmp_path / "file"))
    assert ("state_dir", True) == (raised.value.why, f"app.state_dir `{tmp_path}/file`" in str(raised.value))


def test_a_link_in_the_place_of_the_state_folder_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(frames.Refused):
        files.state_folder(str(tmp_path / "link"))


# ---------------------------------------------------------------- the lock, and who is alive


def test_the_lock_is_ours_until_it_is_let_go_and_says_whose_it_is(tmp_path):
    first, second = (State(str(tmp_path), "/srv/acme", {"run": run}) for run in ("r1", "r2"))
    first.take_lock()
    try:
        with pytest.raises(frames.Refused) as raised:
            second.take_lock()
        holder = {
            "run": "r1",
            **processes.identity(os.getpid()),
            "stopped": False,
            "at_work": None,
        }
        assert ("locked", holder) == (raised.value.why, raised.value.more["holder"])
    finally:
        os.close(first.lock)
    second.take_lock()
    os.close(second.lock)
    assert second.read()["run"] == "r2"


SITTING = {"run": "r1", "operator": "deploy@ops1", "at": "2026-11-22T14:02:00.000001+00:00"}
AGAIN = {**SITTING, "at": "2026-11-22T15:00:00.000001+00:00"}  # the same run, resumed
NEXT = {"run": "r2", "operator": "me@here", "at": "2026-11-22T14:02:00.000002+00:00"}


def workers(folder, *of):
    """The states of agents: each of a holder, and a worker's number or None."""
    return [State(str(folder), "/srv/acme", holder, worker) for holder, worker in of]


def leave(*states):
    """What the kernel does when the agents end."""
    for state in states:
        for fd in state.locks.values():
            os.close(fd)
        state.locks.clear()


def refused(state):
    with pytest.raises(frames.Refused) as raised:
        state.take_lock()
    assert raised.value.why == "locked"
    return {name: told for name, told in raised.value.more["holder"].items() if name in (*SITTING, "label")}


def test_the_workers_of_a_run_share_its_lock_and_nobody_else_gets_it_while_one_of_them_lives(tmp_path):
    first, second, alone, other, again = workers(
        tmp_path, (SITTING, 0), (SITTING, 1), (NEXT, None), (NEXT, 0), (AGAIN, 2)
    )
    first.take_lock()
    second.take_lock()
    for stranger in (alone, other, again):
        assert refused(stranger) == SITTING
    leave(first)
    for stranger in (alone, other, again):
        assert refused(stranger) == SITTING
    leave(second)
    alone.take_lock()
    assert refused(other) == NEXT
    leave(alone)
    other.take_lock()
    leave(other, again)


def test_a_run_of_one_shares_its_lock_with_nobody(tmp_path):
    alone, worker = workers(tmp_path, (SITTING, None), (SITTING, 1))
    alone.take_lock()
    assert refused(worker) == SITTING
    leave(alone)
    worker.take_lock()
    leave(worker)


def test_a_workers_place_is_free_when_the_agent_before_it_is_gone(tmp_path):
    lost, new, colleague = workers(tmp_path, (SITTING, 1), (SITTING, 1), (SITTING, 0))
    lost.take_lock()
    colleague.take_lock()
    assert refused(new) == SITTING
    assert (False, None) == (new.hold(), new.held)
    leave(lost)
    assert new.hold()
    new.take_lock()
    leave(new, colleague)


def test_who_waits_for_the_lock_takes_no_workers_place(tmp_path):
    lost, waits, new = workers(tmp_path, (SITTING, 0), (NEXT, 0), (SITTING, 0))
    colleague = State(str(tmp_path), "/srv/acme", SITTING, 1)
    lost.take_lock()
    colleague.take_lock()
    leave(lost)
    refused(waits)
    new.take_lock()
    leave(new, colleague, waits)


def test_a_worker_leaves_the_commands_of_the_others_to_them(tmp_path):
    mine, colleague, later = workers(tmp_path, (SITTING, 0), (SITTING, 1), (AGAIN, 0))
    here = {"run": "r1", "label": "acme", "pid": os.getpid(), "born": processes.birth(os.getpid())}
    files.write_json(mine.record_path("r1", 1_000_001), dict(colleague.mark(), **here))
    mine.take_lock()
    assert [] == mine.records()
    assert refused(colleague)["label"] == "acme"
    leave(mine, colleague)
    assert refused(later)["label"] == "acme"  # whoever comes later knows no colleagues
    leave(later)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([(SITTING, 0), (SITTING, 1), (AGAIN, 0), (NEXT, 0), (NEXT, None)]),
                          st.booleans()), max_size=12))  # fmt: skip
def test_whoever_comes_and_goes_the_lock_is_one_runs(tmp_path_factory, moves):
    folder = tmp_path_factory.mktemp("state")
    held = []
    for (holder, worker), comes in moves:
        there = next((state for state in held if (state.claim, state.worker) == (holder, worker)), None)
        if there and not comes:
            held.remove(there)
            leave(there)
        elif comes:
            (state,) = workers(folder, (holder, worker))
            others = [each for each in held if each.claim != holder or None in (worker, each.worker)]
            with contextlib.suppress(frames.Refused):
                state.take_lock()
                held.append(state)
            assert (state in held) == (not others and there is None)
            if state not in held:
                leave(state)
    leave(*held)


def test_another_projects_lock_is_no_hindrance(tmp_path):
    states = [State(str(tmp_path), path) for path in ("/srv/a", "/srv/b")]
    for state in states:
        state.take_lock()
    for state in states:
        os.close(state.lock)


def test_the_lock_is_no_link(tmp_path):
    state = State(str(tmp_path), "/srv/acme")
    Path(state.path(".lock")).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        state.take_lock()
    assert not (tmp_path / "elsewhere").exists()


def test_a_process_is_known_by_its_number_its_birth_and_the_start_of_the_system():
    ours = processes.identity(os.getpid())
    before = {name: ours[name] for name in ("pid", "born")}  # as an earlier opskit wrote it
    others = [{**ours, "born": "another"}, {**ours, "boot": "another"}, {**ours, "ended": 1.0}, {"run": "x"}, {}]
    assert [True, True, True] == [processes.alive(each) for each in (ours, before, {**ours, "boot": ""})]
    assert [False] * 5 == [bool(processes.alive(record)) for record in others]
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() == ours["boot"]


def test_a_process_that_ended_is_not_alive():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = {"pid": process.pid, "born": processes.birth(process.pid)}
    alive = processes.alive(record)
    process.communicate()
    assert (True, False) == (alive, processes.alive(record))


# ---------------------------------------------------------------- the project

REVISIONS = [
    ({}, ""),
    ({"HEAD": "0123456789abcdef0123456789abcdef01234567\n"}, "0123456789abcdef0123456789abcdef01234567"),
    ({"HEAD": "ref: refs/heads/main\n", "refs/heads/main": "abc\n"}, "abc"),
    ({"HEAD": "ref: refs/heads/main\n"}, ""),
    ({"HEAD": "ref: refs/heads/\udcff\n"}, ""),
    ({"HEAD": "ref: refs/heads/\0\n"}, ""),
    (
        {
            "HEAD": "ref: refs/heads/main\n",
            "packed-refs": f"# pack-refs\n{'d' * 40} refs/heads/not/main\n{'c' * 40} refs/heads/main\n^{'e' * 40}\n",
        },
        "c" * 40,
    ),
    (
        {"HEAD": "ref: refs/heads/main\n", "packed-refs": f"{'c' * 40} refs/heads/main\n", "refs/heads/main": "abd\n"},
        "abd",
    ),
]


@pytest.mark.parametrize(("files", "expected"), REVISIONS)
def test_the_revision_is_read_from_the_checkouts_files(tmp_path, files, expected):
    for name, text in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, errors="surrogateescape")
    assert expected == project.revision(str(tmp_path))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.binary(min_size=4, max_size=8).map(lambda secret: bytes(b"ab"[byte % 2] for byte in secret)), max_size=3
    ),
    st.lists(st.text("ab", max_size=12).map(str.encode), max_size=6),
)
def test_however_a_stream_is_split_the_same_secrets_go(secrets, pieces):
    longest_first = sorted(set(secrets), key=len, reverse=True)
    assert through(longest_first, b"".join(pieces)) == through(longest_first, *pieces)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["pid", "born", "boot", "ended", "exit", "outputs", "label", "run", "tail", "started", "number"]
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(FIELDS, JSON | st.just(os.getpid())).map(json.dumps) | st.text(max_size=20))
def test_whatever_stands_in_a_record_the_lock_is_taken_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("state")
    state = State(str(folder), "/srv/acme")
    path = folder / f"{state.name}.run.000001.json"
    path.write_text(text)

    with contextlib.suppress(frames.Refused):
        state.take_lock()
        assert [str(path)] == [record["path"] for record in state.records()]
    os.close(state.held)


def test_who_has_the_lock_is_read_whole_while_it_is_written(tmp_path):
    claims = [{"run": "r1", "operator": "x" * size} for size in (3000, 1, 500)]
    state = State(str(tmp_path), "/srv/acme", claims[0])
    state.take_lock()
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            for claim in claims:
                state.write(claim)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        found = [state.read() for _ in range(2000)]
    finally:
        over.set()
        writing.join()
        os.close(state.lock)
    assert [each for each in found if each not in claims and each.get("pid") != os.getpid()] == []
