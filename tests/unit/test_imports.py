"""What a function imports before its first request, which every cold start pays for."""

import ast
from pathlib import Path
from typing import Final

import pytest

from local import IMPORT_ROOTS
from tests.support.imports import STARTS, imported_by

PACKAGES: Final = frozenset(start.package for start in STARTS.values())
DEAR: Final = {
    "presign": {"boto3", "botocore.session", "s3transfer", "urllib3", "joserfc", "asyncio"},
    "verify": {"joserfc", "asyncio"},
    "verify with receipts": set(),
    "jwks": {"boto3", "botocore.session", "s3transfer", "urllib3", "asyncio"},
}


@pytest.fixture(scope="module")
def imported() -> dict[str, dict[str, str]]:
    return {name: imported_by(start, IMPORT_ROOTS) for name, start in STARTS.items()}


@pytest.mark.parametrize("name", STARTS)
def test_a_function_imports_no_more_than_it_may(imported: dict[str, dict[str, str]], name: str) -> None:
    first = {module: importer for module, importer in imported[name].items() if not module.startswith("_")}

    assert {module: first[module] for module in first if module in DEAR[name]} == {}
    assert len(imported[name]) <= STARTS[name].modules, sorted(first.items())


@pytest.mark.parametrize("name", STARTS)
def test_no_function_imports_another(imported: dict[str, dict[str, str]], name: str) -> None:
    others = PACKAGES - {STARTS[name].package}

    assert [module for module in imported[name] if module.split(".")[0] in others] == []


def test_imports_form_no_circle_hidden_ones_included() -> None:
    graph = {
        f"{path.parent.name}.{path.stem}": _imports(path)
        for folder in ("functions", "layers/crypto")
        for path in (Path(__file__).parents[2] / folder).rglob("*.py")
    }

    while graph:  # what imports nothing that is left cannot be part of a circle
        leaves = {name for name, imports in graph.items() if not imports & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {name: imports for name, imports in graph.items() if name not in leaves}


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found
