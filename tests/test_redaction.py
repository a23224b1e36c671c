"""What looks like a credential goes, and what does not stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit import redaction

GONE = [
    ("postgres://acme:hunter2@db/acme", "postgres://acme:[REDACTED]@db/acme"),
    ("postgres://acme:hunter2@db:5432/acme?x=1", "postgres://acme:[REDACTED]@db:5432/acme?x=1"),
    ("redis://:hunter2@cache:6379/0", "redis://:[REDACTED]@cache:6379/0"),
    ("amqp://u:hunter2@a//, amqp://v:hunter2@b//", "amqp://u:[REDACTED]@a//, amqp://v:[REDACTED]@b//"),
    ("postgres://u:hun:ter2@db/x", "postgres://u:[REDACTED]@db/x"),
    ("postgres://u:hun@ter2@db/x", "postgres://u:[REDACTED]@db/x"),
    ("postgres://u:hun/ter2@db/x", "postgres://u:[REDACTED]@db/x"),
    ("'NAME': 'postgres://u:hunter2@db/x', 'a@b.c'", "'NAME': 'postgres://u:[REDACTED]@db/x', 'a@b.c'"),
    ("host=db password=hunter2 user=acme", "host=db password=[REDACTED] user=acme"),
    ("password = 'hunter2 with spaces'", "password = '[REDACTED]'"),
    ("PGPASSWORD=hunter2", "PGPASSWORD=[REDACTED]"),
    ("password: hunter2", "password: [REDACTED]"),
    ("passwd=hunter2", "passwd=[REDACTED]"),
    ("passphrase='hunter2'", "passphrase='[REDACTED]'"),
    ("pass=hunter2", "pass=[REDACTED]"),
    ("api_key=hunter2", "api_key=[REDACTED]"),
    ("APIKEY: hunter2", "APIKEY: [REDACTED]"),
    ("auth_token='hunter2'", "auth_token='[REDACTED]'"),
    ("SECRET_KEY = 'hunter2'", "SECRET_KEY = '[REDACTED]'"),
    ("aws_secret_access_key=hunter2", "aws_secret_access_key=[REDACTED]"),
    ("client_secret=hunter2&x=1", "client_secret=[REDACTED]&x=1"),
    ("{'PASSWORD': 'hunter2', 'PORT': ''}", "{'PASSWORD': '[REDACTED]', 'PORT': ''}"),
    ('{"PASSWORD": "hunter2", "PORT": ""}', '{"PASSWORD": "[REDACTED]", "PORT": ""}'),
    ("{'PASSWORD': \"it's hunter2\"}", "{'PASSWORD': \"[REDACTED]\"}"),
    (r"{'PASSWORD': 'it\'s hunter2'}", "{'PASSWORD': '[REDACTED]'}"),
    (r'{\"PASSWORD\": \"hunter2\", \"PORT\": 1}', r'{\"PASSWORD\": \"[REDACTED]\", \"PORT\": 1}'),
    (r'"error": "password=\"hunter2\" x"', r'"error": "password=\"[REDACTED]\" x"'),
    ("connect(password=b'hunter2')", "connect(password='[REDACTED]')"),
    ("connect(password=hunter2)", "connect(password=[REDACTED])"),
    ("password=hun)ter2 x", "password=[REDACTED] x"),
    ('"PASSWORD": "hunter2 that was cut o', '"PASSWORD": "[REDACTED]"'),
    ("'PASSWORD': 'cut\nnext line", "'PASSWORD': '[REDACTED]'\nnext line"),
    ('"PASSWORD": "hunter2\\', '"PASSWORD": "[REDACTED]"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), GONE, ids=[text[:40] for text, _ in GONE])
def test_a_credential_goes(text, expected):
    assert expected == redaction.redact(text)


@pytest.fixture
def known(monkeypatch):
    """Gives `redaction.know`, and has it forget afterwards."""
    monkeypatch.setattr(redaction, "_known", [])
    return redaction.know


KNOWN = [
    ("hunter2!", "x hunter2! y", "x [REDACTED] y"),
    ("postgres://u:p%40ss@db/x", "login p@ss, p%40ss", "login [REDACTED], [REDACTED]"),
    ("first line\nsecond line\nz", "a second line b z", "a [REDACTED] b z"),
    ("first line\nsecond line", repr({"k": "first line\nsecond line"}), "{'k': '[REDACTED]'}"),
    ('say "hi"', r'{"k": "say \"hi\""}', '{"k": "[REDACTED]"}'),
    ("abc", "abc stays", "abc stays"),
    ("", "all stays", "all stays"),
]


@pytest.mark.parametrize(("secret", "text", "expected"), KNOWN, ids=[secret[:10] for secret, _, _ in KNOWN])
def test_a_value_that_is_known_goes_in_whatever_way_it_is_printed(known, secret, text, expected):
    known([secret])
    assert expected == redaction.redact(text)


def test_of_two_that_are_known_the_longer_goes_first(known):
    known(["hunter2"])
    known(["hunter2hunter3"])
    assert "[REDACTED] [REDACTED]" == redaction.redact("hunter2hunter3 hunter2")


def test_our_own_words_are_rid_of_what_is_known_alone(known):
    known(["hunter2!"])
    assert "`app.sudo_password: ask` and [REDACTED]" == redaction.hide("`app.sudo_password: ask` and hunter2!")


STAYS = [
    "",
    "  Applying auth.0003_alter_user_password... OK",
    "  Applying members.0004_member_token... OK",
    "Migrations completed successfully for tenant 'acme'.",
    "https://docs.djangoproject.com/en/5.2/ref/",
    "http://localhost:8000/admin/ is up",
    "http://localhost:8000 says user@example.com",
    "git@github.com:acme/x.git",
    "mail to ops@example.com: now",
    "no password supplied",
    "the token has expired",
    "fe_sendauth: no password supplied",
    "tenant passau: done",
    '{"v": 1, "seq": 2, "event": "TenantFinished", "outcome": {"tenant": "acme", "applied": ["m.0005_token"]}}',
]


@pytest.mark.parametrize("text", STAYS)
def test_what_is_no_credential_stays(text):
    assert text == redaction.redact(text)


@pytest.mark.parametrize("text", [text for text, _ in GONE])
def test_redacting_twice_is_redacting_once(text):
    once = redaction.redact(text)
    assert once == redaction.redact(once)


def test_every_line_is_looked_at():
    text = "a\npassword=hunter2\nb\nredis://:hunter2@x\n" * 3
    assert "a\npassword=[REDACTED]\nb\nredis://:[REDACTED]@x\n" * 3 == redaction.redact(text)


def test_a_line_of_many_urls_without_a_password_stays():
    text = ",".join("http://host:8000/x" for _ in range(10_000))
    assert text == redaction.redact(text)


BEGINNINGS = [
    ("connecting to postgres://acme:hun", "connecting to postgres://acme:[REDACTED]"),
    ("redis://:hunter2", "redis://:[REDACTED]"),
    ("postgres://acme:hunter2@db", "postgres://acme:[REDACTED]"),
    ("postgres://acme", "postgres://acme"),
    ("PASSWORD = 'hun", "PASSWORD = '[REDACTED]'"),
    ("password=hun", "password=[REDACTED]"),
    ("see http://localhost:8000 now", "see http://localhost:8000 now"),
]


@pytest.mark.parametrize(("text", "expected"), BEGINNINGS)
def test_of_a_line_that_is_not_whole_yet_the_end_may_be_half_a_password(text, expected):
    assert expected == redaction.redact_beginning(text)


@pytest.mark.parametrize("text", [text for text, _ in GONE])
def test_the_beginning_of_a_line_never_tells_a_credential_wherever_it_ends(text):
    for at in range(len(text)):
        shown = redaction.redact_beginning(text[:at])
        assert "hunt" not in shown, at
        assert "ter2" not in shown, at


@pytest.mark.parametrize(("text", "expected"), GONE[:-3], ids=[text[:40] for text, _ in GONE[:-3]])
def test_a_safe_cut_splits_no_credential(text, expected):
    line = f"{'x' * 50} {text} {'y' * 50}"
    for at in range(len(line)):
        cut = redaction.safe_cut(line, at)
        assert cut <= at
        assert f"{'x' * 50} {expected} {'y' * 50}" == redaction.redact(line[:cut]) + redaction.redact(line[cut:])


def test_where_nothing_is_hidden_a_safe_cut_is_the_cut():
    assert 5 == redaction.safe_cut("no password was supplied", 5)


@settings(deadline=None)
@given(st.text(), st.text())
def test_around_a_url_anything_may_stand(before, after):
    password = "correcthorse"
    assert password not in redaction.redact(f"{before} postgres://u:{password}@db {after}".replace(password * 2, ""))
