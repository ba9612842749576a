"""The one HTTP server of the local stack: werkzeug's, on loopback, with kept connections.

Gateway, page, AWS endpoint and simulator are WSGI applications on it. Whatever comes in, however malformed,
is answered or dropped without harm to the next request. An application may end a connection by raising
ConnectionError, also with a reset, and learns from ``environ[CLOSING]``, an Event, that the server closes.
"""

import contextlib
import json
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Iterable
from http import HTTPStatus
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Self, cast

from werkzeug import Response
from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import DechunkedInput, ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wsgi import ClosingIterator, LimitedStream

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

HOST: Final = "127.0.0.1"
CLOSING: Final = "local.closing"
RESET_LINGER: Final = struct.pack("ii", 1, 0)
"""Value of SO_LINGER with which close() sends RST at once instead of FIN."""

_CLOSE_PATIENCE: Final = 5.0
"""Seconds that close() waits for handlers to end."""

_DRAIN_LIMIT: Final = 32 << 20
"""Bytes of an unread body that are thrown away so that the client reads its refusal instead of a reset."""


class PortInUseError(Exception):
    """A port is unavailable; says which."""


def listen(port: int, host: str = HOST) -> socket.socket:
    """Take a port, 0 for a free one.

    Raises
    ------
    PortInUseError
        Somebody else has it.
    """
    try:
        return socket.create_server((host, port), backlog=256)
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

    def __init__(self, application: "WSGIApplication", listener: socket.socket | None = None) -> None:
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

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

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
    """One connection, kept.

    werkzeug's own handler closes each connection after one request, because it does not know whether the
    request's body was read; this one counts.
    """

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a kept connection may idle
    disable_nagle_algorithm = True  # a drip is one segment per byte, and no answer waits for an ACK
    server: Server

    def run_wsgi(self) -> None:
        """Answer one request; a ConnectionError from the application ends the connection."""
        lengths = self.headers.get_all("Content-Length", ["0"])
        coding = self.headers.get("Transfer-Encoding")
        framed = len(set(lengths)) == 1 and lengths[0].isascii() and lengths[0].isdigit()
        if coding is not None:
            framed = coding.strip().lower() == "chunked" and "Content-Length" not in self.headers
        if not framed or self.headers.defects or self.request_version == "HTTP/0.9":
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        try:
            self.environ = environ = self.make_environ()
        except ValueError:  # urlsplit's, of a target such as http://[
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        environ[CLOSING] = self.server.closing
        if not isinstance(environ["wsgi.input"], DechunkedInput):
            environ["wsgi.input"] = LimitedStream(cast("IO[bytes]", self.rfile), int(lengths[0]))
            environ["wsgi.input_terminated"] = True
        try:
            self._answer(environ)
        except (ConnectionError, TimeoutError, ClientDisconnected):
            self.close_connection = True
        except Exception:  # noqa: BLE001 - the server outlives its application's mistakes
            traceback.print_exc()
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _answer(self, environ: dict[str, Any]) -> None:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            started[:] = [(status, headers)]

        body = ClosingIterator(self.server.app(environ, start_response))
        try:
            self._send(*started[0], body)
        finally:
            body.close()
        if self.close_connection:
            self._drain(environ["wsgi.input"])

    def _send(self, status: str, headers: list[tuple[str, str]], body: Iterable[bytes]) -> None:
        code, _, phrase = status.partition(" ")
        names = {name.lower() for name, _ in headers}
        bodiless = self.command == "HEAD" or code in {"204", "304"}
        chunked = "content-length" not in names and not bodiless and self.request_version != "HTTP/1.0"
        source = self.environ["wsgi.input"]
        if not (isinstance(source, LimitedStream) and source.is_exhausted):
            self.close_connection = True  # where the next request would begin is unknown
        self.send_response_only(int(code), phrase)
        self.send_header("Date", self.date_time_string())
        for name, value in headers:
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        for data in body:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked and data else data)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _drain(self, source: Any) -> None:
        left = _DRAIN_LIMIT if isinstance(source, LimitedStream) else 0
        while left > 0 and (data := source.read(min(left, 1 << 16))):
            left -= len(data)

    def send_error(self, code: int, text: str | None = None, explain: str | None = None) -> None:
        """Refuse what is not HTTP, without quoting it."""
        del text, explain
        self.close_connection = True
        body = json.dumps({"message": HTTPStatus(code).phrase}).encode()
        self.request_version = self.protocol_version
        self.send_response_only(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing: a request line may carry a number."""
