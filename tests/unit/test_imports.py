"""What a function imports before its first request, which every cold start pays for."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.functions import LAMBDA_ENVIRONMENT

_BY_HAND: Final = frozenset({"boto3", "botocore.session", "s3transfer", "urllib3", "asyncio"})
STARTS: Final[dict[str, tuple[dict[str, str], int, frozenset[str]]]] = {
    "presign": ({}, 180, _BY_HAND | {"joserfc"}),
    "verify": ({}, 400, frozenset({"joserfc", "asyncio"})),
    "jwks": ({"RECEIPT_SECRET_ID": "receipts"}, 240, _BY_HAND),
}
"""A function's variables, how many modules it may import, some Pythons more, and which it may not."""


def imported_by(package: str, variables: dict[str, str]) -> frozenset[str]:
    """Import a handler as Lambda does, in a process of its own; return what that imports."""
    code = (
        f"import json, sys; before = set(sys.modules); import {package}.app; "
        "print(json.dumps(list(set(sys.modules) - before)))"
    )
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    environment = {**LAMBDA_ENVIRONMENT, **credentials, **variables}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    return frozenset(json.loads(run.stdout))


@pytest.mark.parametrize("package", STARTS)
def test_a_function_imports_no_more_than_it_may_and_no_other_function(package: str) -> None:
    variables, modules, dear = STARTS[package]

    imported = imported_by(package, variables)

    assert imported & dear == set()
    assert len(imported) <= modules, sorted(imported)
    assert {module.split(".")[0] for module in imported} & STARTS.keys() == {package}


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
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found
