"""Tables, as wide as they need to be and as they may be."""

import pytest

from opskit.reporters import tables

HEADERS = ("tenants", "newest", "pending", "which")
ROWS = [
    ("3", "products.0001_first", "products.0002_sku to users.0005_age (4)", "acme, globex, massive-dynamic"),
    ("288", "", "nothing", "aperture and 287 more"),
]
FOLDS = ("pending", "which")
WHOLE = """\
tenants    newest               pending                                  which
---------  -------------------  ---------------------------------------  -----------------------------
3          products.0001_first  products.0002_sku to users.0005_age (4)  acme, globex, massive-dynamic
288                             nothing                                  aperture and 287 more"""
FOLDED = """\
tenants    newest               pending            which
---------  -------------------  -----------------  ----------------
3          products.0001_first  products.0002_sku  acme, globex,
                                to users.0005_age  massive-dynamic
                                (4)
288                             nothing            aperture and 287
                                                   more"""
STACKED = """\
tenants: 3
  newest: products.0001_first
  pending: products.0002_sku to
    users.0005_age (4)
  which: acme, globex, massive-dynamic
tenants: 288
  pending: nothing
  which: aperture and 287 more"""


@pytest.mark.parametrize(("width", "shown"), [(None, WHOLE), (102, WHOLE), (73, FOLDED), (40, STACKED)])
def test_what_is_too_wide_is_folded_and_then_stacked(width, shown):
    assert shown == "\n".join(line.rstrip() for line in tables.table(HEADERS, ROWS, width, folds=FOLDS).splitlines())


@pytest.mark.parametrize("width", range(20, 110))
def test_no_word_is_cut_and_no_line_is_wider_than_its_words_make_it(width):
    shown = tables.table(HEADERS, ROWS, width, folds=FOLDS)
    words = {word for row in ROWS for cell in row for word in cell.split()}
    assert words <= set(shown.split())
    assert max(map(len, shown.splitlines())) <= max(width, len("    products.0001_first"))


def test_the_least_column_is_left_out_before_a_row_becomes_lines():
    shown = tables.table(HEADERS, ROWS, 50, folds=FOLDS, least=("newest", "which"))
    assert ["tenants", "pending", "which"] == shown.splitlines()[0].split()
    shown = tables.table(HEADERS, ROWS, 40, folds=FOLDS, least=("newest", "which"))
    assert ["tenants", "pending"] == shown.splitlines()[0].split()
    shown = tables.table(HEADERS, ROWS, 20, folds=FOLDS, least=("newest", "which"))
    assert "  newest:" in shown.splitlines()


def test_a_table_without_rows_has_its_headers():
    assert ["a", "b"] == tables.table(("a", "b"), [], 40).splitlines()[0].split()


TWO = ("run", "at work", "for"), [("r1", "acme on app1\nglobex on app2", "12s\n3s")]


@pytest.mark.parametrize("width", [None, 80])
def test_a_cell_of_several_lines_is_as_wide_as_the_longest(width):
    lines = tables.table(*TWO, width).splitlines()[2:]
    assert [["r1", "acme", "on", "app1", "12s"], ["globex", "on", "app2", "3s"]] == [line.split() for line in lines]


def test_its_lines_are_folded_each_for_itself_and_stacked_beside_each_other():
    folded = tables.table(*TWO, 25, folds=("at work",)).splitlines()[2:]
    assert ["acme on", "app1", "globex on", "app2"] == [line[7:16].strip() for line in folded]
    assert "run: r1\n  at work: acme on\n    app1, globex on\n    app2\n  for: 12s, 3s" == tables.table(*TWO, 20)
