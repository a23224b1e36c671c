"""Bytes become lines, marks and a tail, however they arrive."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit.transport import lines

MARK = re.compile("mark")
TEXT = "one\nmark ä 表 🐘\n\nmark two\r\npassword='hunter2'\npostgres://u:hunter2@db/x mark\nno end"


def fed(*pieces: bytes, patterns=(MARK,), end: bool = True) -> tuple[lines.Lines, list[tuple[str, str]]]:
    heard = []
    fresh = lines.Lines(patterns, lambda text, partial: heard.append((text, partial)))
    for piece in pieces:
        fresh.feed(piece)
    if end:
        fresh.end()
    return fresh, heard


def text_of(heard) -> str:
    return "".join(text for text, _ in heard)


SHOWN = "one\nmark ä 表 🐘\n\nmark two\r\npassword='[REDACTED]'\npostgres://u:[REDACTED]@db/x mark\nno end\n"
MARKED = ("mark ä 表 🐘", "mark two", "postgres://u:[REDACTED]@db/x mark")


def test_a_text_in_one_piece():
    done, heard = fed(TEXT.encode())
    assert (SHOWN, MARKED, SHOWN) == (text_of(heard), done.marks, done.tail)


def test_wherever_it_is_split_it_says_the_same():
    data = TEXT.encode()
    for at in range(len(data) + 1):
        done, heard = fed(data[:at], data[at:])
        assert (SHOWN, MARKED, SHOWN) == (text_of(heard), done.marks, done.tail), at


def test_byte_by_byte_it_says_the_same():
    done, heard = fed(*(bytes([each]) for each in TEXT.encode()))
    assert (SHOWN, MARKED, SHOWN) == (text_of(heard), done.marks, done.tail)


def test_no_split_tells_a_credential_not_even_of_the_line_that_is_not_whole():
    data = TEXT.encode()
    for at in range(len(data) + 1):
        done, heard = fed(data[:at], data[at:], end=False)
        everything = repr(heard) + repr(done.marks) + done.tail
        assert "hunter" not in everything, at
        assert "hunt" not in "".join(partial for _, partial in heard), at


def test_whole_lines_are_heard_at_once_and_the_beginning_of_the_next_is_shown():
    _, heard = fed(b"one\ntw", b"o", b"\nthree", end=False)
    assert [("one\n", "tw"), ("", "two"), ("two\n", "three")] == heard


def test_the_end_makes_a_line_of_what_is_left():
    _, heard = fed(b"one\ntw")
    assert [("one\n", "tw"), ("tw\n", "")] == heard


def test_an_end_without_anything_left_is_not_heard():
    assert [("one\n", "")] == fed(b"one\n")[1]


def test_nothing_is_nothing():
    done, heard = fed()
    assert ((), "", []) == (done.marks, done.tail, heard)


def test_without_a_listener_marks_and_tail_are_kept():
    done = lines.Lines((MARK,))
    done.feed(b"a mark\nrest")
    done.end()
    assert (("a mark",), "a mark\nrest\n") == (done.marks, done.tail)


def test_bytes_that_are_no_text_are_shown_as_such():
    assert "a\ufffdb\ufffd\n" == text_of(fed(b"a\xffb\xe2\x82")[1])


def test_half_a_character_at_the_end_of_a_piece_waits_for_its_other_half():
    assert [("", "\u20ac")] == [each for each in fed(b"\xe2\x82", b"\xac", end=False)[1] if any(each)]


# ---------------------------------------------------------------- marks


def test_a_line_is_marked_once_whatever_matches_in_it_and_in_its_order():
    patterns = (re.compile("b"), re.compile("a"), re.compile("^c", re.MULTILINE))
    done, _ = fed(b"aab b\nxx\nc a\nb\nxc\n", patterns=patterns)
    assert ("aab b", "c a", "b") == done.marks


def test_the_same_line_twice_is_two_marks():
    assert ("mark", "mark") == fed(b"mark\nmark\n")[0].marks


def test_marks_of_several_pieces_are_in_order():
    assert ("mark 1", "mark 2", "mark 3") == fed(b"mark 1\nma", b"rk 2\n", b"mark 3")[0].marks


def test_a_pattern_that_reaches_over_lines_marks_the_first():
    assert ("one",) == fed(b"one\ntwo\n", patterns=(re.compile(r"one\stwo"),))[0].marks


def test_an_empty_match_marks_every_line_and_ends():
    assert ("a", "", "b") == fed(b"a\n\nb\n", patterns=(re.compile("^", re.MULTILINE),))[0].marks[:3]


def test_a_long_mark_is_kept_whole():
    line = f"mark {'x' * 30_000}"
    assert (line,) == fed(f"{line}\n".encode())[0].marks


def test_many_marks_are_kept():
    expected = tuple(f"mark {number}" for number in range(20_000))
    assert expected == fed("\n".join(expected).encode())[0].marks


def test_too_many_marks_forget_the_oldest():
    count, size = 200, 60_000
    done, _ = fed(*(f"mark {number} {'x' * size}\n".encode() for number in range(count)))
    kept = [mark.split()[1] for mark in done.marks]
    assert [str(number) for number in range(count - len(kept), count)] == kept
    assert lines.MARKS - size < sum(map(len, done.marks)) <= lines.MARKS


def test_what_follows_a_progress_bar_is_a_line_of_its_own():
    done, heard = fed(b" 0%\r50%\r100%\rmark: migrated\r\n", patterns=(re.compile("^mark", re.MULTILINE),))
    assert (("mark: migrated",), " 0%\r50%\r100%\rmark: migrated\r\n") == (done.marks, text_of(heard))


def test_of_a_progress_bar_the_last_drawing_is_shown():
    bar = b"".join(b"\r%3d%% of it" % percent for percent in range(101))
    for data, shown in ((bar, "100% of it"), (bar + b"\r", "100% of it"), (b"\r", ""), (b"a\rb\r\r", "b")):
        assert [("", shown)] == fed(data, end=False)[1]


def test_of_a_progress_bar_no_drawing_tells_a_credential():
    data = b"x\rpassword='hun\rter2' postgres://u:hunter2@db\rdone"
    for at in range(len(data) + 1):
        _, heard = fed(data[:at], end=False)
        assert "ter2" not in "".join(partial for _, partial in heard), at


def test_a_progress_bar_without_end_is_cut_where_it_begins_again():
    drawing = b"\rmark: 12345 of 99999"
    _, heard = fed(*(drawing for _ in range(2 * lines.LONGEST // len(drawing))), end=False)
    assert {"\r"} == {text[-1] for text, _ in heard if text}


# ---------------------------------------------------------------- bounds


def test_the_tail_is_the_end_and_bounded():
    text = "".join(f"line {number}\n" for number in range(10_000))
    for size in (1, 7, 4096, len(text)) if len(text) < lines.LONGEST else (7, 4096, len(text)):
        data = text.encode()
        done, heard = fed(*(data[at : at + size] for at in range(0, len(data), size)))
        assert (text[-lines.TAIL :], text) == (done.tail, text_of(heard))


def test_a_line_without_an_end_is_cut_before_it_grows_too_long():
    heard = []
    endless = lines.Lines((), lambda text, partial: heard.append((len(text), len(partial))))
    for _ in range(100):
        endless.feed(b"x" * 4096)
    assert max(text for text, _ in heard) <= lines.LONGEST + 4096
    assert max(partial for _, partial in heard) <= lines.PARTIAL
    endless.end()
    assert 100 * 4096 + 1 == sum(text for text, _ in heard)


def test_a_line_just_as_long_as_may_be_is_not_cut():
    line = "x" * lines.LONGEST
    assert [("", line[: lines.PARTIAL]), (f"{line}\n", "")] == fed(line.encode(), b"\n")[1]


@pytest.mark.parametrize(
    "secret", ["password='hunter2'", "postgres://u:hunter2@db", "TOKEN=hunter2", "{'PASSWORD': 'hunter2'}"]
)
def test_a_cut_splits_no_credential(secret):
    for before in range(lines.LONGEST - lines.STRADDLE - len(secret) - 2, lines.LONGEST - lines.STRADDLE + 3):
        line = f"{'x' * before} {secret} "
        line += "y" * (lines.LONGEST + 1 - len(line))
        _, heard = fed(line.encode())
        shown = text_of(heard)
        assert ("[REDACTED]" in shown, "hunter2" in shown, "ter2" in shown) == (True, False, False), before


def test_a_credential_that_is_longer_than_a_line_may_be_does_not_keep_it_from_being_cut():
    _, heard = fed(f"password='{'x' * lines.LONGEST}".encode(), b"y", end=False)
    assert [True, False] == [bool(text) for text, _ in heard]


CREDENTIALS = [
    "password='hunter2'",
    "postgres://u:hunter2@db/x",
    '{"token": "hunter2"}',
    "PASSWORD=hunter2",
    "redis://:hunter2@x",
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(CREDENTIALS) | st.text("x \n\r:/@=", max_size=12), min_size=1, max_size=6).map(" ".join),
    st.lists(st.integers(0, 150), max_size=4),
)
def test_however_it_arrives_no_credential_is_told(text, cuts):
    data = text.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    done, heard = fed(*(data[a:b] for a, b in itertools.pairwise(edges)))
    whole, _ = fed(data)
    assert (whole.tail, whole.marks) == (done.tail, done.marks)
    assert "hunter" not in repr(heard) + repr(done.marks) + done.tail
