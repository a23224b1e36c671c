"""What sudo is answered. The real one is in tests/e2e; here it asks and says what it seldom does."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace

import places
import pytest

from opskit import errors, model
from opskit.transport import agent, fleet, stream

HASTY = agent.Timing(beat=0.2, silence=10.0, start=1.5)


@pytest.fixture
def sudo(tmp_path, monkeypatch):
    """Put a `sudo` in front of the PATH, a script; `heard` is what it wrote there of its stdin."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    heard = tmp_path / "heard"

    def write(script: str):
        (folder / "sudo").write_text(f"#!/bin/sh\nheard={heard}\n{script}\n")
        (folder / "sudo").chmod(0o755)
        return heard

    return write


def opening(tmp_path) -> str:
    """Why the agent does not start; "" where it does."""
    app = replace(places.app(tmp_path), run_as="acme", sudo_password="hunter2")
    here = model.Host("here", "localhost", model.HostKind.LOCAL)
    made = model.Environment("test", (here,), app, "custom", root=str(tmp_path))
    with contextlib.closing(fleet.Fleet(made, places.HOLD, timing=HASTY)) as hosts:
        try:
            hosts.open()
        except errors.OpskitError as error:
            return str(error)
    return ""


THEN = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'


def test_the_password_comes_after_the_question_and_before_the_agent(tmp_path, sudo):
    heard = sudo(f'printf "%s" "{stream.PROMPT}" >&2; read password; echo "$password" > $heard; {THEN}')
    assert opening(tmp_path) == ""
    assert heard.read_text() == "hunter2\n"


def test_where_there_is_no_question_there_is_no_password(tmp_path, sudo):
    sudo(THEN)
    assert opening(tmp_path) == ""


def test_a_lecture_before_the_question_does_not_matter(tmp_path, sudo):
    sudo(f"seq 2000 >&2; printf '%s' '{stream.PROMPT}' >&2; read password; {THEN}")
    assert opening(tmp_path) == ""


@pytest.mark.parametrize("before", ["", f"printf '%s' '{stream.PROMPT}' >&2; read password;"])
def test_a_question_that_is_not_ours_gets_no_answer(tmp_path, sudo, before):
    """A second factor: the agent's text must not be taken for the code."""
    heard = sudo(f"{before} printf 'Verification code: ' >&2; cat > $heard")
    assert opening(tmp_path) == "here: the agent did not start: Verification code:"
    assert heard.read_text() == ""


def test_a_sudo_that_asks_again_hears_nothing_more(tmp_path, sudo):
    heard = sudo(f"printf '{stream.PROMPT}' >&2; read password; printf 'Sorry.\\n{stream.PROMPT}' >&2; cat > $heard")
    assert opening(tmp_path) == "here: sudo did not take the password. it was tried once"
    assert heard.read_text() == ""


def test_a_sudo_that_ends_after_the_password_is_told_in_its_own_words(tmp_path, sudo):
    sudo(f"printf '{stream.PROMPT}' >&2; read password; echo 'sudo: account is closed' >&2; exit 1")
    assert opening(tmp_path) == "here: the agent did not start: sudo: account is closed (exit 1)"
