"""Execution environments in this process: handlers imported anew, without the second that a process takes."""

import importlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

from cmpassport import telemetry
from local.environment import Function, FunctionError

_one_at_a_time: Final = Lock()


class InProcess:
    """One environment, to `local.environment.Pool` like any other; one at a time answers an event.

    What a process has once is the function's while it answers: variables, output, the logger's stream.
    botocore does not pause before it repeats a call.
    """

    def __init__(self, function: Function, log: Path | None) -> None:
        self._function = function
        self._log = log or Path(os.devnull)
        self.alive = True
        module, _, name = function.handler.rpartition(".")
        with self._entered():
            before = sys.modules.pop(module, None)
            self._handler = getattr(importlib.import_module(module), name)
            if before is not None:
                sys.modules[module] = before

    def wait(self) -> None:
        """It is there."""

    def stop(self) -> None:
        """Nothing is left of it."""
        self.alive = False

    def invoke(self, event: Any, request_id: str) -> Any:
        """Have one event answered."""
        with self._entered():
            try:
                answer = self._handler(event, SimpleNamespace(aws_request_id=request_id))
                return json.loads(json.dumps(answer))
            except Exception as error:
                failure = {"errorType": type(error).__name__, "errorMessage": str(error)}
                raise FunctionError(self._function, failure) from error

    @contextmanager
    def _entered(self) -> Iterator[None]:
        loggers = logging.getLogger(telemetry.logger.service).handlers
        with ExitStack() as entered:
            entered.enter_context(_one_at_a_time)
            output = entered.enter_context(self._log.open("a", encoding="utf-8"))
            entered.enter_context(redirect_stdout(output))
            for handler in loggers:
                if isinstance(handler, logging.StreamHandler) and (stream := handler.setStream(output)):
                    entered.callback(handler.setStream, stream)
            entered.enter_context(mock.patch.dict(os.environ, self._function.variables))
            entered.enter_context(mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)))
            entered.enter_context(mock.patch("gc.freeze"))  # it would keep what the tests leave behind
            yield
