"""One exchange with the platform over HTTP: bounded in time and size, and never sent twice.

A token is single-use and verdicts are billed, so what may have been sent is not sent again. What provably was
not (no address, no connection, no TLS) is tried once more. urllib3's read timeout bounds each read, not the
exchange: a server that sends a byte now and then would hold the function, so each read is also held to a
deadline. No setting here bounds the system's look-up of the address, nor a name with many addresses that
are all dead: each may take the connect timeout. Whatever that took, nothing is sent whose answer could not
come in time any more.
"""

import io
import logging
import socket
import ssl
import zlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, InvalidHeader, ProtocolError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url

from cmpassport.errors import CmpassportError, RefusedError

MAX_ANSWER_BYTES: Final = 64 * 1024
_FRAMING_BYTES: Final = 64 * 1024
"""What may come beside the body: status lines, headers, chunk sizes, trailers."""
_ANSWER_SECONDS: Final = 1.0
"""What is left for the answer when a request is sent, or half of the exchange where that is less."""
MAX_IDLE_SECONDS: Final = 20.0
"""A kept connection older than this is not used: a frozen function does not see it die."""
_TOO_LONG: Final = f"the answer has more than {MAX_ANSWER_BYTES} bytes"
_GZIP: Final = b"\x1f\x8b"
_HEADERS: Final = {"Content-Type": "application/json;charset=utf-8", "Accept": "application/json"}

# urllib3 logs headers that it cannot read, word for word, and a platform may echo what it was sent.
logging.getLogger("urllib3.connection").setLevel(logging.CRITICAL)


class PlatformUnreachableError(RefusedError):
    """The request was provably never sent: no address, no connection or no TLS."""


class PlatformSilentError(CmpassportError):
    """The request was sent, or may have been, and no answer came in time: the verdict is unknown."""


class BadAnswerError(CmpassportError):
    """What came back is not the platform's answer: not HTTP, wrong status, too large or cut off."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one exchange, in seconds.

    Attributes
    ----------
    connect
        For each connection attempt, TLS included.
    read
        Between two pieces of the answer.
    deadline
        For the whole exchange.
    """

    connect: float
    read: float
    deadline: float


@dataclass(slots=True)
class _Exchange:
    """What the connection and the caller tell each other about the exchange under way."""

    ends_at: float
    read_timeout: float
    answer_seconds: float
    monotonic: Callable[[], float]
    sent: bool = False
    bytes_left: int = MAX_ANSWER_BYTES + _FRAMING_BYTES

    def remaining(self) -> float:
        """Return the seconds left; raise TimeoutError when there are none, or too few to send."""
        seconds = self.ends_at - self.monotonic()
        if seconds <= (0 if self.sent else self.answer_seconds):
            raise TimeoutError("the exchange's deadline has passed")
        return seconds


_exchange: ContextVar[_Exchange] = ContextVar("exchange")


class _BoundedReader(io.RawIOBase):
    """Reads a socket: no longer than the exchange may still last, and no more than an answer may have.

    It stands below everything that reads, so that no framing gets around it: a chunk of size -1 would have
    http.client read to the end, whatever the caller wants.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: _Exchange) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(min(self._exchange.read_timeout, self._exchange.remaining()))
        count = self._raw.readinto(buffer)
        self._exchange.bytes_left -= count or 0
        if self._exchange.bytes_left < 0:
            raise _TooLongError
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TooLongError(HTTPException):
    """The answer has more bytes than an answer may have, in whatever part of it."""


class _BoundedResponse(HTTPResponse):
    """An answer whose status line, headers and body are all read under the exchange's bounds."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock, _exchange.get()))

    def _read_status(self) -> tuple[str, int, str]:
        """Read the final status line: of the interim answers http.client passes over 100 alone."""
        read: Callable[[], tuple[str, int, str]] = super()._read_status  # type: ignore[misc] # not in the stubs
        status = read()
        while HTTPStatus.PROCESSING <= status[1] < HTTPStatus.OK:
            parse_headers(self.fp)
            status = read()
        return status


class _Http(HTTPConnection):
    """A connection that notes the moment from which the platform may have got something."""

    response_class = _BoundedResponse

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        exchange = _exchange.get()
        exchange.remaining()
        exchange.sent = True
        super().send(data)


class _Https(_Http, HTTPSConnection):
    """The same over TLS; connecting includes the handshake."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


_tls_context = cache(ssl.create_default_context)


class Platform:
    """The platform's verification endpoint.

    Parameters
    ----------
    url
        Its full address, http or https.
    limits
        Bounds in seconds.
    monotonic
        Clock in seconds.
    """

    def __init__(self, url: str, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._address = parse_url(url)
        self._limits = limits
        self._monotonic = monotonic
        self._pool: HTTPConnectionPool | None = None
        self._last_used = 0.0

    @property
    def seconds(self) -> float:
        """How long an exchange may take, by its limits."""
        return self._limits.deadline

    def ask(self, request: bytes, *, within: float | None = None) -> bytes:
        """Send a request and return the answer's body, at most 64 KiB.

        Parameters
        ----------
        request
            The request's JSON.
        within
            Seconds that are left for the exchange, where these are fewer than its deadline.

        Raises
        ------
        PlatformUnreachableError
            Nothing was sent, in two attempts or in the time that there was.
        PlatformSilentError
            It was sent and no answer came in time; the token is burned.
        BadAnswerError
            What came back is not HTTP, has another status than 200 (redirects are not followed), is too large
            or cut off.
        """
        started = self._monotonic()
        seconds = self._limits.deadline if within is None else min(within, self._limits.deadline)
        exchange = _Exchange(
            started + seconds, self._limits.read, min(_ANSWER_SECONDS, seconds / 2), self._monotonic
        )
        pool = self._fresh_pool(started)
        reset = _exchange.set(exchange)
        try:
            try:
                return self._post(pool, exchange, request)
            except PlatformUnreachableError:
                return self._post(pool, exchange, request)
        finally:
            _exchange.reset(reset)
            self._last_used = self._monotonic()

    def disconnect(self) -> None:
        """Close kept connections; the next exchange opens a new one."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _fresh_pool(self, now: float) -> HTTPConnectionPool:
        if now - self._last_used > MAX_IDLE_SECONDS:
            self.disconnect()
        if self._pool is None:
            self._pool = self._new_pool()
        return self._pool

    def _new_pool(self) -> HTTPConnectionPool:
        """Return a pool of connections; TLS is verified against the system's certificates."""
        host, port = str(self._address.host), self._address.port
        if self._address.scheme == "https":
            return _HttpsPool(host, port, ssl_context=_tls_context())
        return _HttpPool(host, port)

    def _post(self, pool: HTTPConnectionPool, exchange: _Exchange, request: bytes) -> bytes:
        # Errors are not chained: urllib3's texts hold the address and may quote what the server sent.
        try:
            remaining = exchange.remaining()
            response = pool.urlopen(
                "POST",
                self._address.request_uri,
                body=request,
                headers=_HEADERS,
                retries=False,
                timeout=Timeout(
                    connect=min(self._limits.connect, remaining), read=min(self._limits.read, remaining)
                ),
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError) as error:
            if not exchange.sent:
                raise PlatformUnreachableError(type(_cause(error) or error).__name__) from None
            if isinstance(_cause(error), _TooLongError):
                raise BadAnswerError(_TOO_LONG) from None
            if _is_no_http(error):
                raise BadAnswerError("the answer is not HTTP") from None
            raise PlatformSilentError(type(error).__name__) from None
        return _read_body(response)


def _cause(error: BaseException) -> object:
    """Return what urllib3 met where it says no more than that the connection is broken."""
    return error.args[-1] if isinstance(error, ProtocolError) else None


def _is_no_http(error: BaseException) -> bool:
    cause = _cause(error)
    # RemoteDisconnected is both: the connection closed, and so the status line was bad.
    return isinstance(error, InvalidHeader) or (
        isinstance(cause, HTTPException) and not isinstance(cause, ConnectionError)
    )


def _read_body(response: BaseHTTPResponse) -> bytes:
    try:
        if response.status != HTTPStatus.OK:
            raise BadAnswerError(f"the answer has HTTP status {response.status}")
        data = response.read(MAX_ANSWER_BYTES + 1)
        if len(data) <= MAX_ANSWER_BYTES and response.length_remaining:
            raise BadAnswerError("the answer is cut off")
    except ReadTimeoutError:
        raise PlatformSilentError("the answer did not end in time") from None
    except (HTTPError, OSError) as error:
        too_long = isinstance(_cause(error), _TooLongError)
        raise BadAnswerError(_TOO_LONG if too_long else "the answer is cut off") from None
    else:
        if len(data) > MAX_ANSWER_BYTES:
            raise BadAnswerError(_TOO_LONG)
        return _decoded(data, response.headers.get("Content-Encoding", ""))
    finally:
        if response.closed:
            response.release_conn()
        else:  # unread bytes would be taken for the next answer
            response.close()


def _decoded(data: bytes, coding: str) -> bytes:
    """Undo a coding that was not asked for: a verdict that was billed is not thrown away over it.

    gzip is told by its first bytes, whatever proxies have made of the header; deflate comes with and without
    zlib's own header (RFC 9110 section 8.4.1).

    Raises
    ------
    BadAnswerError
        It is more than 64 KiB when decoded.
    """
    if data.startswith(_GZIP):
        return _inflated(data, 31)
    if "deflate" in coding.lower() and not data.lstrip().startswith(b"{"):  # JSON may pass for raw deflate
        return _inflated(data, 15) or _inflated(data, -15) or data
    return data


def _inflated(data: bytes, window_bits: int) -> bytes:
    """Decompress as far as it goes; gzip may have several members (RFC 1952 section 2.2)."""
    text = b""
    while data:
        stream = zlib.decompressobj(window_bits)
        try:
            text += stream.decompress(data, MAX_ANSWER_BYTES + 1 - len(text))
        except zlib.error:
            break
        if len(text) > MAX_ANSWER_BYTES:
            raise BadAnswerError(_TOO_LONG)
        data = stream.unused_data
    return text
