"""The inventory that `init` writes: it loads, an editor takes it, and nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opskit import errors, inventory
from opskit.inventory import draft, reference, values

DRAFT = draft.Draft(
    "prod", "deploy@app1.example.com:2222", "/srv/acme/current", "/srv/acme/venv/bin/python", "omnitenant"
)
VALIDATOR = jsonschema.Draft7Validator(json.loads(reference.for_editors()))


def made(**changes) -> draft.Draft:
    return draft.Draft(
        **{**{key: getattr(DRAFT, key) for key in ("name", "host", "path", "python", "framework")}, **changes}
    )


def load(root: Path, new: draft.Draft):
    draft.create(root / "inventories", new, {})
    VALIDATOR.validate(yaml.safe_load(draft.text(new)))
    return inventory.load(root, new.name, {})


def test_what_was_found_is_what_is_loaded(tmp_path):
    environment = load(tmp_path, DRAFT)
    (host,) = environment.hosts
    assert (host.user, host.address, host.port) == ("deploy", "app1.example.com", 2222)
    assert (environment.app.path, environment.app.python) == ("/srv/acme/current", "/srv/acme/venv/bin/python")
    assert (environment.framework, environment.confirm, dict(environment.app.env)) == ("omnitenant", False, {})


def test_all_that_can_be_given_is_loaded(tmp_path):
    given = made(settings="acme.settings.prod", run_as="acme", env_file="/etc/acme/env", client="openssh")
    environment = load(tmp_path, given)
    assert environment.app.env == {"DJANGO_SETTINGS_MODULE": "acme.settings.prod"}
    assert (environment.app.run_as, environment.app.env_file, environment.ssh.client) == (
        "acme",
        "/etc/acme/env",
        "openssh",
    )


def test_a_framework_that_is_not_known_gets_commands_to_fill_in(tmp_path):
    environment = load(tmp_path, made(framework="custom"))
    assert environment.custom is not None
    assert any("{tenant}" in word for word in environment.custom.migrate)


@pytest.mark.parametrize("commented", ["env", "env_file", "run_as", "wrapper", "rollout", "confirm"])
def test_what_stands_there_as_a_comment_is_an_inventory_too(commented):
    """Whoever takes the `#` away gets what is meant."""
    lines = [line.replace(f"# {commented}:", f"{commented}:") for line in draft.text(DRAFT).splitlines()]
    assert lines != draft.text(DRAFT).splitlines()
    VALIDATOR.validate(yaml.safe_load("\n".join(lines)))


def test_what_a_host_says_stays_inside_its_comment(tmp_path):
    hostile = "x\nhosts: [evil]\n\x1b[31m#"
    environment = load(tmp_path, made(known=hostile, trouble=hostile, usual=hostile, others=(hostile,), reason=hostile))
    assert [host.address for host in environment.hosts] == ["app1.example.com"]
    assert "\x1b" not in draft.text(made(trouble=hostile))


@given(st.text(min_size=1, max_size=20))
def test_whatever_path_fits_an_inventory_is_read_back(path):
    try:
        values.undashed(path)
    except ValueError:
        return
    tree = yaml.load(draft.text(made(path=path, python=path)), Loader=yaml.BaseLoader)  # noqa: S506 - text only
    assert (tree["app"]["path"], tree["app"]["python"]) == (path, path)


# ---------------------------------------------------------------- the file


def test_the_schema_is_written_beside_it_and_named_in_it(tmp_path):
    files = draft.create(tmp_path / "inventories", DRAFT, {})
    assert [file.name for file in files] == ["prod.yaml", "inventory.schema.json"]
    assert files[0].read_text().startswith("# yaml-language-server: $schema=inventory.schema.json\n")
    assert files[1].read_text() == reference.for_editors()


def test_a_schema_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "inventory.schema.json").write_text("{}")
    assert [file.name for file in draft.create(tmp_path / "inventories", DRAFT, {})] == ["prod.yaml"]
    assert (tmp_path / "inventories" / "inventory.schema.json").read_text() == "{}"


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_there_is_never_overwritten(tmp_path, link):
    folder = tmp_path / "inventories"
    folder.mkdir()
    file = folder / "prod.yaml"
    if link:
        file.symlink_to(tmp_path / "elsewhere")  # a broken one: the file behind it must not come to be
    else:
        file.write_text("mine")
    with pytest.raises(errors.InventoryError, match=r"inventories/prod\.yaml is there already, and `init` overwrites"):
        draft.create(folder, DRAFT, {})
    assert not (tmp_path / "elsewhere").exists()
    assert link or file.read_text() == "mine"


def test_what_would_not_load_is_not_written(tmp_path):
    with pytest.raises(errors.InventoryError, match=r"inventories/prod.yaml: app.python: starts with `-`"):
        draft.create(tmp_path / "inventories", made(python="-x"), {})
    assert not (tmp_path / "inventories").exists()


def test_a_folder_that_is_none_says_so(tmp_path):
    (tmp_path / "inventories").write_text("")
    with pytest.raises(errors.InventoryError, match=r"inventories/prod\.yaml can't be written: file exists"):
        draft.create(tmp_path / "inventories", DRAFT, {})


# ---------------------------------------------------------------- the name


def test_a_new_inventory_goes_where_the_others_are_else_here(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert inventory.check_new(tmp_path / "a", "prod") == tmp_path / "a" / "inventories"
    (tmp_path / "inventories").mkdir()
    assert inventory.check_new(tmp_path / "a" / "b", "prod") == tmp_path / "inventories"


@pytest.mark.parametrize("name", ["", "-x", ".x", "a/b", "../x", "a b", "x.example"])
def test_a_name_that_could_not_be_used_is_refused(tmp_path, name):
    with pytest.raises(errors.UsageError):
        inventory.check_new(tmp_path, name)


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_an_environment_that_is_there_is_refused_at_once(tmp_path, suffix):
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / f"prod.{suffix}").write_text("")
    with pytest.raises(errors.InventoryError, match=f"inventories/prod.{suffix} is there already"):
        inventory.check_new(tmp_path, "prod")
