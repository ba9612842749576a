"""What the built functions import under Lambda's Python: no more than their budgets."""

import pytest

from local import ROOT
from local.emulator import Parts
from tests.support.imports import imported_by, over_budget

BUILD = ROOT / ".aws-sam" / "build"


@pytest.mark.parametrize(
    ("function", "folder"), [("presign", "PreSignFunction"), ("verify", "VerifyFunction")]
)
def test_a_built_function_imports_what_its_budget_has_and_no_more(
    parts: Parts, function: str, folder: str
) -> None:
    roots = [BUILD / folder, BUILD / "DependenciesLayer" / "python", BUILD / "CryptoLayer" / "python"]

    imported = imported_by(f"{function}.app", roots, str(parts.python / "bin" / "python3.13"))

    assert over_budget(function, imported) == []
