"""Every attack on a receipt that the code of docs/receipts.md is tried with, as data.

An attack makes of a good receipt, and the key that signed it, one that must not log in.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey

from tests.support.receipt_secrets import new_key, part
from tests.support.receipts import AUDIENCE, NONCE, Genuine, b64, signed

Attack = Callable[[Genuine], str]

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _header(**changes: Any) -> Attack:
    return lambda good: good.changed(header=changes)


def _claims(**changes: Any) -> Attack:
    return lambda good: good.changed(claims=changes)


def _values(*values: Any) -> tuple[Any, ...]:
    """Return values of several types."""
    return values


def _parts(change: Callable[[str, str, str], str]) -> Attack:
    """Rearrange header, payload and signature."""
    return lambda good: change(*good.receipt.split("."))


def _payload(change: Callable[[bytes], bytes]) -> Attack:
    """Replace the payload by another text, signed by the right key."""
    return lambda good: signed(_json(part(good.receipt, 0)), change(_json(part(good.receipt, 1))), good.key)


def _signature(change: Callable[[int, int], bytes]) -> Attack:
    """Make another signature of the halves of the right one."""

    def sign(head: str, payload: str, signature: str) -> str:
        data = base64.urlsafe_b64decode(signature + "==")
        return f"{head}.{payload}.{b64(change(int.from_bytes(data[:32]), int.from_bytes(data[32:])))}"

    return _parts(sign)


def _raw(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _own_key(header: Callable[[ECKey], dict[str, Any]]) -> Attack:
    """Sign with a key of one's own, and have the header say something of it."""

    def sign(good: Genuine) -> str:
        own = new_key()
        return good.changed(header=header(ECKey.import_key(own)), key=own)

    return sign


def _hmac(alg: str, secret: Callable[[ECKey], bytes]) -> Attack:
    """Use something public of the key as an HMAC's secret."""

    def confuse(good: Genuine) -> str:
        head = b64(_json({**part(good.receipt, 0), "alg": alg}))
        signing_input = f"{head}.{good.receipt.split('.')[1]}"
        key = secret(ECKey.import_key(good.key))
        return f"{signing_input}.{b64(hmac.digest(key, signing_input.encode(), hashlib.sha256))}"

    return confuse


def _pem(key: ECKey) -> bytes:
    return key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


_KINDS: Final[dict[str, dict[str, Attack]]] = {
    "not a JWS": {
        "empty": lambda _: "",
        "two parts": _parts(lambda head, payload, _: f"{head}.{payload}"),
        "cut off": lambda good: good.receipt[:-20],
        "a header that is not JSON": _parts(lambda _, payload, mac: f"{b64(b'alg')}.{payload}.{mac}"),
        "a payload that is not JSON": _payload(lambda _: b"iss: me"),
        "a payload that is null": _payload(lambda _: b"null"),
    },
    "tampered": {
        "payload": _parts(lambda head, _, mac: f"{head}.{b64(_json({'nonce': NONCE}))}.{mac}"),
        "header": _parts(lambda _, payload, mac: f"{b64(_json({'alg': 'ES256'}))}.{payload}.{mac}"),
        "signature": _signature(lambda r, s: _raw(r ^ 1, s)),
        "signature of zeros": _signature(lambda *_: bytes(64)),
        "signature in DER": _signature(encode_dss_signature),
        "signature a byte long": _signature(lambda r, s: _raw(r, s) + b"\0"),
    },
    "alg": {
        **{
            str(alg): _header(alg=alg)
            for alg in _values("none", "NONE", "ES384", "es256", "HS256", "", 1, [], {})
        },
        "left out": _header(alg=None),
        "none, unsigned": _parts(lambda _, payload, __: f"{b64(_json({'alg': 'none'}))}.{payload}."),
        "HS256 with the PEM": _hmac("HS256", _pem),
        "HS256 with the JWK": _hmac("HS256", lambda key: _json(key.as_dict(private=False))),
        "ES256 on an HMAC": _hmac("ES256", _pem),
    },
    "typ": {str(typ): _header(typ=typ) for typ in _values("JWT", "at+jwt", "", 1, None)},
    "kid": {
        **{
            str(kid): _header(kid=kid) for kid in _values("", "other", "../../etc/passwd", "__proto__", 1, [])
        },
        "right, of another key": _own_key(lambda _: {}),
        "left out, of another key": _own_key(lambda _: {"kid": None}),
        "of another key": _own_key(lambda key: {"kid": key.thumbprint()}),
    },
    "header": {
        "jwk": _own_key(lambda key: {"jwk": key.as_dict(private=False), "kid": key.thumbprint()}),
        "jwk under the right kid": _own_key(lambda key: {"jwk": key.as_dict(private=False)}),
        "jku": _own_key(lambda _: {"jku": "http://127.0.0.1:9/.well-known/jwks.json"}),
        "crit": _header(crit=["more"], more=1),
    },
    "iss": {str(iss): _claims(iss=iss) for iss in ("", "https://api.example.org", None)},
    "aud": {
        str(aud): _claims(aud=aud)
        for aud in ("", f"{AUDIENCE}.example.org", ["https://example.org"], [], None)
    },
    "time": {
        "expired": lambda good: good.changed(claims={"iat": _now() - 130, "exp": _now() - 10}),
        "of tomorrow": lambda good: good.changed(claims={"iat": _now() + 86400, "exp": _now() + 86520}),
        "without exp": _claims(exp=None),
        "exp a text": _claims(exp="tomorrow"),
    },
    "nonce": {
        str(nonce): _claims(nonce=nonce) for nonce in _values("another", NONCE[:-1], "", 1, [NONCE], None)
    },
    "jti": {"left out": _claims(jti=None)},
}
ATTACKS: Final[dict[str, Attack]] = {
    f"{kind}: {name}": attack for kind, attacks in _KINDS.items() for name, attack in attacks.items()
}
"""Receipts that are refused whatever was used before."""


def _now() -> int:
    return int(time.time())


def _spare_bits(receipt: str) -> str:
    """Spell the same bytes another way: the last of 86 characters carries four bits that mean nothing."""
    return receipt[:-1] + _ALPHABET[_ALPHABET.index(receipt[-1]) | 1]


REPLAYS: Final[dict[str, Attack]] = {
    "as it came": lambda good: good.receipt,
    "signed anew": lambda good: good.changed(),
    "with the other valid signature": _signature(lambda r, s: _raw(r, _ORDER - s)),
    "with spare bits": lambda good: _spare_bits(good.receipt),
    "with a line break": lambda good: good.receipt + "\n",
}
"""Other texts for a receipt that was used: none of them logs in a second time."""
