"""docs/faults.md is what its table says."""

from tests.faults.page import PAGE, build
from tests.faults.table import PARTS, ROWS
from verify import codes


def test_the_committed_page_is_what_the_table_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == build(), "run: make docs"


def test_every_return_code_that_the_product_knows_has_a_row() -> None:
    names = {row.name for row in ROWS}

    assert {f"return code {code}" for code in codes._KNOWN} <= names  # noqa: SLF001 - the table of codes


def test_every_part_says_what_holds_for_all_of_its_rows() -> None:
    assert all(part.text and part.rows for part in PARTS)
