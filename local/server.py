"""The one HTTP server of the local stack: werkzeug's, on loopback.

Gateway, page, AWS endpoint and simulator are WSGI applications on it. An application may end a connection by
raising ConnectionError, also with a reset, and learns from ``environ[CLOSING]``, an Event, that the server
closes.
"""

import contextlib
import json
import socket
import struct
import sys
import threading
from types import TracebackType
from typing import Any, Final, Self
from wsgiref.types import WSGIApplication

from werkzeug import Response
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

HOST: Final = "127.0.0.1"
CLOSING: Final = "local.closing"
RESET_LINGER: Final = struct.pack("ii", 1, 0)
"""Value of SO_LINGER with which close() sends RST at once instead of FIN."""

_CLOSE_PATIENCE: Final = 5.0
"""Seconds that close() waits for handlers to end."""


class PortInUseError(Exception):
    """A port is unavailable; says which."""


def listen(port: int) -> socket.socket:
    """Take a port, 0 for a free one.

    Raises
    ------
    PortInUseError
        Somebody else has it.
    """
    try:
        return socket.create_server((HOST, port), backlog=256)
    except PermissionError as error:
        raise PortInUseError(f"port {port} needs rights that this user does not have") from error
    except OSError as error:
        raise PortInUseError(f"port {port} is in use") from error


def address_of(listener: socket.socket) -> str:
    """Return the address under which a listener is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"  # noqa: PLR2004 - http's own port


def message(status: int, text: str) -> Response:
    """Make AWS's own form of a refusal, `{"message": "..."}`."""
    return Response(json.dumps({"message": text}), status, content_type="application/json")


class Server(ThreadedWSGIServer):
    """An application that answers, a thread for each connection; a context manager that closes it.

    Parameters
    ----------
    application
        What answers.
    listener
        The listening socket, which is the server's from now on; a free port of loopback by default.

    Attributes
    ----------
    url
        Where it listens, without a trailing slash.

    Example
    -------
    >>> with Server(application) as server:
    ...     print(server.url)
    """

    def __init__(self, application: WSGIApplication, listener: socket.socket | None = None) -> None:
        with listener or listen(0) as own:
            self.url = address_of(own)
            host, port = own.getsockname()[:2]
            super().__init__(host, port, application, _Handler, fd=own.fileno())
        self.closing: Final = threading.Event()
        self._open: Final[set[socket.socket]] = set()
        self._change: Final = threading.Condition()
        self._thread: Final = threading.Thread(
            target=self.serve_forever, args=(0.05,), name=self.url, daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, end all connections, pauses too, and wait until their handlers have ended."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._change:
            for connection in self._open:
                with contextlib.suppress(OSError):  # gone already
                    connection.shutdown(socket.SHUT_RDWR)
            self._change.wait_for(lambda: not self._open, timeout=_CLOSE_PATIENCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then hand it to a thread."""
        with self._change:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection; one to be reset is closed at once, so that RST is all the client sees."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET_LINGER)) == RESET_LINGER:
            self.close_request(request)
        else:
            super().shutdown_request(request)
        with self._change:
            self._open.discard(request)
            self._change.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error; a client that hangs up is none of the server's."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    """One connection, for one request."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds without a byte
    disable_nagle_algorithm = True  # a drip is one segment per byte, and no answer waits for an ACK
    server: Server

    def make_environ(self) -> dict[str, Any]:
        """Add the server's end to what an application sees."""
        return {**super().make_environ(), CLOSING: self.server.closing}

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """End the connection, as the client or the application has done."""
        del error, environ
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing: a request line may carry a number."""
