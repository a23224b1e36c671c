"""What a tenant's data may not do to a terminal."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit.reporters import text

PRINTABLE = [
    ("", ""),
    ("acme", "acme"),
    ("with spaces", "with spaces"),
    ("[/x] [red]", "[/x] [red]"),
    ("a\tb", "a\tb"),
    ("a\nb", "a\\nb"),
    ("a\rb", "a\\rb"),
    ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    ("\x9b31m", "\\x9b31m"),
    ("\x07\x08\x7f\0", "\\x07\\x08\\x7f\\x00"),
    ("abc\u202edef", "abc\\u202edef"),
    ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
    ("a\u2028b\u2029", "a\\u2028b\\u2029"),
    ("\ud800", "\\ud800"),
    ("\U000e0041", "\\U000e0041"),
    ("müller 表 🐘", "müller 表 🐘"),
]


@pytest.mark.parametrize(("given_text", "expected"), PRINTABLE)
def test_control_characters_are_shown_and_everything_else_stays(given_text, expected):
    assert expected == text.printable(given_text)


@settings(deadline=None)
@given(st.text())
def test_any_text_becomes_one_line_without_escapes(anything):
    shown = text.printable(anything)
    assert not set(shown) & set(map(chr, [*range(9), *range(10, 32), *range(127, 160), 0x2028, 0x2029, 0x202E]))


def encoded(encoding: str, line: str) -> bytes:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    text.write(stream, line)
    stream.detach()
    return raw.getvalue()


WRITTEN = [
    ("utf-8", "✓ müller", "✓ müller\n".encode()),
    ("latin-1", "✓ müller", b"\\u2713 m\xfcller\n"),
    ("ascii", "✓ müller", b"\\u2713 m\\xfcller\n"),
    ("utf-8", "\ud800", b"\\ud800\n"),
]


@pytest.mark.parametrize(("encoding", "line", "expected"), WRITTEN)
def test_writing_never_fails_for_the_encoding(encoding, line, expected):
    assert expected == encoded(encoding, line)


def test_a_stream_without_an_encoding_takes_text():
    stream = io.StringIO()
    text.write(stream, "✓")
    assert "✓\n" == stream.getvalue()


def test_a_number_and_its_noun():
    counted = [text.plural(number, "tenant") for number in (0, 1, 2)]
    assert ["0 tenants", "1 tenant", "2 tenants"] == counted


SOME = [
    ([], ""),
    (["a"], "a"),
    (list("abcde"), "a, b, c, d, e"),
    (list("abcdefg"), "a, b, c, d, e and 2 more"),
    (["a\nb"], "a\\nb"),
]


@pytest.mark.parametrize(("names", "expected"), SOME)
def test_the_first_few_of_many(names, expected):
    assert expected == text.some(names)


@pytest.mark.parametrize(
    ("letter", "shown"), [("\ud7a4", "\\ud7a4"), ("\ue000", "\\ue000"), ("\xa0", "\xa0"), ("\u3000", "\u3000")]
)
def test_what_nobody_has_agreed_on_is_escaped_and_a_wide_space_is_a_space(letter, shown):
    assert f"a{shown}b" == text.printable(f"a{letter}b")
