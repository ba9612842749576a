"""The exchange with the platform against real sockets: bounded, and never sent twice."""

import gzip
import logging
import socket
import ssl
import struct
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from cmpassport.errors import CmpassportError
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
        while b"\r\n\r\n" not in data:
            piece = self._sock.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        while len(body) < length:
            body += self._sock.recv(65536)
        self._server.requests.append(head + b"\r\n\r\n" + body)
        return data

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """Send a whole answer."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def drip(self, data: bytes) -> None:
        """Send a byte now and then, until the client has gone or the server ends."""
        for byte in data:
            self.send(bytes([byte]))
            if self._server.ended.wait(0.02):
                return

    def stay_silent(self) -> None:
        """Send nothing until the client has gone or the server ends."""
        self._sock.settimeout(0.05)
        while not self._server.ended.is_set():
            with suppress(TimeoutError):
                if not self._sock.recv(65536):
                    return

    def wait_for_a_byte(self) -> None:
        """Wait until the client has begun to send, so that its connecting is over; read nothing."""
        self._sock.recv(1, socket.MSG_PEEK)

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


Behaviour = Callable[[Connection], None]


@dataclass
class Server:
    """A server on loopback that behaves as told, connection by connection."""

    behave: Behaviour
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}{PATH}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._serve, args=(sock,)))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError), sock:
            sock.settimeout(10)
            if self.tls is None:
                self.behave(Connection(sock, self))
            else:
                with self.tls.wrap_socket(sock, server_side=True) as secured:
                    self.behave(Connection(secured, self))
        self.closed.release()


def make(url: str, limits: Limits = PATIENT, monotonic: Callable[[], float] = time.monotonic) -> Platform:
    return Platform(url, limits, monotonic)


@dataclass
class Ending:
    """How one exchange ended."""

    server: Server
    error: Exception | None
    answer: bytes
    seconds: float


def exchange(behave: Behaviour, limits: Limits = PATIENT) -> Ending:
    """Have one exchange with a server that behaves so."""
    error, answer, started = None, b"", time.monotonic()
    with Server(behave) as server:
        client = make(server.url, limits)
        try:
            answer = client.ask(REQUEST)
        except CmpassportError as raised:
            error = raised
        seconds = time.monotonic() - started
        client.disconnect()
    return Ending(server, error, answer, seconds)


# Behaviours.


def _keep_answering(connection: Connection) -> None:
    while connection.read_request():
        connection.answer(b'{"header":{}}')


def _answered(*pieces: bytes) -> Behaviour:
    """Read the request, send this, close."""

    def behave(connection: Connection) -> None:
        connection.read_request()
        for piece in pieces:
            connection.send(piece)

    return behave


def _with_status(status: str, *headers: str) -> Behaviour:
    def behave(connection: Connection) -> None:
        while connection.read_request():
            connection.answer(b"planted", *headers, status=status)

    return behave


def _dripping(data: bytes, at_once: bytes = b"") -> Behaviour:
    def behave(connection: Connection) -> None:
        connection.read_request()
        connection.send(at_once)
        connection.drip(data)

    return behave


def _silent(connection: Connection) -> None:
    connection.read_request()
    connection.stay_silent()


def _reset_before_reading(connection: Connection) -> None:
    connection.wait_for_a_byte()
    connection.reset()


def _reset_after_reading(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def _silent_after(data: bytes) -> Behaviour:
    def behave(connection: Connection) -> None:
        connection.read_request()
        connection.send(data)
        connection.stay_silent()

    return behave


def _endless_after(head: bytes, piece: bytes = b"x" * 65536) -> Behaviour:
    def behave(connection: Connection) -> None:
        connection.read_request()
        connection.send(head)
        sent = 0
        while not connection._server.ended.is_set():  # noqa: SLF001 - one test, one class
            connection.send(piece)
            sent += len(piece)
            assert sent < 100 * MAX_ANSWER_BYTES, "the client reads without end"

    return behave


def _coded(coding: str, body: bytes) -> Behaviour:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return _answered(head.encode() + body)


def _chunked(*chunks: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


# A good exchange.


def test_a_request_is_posted_as_it_is_and_the_body_comes_back() -> None:
    ending = exchange(_keep_answering)

    (sent,) = ending.server.requests
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert lines[0] == f"POST {PATH} HTTP/1.1"
    assert headers["content-type"] == "application/json;charset=utf-8"
    assert headers["content-length"] == str(len(REQUEST))
    assert headers["host"] == f"127.0.0.1:{ending.server.port}"
    assert body == REQUEST
    assert ending.answer == b'{"header":{}}'


EARLY_HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </planted>\r\n\r\n"
FULL: Final = b"x" * MAX_ANSWER_BYTES
LIMIT: Final = str(MAX_ANSWER_BYTES).encode()


@pytest.mark.parametrize(
    ("behave", "body"),
    [
        (_answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), b""),
        (_answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"{", b"}"), b"{}"),
        (_answered(b"HTTP/1.0 200 OK\r\n\r\n{}"), b"{}"),
        (_answered(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), b"{}"),
        (_answered(EARLY_HINTS * 3 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), b"{}"),
        (_answered(_chunked(b"{", b'"a"', b":1}", b"")), b'{"a":1}'),
        (_answered(b"HTTP/1.1 200 OK\r\nContent-Length: " + LIMIT + b"\r\n\r\n" + FULL), FULL),
        (_answered(_chunked(FULL, b"")), FULL),
        (_answered(b"HTTP/1.1 200 OK\r\n\r\n" + FULL), FULL),
        (_coded("gzip", gzip.compress(b"{}")), b"{}"),
        (_coded(" X-GZip ", gzip.compress(FULL)), FULL),
        (_coded("deflate", zlib.compress(b"{}")), b"{}"),
        (_coded("deflate", zlib.compress(b"{}")[2:-4]), b"{}"),
        (_coded("gzip", b"{}"), b"{}"),
        (_coded("identity", b"{}"), b"{}"),
    ],
    ids=[
        "empty",
        "pieces",
        "HTTP 1.0",
        "100",
        "103",
        "chunked",
        "64 KiB",
        "64 KiB chunked",
        "64 KiB to the end",
        "gzip",
        "64 KiB in gzip",
        "deflate",
        "deflate without a header",
        "gzip in name alone",
        "no coding",
    ],
)
def test_an_answer_is_read_however_http_carries_it(behave: Behaviour, body: bytes) -> None:
    ending = exchange(behave)

    assert ending.error is None
    assert ending.answer == body


# Never sent.


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> "Connecting":
    return Connecting(monkeypatch)


class Connecting:
    """Counts connection attempts, the first ones of which may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.attempts = 0
        self.failing = 0
        connecting = self

        def connect(connection: HTTPConnection) -> None:
            connecting.attempts += 1
            if connecting.attempts <= connecting.failing:
                raise NewConnectionError(connection, "planted")
            HTTPConnection.connect(connection)

        monkeypatch.setattr("verify.platform._Http.connect", connect, raising=False)


def _refusing_url() -> str:
    """Return an address of this machine where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        (_refusing_url(), "NewConnectionError"),
        ("http://platform.invalid" + PATH, "NameResolutionError"),
    ],
)
def test_an_unreachable_platform_is_tried_twice(connecting: Connecting, url: str, cause: str) -> None:
    with pytest.raises(PlatformUnreachableError, match=cause):
        make(url).ask(REQUEST)

    assert connecting.attempts == 2


def test_a_second_connection_that_is_accepted_carries_the_request_once(connecting: Connecting) -> None:
    connecting.failing = 1
    with Server(_keep_answering) as server:
        client = make(server.url)

        assert client.ask(REQUEST) == b'{"header":{}}'

        client.disconnect()
    assert connecting.attempts == 2
    assert len(server.requests) == 1


def test_after_an_unreachable_platform_the_next_exchange_may_go_well(connecting: Connecting) -> None:
    connecting.failing = 2
    with Server(_keep_answering) as server:
        client = make(server.url)
        with pytest.raises(PlatformUnreachableError):
            client.ask(REQUEST)

        assert client.ask(REQUEST) == b'{"header":{}}'

        client.disconnect()


def test_no_second_attempt_begins_after_the_deadline(clock: FakeClock, connecting: Connecting) -> None:
    def slow_to_fail() -> float:
        clock.advance(3)  # each look at the clock is three seconds later
        return clock.monotonic()

    client = Platform(_refusing_url(), Limits(connect=2, read=5, deadline=5), slow_to_fail)

    with pytest.raises(PlatformUnreachableError, match="TimeoutError"):
        client.ask(REQUEST)

    assert connecting.attempts == 1


# TLS.


@dataclass
class Authority:
    """A certificate authority of the tests' own."""

    key: RSAPrivateKey
    folder: Path

    def __post_init__(self) -> None:
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
        self.certificate = self._sign(self._name, self.key, x509.BasicConstraints(ca=True, path_length=0))
        self.file = self.folder / "authority.pem"
        self.file.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def _sign(self, name: x509.Name, key: RSAPrivateKey, *extensions: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, SHA256())

    def server_side(self, address: str) -> ssl.SSLContext:
        """Make the context of a server that this authority vouches for."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        file = self.folder / "server.pem"
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(key + self._sign(name, self.key, names).public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture
def authority(rsa_key: Callable[[int], RSAPrivateKey], tmp_path: Path) -> Authority:
    return Authority(rsa_key(2048), tmp_path)


@pytest.fixture
def _trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the system's certificates be the authority's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    platform._tls_context.cache_clear()  # noqa: SLF001 - it is made once for the life of a function
    yield
    platform._tls_context.cache_clear()  # noqa: SLF001


@pytest.mark.usefixtures("_trusted")
def test_a_server_that_a_known_authority_vouches_for_is_asked(authority: Authority) -> None:
    with Server(_keep_answering, authority.server_side("127.0.0.1")) as server:
        client = make(server.url)

        assert [client.ask(REQUEST) for _ in range(3)] == [b'{"header":{}}'] * 3

        client.disconnect()
    assert server.connections == 1


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("behave", [_reset_after_reading, _answered()], ids=["reset", "closed"])
def test_over_tls_too_what_may_have_been_sent_is_not_sent_again(
    authority: Authority, behave: Behaviour
) -> None:
    with (
        Server(behave, authority.server_side("127.0.0.1")) as server,
        pytest.raises(PlatformSilentError),
    ):
        make(server.url).ask(REQUEST)

    assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.usefixtures("_trusted")
def test_over_tls_too_a_dripping_answer_ends_at_the_deadline(authority: Authority) -> None:
    behave = _dripping(b"x" * 10_000, b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    with (
        Server(behave, authority.server_side("127.0.0.1")) as server,
        pytest.raises(PlatformSilentError),
    ):
        make(server.url, HURRIED).ask(REQUEST)

    assert server.connections == 1


def test_a_server_that_nobody_vouches_for_is_sent_nothing(authority: Authority) -> None:
    with (
        Server(_keep_answering, authority.server_side("127.0.0.1")) as server,
        pytest.raises(PlatformUnreachableError, match="SSLError"),
    ):
        make(server.url).ask(REQUEST)

    assert (server.connections, server.requests) == (2, [])


@pytest.mark.usefixtures("_trusted")
def test_another_servers_certificate_is_no_good(authority: Authority) -> None:
    with (
        Server(_keep_answering, authority.server_side("127.0.0.2")) as server,
        pytest.raises(PlatformUnreachableError, match="SSLError"),
    ):
        make(server.url).ask(REQUEST)

    assert (server.connections, server.requests) == (2, [])


def test_a_server_that_speaks_no_tls_is_unreachable_and_sent_nothing() -> None:
    def speak_plainly(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with Server(speak_plainly) as server, pytest.raises(PlatformUnreachableError):
        make(server.url.replace("http:", "https:")).ask(REQUEST)

    assert (server.connections, server.requests) == (2, [])


def test_a_handshake_that_never_ends_is_given_up() -> None:
    with Server(Connection.stay_silent) as server:
        started = time.monotonic()
        with pytest.raises(PlatformUnreachableError):
            make(server.url.replace("http:", "https:"), Limits(0.1, 0.1, 0.5)).ask(REQUEST)
        seconds = time.monotonic() - started

    assert server.connections == 2
    assert seconds < 5


# Sent, and no answer.

SILENT: Final[dict[str, tuple[Behaviour, Limits]]] = {
    "reset before reading": (_reset_before_reading, PATIENT),
    "closed before reading": (Connection.wait_for_a_byte, PATIENT),
    "reset after reading": (_reset_after_reading, PATIENT),
    "closed after reading": (_answered(), PATIENT),
    "nothing at all": (_silent, HURRIED),
    "nothing after the status line": (_silent_after(b"HTTP/1.1 200 OK\r\n"), HURRIED),
    "nothing after the headers": (_silent_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), HURRIED),
    "nothing after half the body": (
        _silent_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        HURRIED,
    ),
    "nothing after the first chunk": (_silent_after(_chunked(b"abc")), HURRIED),
    "a dripping status line": (_dripping(b"HTTP/1.1 200 " + b"O" * 10_000), HURRIED),
    "dripping headers": (_dripping(b"X-Header: planted\r\n" * 90, b"HTTP/1.1 200 OK\r\n"), HURRIED),
    "a dripping body": (
        _dripping(b"x" * 10_000, b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"),
        HURRIED,
    ),
    "a dripping body of chunks": (
        _dripping(b"1\r\nx\r\n" * 2000, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        HURRIED,
    ),
    "a dripping body to the end": (_dripping(b"x" * 10_000, b"HTTP/1.1 200 OK\r\n\r\n"), HURRIED),
}


@pytest.mark.parametrize(("behave", "limits"), SILENT.values(), ids=SILENT)
def test_what_may_have_been_sent_and_is_not_answered_is_silence(behave: Behaviour, limits: Limits) -> None:
    ending = exchange(behave, limits)

    assert type(ending.error) is PlatformSilentError
    assert ending.server.connections == 1
    assert len(ending.server.requests) <= 1
    if limits is HURRIED:
        assert ending.seconds < 5


def test_an_answer_that_comes_before_the_read_timeout_may_last_until_the_deadline() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"

    ending = exchange(_dripping(b"x" * 20, head), Limits(connect=10, read=10, deadline=20))

    assert ending.answer == b"x" * 20


# Something else than an answer.

BAD: Final[dict[str, Behaviour]] = {
    "half the body": _answered(b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\nplanted"),
    "half a chunk": _answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nplanted"),
    "no last chunk": _answered(_chunked(b"planted")),
    "a chunk of no size": _answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nplanted\r\n"),
    "a byte too many": _answered(b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n" + FULL + b"x"),
    "a byte too many in chunks": _answered(_chunked(FULL, b"x", b"")),
    "a byte too many to the end": _answered(b"HTTP/1.1 200 OK\r\n\r\n" + FULL + b"x"),
    "a byte too many in gzip": _coded("gzip", gzip.compress(FULL + b"x")),
    "a bomb": _coded("deflate", zlib.compress(b"x" * 100 * MAX_ANSWER_BYTES)),
    "a body without end": _endless_after(b"HTTP/1.1 200 OK\r\n\r\n"),
    "a length of a terabyte": _answered(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n" + FULL * 2
    ),
    "a chunk of negative size": _endless_after(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"
    ),
    "interim answers without end": _endless_after(b"", EARLY_HINTS),
    "trailers without end": _endless_after(_chunked(b"{}", b"")[:-2], b"X: planted\r\n"),
    "words": _answered(b"planted words\r\n\r\n"),
    "JSON without HTTP": _answered(b'{"header": {"planted": 1}}\r\n'),
    "another protocol": _answered(b"SSH-2.0-OpenSSH_9.6 planted\r\n"),
    "zeros": _answered(b"\x00" * 1000),
    "an empty line": _answered(b"\r\n\r\n"),
    "a line without end": _answered(b"HTTP/1.1 200 " + b"x" * 70_000),
    "a header without end": _answered(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000),
    "a thousand headers": _answered(b"HTTP/1.1 200 OK\r\n" + b"X: planted\r\n" * 1000 + b"\r\n"),
    "HTTP 3": _answered(b"HTTP/3.0 200 OK\r\n\r\n"),
    "a status of letters": _answered(b"HTTP/1.1 abc planted\r\n\r\n"),
    "a status of five digits": _answered(b"HTTP/1.1 20000 planted\r\n\r\n"),
}
STATUSES: Final = [
    *("201 Created", "202 Accepted", "204 No Content", "206 Partial Content"),
    *("300 planted", "304 Not Modified", "400 Bad Request", "401 planted", "403 Forbidden", "404 Not Found"),
    *("408 Request Timeout", "413 planted", "429 Too Many Requests", "500 planted", "502 Bad Gateway"),
    *("503 Service Unavailable", "504 Gateway Timeout"),
]


@pytest.mark.parametrize("behave", BAD.values(), ids=BAD)
def test_what_is_no_whole_answer_is_a_bad_one(behave: Behaviour) -> None:
    ending = exchange(behave)

    assert type(ending.error) is BadAnswerError
    assert len(ending.server.requests) == 1


@pytest.mark.parametrize("status", STATUSES)
def test_another_status_is_a_bad_answer_and_nothing_is_sent_again(status: str) -> None:
    ending = exchange(_with_status(status, "Retry-After: 0"))

    assert type(ending.error) is BadAnswerError
    assert str(ending.error) == f"the answer has HTTP status {status[:3]}"
    assert len(ending.server.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 planted", "308 planted"])
def test_a_redirect_is_not_followed(status: str) -> None:
    ending = exchange(_with_status(status, f"Location: {PATH}?again=1"))

    assert str(ending.error) == f"the answer has HTTP status {status[:3]}"
    assert len(ending.server.requests) == 1


@pytest.mark.parametrize(
    "behave",
    [
        *(behave for behave in BAD.values()),
        *(behave for behave, limits in SILENT.values() if limits is PATIENT),
        _with_status("500 planted", "X-Planted: planted"),
    ],
)
def test_no_error_and_no_log_shows_what_was_sent_or_came_back(
    behave: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        ending = exchange(behave)

    assert ending.error is not None
    shown = "".join(traceback.format_exception(ending.error, chain=True)).replace("planted words", "planted")
    assert "planted" not in str(ending.error)
    assert "direct cause" not in shown
    assert "another exception occurred" not in shown
    assert "planted" not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        b"planted token\r\n",
        b": planted token\r\n",
        b"Content-Length: 2\r\n planted\r\nplanted token\r\n",
        b"Content-Length: 2\r\nContent-Length: planted\r\n",
        b"Content-Length: planted\r\n",
        b"Transfer-Encoding: planted\r\n",
        b"Content-Encoding: planted\r\nContent-Length: 2\r\n",
    ],
)
def test_headers_that_are_none_are_not_logged(headers: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        exchange(_answered(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n{}"))

    assert "planted" not in caplog.text


# Kept connections.


def test_a_connection_is_kept_for_the_next_exchange() -> None:
    with Server(_keep_answering) as server:
        client = make(server.url)

        for _ in range(5):
            client.ask(REQUEST)

        client.disconnect()
    assert (server.connections, len(server.requests)) == (1, 5)


@pytest.mark.parametrize(("idle", "connections"), [(MAX_IDLE_SECONDS, 1), (MAX_IDLE_SECONDS + 0.001, 2)])
def test_a_connection_idle_for_more_than_twenty_seconds_is_not_used(
    clock: FakeClock, idle: float, connections: int
) -> None:
    assert MAX_IDLE_SECONDS == 20
    with Server(_keep_answering) as server:
        client = make(server.url, monotonic=clock.monotonic)
        client.ask(REQUEST)

        clock.advance(idle)
        client.ask(REQUEST)

        client.disconnect()
    assert (server.connections, len(server.requests)) == (connections, 2)


def test_a_connection_that_the_server_closed_is_replaced_before_anything_is_sent() -> None:
    def answer_once(connection: Connection) -> None:
        connection.read_request()
        connection.answer(b"{}")

    with Server(answer_once) as server:
        client = make(server.url)
        client.ask(REQUEST)
        assert server.closed.acquire(timeout=10)

        assert client.ask(REQUEST) == b"{}"

        client.disconnect()
    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_connection_closed_while_a_request_is_under_way_is_silence_and_not_tried_again() -> None:
    def answer_and_hang_up(connection: Connection) -> None:
        connection.read_request()
        connection.answer(b"{}")
        connection.read_request()

    with Server(answer_and_hang_up) as server:
        client = make(server.url)
        client.ask(REQUEST)

        with pytest.raises(PlatformSilentError):
            client.ask(REQUEST)

        client.disconnect()
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 500 planted\r\nContent-Length: 6\r\n\r\nunread",
        b"HTTP/1.1 200 OK\r\nContent-Length: 65538\r\n\r\n" + b"x" * 65538,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforged!",
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforged!",
    ],
    ids=["another status", "too large", "to be closed", "followed by another", "without a body"],
)
def test_what_one_answer_leaves_behind_is_not_taken_for_the_next(first: bytes) -> None:
    left = threading.Event()

    def behave(connection: Connection) -> None:
        while connection.read_request():
            if left.is_set():
                connection.answer(b"second")
            else:
                left.set()
                connection.send(first)

    with Server(behave) as server:
        client = make(server.url)
        with suppress(BadAnswerError):
            client.ask(REQUEST)

        assert client.ask(REQUEST) == b"second"

        client.disconnect()


def test_each_thread_has_a_deadline_of_its_own() -> None:
    def behave(connection: Connection) -> None:
        connection.read_request()
        connection.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    endings: list[bytes] = []
    with Server(behave) as server:
        patient = make(server.url)
        waiting = threading.Thread(target=lambda: endings.append(patient.ask(REQUEST)))
        waiting.start()
        with pytest.raises(PlatformSilentError):
            make(server.url, Limits(connect=5, read=0.2, deadline=0.2)).ask(REQUEST)
        waiting.join(20)
        patient.disconnect()
    assert endings == [b"{}"]
