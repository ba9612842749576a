"""The exchange with the platform against real sockets: bounded, and never sent twice."""

import gzip
import logging
import re
import socket
import ssl
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, Final

import pytest
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from cmpassport.errors import CmpassportError
from local.server import RESET_LINGER
from tests.support.fakes import FakeClock
from verify import platform
from verify.platform import (
    MAX_ANSWER_BYTES,
    MAX_IDLE_SECONDS,
    BadAnswerError,
    Limits,
    Platform,
    PlatformSilentError,
    PlatformUnreachableError,
)

PATH: Final = "/NumberAbility/h5/verifyVmMobileApi.htm"
REQUEST: Final = '{"header":{},"body":{"userInformation":"planted 号码"}}'.encode()
PATIENT: Final = Limits(connect=10, read=10, deadline=20)
"""For exchanges that end by themselves, however busy the machine is."""
HURRIED: Final = Limits(connect=0.3, read=0.2, deadline=0.5)
"""For those that would not."""


class Connection:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, server: "Server") -> None:
        self._sock = sock
        self._server = server

    def read_request(self) -> bytes:
        """Read one request, headers and body; an empty text when the client has gone."""
        data = b""
        while piece := self._sock.recv(65536):
            data += piece
            head, end, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: ([0-9]+)", head)
            if end and length and len(body) == int(length[1]):
                self._server.requests.append(data)
                return data
        return b""

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def drip(self, data: bytes) -> None:
        """Send a byte now and then, until the client has gone or the server ends."""
        for byte in data:
            self.send(bytes([byte]))
            if self._server.ended.wait(0.02):
                return

    def repeat(self, piece: bytes) -> None:
        """Send this again and again, until the client has gone, which must be soon."""
        for _ in range(100 * MAX_ANSWER_BYTES // len(piece)):
            self.send(piece)
        pytest.fail("the client reads without end")

    def stay_silent(self) -> None:
        """Send nothing until the client has given up, and with it the server ends."""
        self._server.ended.wait(10)

    def wait_for_a_byte(self) -> None:
        """Wait until the client has begun to send, so that its connecting is over; read nothing."""
        self._sock.recv(1, socket.MSG_PEEK)

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_LINGER)
        self._sock.close()


Behaviour = Callable[[Connection], None]


class Server(ThreadingTCPServer):
    """A server on loopback that behaves as told, connection by connection."""

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), BaseRequestHandler)
        self._behave = behave
        self._tls = tls
        self.port = self.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}{PATH}"
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self.closed = threading.Semaphore(0)
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()  # waits for its threads

    def finish_request(self, request: Any, _: object) -> None:
        self.connections += 1
        request.settimeout(10)
        with suppress(OSError), request:
            sock = self._tls.wrap_socket(request, server_side=True) if self._tls else request
            with sock:
                self._behave(Connection(sock, self))
        self.closed.release()

    def shutdown_request(self, request: Any) -> None:
        """Leave it: a behaviour closes, or resets."""


@contextmanager
def client_of(
    url: str, limits: Limits = PATIENT, monotonic: Callable[[], float] = time.monotonic
) -> Iterator[Platform]:
    client = Platform(url, limits, monotonic)
    yield client
    client.disconnect()


def exchange(behave: Behaviour, limits: Limits = PATIENT) -> tuple[Server, bytes | CmpassportError]:
    """Have one exchange with a server that behaves so; return the answer, or how it failed."""
    with Server(behave) as server, client_of(server.url, limits) as client:
        try:
            return server, client.ask(REQUEST)
        except CmpassportError as error:
            return server, error


# Behaviours.


def _always(answer: bytes) -> Behaviour:
    def behave(connection: Connection) -> None:
        while connection.read_request():
            connection.send(answer)

    return behave


def _answered(*pieces: bytes, then: Callable[[Connection], object] = lambda _: None) -> Behaviour:
    """Read the request, send this, end it so; then close."""

    def behave(connection: Connection) -> None:
        connection.read_request()
        for piece in pieces:
            connection.send(piece)
        then(connection)

    return behave


def _silent_after(data: bytes) -> Behaviour:
    return _answered(data, then=Connection.stay_silent)


def _dripping(data: bytes, at_once: bytes = b"") -> Behaviour:
    return _answered(at_once, then=lambda connection: connection.drip(data))


def _endless_after(head: bytes, piece: bytes = b"x" * 65536) -> Behaviour:
    return _answered(head, then=lambda connection: connection.repeat(piece))


def _reset_before_reading(connection: Connection) -> None:
    connection.wait_for_a_byte()
    connection.reset()


OK: Final = b"HTTP/1.1 200 OK\r\n"
EMPTY: Final = b'{"header":{}}'
OF_CHUNKS: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def _long(size: int) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % size


_keep_answering: Final = _always(_long(len(EMPTY)) + EMPTY)


def _coded(coding: str, body: bytes) -> Behaviour:
    return _answered(
        OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


def _with_status(status: int) -> bytes:
    headers = f"Content-Length: 7\r\nRetry-After: 0\r\nLocation: {PATH}?planted"
    return f"HTTP/1.1 {status} planted\r\n{headers}\r\n\r\nplanted".encode()


def _chunked(*chunks: bytes) -> bytes:
    return OF_CHUNKS + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


def test_a_request_is_posted_as_it_is_and_the_body_comes_back() -> None:
    server, answer = exchange(_keep_answering)

    (sent,) = server.requests
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert head.startswith(f"POST {PATH} HTTP/1.1\r\n".encode())
    assert {"content-type: application/json;charset=utf-8", f"content-length: {len(REQUEST)}"} < {*lines}
    assert f"host: 127.0.0.1:{server.port}" in lines
    assert body == REQUEST
    assert answer == EMPTY


# What comes back, and what is made of it: a body, or an error that shows nothing of either side.

EARLY_HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </planted>\r\n\r\n"
FULL: Final = b"x" * MAX_ANSWER_BYTES
ANSWERS: Final[dict[str, tuple[Behaviour, bytes]]] = {
    "empty": (_answered(_long(0)), b""),
    "pieces": (_answered(_long(2), b"{", b"}"), b"{}"),
    "HTTP 1.0": (_answered(b"HTTP/1.0 200 OK\r\n\r\n{}"), b"{}"),
    "100": (_answered(b"HTTP/1.1 100 Continue\r\n\r\n" + _long(2) + b"{}"), b"{}"),
    "103": (_answered(EARLY_HINTS * 3 + _long(2) + b"{}"), b"{}"),
    "chunked": (_answered(_chunked(b"{", b'"a"', b":1}", b"")), b'{"a":1}'),
    "64 KiB": (_answered(_long(65536) + FULL), FULL),
    "64 KiB chunked": (_answered(_chunked(FULL, b"")), FULL),
    "64 KiB to the end": (_answered(OK + b"\r\n" + FULL), FULL),
    "gzip": (_coded("gzip", gzip.compress(b"{}")), b"{}"),
    "64 KiB in gzip": (_coded(" X-GZip ", gzip.compress(FULL)), FULL),
    "deflate": (_coded("deflate", zlib.compress(b"{}")), b"{}"),
    "deflate without a header": (_coded("deflate", zlib.compress(b"{}")[2:-4]), b"{}"),
    "gzip in name alone": (_coded("gzip", b"{}"), b"{}"),
    "gzip in two members, named twice": (
        _coded("gzip, gzip", gzip.compress(b"{") + gzip.compress(b"}")),
        b"{}",
    ),
    "gzip and what is none": (_coded("", gzip.compress(b"{}") + bytes(8)), b"{}"),
    "deflate in name alone": (_coded("deflate", b"{}"), b"{}"),
    "dripping": (_dripping(b"x" * 20, _long(20)), b"x" * 20),
    "a header that is none": (_answered(OK + b"planted token\r\n\r\n{}"), b"{}"),
    "a length that is none": (_answered(OK + b"Content-Length: planted\r\n\r\n{}"), b"{}"),
}
BAD: Final[dict[str, Behaviour]] = {
    "half the body": _answered(_long(70) + b"planted"),
    "64 KiB of more": _answered(_long(MAX_ANSWER_BYTES + 9) + FULL),
    "half a chunk": _answered(OF_CHUNKS + b"ff\r\nplanted"),
    "a chunk of no size": _answered(OF_CHUNKS + b"planted\r\n"),
    "a byte too many": _answered(_long(65537) + FULL + b"x"),
    "a byte too many in chunks": _answered(_chunked(FULL, b"x", b"")),
    "a byte too many in gzip": _coded("gzip", gzip.compress(FULL + b"x")),
    "a byte too many in gzip's members": _coded("gzip", gzip.compress(FULL) + gzip.compress(b"x")),
    "a bomb": _coded("deflate", zlib.compress(b"x" * 100 * MAX_ANSWER_BYTES)),
    "words": _answered(b"planted words\r\n\r\n"),
    "a line without end": _answered(b"HTTP/1.1 200 " + b"x" * 70_000),
    "a thousand headers": _answered(OK + b"X: planted\r\n" * 1000 + b"\r\n"),
    **{f"status {status}": _always(_with_status(status)) for status in (201, 204, 307, 503)},
    "two lengths": _answered(OK + b"Content-Length: 2\r\nContent-Length: 70\r\n\r\n{}"),
    "a status of five digits": _answered(b"HTTP/1.1 20000 planted\r\n\r\n"),
}
ENDLESS: Final[dict[str, Behaviour]] = {
    "a body without end": _endless_after(OK + b"\r\n"),
    "a chunk of negative size": _endless_after(OF_CHUNKS + b"-1\r\n"),
    "interim answers without end": _endless_after(b"", EARLY_HINTS),
    "trailers without end": _endless_after(_chunked(b"{}", b"")[:-2], b"X: planted\r\n"),
}
TOO_LONG: Final = "the answer has more than 65536 bytes"
SILENT: Final[dict[str, tuple[Behaviour, Limits]]] = {
    "reset before reading": (_reset_before_reading, PATIENT),
    "closed before reading": (Connection.wait_for_a_byte, PATIENT),
    "reset after reading": (_answered(then=Connection.reset), PATIENT),
    "closed after reading": (_answered(), PATIENT),
    "nothing at all": (_silent_after(b""), HURRIED),
    "nothing after half the body": (_silent_after(_long(9) + b"abc"), HURRIED),
    "dripping headers": (_dripping(b"X-Header: planted\r\n" * 90, OK), HURRIED),
    "a dripping body": (_dripping(b"x" * 10_000, _long(10_000)), HURRIED),
}
Ending = bytes | str | type[Exception]
ENDINGS: Final[dict[str, tuple[Behaviour, Limits, Ending]]] = {
    **{name: (behave, PATIENT, body) for name, (behave, body) in ANSWERS.items()},
    **{name: (behave, PATIENT, BadAnswerError) for name, behave in BAD.items()},
    **{name: (behave, PATIENT, TOO_LONG) for name, behave in ENDLESS.items()},
    **{name: (behave, limits, PlatformSilentError) for name, (behave, limits) in SILENT.items()},
}


@pytest.mark.parametrize(("behave", "limits", "expected"), ENDINGS.values(), ids=ENDINGS)
def test_what_comes_back_is_an_answer_a_bad_one_or_silence_and_nothing_is_sent_twice(
    behave: Behaviour, limits: Limits, expected: Ending, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    with caplog.at_level(logging.INFO):
        server, ending = exchange(behave, limits)

    assert expected in (ending, type(ending), str(ending))
    assert expected != TOO_LONG or isinstance(ending, BadAnswerError)
    assert limits is PATIENT or time.monotonic() - started < 5
    assert server.connections == 1
    assert len(server.requests) <= 1
    assert "planted" not in f"{ending!s}{caplog.text}"
    if isinstance(ending, Exception):
        shown = "".join(traceback.format_exception(ending, chain=True))
        assert "direct cause" not in shown
        assert "another exception occurred" not in shown


# Never sent.


def count_attempts(monkeypatch: pytest.MonkeyPatch, failing: int = 0) -> list[str]:
    """Note each attempt at a connection from now on; have the first ones fail."""
    attempts: list[str] = []

    def connect(connection: HTTPConnection) -> None:
        attempts.append(connection.host)
        if len(attempts) <= failing:
            raise NewConnectionError(connection, "planted")
        HTTPConnection.connect(connection)

    monkeypatch.setattr("verify.platform._Http.connect", connect, raising=False)
    return attempts


REFUSED: Final = f"http://127.0.0.1:1{PATH}"


@pytest.mark.parametrize(
    ("url", "cause"),
    [(REFUSED, "NewConnectionError"), ("http://platform.invalid" + PATH, "NameResolutionError")],
)
def test_an_unreachable_platform_is_tried_twice(
    monkeypatch: pytest.MonkeyPatch, url: str, cause: str
) -> None:
    attempts = count_attempts(monkeypatch)

    with pytest.raises(PlatformUnreachableError, match=cause):
        Platform(url, PATIENT, time.monotonic).ask(REQUEST)

    assert len(attempts) == 2


def test_a_second_connection_that_is_accepted_carries_the_request_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = count_attempts(monkeypatch, failing=3)
    with Server(_keep_answering) as server, client_of(server.url) as client:
        with pytest.raises(PlatformUnreachableError):
            client.ask(REQUEST)

        assert client.ask(REQUEST) == EMPTY

    assert (len(attempts), len(server.requests)) == (4, 1)


@pytest.mark.parametrize(("seconds", "requests"), [(3.9, 1), (4.1, 0)])
def test_nothing_is_sent_or_begun_again_whose_answer_could_not_come_in_time(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, seconds: float, requests: int
) -> None:
    attempts = list[str]()

    def connect(connection: HTTPConnection) -> None:
        attempts.append(connection.host)
        clock.advance(seconds)
        HTTPConnection.connect(connection)

    monkeypatch.setattr("verify.platform._Http.connect", connect, raising=False)
    ending = nullcontext() if requests else pytest.raises(PlatformUnreachableError, match="TimeoutError")
    limits = Limits(connect=2, read=5, deadline=5)
    with Server(_keep_answering) as server, client_of(server.url, limits, clock.monotonic) as client, ending:
        client.ask(REQUEST)

    assert (len(attempts), len(server.requests)) == (1, requests)


# TLS.


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the system trust the server's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    platform._tls_context.cache_clear()  # noqa: SLF001 - it is made once for the life of a function
    yield
    platform._tls_context.cache_clear()  # noqa: SLF001


@pytest.mark.usefixtures("_trusted")
def test_a_server_that_a_known_authority_vouches_for_is_asked(tls: ssl.SSLContext) -> None:
    with Server(_keep_answering, tls) as server, client_of(server.url) as client:
        assert [client.ask(REQUEST) for _ in range(3)] == [EMPTY] * 3
    assert server.connections == 1


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("kind", ["reset after reading", "a dripping body"])
def test_over_tls_too_what_may_have_been_sent_is_not_sent_again(tls: ssl.SSLContext, kind: str) -> None:
    behave, limits = SILENT[kind]

    with Server(behave, tls) as server, pytest.raises(PlatformSilentError):
        Platform(server.url, limits, time.monotonic).ask(REQUEST)

    assert (server.connections, len(server.requests)) == (1, 1)


def _refuse(connection: Connection) -> None:
    connection.send(_with_status(400))


@pytest.mark.parametrize("kind", ["not vouched for", "of another name", "without TLS"])
def test_a_server_that_does_not_prove_who_it_is_is_sent_nothing(
    request: pytest.FixtureRequest, tls: ssl.SSLContext, kind: str
) -> None:
    if kind == "of another name":
        request.getfixturevalue("_trusted")
    secured = kind != "without TLS"
    with Server(_keep_answering if secured else _refuse, tls if secured else None) as server:
        url = server.url.replace("http:", "https:")
        if kind == "of another name":
            url = url.replace("127.0.0.1", "localhost")
        with pytest.raises(PlatformUnreachableError, match="SSLError"):
            Platform(url, PATIENT, time.monotonic).ask(REQUEST)

    assert (server.connections, server.requests) == (2, [])


def test_a_handshake_that_never_ends_is_given_up() -> None:
    with Server(Connection.stay_silent) as server:
        client = Platform(server.url.replace("http:", "https:"), Limits(0.1, 0.1, 0.5), time.monotonic)
        started = time.monotonic()
        with pytest.raises(PlatformUnreachableError):
            client.ask(REQUEST)

    assert server.connections == 2
    assert time.monotonic() - started < 5


# Kept connections.


@pytest.mark.parametrize(("idle", "connections"), [(20, 1), (20.001, 5)])
def test_a_connection_is_kept_for_twenty_seconds(clock: FakeClock, idle: float, connections: int) -> None:
    assert MAX_IDLE_SECONDS == 20
    with Server(_keep_answering) as server, client_of(server.url, monotonic=clock.monotonic) as client:
        for _ in range(5):
            client.ask(REQUEST)
            clock.advance(idle)

    assert (server.connections, len(server.requests)) == (connections, 5)


def test_a_connection_that_the_server_closed_is_replaced_before_anything_is_sent() -> None:
    with Server(_answered(_long(2) + b"{}")) as server, client_of(server.url) as client:
        client.ask(REQUEST)
        assert server.closed.acquire(timeout=10)

        assert client.ask(REQUEST) == b"{}"

    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_connection_closed_while_a_request_is_under_way_is_silence_and_not_tried_again() -> None:
    def answer_and_hang_up(connection: Connection) -> None:
        connection.read_request()
        connection.send(_long(2) + b"{}")
        connection.read_request()

    with Server(answer_and_hang_up) as server, client_of(server.url) as client:
        client.ask(REQUEST)

        with pytest.raises(PlatformSilentError):
            client.ask(REQUEST)

    assert (server.connections, len(server.requests)) == (1, 2)


FORGED: Final = _long(7) + b"forged!"
LEFT: Final = {
    "another status": b"HTTP/1.1 500 planted\r\nContent-Length: 6\r\n\r\nunread",
    "too large": _long(65538) + b"x" * 65538,
    "to be closed": OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
    "followed by another": _long(2) + b"{}" + FORGED,
    "without a body": b"HTTP/1.1 204 No Content\r\n\r\n" + FORGED,
}


@pytest.mark.parametrize("first", LEFT.values(), ids=LEFT)
def test_what_one_answer_leaves_behind_is_not_taken_for_the_next(first: bytes) -> None:
    answers = [first]

    def behave(connection: Connection) -> None:
        while connection.read_request():
            connection.send(answers.pop() if answers else _long(6) + b"second")

    with Server(behave) as server, client_of(server.url) as client:
        with suppress(BadAnswerError):
            client.ask(REQUEST)

        assert client.ask(REQUEST) == b"second"
