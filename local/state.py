"""`.local/stack.json`: where the running stack is, for `invoke`, for `sam local` and for whoever looks.

Of several in one checkout it is the first: what others rely on does not change under their hands.

It holds addresses, names, the functions' variables and the customer's public key; no secret's content.
"""

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from local import ROOT
from local.aws import REGION
from local.environment import Function
from local.stack import Stack

DEFAULT_FILE: Final = ROOT / ".local" / "stack.json"

_PATIENCE: Final = 2.0


def write(path: Path, stack: Stack) -> str | None:
    """Write a stack down, in a file that its owner alone may read, whole or not at all.

    Returns
    -------
    str or None
        The page of another running stack, to which the file then still belongs; None when it was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        content = _read(path)
        if content is not None and _is_anothers(content, stack):
            return str(content["page"])
        _replace(path, stack)
        return None


def _replace(path: Path, stack: Stack) -> None:
    content = {
        "pid": os.getpid(),
        **stack.addresses(),
        "region": REGION,
        "tableName": stack.table_name,
        "secretIds": stack.secret_ids,
        "customerPublicKey": stack.customer_public_key,
        "functions": {name: pool.function.to_json() for name, pool in stack.functions.items()},
    }
    new = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    new.replace(path)


def remove(path: Path) -> None:
    """Remove the file, unless it is another stack's."""
    content = _read(path)
    if content is not None and content.get("pid") == os.getpid():
        path.unlink(missing_ok=True)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep out other stacks that start at the same moment; the lock ends with this process at the latest."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_anothers(content: Mapping[str, Any], stack: Stack) -> bool:
    """Tell whether another stack runs where the file says; whose port we have got is gone."""
    return (
        content.get("pid") != os.getpid()
        and content.get("aws") != stack.aws
        and "page" in content
        and _answers(content)
    )


def find_functions(path: Path) -> Mapping[str, Function]:
    """Give the functions of the stack that the file names; none where that is gone."""
    content = _read(path)
    if content is None or not _answers(content):
        return {}
    return {name: Function.from_json(name, value) for name, value in content["functions"].items()}


def _read(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else None
    return None


def _answers(content: Mapping[str, Any]) -> bool:
    """Tell whether the stack is there: the file of one that was killed stays behind."""
    try:
        os.kill(content["pid"], 0)
        address = urlsplit(content["aws"])
        socket.create_connection((address.hostname or "", address.port or 0), _PATIENCE).close()
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return True
