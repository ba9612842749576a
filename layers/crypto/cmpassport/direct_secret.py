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
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

from cmpassport import aws
from cmpassport.clock import utc_now
from cmpassport.secret_cache import fetcher

_TIMEOUT: Final = 2.0
"""Seconds for each step of the direct call, after which botocore has its own."""
_MAX_IDLE_SECONDS: Final = 5.0
"""A kept connection older than this is not used: a frozen function does not see it die."""

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

    address: SplitResult
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
        address = urlsplit(endpoint or f"https://{_SERVICE}.{region}.{suffix}")
        ordinary = (
            "AWS_LAMBDA_FUNCTION_NAME" in env
            and not any(env.get(name) for name in _BOTOCORES_OWN)
            and env.get("AWS_ACCESS_KEY_ID")
            and env.get("AWS_SECRET_ACCESS_KEY")
            and suffix
            and address.path in {"", "/"}
        )
        if not ordinary:
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
            "host": self.address.netloc,
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
    """Reads a secret's current text by name or ARN, with the standard library.

    Parameters
    ----------
    signer
        Signs, and knows the address.
    now
        Clock, in UTC.
    monotonic
        Clock in seconds.
    """

    def __init__(
        self,
        signer: Signer,
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._signer = signer
        self._now = now
        self._monotonic = monotonic
        address = signer.address
        kind = HTTPConnection if address.scheme == "http" else HTTPSConnection
        # Made when first needed: before that there is neither a connection nor a state of TLS.
        self._new_connection = partial(kind, str(address.hostname), address.port, timeout=_TIMEOUT)
        self._connection: HTTPConnection | None = None
        self._last_used = 0.0
        self._lock = threading.Lock()

    def __call__(self, secret_id: str) -> str:
        """Fetch a secret.

        Raises
        ------
        OSError, HTTPException, ValueError, KeyError, TypeError
            There was no good answer, or no answer.
        """
        body = json.dumps({"SecretId": secret_id}).encode()
        headers = self._signer.headers(f"{_SERVICE}.GetSecretValue", body, self._now())
        with self._lock:
            status, answer = self._post(body, headers)
        if status != HTTPStatus.OK:
            raise ValueError(f"Secrets Manager answers with HTTP status {status}")
        text = json.loads(answer)["SecretString"]
        if not isinstance(text, str):
            raise ValueError("the secret is not a text")  # noqa: TRY004 - what the service sent, not a caller
        return text

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self._connection is None or self._monotonic() - self._last_used > _MAX_IDLE_SECONDS:
            self.disconnect()
            self._connection = self._new_connection()
        try:
            self._connection.request("POST", "/", body, {**headers, "user-agent": "number-verification"})
            response = self._connection.getresponse()
            answer = response.read()
        except BaseException:
            self.disconnect()
            raise
        self._last_used = self._monotonic()
        return response.status, answer

    def disconnect(self) -> None:
        """Drop the kept connection, if any."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


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

    def disconnect(self) -> None:
        """Drop what is kept of connections."""
        if self._direct is not None:
            self._direct.disconnect()

    def fetch(self, secret_id: str) -> str:
        """Return a secret's current text by name or ARN; raises what botocore does."""
        if self._direct is not None:
            try:
                return self._direct(secret_id)
            except TimeoutError:
                return self._by_botocore_once()(secret_id)
            except (OSError, HTTPException, ValueError, KeyError, TypeError):
                pass  # botocore asks again, and says what is wrong if it still is
        return self._by_botocore()(secret_id)
