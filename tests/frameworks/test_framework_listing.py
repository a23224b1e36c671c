"""Listings are hostile text."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opskit import errors, frameworks, model
from opskit.frameworks import custom, listing, survey

ISOLATION = {0: "schema", 1: "database"}
SPEC = model.Custom(list=("tenants",), migrate=("m", "{tenant}"), success="ok", pending=("pending",))


def refusal(call, *args) -> str:
    with pytest.raises(errors.ListingError) as raised:
        call(*args)
    return str(raised.value)


def read(rows, isolation=ISOLATION) -> tuple[model.Tenant, ...]:
    return listing.tenants(rows, "tenant_id", "name", isolation)


# ---------------------------------------------------------------- parse

LIST = '[{"tenant_id": "a"}]'

PARSED = [
    ("a list", LIST),
    ("in lines", '[\n  {\n    "tenant_id": "a"\n  }\n]\n'),
    ("after a banner", f"Welcome to acme!\n\n{LIST}\n"),
    ("before a farewell", f"{LIST}\nbye\n"),
    ("followed at once by more", f"{LIST}bye"),
    ("between warnings", f"x.py:3: RemovedInDjango60Warning: y\n  y = 1\n{LIST}\nWARN z\n"),
    ("after a schema backend's noise", f"[SCHEMA BACKEND] Schema 'a' ensured.\n{LIST}\n"),
    ("after a database backend's noise", f"[DB BACKEND] Bound tenant d01 to alias x.\n{LIST}\n"),
    ("after a time in brackets", f"[2026-11-22 14:02:00] INFO starting\n{LIST}\n"),
    ("after a count in brackets", f"[1/3] looking\n{LIST}\n"),
    ("after a set in braces", f"{{not json}}\n{LIST}\n"),
    ("after a quote in brackets", f'["quoted] noise\n{LIST}\n'),
    ("indented", f"  \t{LIST}\n"),
    ("behind a byte order mark", f"\ufeff{LIST}"),
    ("behind a very long line", f"{'.' * 100_000}\n{LIST}"),
    ("behind many lines", "noise\n" * 10_000 + LIST),
    ("with carriage returns", f"banner\r\n{LIST}\r\n"),
]


@pytest.mark.parametrize("text", [row[1] for row in PARSED], ids=[row[0] for row in PARSED])
def test_json_is_found_whatever_is_around_it(text):
    assert [{"tenant_id": "a"}] == listing.parse(text)


def test_an_object_is_found_too():
    assert {"tenants": []} == listing.parse('banner\n{"tenants": []}')


def test_the_empty_list_and_the_empty_object_are_json():
    assert ([], {}) == (listing.parse("[]\n"), listing.parse("x\n{ }"))


def test_a_huge_listing_is_read():
    rows = [{"tenant_id": f"t{number}", "name": "x" * 50} for number in range(20_000)]
    assert rows == listing.parse(f"banner\n{json.dumps(rows, indent=2)}")


NOT_JSON = [
    ("", "it is not JSON: it is empty"),
    ("\n \n", "it is not JSON: it is empty"),
    ("No module named acme", "it is not JSON: `No module named acme`"),
    ("<html>\n <body>", "it is not JSON: `<html> <body>`"),
    ('"a text"', 'it is not JSON: `"a text"`'),
    ("42", "it is not JSON: `42`"),
    ("[SCHEMA BACKEND] Schema 'a' ensured.", "it is not JSON: `[SCHEMA BACKEND] Schema 'a' ensured.`"),
    ("[1/3] looking", "it is not JSON: `[1/3] looking`"),
    ("x" * 1000, f"it is not JSON: `{'x' * 300}`"),
    ("password=hunter2", "it is not JSON: `password=[REDACTED]`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), NOT_JSON)
def test_what_is_not_json_is_shown_shortly(text, message):
    assert message == refusal(listing.parse, text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[\n" * 100_000, "[" * 5000 + "]" * 5000])
def test_what_is_nested_too_deep_is_refused(text):
    assert refusal(listing.parse, text).startswith("it is ")


def test_a_number_of_thousands_of_digits_is_refused():
    assert refusal(listing.parse, f"[{'1' * 5000}]").startswith("it is not JSON: `[111")


ROWS = json.dumps(
    [
        {"tenant_id": "a\u00e9", "ok": True, "config": {"PASSWORD": "hunter2", "DSN": "postgres://u:hunter2@db/x"}},
        {"tenant_id": "b", "nothing": None, "size": -1.5},
    ],
    indent=1,
)


def test_json_that_is_cut_off_anywhere_is_an_error_that_tells_no_credential():
    for at in range(len(ROWS)):
        message = refusal(listing.parse, ROWS[:at])
        assert "hun" not in message, at


def test_no_row_is_taken_for_the_whole():
    cut = '[\n {"tenant_id": "a"},\n {"tenant_id": "b'
    assert f"it is cut off after {len(cut)} characters" == refusal(listing.parse, cut)


def test_a_password_at_the_end_of_the_excerpt_is_not_told():
    for length in range(1100, 1300):
        assert "hun" not in refusal(listing.parse, " " * (length - 40) + '.\n"PASSWORD": "hunter2 hunter2", more')
        assert "hun" not in refusal(listing.parse, " " * (length - 40) + ".\npostgres://acme:hunter2@db/acme more")


# ---------------------------------------------------------------- answer


def test_the_answer_of_a_command_that_ended_well_is_its_stdout():
    assert "out" == listing.answer(model.Reply(exit=0, out="out", tail="warning\n"), "asking")


FAILED = [
    (model.Reply(exit=1, tail="x\nValueError: no\n"), "asking failed: it exited 1: ValueError: no"),
    (model.Reply(exit=1), "asking failed: it exited 1"),
    (model.Reply(exit=-15, error="it timed out", tail="x\n"), "asking failed: it timed out"),
    (model.Reply(exit=1, tail="E: password=hunter2 x\n"), "asking failed: it exited 1: E: password=[REDACTED] x"),
]


@pytest.mark.parametrize(("reply", "message"), FAILED)
def test_a_command_that_failed_says_why(reply, message):
    assert message == refusal(listing.answer, reply, "asking")


# ---------------------------------------------------------------- tenants


def test_rows_become_tenants_in_their_order():
    rows = [
        {"tenant_id": "zeta", "name": "Z", "isolation_type": 1},
        {"tenant_id": 7, "name": None, "isolation_type": 0},
        {"tenant_id": "acme", "isolation_type": "SCHEMA"},
        {"tenant_id": "beta", "name": "B", "isolation_type": None},
        {"tenant_id": "odd", "name": "O", "isolation_type": [1]},
        {"tenant_id": "far", "name": "F", "isolation_type": 9},
    ]
    expected = (
        model.Tenant("zeta", "Z", "database"),
        model.Tenant("7", "", "schema"),
        model.Tenant("acme", "", "schema"),
        model.Tenant("beta", "B", ""),
        model.Tenant("odd", "O", ""),
        model.Tenant("far", "F", ""),
    )
    assert expected == read(rows)


HOSTILE = [" ", "a b", "-x", "--all", "../x", "a\nb", "\x1b[31m", "\u202e", "[/x]", "1e5", "$(id)", "ä", "\ud800", "\0"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_id_is_data(name):
    assert (model.Tenant(name),) == read([{"tenant_id": name}])


NO_ID = [
    ({}, "tenant [0] has no `tenant_id`: it has nothing"),
    ({"id": 1, "name": "x"}, "tenant [0] has no `tenant_id`: it has `id`, `name`"),
    ({"tenant_id": None}, "tenant [0] has no `tenant_id`: it has `tenant_id`"),
    ({"tenant_id": ""}, "tenant [0] has no `tenant_id`: it has `tenant_id`"),
    ({"tenant_id": True}, "tenant [0] has no `tenant_id`: it has `tenant_id`"),
    ({"tenant_id": False}, "tenant [0] has no `tenant_id`: it has `tenant_id`"),
    ({"tenant_id": 1.5}, "tenant [0] has no `tenant_id`: it has `tenant_id`"),
    ({"tenant_id": ["a"]}, "tenant [0] has no `tenant_id`: it has `tenant_id`"),
    ({"tenant_id": {"a": 1}}, "tenant [0] has no `tenant_id`: it has `tenant_id`"),
    ("acme", "expected an object for tenant [0], found a text"),
    (None, "expected an object for tenant [0], found null"),
    (1, "expected an object for tenant [0], found a number"),
    (True, "expected an object for tenant [0], found true or false"),
]


@pytest.mark.parametrize(("row", "message"), NO_ID)
def test_a_row_without_an_id_is_named_with_what_it_has(row, message):
    assert message == refusal(read, [row])


def test_the_id_zero_is_an_id():
    assert (model.Tenant("0"),) == read([{"tenant_id": 0}])


def test_the_row_is_counted():
    assert "tenant [2] has no `tenant_id`: it has `x`" == refusal(
        read, [{"tenant_id": "a"}, {"tenant_id": "b"}, {"x": 1}]
    )


DOUBLED = [
    (["a", "b", "a"], "1 id is listed more than once: `a`"),
    (["a", "a", "a"], "1 id is listed more than once: `a`"),
    ([1, "1"], "1 id is listed more than once: `1`"),
    ([*"abcdefg", *"abcdefg"], "7 ids are listed more than once: `a`, `b`, `c`, `d`, `e` and 2 more"),
]


@pytest.mark.parametrize(("ids", "message"), DOUBLED)
def test_doubled_ids_are_refused(ids, message):
    assert message == refusal(read, [{"tenant_id": each} for each in ids])


def test_ids_that_differ_in_case_are_two():
    assert ["a", "A"] == [tenant.id for tenant in read([{"tenant_id": "a"}, {"tenant_id": "A"}])]


def test_the_name_of_the_shared_database_is_nobodys_id():
    expected = "the id `(shared)` is opskit's own name for the shared database"
    assert expected == refusal(read, [{"tenant_id": "(shared)"}])


@pytest.mark.parametrize(("rows", "kind"), [({}, "an object"), ("x", "a text"), (None, "null"), (3, "a number")])
def test_what_is_no_list_is_refused(rows, kind):
    assert f"expected a list of tenants, found {kind}" == refusal(read, rows)


CREDENTIALS = [
    {"tenant_id": "a", "config": {"db_config": {"PASSWORD": "hunter2"}}},
    {"tenant_id": "b", "password": "hunter2", "isolation_type": 1},
    {"tenant_id": "c", "name": {"PASSWORD": "hunter2"}},
    {"tenant_id": "d", "name": ["hunter2"], "isolation_type": {"x": "hunter2"}},
]


def test_credentials_are_in_no_tenant():
    assert "hunter2" not in repr(read(CREDENTIALS))


@pytest.mark.parametrize("row", [{"password": "hunter2"}, {"tenant_id": {"x": "hunter2"}}, ["hunter2"], "hunter2"])
def test_credentials_are_in_no_refusal(row):
    assert "hunter2" not in refusal(read, [*CREDENTIALS, row])


# ---------------------------------------------------------------- any text at all

READERS = {
    "omnitenant": frameworks.omnitenant.read_list,
    "opskit": frameworks.tenants_app.read_list,
    "custom": custom.framework(SPEC).read_list,
    "custom pending": custom.read_pending,
    "survey": survey.read,
}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["tenant_id", "name"]), inner),
    max_leaves=20,
)
ROW = st.fixed_dictionaries(
    {"tenant_id": ANYTHING},
    optional={"name": ANYTHING, "applied": ANYTHING, "latest": ANYTHING, "pending": ANYTHING, "error": ANYTHING},
)
DOCUMENT = (
    ANYTHING
    | st.lists(ROW)
    | st.fixed_dictionaries(
        {"tenants": st.lists(ROW) | ANYTHING}, optional={"shared": ANYTHING, "listing_error": ANYTHING}
    )
)


def never_worse_than_a_listing_error(text: str) -> None:
    for read_it in READERS.values():
        try:
            read_it(model.Reply(exit=0, out=text))
        except errors.ListingError:
            continue


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text):
    never_worse_than_a_listing_error(text)


@settings(deadline=None)
@given(st.text(alphabet='[]{}",:\\ \n0123456789.-+eEtruefalsn'))
def test_any_brackets_are_read_or_refused(text):
    never_worse_than_a_listing_error(text)


@settings(deadline=None)
@given(DOCUMENT, st.text(max_size=20), st.text(max_size=20))
def test_any_json_is_read_or_refused_whatever_is_around_it(document, before, after):
    never_worse_than_a_listing_error(f"{before}\n{json.dumps(document)}{after}")


@settings(deadline=None)
@given(DOCUMENT, st.data())
def test_any_json_cut_off_is_read_or_refused(document, data):
    text = json.dumps(document, indent=1)
    never_worse_than_a_listing_error(text[: data.draw(st.integers(0, len(text)))])


def test_a_log_of_a_hundred_thousand_lines_does_not_hide_a_listing():
    noise = "".join(
        f"[2026-11-22 14:02:{number % 60:02}] INFO {number}\n{{1: not JSON}}\n" for number in range(100_000)
    )
    listed = json.dumps([{"tenant_id": f"t{number}"} for number in range(100_000)])
    assert 100_000 == len(listing.parse(f"{noise}{listed}\n{noise}", list))


def test_a_row_that_is_long_is_no_noise():
    for length in range(150, 450, 7):
        rows = [{"tenant_id": "x" * length, "list": [1, 2, [3]]}, {"y" * length: 1.5, "tenant_id": "b"}]
        for text in (json.dumps(rows), json.dumps(rows, indent=20), json.dumps({"a" * length: rows})):
            assert json.loads(text) == listing.parse(f"[1 noise\n{text}\nnoise")
