"""`Include` in ssh_config: what ends up in the lookup, as OpenSSH would read it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from opskit import errors
from opskit.transport import ssh_config


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write ~/.ssh/config and what it includes: {name in ~/.ssh: text}."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".ssh"
    folder.mkdir()

    def write(**texts: str):
        for name, text in texts.items():
            file = folder / name.replace("__", "/")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return folder

    return write


def lookup(host: str) -> dict[str, str]:
    found = ssh_config.load(ssh_config.USER).lookup(host)
    return {key: found[key] for key in ("hostname", "user", "port") if key in found}


def test_a_file_is_included_by_its_name_in_the_ssh_folder(files):
    files(config="Include work\n", work="Host app1\n  HostName 10.0.0.1\n")
    assert lookup("app1") == {"hostname": "10.0.0.1"}


def test_globs_quotes_and_several_files_a_line_are_taken_in_order(files):
    files(
        config='include conf.d/* "with space" ~/.ssh/last\n',
        **{
            "conf.d__20": "Host *\n  User second\n  Port 20\n",
            "conf.d__10": "Host *\n  User first\n",
            "with space": "Host app1\n  HostName spaced\n",
            "last": "Host app1\n  Port 30\n",
        },
    )
    assert lookup("app1") == {"hostname": "spaced", "user": "first", "port": "20"}


def test_the_block_goes_on_after_what_it_includes(files):
    files(config="Host app1\n  Include other\n  User deploy\nHost app2\n  User two\n", other="Host other\n  Port 1\n")
    assert lookup("app1") == {"hostname": "app1", "user": "deploy"}
    assert lookup("other") == {"hostname": "other"}
    assert lookup("app2") == {"hostname": "app2", "user": "two"}


def test_settings_at_the_top_still_hold_for_everybody_after_an_include(files):
    files(config="Include other\nUser deploy\n", other="Host other\n  Port 1\n")
    assert lookup("app1") == {"hostname": "app1", "user": "deploy"}


def test_what_a_block_includes_holds_for_that_block_only(files):
    files(config="Host app*\n  Include inner\n", inner="Port 1\nHost *1 !x1\n  User one\nMatch all\n  HostName all\n")
    assert lookup("app1") == {"hostname": "all", "port": "1", "user": "one"}
    assert lookup("app2") == {"hostname": "all", "port": "1"}
    assert lookup("web1") == {"hostname": "web1"}


def test_includes_nest(files):
    files(config="Include a\n", a="Host app1\n  Include b\n", b="Include c\n", c="User deep\n")
    assert lookup("app1") == {"hostname": "app1", "user": "deep"}
    assert lookup("app2") == {"hostname": "app2"}


def test_a_file_that_includes_itself_is_told(files):
    folder = files(config="Include config\n")
    with pytest.raises(errors.ConnectError) as caught:
        lookup("app1")
    assert str(caught.value) == f"your ssh_config can't be read: `{folder}/config` includes more than 16 files deep"


def test_files_that_are_not_there_and_folders_are_passed_over(files):
    folder = files(config="Include nowhere conf.d/*\nUser deploy\n")
    (folder / "conf.d" / "sub").mkdir(parents=True)
    assert lookup("app1") == {"hostname": "app1", "user": "deploy"}


def test_a_line_that_is_no_setting_is_quoted(files):
    files(config="Include bad\n", bad="nonsense\n")
    with pytest.raises(errors.ConnectError) as caught:
        lookup("app1")
    assert str(caught.value) == "your ssh_config can't be read: Unparsable line nonsense"


def test_without_any_file_nothing_is_said(files):
    files()
    assert lookup("app1") == {"hostname": "app1"}


CONFIG = """\
Include first
Host app*
  Include "for apps"
  User late
Match host app2
  Include second
Host *
  Port 7
"""
INCLUDED = {
    "first": "Host app1\n  HostName 10.0.0.1\nHost db\n  User first\n",
    "for apps": "Host *3\n  User three\nHost *\n  Port 5\n",
    "second": "HostName 10.0.0.2\nMatch user late\n  Port 6\n",
}


@pytest.mark.parametrize("host", ["app1", "app2", "app3", "db", "web"])
def test_openssh_reads_the_same(files, host):
    folder = files(config=CONFIG, **INCLUDED)
    assert shutil.which("ssh"), "ssh is not installed (Debian: openssh-client)"
    absolute = folder / "absolute"  # with -F, ssh looks for relative names in its own home
    absolute.write_text(
        CONFIG.replace("first", f"{folder}/first")
        .replace("for apps", f"{folder}/for apps")
        .replace("Include second", f"Include {folder}/second2")
    )
    (folder / "second2").write_text(INCLUDED["second"])
    said = subprocess.run(["ssh", "-G", "-F", absolute, host], capture_output=True, text=True, check=True).stdout
    real = dict(line.split(" ", 1) for line in said.splitlines())
    ours = ssh_config.load(ssh_config.USER).lookup(host)
    assert (ours["hostname"], ours["port"]) == (real["hostname"], real["port"])
    assert ours.get("user", real["user"]) == real["user"]
