"""One execution environment's process: imports a handler as Lambda does and answers one event at a time.

Run as a file by `local.environment`, so that the product's import roots are all it sees: `worker.py FD`, FD
being an inherited socket to the parent. Both sides send JSON, one message a line. The parent's end is this
process's end, even where the parent was killed in the middle of an event.
"""

import importlib
import json
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

Handler = Callable[[Any, "Context"], Any]


class Context:
    """What Lambda hands to a handler beside the event."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        self._deadline = time.monotonic() + message["timeout"]
        self.aws_request_id: str = message["requestId"]
        self.invoked_function_arn: str = message["functionArn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function's timeout."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def main() -> None:
    """Import the handler, say so, answer until the parent is gone."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(channel, messages), daemon=True).start()
    try:
        handler = _import_handler(os.environ["_HANDLER"])
    except BaseException as error:  # noqa: BLE001 - the parent reports whatever the import raised
        _send(channel, _failure(error))
        return
    _send(channel, {"ready": True})
    while True:
        _send(channel, _invoke(handler, json.loads(messages.get())))


def _receive(channel: socket.socket, messages: "queue.SimpleQueue[bytes]") -> None:
    with channel.makefile("rb") as lines:
        for line in lines:
            messages.put(line)
    os._exit(0)  # at once: a handler may be busy in the main thread


def _import_handler(name: str) -> Handler:
    module, _, function = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), function)
    return handler


def _invoke(handler: Handler, message: Mapping[str, Any]) -> dict[str, Any]:
    try:
        response = handler(message["event"], Context(message))
        json.dumps(response)  # Lambda's own serialisation, an error of the function where it fails
    except BaseException as error:  # noqa: BLE001 - as Lambda's runtime does
        traceback.print_exc()
        return _failure(error)
    return {"response": response}


def _failure(error: BaseException) -> dict[str, Any]:
    return {"errorType": type(error).__name__, "errorMessage": str(error)}


def _send(channel: socket.socket, message: Mapping[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
