"""`python -m local invoke`: one handler on one event.

The handler runs in a process of its own with the variables that a running stack gives it; where no stack
runs, one is started for this event.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.environment import Function, WorkerEnvironment
from local.keys import ReceiptNumber
from local.stack import RECEIPT_KEYS_FUNCTION, Options, SettingError, Stack
from local.state import find_functions
from local.template import FUNCTION, Template


def invoke(logical_id: str, event: Any, overlay: Mapping[str, Any], options: Options, state: Path) -> Any:
    """Run one handler; returns its response.

    Parameters
    ----------
    logical_id
        The function, as the template calls it.
    event
        What the handler gets.
    overlay
        An env file in the form of SAM's `--env-vars`.
    options
        How to start a stack where none runs.
    state
        File in which a running stack would be found.

    Raises
    ------
    SettingError
        There is no such function.
    StackError
        No stack runs, and none can be started.
    FunctionError
        The handler did not start, raised, died or timed out.
    """
    resources = Template.read(options.template).document["Resources"]
    known = [name for name, resource in resources.items() if resource["Type"] == FUNCTION]
    if logical_id not in known:
        raise SettingError(f"there is no function {logical_id}; there are {', '.join(known)}")
    with _function(logical_id, options, state) as function:
        environment = WorkerEnvironment(overlaid(function, overlay), options.log)
        try:
            environment.wait()
            return environment.invoke(event, str(uuid4()))
        finally:
            environment.stop()


def read_json(path: Path) -> Any:
    """Read a JSON file; SettingError where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingError(f"{path}: not JSON") from error


def read_overlay(path: Path) -> Mapping[str, Any]:
    """Read `{"FunctionName": {"VARIABLE": "value"}}`, `Parameters` for every function; else SettingError."""
    overlay = read_json(path)
    if not isinstance(overlay, dict) or not all(isinstance(values, dict) for values in overlay.values()):
        raise SettingError(f"{path}: is not an object of objects")
    return overlay


@contextmanager
def _function(logical_id: str, options: Options, path: Path) -> Iterator[Function]:
    """Find the function as a running stack has it, or as one that is started for it."""
    running = find_functions(path)
    if logical_id in running:
        yield running[logical_id]
        return
    receipts = ReceiptNumber.MASKED if logical_id == RECEIPT_KEYS_FUNCTION else options.receipts
    with Stack(replace(options, warm=frozenset(), receipts=receipts)) as stack:
        yield stack.functions[logical_id].function


def overlaid(function: Function, overlay: Mapping[str, Any]) -> Function:
    """Set a function's variables; an empty text switches off what a variable stands for."""
    given = {**overlay.get("Parameters", {}), **overlay.get(function.logical_id, {})}
    variables = {**function.variables, **{name: str(value) for name, value in given.items()}}
    return replace(function, variables=variables)
