"""What importing a handler imports, and which module asked for it first."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Start:
    """A start of a function.

    Attributes
    ----------
    package
        The function's.
    modules
        How many it may import, with room for what differs between Pythons; each costs every cold start.
    environment
        Variables of this start.
    """

    package: str
    modules: int
    environment: Mapping[str, str] = field(default_factory=dict)


STARTS: Final = {
    "presign": Start("presign", 180),
    "verify": Start("verify", 400),
    "verify with receipts": Start("verify", 475, {"RECEIPT_SECRET_ID": "receipts"}),
    "jwks": Start("jwks", 240, {"RECEIPT_SECRET_ID": "receipts"}),
}


def imported_by(start: Start, roots: Sequence[Path], python: str = sys.executable) -> dict[str, str]:
    """Import a handler as Lambda does, in a process of its own; return what that imports, and for whom."""
    environment = {
        **_ON_LAMBDA,
        **start.environment,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, roots)),
    }
    command = [python, "-c", _RECORD, f"{start.package}.app"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    imported: dict[str, str] = json.loads(run.stdout)
    return imported
