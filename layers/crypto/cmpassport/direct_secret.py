"""Secrets Manager's GetSecretValue, made by hand: for functions that have no other AWS call.

It is a cold presign's one AWS call, and importing botocore for it would take longer than all the rest, RSA
included (docs/performance.md). On Lambda the call is one POST whose signer and address follow from variables,
so the standard library makes it. Whatever is out of the ordinary is botocore's: credentials from elsewhere
(under SnapStart they come from a local endpoint), other partitions' addresses, proxies, and every answer but
a good one, which botocore asks for again and puts into its own errors. verify has botocore loaded for
DynamoDB, and reads its secrets with that.
"""

import hashlib
import hmac
import json
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final, Self

from cmpassport import aws
from cmpassport.clock import utc_now
from cmpassport.secret_cache import fetcher

_TIMEOUT: Final = 2.0
"""Seconds for each step of the direct call, after which botocore has its own."""
_MAX_BYTES: Final = 256 * 1024
"""Bytes of an answer at most; a secret has 64 KiB at most, which JSON may escape."""
_MAX_HEADERS: Final = 100

_BOTOCORES_OWN: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CA_BUNDLE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "REQUESTS_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
)
"""Variables that change how AWS is reached in ways which botocore knows."""

_SUFFIXES: Final = (
    (re.compile(r"cn-[a-z]+-[0-9]+"), "amazonaws.com.cn"),
    (re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us|us-gov)-(?!iso|gov-)[a-z]+-[0-9]+"), "amazonaws.com"),
)
"""Regions of the partitions aws-cn and aws (and aws-us-gov, whose suffix is the same) with their domain."""

_SERVICE: Final = "secretsmanager"
_ADDRESS: Final = re.compile(r"(https?)://([a-z0-9.-]+)(?::([0-9]{1,5}))?/?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where Secrets Manager is."""

    scheme: str
    host: str
    port: int
    authority: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse an address without a path; return None for any other, which is botocore's to understand."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            return None
        scheme, host, port = match.groups()
        authority = f"{host}:{port}" if port else host
        return cls(scheme, host, int(port or {"http": 80, "https": 443}[scheme]), authority)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests to Secrets Manager (AWS Signature Version 4).

    Attributes
    ----------
    address
        Where Secrets Manager is.
    region
        The region's name.
    access_key_id, secret_access_key, session_token
        The credentials; the token is None for credentials that do not expire.
    """

    address: Address
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False)

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self | None:
        """Read Lambda's and botocore's variables; return None where they leave anything to botocore."""
        region = env.get("AWS_REGION", "")
        endpoint = env.get("AWS_ENDPOINT_URL_SECRETS_MANAGER") or env.get("AWS_ENDPOINT_URL")
        suffix = next((suffix for form, suffix in _SUFFIXES if form.fullmatch(region)), None)
        address = Address.parse(endpoint or f"https://{_SERVICE}.{region}.{suffix}")
        ordinary = (
            "AWS_LAMBDA_FUNCTION_NAME" in env
            and not any(env.get(name) for name in _BOTOCORES_OWN)
            and env.get("AWS_ACCESS_KEY_ID")
            and env.get("AWS_SECRET_ACCESS_KEY")
            and suffix
        )
        if not ordinary or address is None:
            return None
        return cls(
            address,
            region,
            env["AWS_ACCESS_KEY_ID"],
            env["AWS_SECRET_ACCESS_KEY"],
            env.get("AWS_SESSION_TOKEN") or None,
        )

    def headers(self, target: str, body: bytes, now: datetime) -> dict[str, str]:
        """Return the headers of a signed POST to `/`, in the order of their names but for the signature.

        Parameters
        ----------
        target
            The operation, as in `secretsmanager.GetSecretValue`.
        body
            The request's JSON.
        now
            The present instant, in UTC.
        """
        moment = f"{now:%Y%m%dT%H%M%SZ}"
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": self.address.authority,
            "x-amz-date": moment,
            **({} if self.session_token is None else {"x-amz-security-token": self.session_token}),
            "x-amz-target": target,
        }
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = (moment[:8], self.region, _SERVICE, "aws4_request")
        text = (
            f"AWS4-HMAC-SHA256\n{moment}\n{'/'.join(scope)}\n{hashlib.sha256(request.encode()).hexdigest()}"
        )
        key = f"AWS4{self.secret_access_key}".encode()
        for part in (*scope, text):
            key = hmac.digest(key, part.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key_id}/{'/'.join(scope)}, "
            f"SignedHeaders={names}, Signature={key.hex()}"
        )
        return headers


class DirectFetch:
    """Reads a secret's current text by name or ARN, each over a connection of its own.

    A bare socket and the few lines of HTTP that a good answer has: `http.client` brings `email`, and takes a
    tenth of a cold start. Whatever else comes is not a good answer.

    Parameters
    ----------
    signer
        Signs, and knows the address.
    now
        Clock, in UTC.
    """

    def __init__(self, signer: Signer, now: Callable[[], datetime] = utc_now) -> None:
        self._signer = signer
        self._now = now
        self._context: ssl.SSLContext | None = None

    def prepare(self) -> None:
        """Load what TLS takes, where the address has it: trusted certificates, but no connection."""
        if self._signer.address.scheme == "https" and self._context is None:
            self._context = ssl.create_default_context()

    def __call__(self, secret_id: str) -> str:
        """Fetch a secret.

        Raises
        ------
        OSError, ValueError, KeyError, TypeError
            There was no good answer, or no answer.
        """
        body = json.dumps({"SecretId": secret_id}).encode()
        headers = self._signer.headers(f"{_SERVICE}.GetSecretValue", body, self._now())
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        lines += ["user-agent: number-verification\r\n", f"content-length: {len(body)}\r\n"]
        head = f"POST / HTTP/1.1\r\n{''.join(lines)}connection: close\r\n\r\n"
        with self._connect() as connection:
            connection.sendall(head.encode("ascii") + body)
            answer = _read_answer(connection)
        text = json.loads(answer)["SecretString"]
        if not isinstance(text, str):
            raise ValueError("the secret is not a text")  # noqa: TRY004 - what the service sent, not a caller
        return text

    def _connect(self) -> socket.socket:
        self.prepare()
        host, port = self._signer.address.host, self._signer.address.port
        # As bytes, the name is not for the codec of international names, which would be imported.
        connection = socket.create_connection((host.encode("ascii"), port), _TIMEOUT)  # type: ignore[arg-type]
        if self._context is None:
            return connection
        try:
            return self._context.wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise


def _read_answer(connection: socket.socket) -> bytes:
    """Read the body of an answer with status 200 and a length; raise ValueError for any other."""
    with connection.makefile("rb") as stream:
        if not stream.readline(_MAX_BYTES).startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 ")):
            raise ValueError("Secrets Manager does not answer with HTTP status 200")
        length = 0
        for _ in range(_MAX_HEADERS):
            name, colon, value = stream.readline(_MAX_BYTES).partition(b":")
            if not colon:
                break
            if name.lower() == b"content-length":
                length = int(value)
        else:
            raise ValueError("Secrets Manager's answer has too many headers")
        if not 0 < length <= _MAX_BYTES:
            raise ValueError("Secrets Manager's answer has no length, or too much of it")
        return stream.read(length)


class SecretReader:
    """Reads secrets by hand where that is all there is to do, else by botocore.

    Parameters
    ----------
    env
        The function's environment.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        signer = Signer.from_environment(env)
        self._direct = None if signer is None else DirectFetch(signer)
        self._by_botocore = cache(lambda: fetcher(aws.client(_SERVICE)))
        # After a time-out one attempt is all that fits into the function's own time-out.
        self._by_botocore_once = cache(lambda: fetcher(aws.client(_SERVICE, attempts=1)))

    def prepare(self) -> None:
        """Make what the first secret will need, short of connecting."""
        if self._direct is None:
            self._by_botocore()
        else:
            self._direct.prepare()

    def fetch(self, secret_id: str) -> str:
        """Return a secret's current text by name or ARN; raises what botocore does."""
        if self._direct is not None:
            try:
                return self._direct(secret_id)
            except TimeoutError:
                return self._by_botocore_once()(secret_id)
            except (OSError, ValueError, KeyError, TypeError):
                pass  # botocore asks again, and says what is wrong if it still is
        return self._by_botocore()(secret_id)
