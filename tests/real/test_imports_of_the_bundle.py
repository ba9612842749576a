"""What the built functions import under Lambda's Python: no more than their budgets."""

from typing import Final

import pytest

from local import ROOT
from local.emulator import Parts
from tests.support.imports import STARTS, imported_by, over_budget

BUILD: Final = ROOT / ".aws-sam" / "build"
FOLDERS: Final = {
    "presign": "PreSignFunction",
    "verify": "VerifyFunction",
    "verify with receipts": "VerifyFunction",
    "jwks": "ReceiptKeysFunction",
}


@pytest.mark.parametrize("name", STARTS)
def test_a_built_function_imports_what_its_budget_has_and_no_more(parts: Parts, name: str) -> None:
    roots = [BUILD / FOLDERS[name], BUILD / "DependenciesLayer" / "python", BUILD / "CryptoLayer" / "python"]

    imported = imported_by(STARTS[name], roots, str(parts.python / "bin" / "python3.13"))

    assert over_budget(STARTS[name], imported) == []
