"""What importing a handler imports, and which module asked for it first."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

BUDGETS: Final = Path(__file__).parents[1] / "imports"

# Prints a JSON object: for each module that the handler's import brings, the module that imported it first.
_RECORD: Final = """
import builtins, importlib, json, sys

before, first, real = set(sys.modules), {}, builtins.__import__

def record(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "?")
    seen = set(sys.modules)
    try:
        return real(name, globals, locals, fromlist, level)
    finally:
        for new in set(sys.modules) - seen:
            first.setdefault(new, importer)

builtins.__import__ = record
importlib.import_module(sys.argv[1])
print(json.dumps({name: first.get(name, "?") for name in set(sys.modules) - before}))
"""

_ON_LAMBDA: Final = {
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_REGION": "cn-north-1",
    "AWS_DEFAULT_REGION": "cn-north-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "POWERTOOLS_SERVICE_NAME": "number-verification-test",
    "POWERTOOLS_METRICS_NAMESPACE": "NumberVerification",
    "APP_ID": "000340",
    "ALLOWED_ORIGINS": "https://www.example.com",
    "SIGNING_SECRET_ID": "signing",
    "VERIFICATION_SECRET_ID": "verification",
    "PEPPER_SECRET_ID": "pepper",
    "TABLE_NAME": "attempts",
    "PLATFORM_URL": "http://127.0.0.1:1/verify",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def imported_by(module: str, roots: Sequence[Path], python: str = sys.executable) -> dict[str, str]:
    """Import a handler as Lambda does, in a process of its own; give what that imports, and for whom."""
    environment = {**_ON_LAMBDA, "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, roots))}
    command = [python, "-c", _RECORD, module]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    imported: dict[str, str] = json.loads(run.stdout)
    return imported


def budgeted(name: str) -> str:
    """Give the name under which a budget lists a module: own ones in full, packages to their parts."""
    package, *inner = name.split(".")
    if package in {"cmpassport", "presign", "verify"}:
        return name
    standard = package in sys.stdlib_module_names
    return package if standard or not inner else f"{package}.{inner[0]}"


def read_budget(function: str) -> set[str]:
    """Read what a function may import."""
    lines = (BUDGETS / f"{function}.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def over_budget(function: str, imported: dict[str, str]) -> list[str]:
    """Say which imports are not in a function's budget, and who imports them first.

    What begins with an underscore is a public module's other half, and differs between Pythons.
    """
    budget = read_budget(function)
    return sorted(
        f"{name}, imported by {importer}"
        for name, importer in imported.items()
        if budgeted(name) not in budget and not name.startswith("_")
    )
