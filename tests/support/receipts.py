"""Receipts from elsewhere: an issuer that shares no code with the product, and its JWKS server.

A `Genuine` is one good receipt and the key that signed it, whoever made it: this issuer or the product.
tests/support/attacks.py starts from one.
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext, SSLError
from threading import Thread
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwe, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey

PATH: Final = "/.well-known/jwks.json"
TYPE: Final = "number-verification+jwt"
AUDIENCE: Final = "https://www.abc.com"
NUMBER: Final = "13912345678"
MASKED: Final = "139****5678"
HASH_KEY: Final = "0123456789abcdef0123456789ABCDEF"
NONCE: Final = "k3s9_Q~Jd.7!x"
LIFE: Final = 120
LEEWAY: Final = 5
MAX_LENGTH: Final = 8192
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


class _Absent:
    """Stands for a member that is left out."""

    def __repr__(self) -> str:
        return "left out"


ABSENT: Final = _Absent()


def new_key() -> ECKey:
    """Make a signing key."""
    return ECKey.generate_key("P-256")


@cache
def business_key() -> RSAKey:
    """Give the key of the business that receives encrypted numbers."""
    return RSAKey.generate_key(2048)


@cache
def stranger_key() -> RSAKey:
    """Give an RSA key that is nobody's."""
    return RSAKey.generate_key(2048)


def pem(key: RSAKey) -> str:
    """Give a private key as the recipes take it."""
    return key.as_pem(private=True).decode()


def public_jwk(key: ECKey) -> dict[str, Any]:
    """Give a key as it is published."""
    return {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": "ES256"}


def encrypted(number: str, key: RSAKey, **header: Any) -> str:
    """Encrypt a number for a business."""
    protected = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key.thumbprint(), **header}
    protected = {name: value for name, value in protected.items() if value is not ABSENT}
    with warnings.catch_warnings(category=SecurityWarning, action="ignore"):  # of RSA1_5
        return jwe.encrypt_compact(protected, number, key, algorithms=[protected["alg"], protected["enc"]])


def number_claim(form: str) -> dict[str, str]:
    """Give the number's claim in one of the forms that RECEIPT_NUMBER knows."""
    match form:
        case "hash":
            return {"phoneNumHash": hmac.new(HASH_KEY.encode(), NUMBER.encode(), hashlib.sha256).hexdigest()}
        case "masked":
            return {"phoneNumMasked": MASKED}
        case "encrypted":
            return {"phoneNumJwe": encrypted(NUMBER, business_key())}
    raise ValueError(form)


# One good receipt, and what can be made of it.


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a back end is asked to accept: a receipt, the nonce of its session, and when (Unix time)."""

    receipt: str | None
    nonce: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Genuine:
    """A good receipt, the nonce that it was asked for with, and the key that signed it."""

    receipt: str
    key: ECKey
    nonce: str = NONCE

    @property
    def header(self) -> dict[str, Any]:
        """Read the header."""
        return _read(self.receipt.split(".")[0])

    @property
    def claims(self) -> dict[str, Any]:
        """Read the claims."""
        return _read(self.receipt.split(".")[1])

    @property
    def at(self) -> float:
        """Give a moment after it was made."""
        return float(self.claims["iat"]) + 0.5

    def attempt(self, receipt: str | None = None) -> Attempt:
        """Try another receipt with this one's nonce, or this very one."""
        return Attempt(self.receipt if receipt is None else receipt, self.nonce, self.at)

    def forged(
        self,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        key: ECKey | None = None,
    ) -> str:
        """Change members of header and claims, and sign anew: with the same key where no other is given."""
        return signed(
            json_text(_changed(self.header, header)),
            json_text(_changed(self.claims, claims)),
            key or self.key,
        )


def signed(header: str | bytes, payload: str | bytes, key: ECKey) -> str:
    """Sign any two texts, whatever they are."""
    signing_input = ".".join(
        b64(part if isinstance(part, bytes) else part.encode()) for part in (header, payload)
    )
    assert key.private_key is not None
    r, s = decode_dss_signature(key.private_key.sign(signing_input.encode(), ECDSA(SHA256())))
    return f"{signing_input}.{b64(raw(r, s))}"


def b64(data: bytes) -> str:
    """Encode in Base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Decode Base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def malleated(receipt: str) -> str:
    """Give the other signature that is as good as the one there is: (r, n - s)."""
    r, s = halves(receipt)
    return resigned(receipt, raw(r, ORDER - s))


def raw(r: int, s: int) -> bytes:
    """Put a signature's halves together as JWS has them."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def halves(receipt: str) -> tuple[int, int]:
    """Give r and s."""
    signature = unb64(receipt.split(".")[2])
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def resigned(receipt: str, signature: bytes) -> str:
    """Replace the signature."""
    return f"{receipt.rpartition('.')[0]}.{b64(signature)}"


def _read(part: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(unb64(part))
    return value


def json_text(value: object) -> str:
    """Write JSON as issuers do, without spaces."""
    return json.dumps(value, separators=(",", ":"))


def _changed(members: dict[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Replace members: by a value, by a function of all of them, or by none (ABSENT)."""
    made = {name: new(members) if callable(new) else new for name, new in (changes or {}).items()}
    return {name: value for name, value in {**members, **made}.items() if value is not ABSENT}


# The issuer and its server.


@dataclass(slots=True)
class Issuer:
    """Signs receipts as the contract has them, with joserfc."""

    address: str
    keys: list[ECKey] = field(default_factory=lambda: [new_key()])

    def genuine(self, form: str = "hash", key: ECKey | None = None, at: int | None = None) -> Genuine:
        """Make a receipt, by the first key where no other is given, now where no time is."""
        key = key or self.keys[0]
        iat = int(time.time()) if at is None else at
        header = {"alg": "ES256", "typ": TYPE, "kid": key.thumbprint()}
        claims = {
            "iss": self.address,
            "aud": AUDIENCE,
            "iat": iat,
            "exp": iat + LIFE,
            "jti": str(uuid.uuid4()),
            "taskId": "1234567890",
            "appId": "300000000000",
            **number_claim(form),
            "nonce": NONCE,
        }
        return Genuine(jwt.encode(header, claims, key, algorithms=["ES256"]), key)

    def jwks(self) -> bytes:
        """Give what is published."""
        return json_text({"keys": [public_jwk(key) for key in self.keys]}).encode()


@dataclass(slots=True)
class JwksServer:
    """Answers every GET with `body`; `answer` may be set to something nastier."""

    port: int
    scheme: str = "http"
    body: bytes = b""
    asked: list[str] = field(default_factory=list)
    answer: Callable[["JwksServer", BaseHTTPRequestHandler], None] | None = None

    @property
    def issuer(self) -> str:
        """Give the address that receipts name."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Give the address of the JWKS."""
        return self.issuer + PATH


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def jwks_server(tls: SSLContext | None = None) -> Iterator[JwksServer]:
    """Run a server on loopback, over TLS where there is a context for it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(SSLError):  # the other side has not trusted us
                super().handle()

        def do_GET(self) -> None:
            served.asked.append(self.path)
            self.close_connection = True
            try:
                if served.answer:
                    served.answer(served, self)
                else:
                    send(self, 200, served.body, **{"Content-Type": "application/jwk-set+json"})
            except ConnectionError:
                pass  # the other side has had enough

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        served = JwksServer(server.server_address[1], "https" if tls else "http")
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield served
        finally:
            server.shutdown()
