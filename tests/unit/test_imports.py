"""What a function imports before its first request, which every cold start pays for."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from local import IMPORT_ROOTS
from tests.support.functions import VERIFY_ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Start:
    """A start of a function.

    Attributes
    ----------
    package
        The function's.
    modules
        How many it may import, with room for what differs between Pythons.
    dear
        Modules that it must do without.
    variables
        Beside those that every start has here.
    """

    package: str
    modules: int
    dear: frozenset[str]
    variables: dict[str, str] = field(default_factory=dict)


_BY_HAND: Final = frozenset({"boto3", "botocore.session", "s3transfer", "urllib3", "asyncio"})
_RECEIPTS: Final = {"RECEIPT_SECRET_ID": "receipts"}
STARTS: Final = {
    "presign": Start("presign", 180, _BY_HAND | {"joserfc"}),
    "verify": Start("verify", 400, frozenset({"joserfc", "asyncio"})),
    "verify with receipts": Start("verify", 475, frozenset(), _RECEIPTS),
    "jwks": Start("jwks", 240, _BY_HAND, _RECEIPTS),
}
PACKAGES: Final = {start.package for start in STARTS.values()}


def imported_by(name: str) -> frozenset[str]:
    """Import a handler as Lambda does, in a process of its own; return what that imports."""
    start = STARTS[name]
    code = (
        f"import json, sys; before = set(sys.modules); import {start.package}.app; "
        "print(json.dumps(list(set(sys.modules) - before)))"
    )
    environment = {
        **VERIFY_ENVIRONMENT,
        **start.variables,
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_REGION": "cn-north-1",
        "AWS_DEFAULT_REGION": "cn-north-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "POWERTOOLS_SERVICE_NAME": "number-verification-test",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, IMPORT_ROOTS)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    return frozenset(json.loads(run.stdout))


@pytest.mark.parametrize("name", STARTS)
def test_a_function_imports_no_more_than_it_may_and_no_other_function(name: str) -> None:
    imported, start = imported_by(name), STARTS[name]

    assert imported & start.dear == set()
    assert len(imported) <= start.modules, sorted(imported)
    assert {module.split(".")[0] for module in imported} & PACKAGES == {start.package}


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
