"""Runs a handler as Lambda does under SnapStart: imports, hooks, snapshot, restore, hooks, an event.

`python -m tests.support.snapshot MODULE EVENT.json` prints one JSON line: what was done before the snapshot
that must not be, and the answer after the restore.
"""

import importlib
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import snapshot_restore_py

FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "open")
"""Audit events (PEP 578) that must not happen, `open` where it writes."""
UNUSED_RANDOM = ("multiprocessing.process",)
"""Modules that draw random numbers when they are imported, for what no function does."""


def main(module: str, event: Any) -> dict[str, Any]:
    """Go through the life of an environment that starts from a snapshot."""
    done: list[str] = []
    drawn: list[str] = []
    taken = False

    def note(name: str, arguments: tuple[Any, ...]) -> None:
        harmless = name == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not taken and name in FORBIDDEN and not harmless:
            done.append(f"{name}{arguments}")

    sys.addaudithook(note)
    os_random = os.urandom

    def urandom(size: int) -> bytes:
        caller = sys._getframe(1).f_globals["__name__"]  # noqa: SLF001 - Python's way to know the caller
        if not taken and caller not in UNUSED_RANDOM:
            done.append(f"os.urandom for {caller}")
        if taken:
            drawn.append(caller)
        return os_random(size)

    os.urandom = urandom
    handler = importlib.import_module(module).handler
    # As awslambdaric's lambda_runtime_hooks_runner: the last registered first, and after it the first first.
    hooks = snapshot_restore_py.get_before_snapshot()
    while hooks:
        function, arguments, named = hooks.pop()
        function(*arguments, **named)
    taken = True
    imported, state = set(sys.modules), random.getstate()
    for function, arguments, named in snapshot_restore_py.get_after_restore():
        function(*arguments, **named)
    restored, drawn_at_restore = random.getstate(), list(drawn)
    response = handler(event, None)
    return {
        "before": done,
        "response": response,
        "diverged": restored != state,
        "random after": drawn_at_restore,
        "imported after": sorted(set(sys.modules) - imported),
    }


if __name__ == "__main__":
    result = json.dumps(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())))
    print(result)  # noqa: T201 - the parent reads it
