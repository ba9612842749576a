"""What a function imports before its first request, which every cold start pays for."""

from typing import Final

import pytest

from local import IMPORT_ROOTS
from tests.support.imports import STARTS, imported_by, over_budget, read_budget

PACKAGES: Final = frozenset(start.package for start in STARTS.values())


@pytest.fixture(scope="module")
def imported() -> dict[str, dict[str, str]]:
    return {name: imported_by(start, IMPORT_ROOTS) for name, start in STARTS.items()}


@pytest.mark.parametrize("name", STARTS)
def test_a_function_imports_what_its_budget_has_and_no_more(
    imported: dict[str, dict[str, str]], name: str
) -> None:
    # A new import: make it where it is needed (and say how often that is), or put it into the budget.
    assert over_budget(STARTS[name], imported[name]) == []


@pytest.mark.parametrize("name", STARTS)
def test_the_modules_are_not_too_many(imported: dict[str, dict[str, str]], name: str) -> None:
    assert len(imported[name]) <= STARTS[name].modules


@pytest.mark.parametrize("package", ["boto3", "botocore.session", "s3transfer", "urllib3"])
def test_what_would_double_a_cold_presign_is_not_in_its_budget(package: str) -> None:
    assert package not in read_budget(STARTS["presign"])


@pytest.mark.parametrize("name", ["presign", "verify"])
def test_the_library_of_receipts_is_imported_for_receipts_alone(
    imported: dict[str, dict[str, str]], name: str
) -> None:
    assert "joserfc" in imported["verify with receipts"]
    assert [module for module in imported[name] if module.startswith("joserfc")] == []


def test_an_import_that_breaks_the_budget_is_named_with_its_importer(
    imported: dict[str, dict[str, str]],
) -> None:
    more = {**imported["presign"], "xml.dom": "presign.grammar", "_elementtree": "xml"}

    assert over_budget(STARTS["presign"], more) == ["xml.dom, imported by presign.grammar"]


@pytest.mark.parametrize("name", STARTS)
def test_no_function_imports_another(imported: dict[str, dict[str, str]], name: str) -> None:
    others = PACKAGES - {STARTS[name].package}

    assert [module for module in imported[name] if module.split(".")[0] in others] == []
