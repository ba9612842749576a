"""What a function imports before its first request, which every cold start pays for."""

from typing import Final

import pytest

from local import IMPORT_ROOTS
from tests.support.imports import imported_by, over_budget, read_budget

FUNCTIONS: Final = ("presign", "verify")
MODULES: Final = {"presign": 200, "verify": 470}
"""Modules in all, with a little room for what differs between Pythons."""


@pytest.fixture(scope="module")
def imported() -> dict[str, dict[str, str]]:
    return {name: imported_by(f"{name}.app", IMPORT_ROOTS) for name in FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_what_its_budget_has_and_no_more(
    imported: dict[str, dict[str, str]], function: str
) -> None:
    # A new import: make it where it is needed (and say how often that is), or put it into the budget.
    assert over_budget(function, imported[function]) == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_modules_are_not_too_many(imported: dict[str, dict[str, str]], function: str) -> None:
    assert len(imported[function]) <= MODULES[function]


@pytest.mark.parametrize("package", ["boto3", "botocore.session", "s3transfer", "urllib3"])
def test_what_would_double_a_cold_presign_is_not_in_its_budget(package: str) -> None:
    assert package not in read_budget("presign")


def test_an_import_that_breaks_the_budget_is_named_with_its_importer(
    imported: dict[str, dict[str, str]],
) -> None:
    more = {**imported["presign"], "xml.dom": "presign.grammar", "_elementtree": "xml"}

    assert over_budget("presign", more) == ["xml.dom, imported by presign.grammar"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_imports_another(imported: dict[str, dict[str, str]], function: str) -> None:
    (other,) = set(FUNCTIONS) - {function}

    assert [name for name in imported[function] if name.split(".")[0] == other] == []
