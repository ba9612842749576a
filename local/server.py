"""HTTP/1.1 on loopback for the stack's own servers: gateway, page and AWS endpoint.

Every request is read whole before the application sees it, connections are kept alive as AWS keeps them, and
whatever comes in, however malformed, is answered or dropped without harm to the next request.
"""

import json
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Final, Self
from urllib.parse import unquote_to_bytes, urlsplit

HOST: Final = "127.0.0.1"
MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes of a request's body, API Gateway's own limit (10 MB)."""

_IDLE_SECONDS: Final = 60
_DRAIN: Final = 32 * 1024 * 1024
_MAX_LINE: Final = 65536
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")


class PortInUseError(Exception):
    """A port cannot be had; says which."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came.

    Attributes
    ----------
    method, target
        From the request line; the target is not decoded.
    headers
        In their order, names as sent, repeated ones repeated.
    body
        None where it was longer than 10 MB; it was then not kept.
    client
        The sender's address.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = b""
    client: str = HOST

    @property
    def path(self) -> str:
        """The target's path, percent-decoded."""
        return unquote_to_bytes(urlsplit(self.target).path).decode("utf-8", "replace")

    @property
    def query(self) -> str:
        """The target's query string, as sent."""
        return urlsplit(self.target).query

    def header(self, name: str) -> str | None:
        """Give a header's values joined with commas, None where there is none; the name in lower case."""
        values = [value for key, value in self.headers if key.lower() == name]
        return ",".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; its length, its date and the connection's handling are added when it is sent."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @classmethod
    def message(cls, status: int, text: str) -> Self:
        """Make AWS's own form of a refusal, `{"message": "..."}`."""
        return cls(status, (("content-type", "application/json"),), json.dumps({"message": text}).encode())


Application = Callable[[Request], Response]


def listen(port: int) -> socket.socket:
    """Take a port on loopback, 0 for a free one.

    Raises
    ------
    PortInUseError
        Somebody else has it.
    """
    try:
        return socket.create_server((HOST, port), backlog=256)
    except PermissionError as error:
        raise PortInUseError(f"port {port} needs rights that this user has not") from error
    except OSError as error:
        raise PortInUseError(f"port {port} is in use") from error


def address_of(listener: socket.socket) -> str:
    """Give the address under which a listener is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"  # noqa: PLR2004 - http's own port


class Server:
    """An application on a listening socket, a thread for each connection.

    Example
    -------
    >>> server = Server(listen(0), lambda request: Response(200))
    >>> server.start()
    >>> server.stop()
    """

    def __init__(self, listener: socket.socket, application: Application) -> None:
        self._server = _ThreadingServer(listener, application)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.drop_connections()


class _ThreadingServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, application: Application) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.application = application
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """End the connections that clients keep open."""
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # the client may have been faster
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's form
        # A client that hangs up is none of the server's errors.
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads a request, has it answered, reads the next."""

    server: _ThreadingServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    wbufsize = -1
    disable_nagle_algorithm = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # every method is the application's matter
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        try:
            body = self._read_body()
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        headers = tuple((name, " ".join(value.split("\r\n"))) for name, value in self.headers.items())
        request = Request(self.command, self.path, headers, body, self.client_address[0])
        try:
            response = self.server.application(request)
        except Exception:  # noqa: BLE001 - the server outlives its application's mistakes
            traceback.print_exc()
            response = Response.message(500, "Internal Server Error")
        self._send(response)

    def _read_body(self) -> bytes | None:
        """Read the body, None when it is too long; ValueError when its framing is wrong."""
        if self.headers.defects or self.request_version == "HTTP/0.9":
            raise ValueError("what follows the request line is no header")
        lengths = self.headers.get_all("content-length", [])
        coding = self.headers.get("transfer-encoding")
        if coding is not None:
            if coding.strip().lower() != "chunked" or lengths:
                raise ValueError("one framing is wanted")
            return self._read_chunks()
        if not lengths:
            return b""
        if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise ValueError("a body has one length")
        length = int(lengths[0])
        if length > MAX_BODY:
            self._discard(length)
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the body was cut off")
        return body

    def _read_chunks(self) -> bytes | None:
        body = bytearray()
        while True:
            line = self.rfile.readline(_MAX_LINE).partition(b";")[0].strip()
            if not _CHUNK_SIZE.fullmatch(line):
                raise ValueError("a chunk begins with its size")
            size = int(line, 16)
            if len(body) + size > MAX_BODY:
                self.close_connection = True
                return None
            if size == 0:
                break
            body += self.rfile.read(size)
            if self.rfile.readline(3).strip():
                raise ValueError("a chunk ends with its size")
        while self.rfile.readline(_MAX_LINE).strip():
            pass  # trailers
        return bytes(body)

    def _discard(self, length: int) -> None:
        """Let the client finish, within reason, so that it reads the answer instead of a reset."""
        self.close_connection = True
        left = min(length, _DRAIN)
        while left and (piece := self.rfile.read(min(left, _MAX_LINE))):
            left -= len(piece)

    def _send(self, response: Response) -> None:
        self.send_response_only(response.status)
        self.send_header("date", self.date_time_string())
        for name, value in response.headers:
            self.send_header(name, value)
        if response.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.send_header("content-length", str(len(response.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is not HTTP, without quoting it."""
        del message, explain
        self.close_connection = True
        self.command, self.request_version = "GET", self.protocol_version
        self._send(Response.message(code, HTTPStatus(code).phrase))

    def log_message(self, *_: Any) -> None:
        """Log nothing: a request line may carry what no log should."""


def call_wsgi(application: Callable[[dict[str, Any], Any], Iterable[bytes]], request: Request) -> Response:
    """Have a WSGI application answer a request."""
    split = urlsplit(request.target)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(split.path).decode("latin-1"),
        "QUERY_STRING": split.query,
        "RAW_URI": request.target,
        "REMOTE_ADDR": request.client,
        "SERVER_NAME": HOST,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(request.body or b"")),
        "CONTENT_TYPE": request.header("content-type") or "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body or b""),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, _ in request.headers:
        key = name.upper().replace("-", "_")
        if "_" not in name and key not in environ:
            environ[f"HTTP_{key}"] = request.header(name.lower())
    started: list[Any] = []
    answered = application(environ, lambda status, headers, _exc_info=None: started.extend((status, headers)))
    try:
        body = b"".join(answered)
    finally:
        if hasattr(answered, "close"):
            answered.close()
    status, headers = started
    skipped = {"content-length", "connection", "date", "transfer-encoding"}
    kept = tuple((name, value) for name, value in headers if name.lower() not in skipped)
    return Response(int(status.split()[0]), kept, body)
