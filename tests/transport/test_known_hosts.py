"""Whose key is trusted: the lines of a known_hosts, held against an sshd."""

from __future__ import annotations

import contextlib
import subprocess

import places
import pytest

from opskit import errors, model
from opskit.transport import fleet


@pytest.fixture
def reaches(tmp_path, monkeypatch, sshd):
    """Whether the sshd is trusted with these lines; raises HostKeyError where it is not."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    host, _ = places.of_sshd(sshd)
    file = tmp_path / "known_hosts"

    def with_lines(*lines: str, hashed: bool = False, client: str = "fabric") -> bool:
        file.write_text("".join(f"{line.rstrip()}\n" for line in lines))
        if hashed:
            subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
            assert "127.0.0.1" not in file.read_text()
        ssh = model.Ssh(known_hosts=(str(file),), connect_timeout=5.0, client=client)
        made = model.Environment("test", (host,), places.app(tmp_path), "custom", ssh=ssh, root=str(tmp_path))
        with contextlib.closing(fleet.Fleet(made, timing=places.FAST)) as hosts:
            hosts.open()
        return True

    with_lines.file = file
    return with_lines


@pytest.fixture
def other(sshd):
    """A key that the host does not have."""
    return " ".join(sshd.refused_key().with_suffix(".pub").read_text().split()[:2])


def test_an_odd_line_does_not_hide_the_others(reaches, sshd):
    odd = ["@cert-authority *.example.com ssh-ed25519 AAAA", "nonsense", "|1|bad|hash ssh-rsa AAAA", "# a comment", ""]
    assert reaches(*odd, sshd.known_hosts_line())


def test_a_hashed_name_is_understood(reaches, sshd):
    assert reaches(sshd.known_hosts_line(), hashed=True)


@pytest.mark.parametrize("client", ["fabric", "openssh"])
@pytest.mark.parametrize("pattern", ["[127.0.0.*]:{port}", "other,[127.0.0.?]:*", "*", "127.0.0.1"])
def test_wildcards_are_understood(reaches, sshd, pattern, client):
    assert reaches(f"{pattern.format(port=sshd.port)} {sshd.host_key}", client=client)


@pytest.mark.parametrize("client", ["fabric", "openssh"])
def test_a_name_that_is_taken_out_of_a_pattern_is_not_meant(reaches, sshd, client):
    with pytest.raises(errors.HostKeyError):
        reaches(f"*,!*127.0.0.1* {sshd.host_key}", client=client)


@pytest.mark.parametrize("client", ["fabric", "openssh"])
def test_one_of_two_keys_of_a_kind_is_enough(reaches, sshd, other, client):
    """While a host's key is being changed, both stand there."""
    assert reaches(sshd.known_hosts_line(other), sshd.known_hosts_line(), client=client)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_the_host_is_asked_for_the_kind_of_key_that_is_known_of_it(reaches, tmp_path, sshd, kind):
    more = tmp_path / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", more], check=True, capture_output=True)
    with_both = sshd.another(options=(f"HostKey {more}",))
    host, _ = places.of_sshd(with_both)
    reaches.file.write_text(with_both.known_hosts_line(more.with_suffix(".pub").read_text()))
    ssh = model.Ssh(known_hosts=(str(reaches.file),), connect_timeout=5.0)
    made = model.Environment("test", (host,), places.app(tmp_path), "custom", ssh=ssh, root=str(tmp_path))
    with contextlib.closing(fleet.Fleet(made, timing=places.FAST)) as hosts:
        assert hosts.open().path == made.app.path
    with_both.stop()


def refused(reaches, *lines: str) -> errors.HostKeyError:
    with pytest.raises(errors.HostKeyError) as caught:
        reaches(*lines)
    return caught.value


@pytest.mark.parametrize("name", ["*", "[127.0.0.1]:{port}"])
def test_a_revoked_key_is_refused_though_another_line_knows_it(reaches, sshd, name):
    revoked = f"@revoked {name.format(port=sshd.port)} {sshd.host_key}"
    error = refused(reaches, sshd.known_hosts_line(), revoked)
    assert str(error) == f"the host key of [{sshd.host}]:{sshd.port} is revoked in known_hosts"


def test_a_changed_key_is_named_with_file_and_line(reaches, sshd, other):
    error = refused(reaches, "# ours", f"elsewhere {sshd.host_key}", sshd.known_hosts_line(other))
    assert f"has changed: `{reaches.file}`, line 3, has SHA256:" in str(error)
    assert f"`ssh-keygen -f {reaches.file} -R '[{sshd.host}]:{sshd.port}'`" in error.hint


def test_where_an_authority_is_named_the_other_client_is(reaches, sshd, other):
    error = refused(reaches, f"@cert-authority [127.0.0.*]:* {other}")
    assert f"`{reaches.file}`, line 1, names an authority, which Fabric can't ask" in str(error)
    assert error.hint == "`ssh: {client: openssh}` in the inventory can."


def test_openssh_asks_the_authority(reaches, tmp_path, sshd):
    authority = tmp_path / "authority"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", authority], check=True, capture_output=True)
    signed = tmp_path / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", signed], check=True, capture_output=True)
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "host", "-h", "-n", sshd.host, f"{signed}.pub"]
    subprocess.run(sign, check=True, capture_output=True)
    certified = sshd.another(options=(f"HostKey {signed}", f"HostCertificate {signed}-cert.pub"))
    host, _ = places.of_sshd(certified)
    reaches.file.write_text(f"@cert-authority [127.0.0.*]:* {authority.with_suffix('.pub').read_text()}")
    ssh = model.Ssh(known_hosts=(str(reaches.file),), connect_timeout=5.0, client="openssh")
    made = model.Environment("test", (host,), places.app(tmp_path), "custom", ssh=ssh, root=str(tmp_path))
    with contextlib.closing(fleet.Fleet(made, timing=places.FAST)) as hosts:
        assert hosts.open().path == made.app.path
    certified.stop()
