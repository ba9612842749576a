"""The world as this machine sees it: AWS through boto3, the platform and pages over HTTP.

The libraries' timeouts bound each read, not an exchange: whoever sends a byte now and then would hold the
doctor. So whatever is fetched is also held to one deadline, from the look-up of its address to the last byte.
"""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from threading import Thread
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from botocore.exceptions import BotoCoreError
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from cmpassport.clock import utc_now
from tools.doctor.facts import Contact, Fetched, Reading, Stage, Table
from tools.trouble import AWS_ERRORS, Kind, Trouble, classify
from verify.platform import Limits, Platform

_PAGE_BYTES: Final = 1 << 20
_AGENT: Final = {"User-Agent": "number-verification-doctor"}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an exchange may take in all, in seconds.

    Attributes
    ----------
    clock
        For a server's Date.
    page
        For a page, the published keys or the address service.
    api
        For the API, whose gateway answers within 30 seconds.
    """

    clock: float = 5.0
    page: float = 10.0
    api: float = 35.0


class ThisMachine:
    """What this machine sees.

    Parameters
    ----------
    client
        Makes a boto3 client of a service by its name.
    now
        Clock, aware.
    patience
        How long exchanges may take.
    """

    def __init__(
        self,
        client: Callable[[str], Any],
        now: Callable[[], datetime] = utc_now,
        patience: Patience = Patience(),
    ) -> None:
        self._client = cache(client)
        self._now = now
        self._patience = patience
        self._http = PoolManager(retries=False, headers=_AGENT)

    def now(self) -> datetime:
        """Give the present instant, aware."""
        return self._now()

    def aws_address(self) -> str | None:
        """Give the address of AWS's Secrets Manager; None where no region is known."""
        try:
            return str(self._client("secretsmanager").meta.endpoint_url)
        except (BotoCoreError, ValueError):
            return None

    def server_clock(self, url: str) -> datetime | None:
        """Give a server's own time, from the Date of whatever it answers."""
        seconds = self._patience.clock
        with suppress(OSError, http.client.HTTPException, ValueError, TypeError):
            return _in_time(seconds, partial(_date_of, urlsplit(url), seconds))
        return None

    def contact(self, url: str, limits: Limits) -> Contact:
        """Reach the platform as the functions do, with a request that asks for nothing."""
        started = time.monotonic()
        return replace(_contact(urlsplit(url), limits), seconds=time.monotonic() - started)

    def read_secret(self, secret_id: str) -> Reading:
        """Read a secret."""
        try:
            answer = self._client("secretsmanager").get_secret_value(SecretId=secret_id)
        except AWS_ERRORS as error:
            return Reading(trouble=classify(error))
        except ValueError:  # an endpoint's address that is none
            return Reading(trouble=Trouble(Kind.UNREACHABLE, "ValueError"))
        if "SecretString" not in answer:
            return Reading(trouble=Trouble(Kind.BINARY, "SecretBinary"))
        return Reading(text=answer["SecretString"])

    def describe_table(self, name: str) -> Table:
        """Have a table described."""
        try:
            client = self._client("dynamodb")
            table = client.describe_table(TableName=name)["Table"]
            life = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        except AWS_ERRORS as error:
            return Table(trouble=classify(error))
        except ValueError:
            return Table(trouble=Trouble(Kind.UNREACHABLE, "ValueError"))
        types = {item["AttributeName"]: item["AttributeType"] for item in table["AttributeDefinitions"]}
        keys = [
            f"{key['AttributeName']} {key['KeyType']} {types.get(key['AttributeName'], '?')}"
            for key in table["KeySchema"]
        ]
        expires = life.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
        return Table(tuple(keys), table["TableStatus"], life.get("AttributeName") if expires else None)

    def get(self, url: str) -> Fetched:
        """Fetch an address; redirections are not followed."""
        return self._fetch("GET", url, self._patience.page)

    def post(self, url: str, origin: str, body: Mapping[str, str]) -> Fetched:
        """Post JSON as a page of this origin does."""
        headers = {**_AGENT, "Content-Type": "application/json", "Origin": origin}
        return self._fetch("POST", url, self._patience.api, body=json.dumps(body).encode(), headers=headers)

    def ask_platform(self, url: str, limits: Limits, request: bytes) -> bytes:
        """Send a request to the platform as the verify function does; raises what that does."""
        platform = Platform(url, limits, time.monotonic)
        try:
            return platform.ask(request)
        finally:
            platform.disconnect()

    def _fetch(self, method: str, url: str, seconds: float, **options: Any) -> Fetched:
        def fetch() -> Fetched:
            response = self._http.request(
                method, url, redirect=False, preload_content=False, timeout=Timeout(seconds), **options
            )
            try:
                body = response.read(_PAGE_BYTES, decode_content=True)
            finally:
                response.close()
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Fetched(response.status, headers, body)

        try:
            return _in_time(seconds, fetch)
        except (HTTPError, OSError) as error:
            return Fetched(error=type(error).__name__)


def _in_time(seconds: float, exchange: Callable[[], _T]) -> _T:
    """Give what an exchange gives; raise TimeoutError when that takes longer.

    A look-up of an address cannot be broken off, so the exchange has a thread, which is left behind when it
    is too late: what it still reads is bounded, and the process, which soon ends, does not wait for it.
    """
    ended: Future[_T] = Future()

    def run() -> None:
        try:
            ended.set_result(exchange())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            ended.set_exception(error)

    Thread(target=run, daemon=True).start()
    return ended.result(seconds)


def _date_of(parts: SplitResult, seconds: float) -> datetime:
    connection = _unverified(parts, seconds)
    try:
        connection.request("GET", "/", headers=_AGENT)
        theirs = parsedate_to_datetime(str(connection.getresponse().headers.get("Date")))
        return theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    finally:
        connection.close()


def _unverified(parts: SplitResult, seconds: float) -> http.client.HTTPConnection:
    """Connect without looking at the certificate: whether it is valid depends on the clock asked for."""
    host = parts.hostname or ""
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port, timeout=seconds)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=context)


def _contact(parts: SplitResult, limits: Limits) -> Contact:
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Contact(Stage.NAME, type(error).__name__)
    try:
        sock = socket.create_connection((host, port), limits.connect)
    except OSError as error:
        return Contact(Stage.CONNECTION, _short(error), str(found[0][4][0]))
    with sock:
        address = str(sock.getpeername()[0])
        if parts.scheme != "https":
            return _answer(sock, parts, limits, Contact(Stage.HTTP, address=address))
        try:
            secured = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        except OSError as error:
            return Contact(Stage.TLS, _short(error), address)
        with secured:
            until = _end_of(secured.getpeercert() or {})
            return _answer(secured, parts, limits, Contact(Stage.HTTP, "", address, until))


def _answer(sock: socket.socket, parts: SplitResult, limits: Limits, so_far: Contact) -> Contact:
    sock.settimeout(min(limits.read, limits.deadline))
    connection = http.client.HTTPConnection(parts.netloc)
    connection.sock = sock
    try:
        connection.request("GET", parts.path, headers=_AGENT)
        status = _in_time(limits.deadline, lambda: connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return replace(so_far, detail=_short(error))
    return replace(so_far, reached=Stage.ANSWER, status=status)


def _short(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return error.strerror.lower()
    return type(error).__name__


def _end_of(certificate: Mapping[str, Any]) -> datetime | None:
    until = certificate.get("notAfter")
    return None if until is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)
