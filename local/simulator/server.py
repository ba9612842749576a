"""The simulator on a port: HTTP/1.1 with kept connections, as the platform's, and with real resets."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import IO, TYPE_CHECKING, Any, Final, Self, cast

from werkzeug.serving import DechunkedInput, ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wsgi import ClosingIterator, LimitedStream

from local.simulator.delivery import CLOSING_KEY, RESET_LINGER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from wsgiref.types import WSGIApplication

_CLOSE_PATIENCE: Final = 5.0  # seconds that close() waits for handlers to end
_DRAIN_LIMIT: Final = 8 << 20  # bytes of an unread body thrown away so that the client sees its refusal


class SimulatorServer(ThreadedWSGIServer):
    """A WSGI server in a thread of its own; a context manager that closes it.

    Attributes
    ----------
    url
        Where it listens, without a trailing slash.
    """

    def __init__(self, app: WSGIApplication, host: str, port: int) -> None:
        # werkzeug would end the process over a port in use: bound here, that is a plain OSError.
        with socket.create_server((host, port), backlog=128) as listener:
            super().__init__(host, port, app, _Handler, fd=listener.fileno())
        self.url = f"http://{host}:{self.port}"
        self.closing: Final = threading.Event()
        self._open: Final[set[socket.socket]] = set()
        self._change: Final = threading.Condition()
        self._thread: Final = threading.Thread(
            target=self.serve_forever, args=(0.05,), name=f"simulator:{self.port}", daemon=True
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
                _hang_up(connection)
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


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # gone already
        connection.shutdown(socket.SHUT_RDWR)


def serve(app: WSGIApplication, host: str = "127.0.0.1", port: int = 0) -> SimulatorServer:
    """Serve the simulator in a thread until it is closed.

    Parameters
    ----------
    app
        The simulator.
    host, port
        Where to listen; port 0 takes a free one.

    Raises
    ------
    OSError
        The port is in use, or the address is not this machine's.

    Example
    -------
    >>> with serve(Simulator(customer)) as server:
    ...     print(server.url)
    """
    return SimulatorServer(app, host, port)


class _Handler(WSGIRequestHandler):
    """Runs the WSGI application with kept connections.

    werkzeug's own handler closes each connection after one request, because it does not know whether the
    request's body was read; this one counts.
    """

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a kept connection may idle
    disable_nagle_algorithm = True  # a drip is one segment per byte, and no answer waits for an ACK
    server: SimulatorServer

    def run_wsgi(self) -> None:
        """Answer one request; a ConnectionError from the application ends the connection."""
        try:
            length = int(self.headers.get("Content-Length", "0"))
        except ValueError:
            length = -1
        if length < 0:
            self.send_error(400)
            return
        self.environ = environ = self.make_environ()
        environ[CLOSING_KEY] = self.server.closing
        if not isinstance(environ["wsgi.input"], DechunkedInput):
            environ["wsgi.input"] = LimitedStream(cast("IO[bytes]", self.rfile), length)
            environ["wsgi.input_terminated"] = True
        try:
            self._answer(environ)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

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
        self.send_response(int(code), phrase)
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

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing: the query of getMobile.htm carries a number."""
