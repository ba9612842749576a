"""Number verification receipts, checked in your back end. Copy this file; it needs Python 3.11 and joserfc.

A page can lie; a receipt cannot. It is a JWT that the number verification API signs when a carrier has
confirmed that a number belongs to the phone in the user's hand. Make one verifier when your service starts:

    receipts = ReceiptVerifier("https://api.example.com/.well-known/jwks.json", "https://www.abc.com")

and log nobody in unless this returns, with the nonce that your back end gave this very session:

    claims = receipts.verify(receipt, nonce)

Threads may share a verifier. It blocks for at most three seconds, to fetch keys: use a worker thread.
"""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import SHUT_RDWR
from threading import Lock, Thread
from typing import Any, Final, NoReturn, Protocol
from urllib.parse import urlsplit

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

MAX_RECEIPT_LENGTH: Final = 8192
MAX_LIFE_SECONDS: Final = 600
LEEWAY_SECONDS: Final = 5
FETCH_SECONDS: Final = 3
MAX_JWKS_BYTES: Final = 65536
CACHE_SECONDS: Final = 300
REFETCH_SECONDS: Final = 10
STALE_SECONDS: Final = 3600

# The keys come from this one address, over TLS; without it only where nobody can listen, on this machine.
_ADDRESS: Final = re.compile(
    r"(https://[^/?#@\s][^?#@\s]*|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?)/\.well-known/jwks\.json"
)
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_COORDINATE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes (RFC 7518, section 6.2.1.2)
_JTI: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_MASKED: Final = re.compile(r"[0-9]{3}\*{4}[0-9]{4}")
_NUMBER: Final = re.compile(r"[0-9]{11}")


class Reason(StrEnum):
    """Why a receipt is refused; the README says what to do about each."""

    MALFORMED = "malformed"
    WRONG_ALGORITHM = "wrong_algorithm"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_KEY = "unknown_key"
    KEYS_UNAVAILABLE = "keys_unavailable"
    BAD_SIGNATURE = "bad_signature"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    WRONG_NONCE = "wrong_nonce"
    NUMBER_UNDECIPHERABLE = "number_undecipherable"
    REPLAYED = "replayed"


class ReceiptError(Exception):
    """A refused receipt. The text is the reason and no more, so it may be logged."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a receipt says. Of the three forms of the number it has the one that the API is set to."""

    jti: str
    app_id: str
    task_id: str | None
    audience: str
    issued_at: int
    expires_at: int
    phone_num: str | None = field(repr=False)
    phone_num_masked: str | None = field(repr=False)
    phone_num_hash: str | None = field(repr=False)


class UsedReceipts(Protocol):
    """Remembers which receipts have been used."""

    def put_if_absent(self, jti: str, until: int) -> bool:
        """Remember a receipt until a Unix time, in one atomic step; False where it is there already.

        With more than one process, keep it where all of them look. In Redis:

            return bool(redis.set(f"receipt:{jti}", 1, nx=True, ex=max(1, until - int(time.time()))))
        """
        ...


class UsedInThisProcess:
    """The default: right for one process. Only signed receipts get here, so it stays small."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = Lock()
        self._until: dict[str, int] = {}  # the oldest first

    def put_if_absent(self, jti: str, until: int) -> bool:
        """Remember a receipt until a Unix time; False where it is there already."""
        with self._lock:
            while self._until and next(iter(self._until.values())) <= self._clock():
                del self._until[next(iter(self._until))]
            if jti in self._until:
                return False
            self._until[jti] = until
            return True


class ReceiptVerifier:
    """Accepts a receipt once.

    Parameters
    ----------
    jwks_url
        Where the API publishes its public keys; the part before /.well-known/jwks.json is the issuer.
    audiences
        The origins of your own pages, such as https://www.abc.com.
    decryption_keys
        Your RSA private keys in PEM, where the API is set to encrypt the number: the one in use and, while
        you change it, the one before.
    used
        What remembers used receipts; the default does so for one process.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        jwks_url: str,
        *audiences: str,
        decryption_keys: Iterable[str] = (),
        used: UsedReceipts | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        address = _ADDRESS.fullmatch(jwks_url)
        if address is None:
            raise ValueError("jwks_url is not https://HOST/.well-known/jwks.json (http: on loopback alone)")
        if not audiences:
            raise ValueError("name the origin of your page: without it, receipts for other pages would do")
        self._issuer = address[1]
        self._audiences = frozenset(audiences)
        self._keys = _PublishedKeys(jwks_url, clock)
        self._decryption_keys = {key.thumbprint(): key for key in map(_private_key, decryption_keys)}
        self._used = used or UsedInThisProcess(clock)
        self._clock = clock

    def verify(self, receipt: object, nonce: str | None) -> Claims:
        """Check a receipt, and use it up.

        Parameters
        ----------
        receipt
            As the page sent it, whatever that is.
        nonce
            What your back end gave this session, out of its own store: never what the page sends along.

        Raises
        ------
        ReceiptError
            Log nobody in.
        """
        claims = self._checked(receipt)
        if not nonce or not _same(claims.get("nonce"), nonce):
            _refuse(Reason.WRONG_NONCE)
        return self._use(claims)

    def verify_without_nonce(self, receipt: object) -> Claims:
        """Check a receipt that was asked for without a nonce, and use it up.

        Weaker: whoever gets hold of somebody's receipt within its two minutes can be first to log in with it.
        """
        claims = self._checked(receipt)
        if "nonce" in claims:
            _refuse(Reason.WRONG_NONCE)
        return self._use(claims)

    def _checked(self, receipt: object) -> dict[str, Any]:
        """Check everything but the nonce and that it is the first use."""
        claims = self._signed_claims(receipt)
        if claims.get("iss") != self._issuer:
            _refuse(Reason.WRONG_ISSUER)
        audience = claims.get("aud")  # one origin: a list is refused, even a list of one
        if not isinstance(audience, str) or audience not in self._audiences:
            _refuse(Reason.WRONG_AUDIENCE)
        if not _well_formed(claims):
            _refuse(Reason.MALFORMED)
        now = self._clock()
        if now < claims["iat"] - LEEWAY_SECONDS:
            _refuse(Reason.NOT_YET_VALID)
        if now >= claims["exp"] + LEEWAY_SECONDS:
            _refuse(Reason.EXPIRED)
        return claims

    def _signed_claims(self, receipt: object) -> dict[str, Any]:
        """Check header and signature; only then read what is signed."""
        if not isinstance(receipt, str) or len(receipt) > MAX_RECEIPT_LENGTH:
            _refuse(Reason.MALFORMED)
        if not _COMPACT.fullmatch(receipt):
            _refuse(Reason.MALFORMED)
        header, payload, _ = map(_bytes_of, receipt.split("."))
        members = _object_of(header)
        # What the header says chooses among our own keys, and nothing else: the algorithm is settled.
        if members.get("alg") != "ES256":
            _refuse(Reason.WRONG_ALGORITHM)
        if members.get("typ") != "number-verification+jwt":
            _refuse(Reason.WRONG_TYPE)
        if members.keys() != {"alg", "typ", "kid"} or not isinstance(members["kid"], str):
            _refuse(Reason.MALFORMED)  # no crit, no b64, and no key or address of the sender's own
        key = self._keys.get(members["kid"])
        try:
            jws.deserialize_compact(receipt, key, algorithms=["ES256"])
        except JoseError:
            _refuse(Reason.BAD_SIGNATURE)
        return _object_of(payload)

    def _use(self, claims: dict[str, Any]) -> Claims:
        """Read the number; have the receipt count as used from here on."""
        encrypted = claims.get("phoneNumJwe")
        phone_num = None if encrypted is None else self._decrypted(encrypted)
        if not self._used.put_if_absent(claims["jti"], claims["exp"] + LEEWAY_SECONDS):
            _refuse(Reason.REPLAYED)
        return Claims(
            jti=claims["jti"],
            app_id=claims["appId"],
            task_id=claims.get("taskId"),
            audience=claims["aud"],
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            phone_num=phone_num,
            phone_num_masked=claims.get("phoneNumMasked"),
            phone_num_hash=claims.get("phoneNumHash"),
        )

    def _decrypted(self, encrypted: str) -> str:
        try:
            header = _object_of(_bytes_of(encrypted.partition(".")[0]))
            key = self._decryption_keys[header["kid"]]
            opened = jwe.decrypt_compact(encrypted, key, algorithms=["RSA-OAEP-256", "A256GCM"])
            number = (opened.plaintext or b"").decode("ascii")
        except (JoseError, ReceiptError, LookupError, TypeError, ValueError):
            number = ""
        if not _NUMBER.fullmatch(number):
            _refuse(Reason.NUMBER_UNDECIPHERABLE)
        return number


def hash_of_number(phone_num: str, hash_key: str) -> str:
    """Give what `phone_num_hash` is for a number of 11 digits, with the receipt secret's hashKey."""
    return hmac.new(hash_key.encode(), phone_num.encode(), hashlib.sha256).hexdigest()


def is_number(phone_num_hash: str, phone_num: str, hash_key: str) -> bool:
    """Tell whether a hash is of this number, in a time that does not depend on how much of it is right."""
    return _same(phone_num_hash, hash_of_number(phone_num, hash_key))


class _PublishedKeys:
    """The API's public keys by kid: cached, fetched again for a new one, kept an hour without an answer."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._lock = Lock()
        self._cached: tuple[float, dict[str, ECKey]] = (-STALE_SECONDS, {})  # since when, and what
        self._tried: float = -REFETCH_SECONDS
        self._failed = False

    def get(self, kid: str) -> ECKey:
        key = self._younger_than(CACHE_SECONDS).get(kid)
        if key is not None:
            return key
        with self._lock:  # one fetches, the others wait for what it brings
            if not 0 <= self._clock() - self._tried < REFETCH_SECONDS:
                self._refresh()
            key = self._younger_than(STALE_SECONDS).get(kid)
            if key is None:
                _refuse(Reason.KEYS_UNAVAILABLE if self._failed else Reason.UNKNOWN_KEY)
            return key

    def _younger_than(self, seconds: int) -> dict[str, ECKey]:
        since, keys = self._cached
        return keys if 0 <= self._clock() - since < seconds else {}  # a clock set back makes nothing younger

    def _refresh(self) -> None:
        self._tried = self._clock()
        try:
            keys = _usable(_parsed(_fetched(self._url)))
        except (OSError, HTTPException, ValueError, RecursionError):
            keys = {}
        self._failed = not keys
        if keys:
            self._cached = (self._tried, keys)


def _fetched(url: str) -> bytes:
    """Read at most MAX_JWKS_BYTES within FETCH_SECONDS, straight from the address: no redirect, no proxy.

    A socket's timeout is for each step; a thread of its own can be left behind after all of them.
    """
    address = urlsplit(url)
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.netloc, timeout=FETCH_SECONDS)
    deadline = time.monotonic() + FETCH_SECONDS
    body: Future[bytes] = Future()
    Thread(target=_fetch, args=(connection, address.path, deadline, body), daemon=True).start()
    try:
        return body.result(FETCH_SECONDS)
    finally:
        if (sock := connection.sock) is not None:
            with suppress(OSError):  # closed, or busy with the TLS handshake, which keeps to the time
                sock.shutdown(SHUT_RDWR)


def _fetch(connection: HTTPConnection, path: str, deadline: float, body: "Future[bytes]") -> None:
    try:
        connection.connect()
        if time.monotonic() > deadline:
            raise TimeoutError
        connection.request("GET", path)
        body.set_result(_read(connection, deadline))
    except (OSError, HTTPException, ValueError) as error:
        body.set_exception(error)
    finally:
        connection.close()


def _read(connection: HTTPConnection, deadline: float) -> bytes:
    body = b""
    with connection.getresponse() as answer:
        if answer.status != HTTPStatus.OK:
            raise ValueError
        while chunk := answer.read1(MAX_JWKS_BYTES):
            body += chunk
            if len(body) > MAX_JWKS_BYTES or time.monotonic() > deadline:
                raise ValueError
    return body


def _usable(jwks: Any) -> dict[str, ECKey]:
    """Take the keys that sign receipts, and only what is public of them; leave any others."""
    keys = {}
    for jwk in jwks["keys"] if isinstance(jwks, dict) and isinstance(jwks.get("keys"), list) else []:
        if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str):
            continue
        if [jwk.get(name) for name in ("kty", "crv", "use", "alg")] != ["EC", "P-256", "sig", "ES256"]:
            continue
        if not all(_COORDINATE.fullmatch(str(jwk.get(name))) for name in ("x", "y")):
            continue
        try:
            keys[jwk["kid"]] = ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
        except (JoseError, LookupError, TypeError, ValueError):
            continue  # not a point of the curve
    return keys


def _well_formed(claims: dict[str, Any]) -> bool:
    """Tell whether every claim that is used has its type, and exactly one tells the number."""
    iat, exp, jti = claims.get("iat"), claims.get("exp"), claims.get("jti")
    forms = [name for name in ("phoneNumHash", "phoneNumMasked", "phoneNumJwe") if name in claims]
    texts = [jti, claims.get("appId"), claims.get("taskId", ""), *(claims[name] for name in forms)]
    return (
        isinstance(iat, int)
        and isinstance(exp, int)
        and 0 < iat < exp <= iat + MAX_LIFE_SECONDS
        and all(isinstance(text, str) for text in texts)
        and _JTI.fullmatch(claims["jti"]) is not None
        and len(forms) == 1
        and _HASH.fullmatch(claims.get("phoneNumHash", "0" * 64)) is not None
        and _MASKED.fullmatch(claims.get("phoneNumMasked", "139****4444")) is not None
    )


def _private_key(pem: str) -> RSAKey:
    try:
        key = RSAKey.import_key(pem)
    except (JoseError, ValueError):
        key = None
    if key is None or not key.is_private:
        raise ValueError("a decryption key is not the PEM of an RSA private key") from None
    return key


def _object_of(text: bytes) -> dict[str, Any]:
    try:
        value = _parsed(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        _refuse(Reason.MALFORMED)
    return value


def _parsed(text: bytes) -> Any:
    """Parse JSON in UTF-8; json by itself would take UTF-16 and NaN, too."""
    return json.loads(text.decode(), parse_constant=_no_number)


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _bytes_of(part: str) -> bytes:
    """Decode Base64url in its one canonical spelling, so that no receipt has two."""
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        decoded = b""
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part.encode():
        _refuse(Reason.MALFORMED)
    return decoded


def _same(left: object, right: object) -> bool:
    """Compare texts in a time that does not depend on where they differ."""
    return (
        isinstance(left, str)
        and isinstance(right, str)
        and hmac.compare_digest(left.encode(errors="replace"), right.encode(errors="replace"))
    )


def _refuse(reason: Reason) -> NoReturn:
    raise ReceiptError(reason) from None
