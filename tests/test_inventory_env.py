"""`app.env`: what is filled in, what is a secret, and that no message shows one."""

from __future__ import annotations

import pytest
from inventory_files import ENVIRON, app, complaint, load, read

from opskit import errors


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${DSN_OF_ACME}", "https://k3y@sentry/1"),
        ("<${DSN_OF_ACME}|${DSN_OF_ACME}>", "<https://k3y@sentry/1|https://k3y@sentry/1>"),
        ("$${DSN_OF_ACME}", "${DSN_OF_ACME}"),
        ("$5 $HOME $", "$5 $HOME $"),
        ("$${", "${"),
    ],
)
def test_an_env_value_is_filled_in_from_the_operators_environment(tmp_path, written, expected):
    assert {"A": expected} == load(tmp_path, app(env={"A": written})).app.env


def test_what_was_filled_in_or_is_named_like_a_secret_is_a_secret(tmp_path):
    secret = {"A": "${DSN_OF_ACME}", "DB_PASSWORD": "x", "my_token": "x", "API_KEY": "x", "DATABASE_URL": "x"}
    secret |= {"SENTRY_DSN": "x", "SECRET": "x", "AWS_CREDENTIALS": "x"}
    plain = {"DJANGO_SETTINGS_MODULE": "acme.settings", "B": "$${A}", "C": "$"}
    loaded = load(tmp_path, app(env=secret | plain)).app
    assert (frozenset(secret), {"https://k3y@sentry/1"}) == (loaded.secrets, loaded.filled_in)


def test_the_values_of_env_are_not_in_the_repr(tmp_path):
    assert "k3y" not in repr(load(tmp_path, app(env={"A": "${DSN_OF_ACME}"})))


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"A": "${GONE}"}, "app.env.A: `GONE` is not set in your environment. export it, and run this again"),
        ({"A": "${x:-hunter2}"}, "app.env.A: `${` must be followed by one variable's name and `}`; write"),
        ({"A": "hunter2${"}, "app.env.A: `${` must be followed by one variable's name"),
        ({"A": ["hunter2"]}, "app.env.A: expected text, found a list"),
        ({"A": {"hunter2": "hunter2"}}, "app.env.A: expected text, found a mapping"),
        ({"A": "hunter2\0"}, "app.env.A: holds a NUL character"),
        ({"A": "hunter2${STRAY}"}, "app.env.A: is not UTF-8 text"),
        ({"P=hunter2": ""}, 'app.env["P…"]: is no variable\'s name. write `NAME: value`'),
        ({"1": "hunter2"}, "app.env.1: is no variable's name"),
        (["A=hunter2"], "app.env: expected a mapping, found a list"),
        ("A=hunter2", "app.env: expected a mapping, found text"),
        ("", "app.env: expected a mapping, found nothing"),
    ],
)
def test_a_bad_env_is_named_and_never_shown(tmp_path, env, message):
    found = complaint(tmp_path, app(env=env), {**ENVIRON, "STRAY": "\udcff"})
    assert found.startswith(message)
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "text",
    [
        "app: {env: {PASSWORD: *hunter2}}",
        "app: {env: {PASSWORD: !hunter2}}",
        "app: {env: {PASSWORD: !hunter2!x y}}",
        "app: {env: {PASSWORD: &hunter2 x}}",
        "app: {env: {PASSWORD: @hunter2}}",
        "app: {env: {PASSWORD: 'hunter2}}",
        "app: {env: {PASSWORD=hunter2, PASSWORD=hunter2}}",
        "app:\n  PASSWORD: hunter2\n",
        "app: {PASSWORD=hunter2: }",
        "app:\n  env:\n  - hunter2: }",
        "app: hunter2",
        "app: {wrapper: docker -e PASSWORD='hunter2}",
        "%hunter2 x",
        "hosts: ['deploy:hunter2@app1']",
        "hosts: ['ssh://deploy:hunter2@app1:22']",
        "hosts: [{address: 'deploy:hunter2@app1'}]",
        "hosts: hunter2",
        "[hunter2]",
        "hunter2",
    ],
)
def test_a_broken_file_names_the_line_and_quotes_nothing(tmp_path, text):
    with pytest.raises(errors.InventoryError) as caught:
        read(tmp_path, text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
