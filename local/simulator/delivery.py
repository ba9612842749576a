"""How an answer travels, or fails to: late, byte by byte, cut off, or with a reset connection.

Resets and dripping headers need the socket itself, which the local stack's server puts into the WSGI
environment (``werkzeug.socket``). A pause ends at once when the client goes away or the server closes.
"""

import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from werkzeug import Response

from local.server import CLOSING, RESET_LINGER
from local.simulator.faults import Fault, FaultName

_LOOK_EVERY: Final = 0.05  # seconds between two looks at the client during a pause

Environ = dict[str, Any]


def deliver(response: Response, fault: Fault | None, environ: Environ) -> Response:
    """Let a response travel as the fault wants it.

    Raises
    ------
    ConnectionError
        The connection is to end here: reset, already answered by hand, or the client has gone away.
    """
    match fault.name if fault else None:
        case FaultName.DELAY if fault:
            pause(environ, fault.parameters["seconds"])
        case FaultName.RESET:
            reset(environ)
        case FaultName.DRIP_HEADERS if fault:
            _drip_headers(response, fault.parameters["seconds"], environ)
        case FaultName.DRIP if fault:
            _stream(response, _dripping(response.get_data(), fault.parameters["seconds"], environ))
        case FaultName.CUT:
            _stream(response, _cut(response.get_data()))
        case FaultName.OVERSIZED:
            # Without a Content-Length, so that nobody is warned.
            _stream(response, iter([response.get_data()]))
            response.headers.remove("Content-Length")
        case _:
            pass
    return response


def reset(environ: Environ) -> None:
    """End the connection with RST."""
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_LINGER)
    raise ConnectionResetError("reset on demand")


def pause(environ: Environ, seconds: float) -> None:
    """Wait, but not for nobody.

    Raises
    ------
    ConnectionAbortedError
        The client has gone away, or the server is closing.
    """
    closing: threading.Event = environ.get(CLOSING) or threading.Event()
    connection: socket.socket | None = environ.get("werkzeug.socket")
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if closing.wait(min(left, _LOOK_EVERY)) or (connection and _has_gone(connection)):
            raise ConnectionAbortedError("nobody is waiting any more")


def _has_gone(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _stream(response: Response, body: Iterator[bytes]) -> None:
    length = str(len(response.get_data()))
    response.response = body
    response.headers["Content-Length"] = length


def _dripping(body: bytes, seconds: float, environ: Environ) -> Iterator[bytes]:
    for at in range(len(body)):
        pause(environ, seconds)
        yield body[at : at + 1]


def _cut(body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    raise ConnectionAbortedError("cut off on demand")


def _drip_headers(response: Response, seconds: float, environ: Environ) -> None:
    """Answer past the server, which sends all headers at once."""
    connection: socket.socket = environ["werkzeug.socket"]
    lines = [f"HTTP/1.1 {response.status}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in response.get_wsgi_headers(environ)]
    for byte in "\r\n".join([*lines, "", ""]).encode("latin-1"):
        pause(environ, seconds)
        connection.sendall(bytes([byte]))
    connection.sendall(response.get_data())
    raise ConnectionAbortedError("answered by hand")
