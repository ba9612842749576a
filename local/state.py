"""`.local/stack.json`: where the running stack is, for `invoke`, for the tools and for whoever looks.

Of several in one checkout it is the last one started. It holds addresses, names, the functions' variables and
the customer's public key; no secret's content.
"""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from local import ROOT
from local.aws import REGION
from local.environment import Function
from local.stack import Stack

DEFAULT_FILE: Final = ROOT / ".local" / "stack.json"

_PATIENCE: Final = 2.0


def write(path: Path, stack: Stack) -> None:
    """Write a stack down, in a file that its owner alone may read, whole or not at all."""
    content = {
        "pid": os.getpid(),
        **stack.addresses(),
        "region": REGION,
        "tableName": stack.table_name,
        "secretIds": stack.secret_ids,
        "customerPublicKey": stack.keys.public_key,
        "functions": {name: pool.function.to_json() for name, pool in stack.functions.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    with open(new, "w", encoding="utf-8", opener=_own) as file:
        json.dump(content, file, indent=2)
    new.replace(path)


def remove(path: Path) -> None:
    """Remove the file, unless it is another stack's."""
    if _read(path).get("pid") == os.getpid():
        path.unlink(missing_ok=True)


def find_functions(path: Path) -> Mapping[str, Function]:
    """Return the functions of the stack that the file names; none where that is gone."""
    found = _read(path)
    functions = found["functions"] if _answers(found) else {}
    return {name: Function.from_json(value) for name, value in functions.items()}


def _own(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def _answers(content: Mapping[str, Any]) -> bool:
    """Tell whether the stack is there: the file of one that was killed stays behind."""
    try:
        address = urlsplit(content["aws"])
        socket.create_connection((address.hostname or "", address.port or 0), _PATIENCE).close()
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        return False
    return True
