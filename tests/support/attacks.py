"""The attacks on a receipt that the code of docs/receipts.md is tried with, as data.

An attack makes of a good receipt, and the key that signed it, one that must not log in. Most of them try what
that code decides; what its JWT libraries decide has one of each kind.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey

from tests.support.receipt_secrets import new_key, part
from tests.support.receipts import AUDIENCE, NONCE, Genuine, b64

Attack = Callable[[Genuine], str]

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _header(**changes: Any) -> Attack:
    return lambda good: good.changed(header=changes)


def _claims(**changes: Any) -> Attack:
    return lambda good: good.changed(claims=changes)


def _each(change: Callable[..., Attack], member: str, *values: Any) -> dict[str, Attack]:
    """Replace a member, or leave it out where the value is None."""
    return {f"{member}: {value!r}": change(**{member: value}) for value in values}


def _parts(change: Callable[[str, str, str], str]) -> Attack:
    """Rearrange header, payload and signature."""
    return lambda good: change(*good.receipt.split("."))


def _signature(change: Callable[[int, int], tuple[int, int]]) -> Attack:
    """Make another signature of the halves of the right one."""

    def sign(head: str, payload: str, signature: str) -> str:
        data = base64.urlsafe_b64decode(signature + "==")
        r, s = change(int.from_bytes(data[:32]), int.from_bytes(data[32:]))
        return f"{head}.{payload}.{b64(r.to_bytes(32) + s.to_bytes(32))}"

    return _parts(sign)


def _json(value: object) -> str:
    return b64(json.dumps(value).encode())


def _own_key(header: Callable[[ECKey], dict[str, Any]]) -> Attack:
    """Sign with a key of one's own, and have the header say something of it."""

    def sign(good: Genuine) -> str:
        own = new_key()
        return good.changed(header=header(ECKey.import_key(own)), key=own)

    return sign


def _hmac(good: Genuine) -> str:
    """Use the public key as an HMAC's secret."""
    signing_input = f"{_json({**part(good.receipt, 0), 'alg': 'HS256'})}.{good.receipt.split('.')[1]}"
    pem = good.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{signing_input}.{b64(hmac.digest(pem, signing_input.encode(), hashlib.sha256))}"


def _lived(begin: int, end: int) -> Attack:
    """Return a receipt that lives from so many seconds from now to so many."""
    return lambda good: good.changed(claims={"iat": int(time.time()) + begin, "exp": int(time.time()) + end})


ATTACKS: Final[dict[str, Attack]] = {
    "nothing": lambda _: "",
    "cut off": lambda good: good.receipt[:-20],
    "another payload": _parts(lambda head, _, mac: f"{head}.{_json({'nonce': NONCE})}.{mac}"),
    "another signature": _signature(lambda r, s: (r ^ 1, s)),
    "no signature": _parts(lambda _, payload, __: f"{_json({'alg': 'none'})}.{payload}."),
    "an HMAC": _hmac,
    **_each(_header, "alg", "none", "ES384", "es256", None),
    **_each(_header, "typ", "JWT", "", None),
    **_each(_header, "kid", "", "other", "__proto__"),
    "another key": _own_key(lambda _: {}),
    "another key, without a kid": _own_key(lambda _: {"kid": None}),
    "another key by its own kid": _own_key(lambda key: {"kid": key.thumbprint()}),
    "another key, which the header holds": _own_key(lambda key: {"jwk": key.as_dict(private=False)}),
    "another key, which the header points to": _own_key(lambda _: {"jku": "http://127.0.0.1:9/jwks.json"}),
    "crit": _header(crit=["more"], more=1),
    **_each(_claims, "iss", "https://api.example.org", None),
    **_each(_claims, "aud", "", f"{AUDIENCE}.example.org", ["https://example.org"], None),
    "expired": _lived(-130, -10),
    "of tomorrow": _lived(86400, 86520),
    **_each(_claims, "exp", "tomorrow", None),
    **_each(_claims, "nonce", "another", NONCE[:-1], "", [NONCE], None),
    **_each(_claims, "jti", None),
}
"""Receipts that are refused whatever was used before."""


def _spare_bits(good: Genuine) -> str:
    """Spell the same bytes another way: the last of 86 characters carries four bits that mean nothing."""
    return good.receipt[:-1] + _ALPHABET[_ALPHABET.index(good.receipt[-1]) | 1]


REPLAYS: Final[dict[str, Attack]] = {
    "as it came": lambda good: good.receipt,
    "signed anew": lambda good: good.changed(),
    "with the other valid signature": _signature(lambda r, s: (r, _ORDER - s)),
    "with spare bits": _spare_bits,
}
"""Other texts for a receipt that was used: none of them logs in a second time."""
