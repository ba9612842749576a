"""Runs one handler in a process of its own and writes down what each of its events took.

Started by `measure`, with the function's own environment variables. What the handler prints stays on standard
output, where the other side counts it.
"""

import http.client
import importlib
import json
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

MARK: Final = "--- event ---"


@dataclass(slots=True)
class Wire:
    """What passes over HTTP: AWS calls by name, bytes by port."""

    calls: Counter[str] = field(default_factory=Counter)
    sent: Counter[int] = field(default_factory=Counter)
    received: Counter[int] = field(default_factory=Counter)

    def watch(self) -> None:
        """Count from now on, below every HTTP client that there is."""
        put_header = http.client.HTTPConnection.putheader
        send = http.client.HTTPConnection.send
        read_into = socket.SocketIO.readinto

        def counted_header(connection: http.client.HTTPConnection, header: Any, *values: Any) -> None:
            if str(header).lower() == "x-amz-target":
                value = values[0]
                name = value.decode() if isinstance(value, bytes) else str(value)
                self.calls[name.rpartition(".")[2]] += 1
            put_header(connection, header, *values)

        def counted_send(connection: http.client.HTTPConnection, data: Any) -> None:
            if isinstance(data, bytes):
                self.sent[connection.port] += len(data)
            send(connection, data)

        def counted_read(stream: socket.SocketIO, buffer: Any) -> int | None:
            count = read_into(stream, buffer)
            connection: socket.socket = stream._sock  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
            self.received[connection.getpeername()[1]] += count or 0
            return count

        http.client.HTTPConnection.putheader = counted_header  # type: ignore[method-assign,assignment]
        http.client.HTTPConnection.send = counted_send  # type: ignore[method-assign,assignment]
        socket.SocketIO.readinto = counted_read  # type: ignore[method-assign,assignment]

    def take(self) -> dict[str, dict[str, int]]:
        """Give what was counted since the last time."""
        taken = {
            "calls": dict(self.calls),
            "sent": {str(port): count for port, count in self.sent.items()},
            "received": {str(port): count for port, count in self.received.items()},
        }
        for counter in (self.calls, self.sent, self.received):
            counter.clear()
        return taken


def main(task: Path, result: Path) -> None:
    """Import the handler, give it the events, write the figures."""
    given = json.loads(task.read_text())
    wire = Wire()
    wire.watch()
    module, _, name = given["handler"].rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    init = time.process_time()
    figures = []
    for event in given["events"]:
        print(MARK, flush=True)
        before, started = time.process_time(), time.perf_counter()
        response = handler(event, None)
        figures.append(
            {
                "own_ms": (time.process_time() - before) * 1000,
                "wall_ms": (time.perf_counter() - started) * 1000,
                "status": response["statusCode"],
                "response_bytes": len(response["body"].encode())
                + sum(len(key) + len(value) + 4 for key, value in response["headers"].items()),
                **wire.take(),
            }
        )
    result.write_text(json.dumps({"init_ms": init * 1000, "events": figures}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
