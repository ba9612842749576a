"""Every attack on a receipt, each with the one reason that all recipes refuse it with.

An attack starts from a good receipt and the key that signed it, whoever made it: so what the product makes is
attacked by the same table as what the tests' own issuer makes.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, OctKey

from tests.support.receipts import (
    ABSENT,
    LEEWAY,
    MASKED,
    MAX_LENGTH,
    NUMBER,
    ORDER,
    PATH,
    TYPE,
    Attempt,
    Genuine,
    b64,
    business_key,
    encrypted,
    halves,
    json_text,
    new_key,
    public_jwk,
    raw,
    resigned,
    signed,
    stranger_key,
    unb64,
)


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing wrong with a receipt, and the reason that each recipe gives for refusing it."""

    reason: str
    make: Callable[[Genuine], Attempt]


def _tried(reason: str, change: Callable[[Genuine], str | None]) -> Attack:
    return Attack(reason, lambda good: Attempt(change(good), good.nonce, good.at))


def _header(reason: str, **changes: Any) -> Attack:
    return _tried(reason, lambda good: good.forged(header=changes))


def _claims(reason: str, **changes: Any) -> Attack:
    return _tried(reason, lambda good: good.forged(claims=changes))


def _number(reason: str, **forms: Any) -> Attack:
    none = dict.fromkeys(("phoneNumHash", "phoneNumMasked", "phoneNumJwe"), ABSENT)
    return _claims(reason, **{**none, **forms})


def _nonce(change: Callable[[str], str | None]) -> Attack:
    return Attack("wrong_nonce", lambda good: Attempt(good.receipt, change(good.nonce), good.at))


def _same_nonce(value: Any, given: str | None) -> Callable[[Genuine], Attempt]:
    return lambda good: Attempt(good.forged(claims={"nonce": value}), given, good.at)


def _when(reason: str, moment: Callable[[dict[str, Any]], float]) -> Attack:
    return Attack(reason, lambda good: Attempt(good.receipt, good.nonce, moment(good.claims)))


def _parts(reason: str, change: Callable[[str, str, str], str]) -> Attack:
    """Rearrange header, payload and signature."""
    return _tried(reason, lambda good: change(*good.receipt.split(".")))


def _texts(header: Callable[[str], str | bytes], payload: Callable[[str], str | bytes] = str) -> Attack:
    """Replace header or payload by another text, signed by the right key."""
    return _tried(
        "malformed",
        lambda good: signed(header(json_text(good.header)), payload(json_text(good.claims)), good.key),
    )


def _signature(change: Callable[[int, int], bytes]) -> Attack:
    return _tried("bad_signature", lambda good: resigned(good.receipt, change(*halves(good.receipt))))


def _flipped(index: int) -> Attack:
    def flip(r: int, s: int) -> bytes:
        signature = bytearray(raw(r, s))
        signature[index] ^= 1
        return bytes(signature)

    return _signature(flip)


def _own_key(reason: str, **header: Callable[[ECKey], Any]) -> Attack:
    """Sign with a key of one's own, and have the header say something of it."""

    def sign(good: Genuine) -> str:
        own = new_key()
        return good.forged(header={name: value(own) for name, value in header.items()}, key=own)

    return _tried(reason, sign)


def _by_rsa(alg: str) -> Attack:
    return _tried(
        "wrong_algorithm",
        lambda good: jwt.encode({**good.header, "alg": alg}, good.claims, stranger_key(), algorithms=[alg]),
    )


def _hmac(reason: str, alg: str, secret: Callable[[ECKey], bytes]) -> Attack:
    """Use something public of the key as an HMAC's secret."""

    def confuse(good: Genuine) -> str:
        header = b64(json_text({**good.header, "alg": alg}).encode())
        signing_input = f"{header}.{good.receipt.split('.')[1]}"
        mac = hmac.new(secret(good.key), signing_input.encode(), hashlib.sha256).digest()
        return f"{signing_input}.{b64(mac)}"

    return _tried(reason, confuse)


def _public_pem(key: ECKey) -> bytes:
    return key.as_pem(private=False)


def _spare_bits(part: str) -> str:
    """Spell the same bytes another way: the last character of 86 carries four bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + alphabet[alphabet.index(part[-1]) | 1]


def _altered_payload(good: Genuine) -> str:
    header, _, signature = good.receipt.split(".")
    return f"{header}.{b64(json_text({**good.claims, 'appId': '300000000001'}).encode())}.{signature}"


def _broken_payload(good: Genuine) -> str:
    header, payload, signature = good.receipt.split(".")
    return f"{header}.{b64(unb64(payload)[1:])}.{signature}"


def _altered_header(good: Genuine) -> str:
    _, payload, signature = good.receipt.split(".")
    return f"{b64(json.dumps(good.header, indent=1).encode())}.{payload}.{signature}"


def _nested(good: Genuine) -> str:
    _, payload, signature = good.receipt.split(".")
    room = (MAX_LENGTH - len(payload) - len(signature) - 10) * 3 // 4
    return f"{b64(b'[' * room)}.{payload}.{signature}"


@dataclass(frozen=True, slots=True)
class _JweWithPartAltered:
    part: int

    def __call__(self, _: object) -> str:
        parts = encrypted(NUMBER, business_key()).split(".")
        data = bytearray(unb64(parts[self.part]))
        data[len(data) // 2] ^= 1
        parts[self.part] = b64(bytes(data))
        return ".".join(parts)


def _values(*values: Any) -> tuple[Any, ...]:
    """Have them share no type."""
    return values


_SPELLINGS: Final[dict[str, Callable[[str], bytes]]] = {
    "in UTF-16": lambda text: text.encode("utf-16"),
    "in UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "with a byte order mark": lambda text: text.encode("utf-8-sig"),
    "with a byte of Latin-1": lambda text: text.encode()[:-1] + b',"more":"\xe9"}',
}

_NO_JWS: Final = {
    "nothing": _tried("malformed", lambda _: None),
    "empty": _tried("malformed", lambda _: ""),
    "words": _tried("malformed", lambda _: "not a receipt"),
    "dots": _tried("malformed", lambda _: ".."),
    "two parts": _parts("malformed", lambda header, payload, _: f"{header}.{payload}"),
    "four parts": _parts("malformed", lambda *parts: ".".join([*parts, parts[2]])),
    "cut short": _parts("malformed", lambda header, payload, _: f"{header}.{payload[: len(payload) // 2]}"),
    "no header": _parts("malformed", lambda _, payload, signature: f".{payload}.{signature}"),
    "no payload": _parts("malformed", lambda header, _, signature: f"{header}..{signature}"),
    "no signature": _parts("malformed", lambda header, payload, _: f"{header}.{payload}."),
    "a JWE": _tried("malformed", lambda _: encrypted(NUMBER, business_key())),
    "a line break": _parts("malformed", lambda *parts: ".".join(parts) + "\n"),
    "a space before": _parts("malformed", lambda *parts: " " + ".".join(parts)),
    "with Bearer": _parts("malformed", lambda *parts: "Bearer " + ".".join(parts)),
    "padded": _parts("malformed", lambda *parts: ".".join(parts) + "=="),
    "another spelling": _parts("malformed", lambda *parts: ".".join([*parts[:2], _spare_bits(parts[2])])),
    "a length that Base64 does not have": _parts("malformed", lambda *parts: ".".join(parts) + "AAA"),
    "over 8 KiB": _claims("malformed", more="A" * MAX_LENGTH),
    "header no JSON": _texts(lambda _: "alg: ES256"),
    "header an array": _texts(lambda header: f"[{header}]"),
    "header null": _texts(lambda _: "null"),
    "header a text": _texts(lambda _: '"ES256"'),
    "header cut off": _texts(lambda header: header[:-1]),
    "header and more": _texts(lambda header: header + "{}"),
    "header nested deeply": _tried("malformed", _nested),
    "payload no JSON": _texts(str, lambda _: "iss: me"),
    "payload an array": _texts(str, lambda payload: f"[{payload}]"),
    "payload null": _texts(str, lambda _: "null"),
    "payload and more": _texts(str, lambda payload: payload + "{}"),
    "payload with NaN": _claims("malformed", more=float("nan")),
    "payload with infinity": _claims("malformed", more=[float("-inf")]),
    **{f"header {name}": _texts(spell) for name, spell in _SPELLINGS.items()},
    **{f"payload {name}": _texts(str, spell) for name, spell in _SPELLINGS.items()},
}

_ALTERED: Final = {
    "payload altered": _tried("bad_signature", _altered_payload),
    "payload broken": _tried("bad_signature", _broken_payload),
    "header spelt anew": _tried("bad_signature", _altered_header),
    **{f"signature, byte {index} altered": _flipped(index) for index in (0, 15, 31, 32, 47, 63)},
    "signature of zeros": _signature(lambda _r, _s: bytes(64)),
    "r zero": _signature(lambda _, s: raw(0, s)),
    "s zero": _signature(lambda r, _: raw(r, 0)),
    "r and s the order": _signature(lambda _r, _s: raw(ORDER, ORDER)),
    "r and s swapped": _signature(lambda r, s: raw(s, r)),
    "signature in DER": _signature(encode_dss_signature),
    "signature a byte short": _signature(lambda r, s: raw(r, s)[:-1]),
    "signature a byte long": _signature(lambda r, s: raw(r, s) + b"\0"),
    "signature a zero before": _signature(lambda r, s: b"\0" + raw(r, s)),
    "signature of one byte": _signature(lambda _r, _s: b"\0"),
}

_ALGORITHM: Final = {
    **{
        f"alg {alg!r}": _header("wrong_algorithm", alg=alg)
        for alg in _values(
            *("none", "None", "NONE", "nOnE", "", "es256", "ES256 ", "ES256\0", "ES384", "ES512", "ES256K"),
            *("EdDSA", "Ed25519", "RS256", "PS256", "HS256", "RSA-OAEP-256", None, True, 256, ["ES256"], {}),
        )
    },
    "alg left out": _header("wrong_algorithm", alg=ABSENT),
    "alg none, unsigned": _parts(
        "malformed", lambda _, payload, __: f"{b64(json_text({'alg': 'none'}).encode())}.{payload}."
    ),
    "HMAC, the PEM its secret": _hmac("wrong_algorithm", "HS256", _public_pem),
    "HMAC, the trimmed PEM": _hmac("wrong_algorithm", "HS256", lambda key: _public_pem(key).strip()),
    "HMAC, the JWK": _hmac("wrong_algorithm", "HS256", lambda key: json_text(public_jwk(key)).encode()),
    "HMAC, x": _hmac("wrong_algorithm", "HS256", lambda key: unb64(public_jwk(key)["x"])),
    "HMAC, no secret": _hmac("wrong_algorithm", "HS256", lambda _: b""),
    "HMAC that says ES256": _hmac("bad_signature", "ES256", _public_pem),
    "RS256, properly": _by_rsa("RS256"),
    "PS256, properly": _by_rsa("PS256"),
}

_TYPE: Final = {
    f"typ {typ!r}": _header("wrong_type", typ=typ)
    for typ in _values(
        "JWT", "at+jwt", TYPE.upper(), f"application/{TYPE}", f"{TYPE} ", "", None, [TYPE], ABSENT
    )
}

_KEY: Final = {
    **{
        f"kid {kid!r:.40}": _header("unknown_key", kid=kid)
        for kid in _values(
            *("", "other", "../../../../etc/passwd", "/dev/null", "' OR '1'='1", "__proto__", "constructor"),
            *("toString", "http://127.0.0.1/", "A" * 2000, "\0", "|id"),
        )
    },
    **{f"kid {kid!r}": _header("malformed", kid=kid) for kid in _values(None, 1, ["kid"], {}, ABSENT)},
    "another key under the kid": _own_key("bad_signature"),
    "another key under its own kid": _own_key("unknown_key", kid=ECKey.thumbprint),
    "a key brought along": _own_key("malformed", jwk=public_jwk),
    "a key brought along, by its kid": _own_key("malformed", jwk=public_jwk, kid=ECKey.thumbprint),
    "an address of keys": _own_key("malformed", jku=lambda _: f"http://127.0.0.1:9{PATH}"),
    "an address of certificates": _own_key("malformed", x5u=lambda _: "http://127.0.0.1:9/"),
    "a certificate": _own_key("malformed", x5c=lambda _: ["MIIB"]),
}

# By the right key: what would change the meaning of the rest.
_MORE_IN_THE_HEADER: Final = {
    "crit": _header("malformed", crit=["exp"]),
    "crit, empty": _header("malformed", crit=[]),
    "crit and b64": _header("malformed", crit=["b64"], b64=False),
    "b64": _header("malformed", b64=False),
    "zip": _header("malformed", zip="DEF"),
    "cty": _header("malformed", cty="JWT"),
    "a claim in the header": _header("malformed", iss="https://api.example.com"),
}

_PARTIES: Final = {
    **{
        f"iss {name}": _claims("wrong_issuer", iss=iss)
        for name, iss in {
            "left out": ABSENT,
            "null": None,
            "empty": "",
            "another": "https://api.example.org",
            "with a slash": lambda claims: claims["iss"] + "/",
            "the JWKS": lambda claims: claims["iss"] + PATH,
            "in capitals": lambda claims: claims["iss"].upper(),
            "in a list": lambda claims: [claims["iss"]],
            "of a longer host": lambda claims: claims["iss"] + ".example.org",
        }.items()
    },
    **{
        f"aud {name}": _claims("wrong_audience", aud=aud)
        for name, aud in {
            "left out": ABSENT,
            "null": None,
            "empty": "",
            "another": "https://www.example.org",
            "with a slash": lambda claims: claims["aud"] + "/",
            "of a longer host": lambda claims: claims["aud"] + ".example.org",
            "in capitals": lambda claims: claims["aud"].upper(),
            "without TLS": lambda claims: "http:" + claims["aud"],
            "in a list": lambda claims: [claims["aud"]],
            "in a list with another": lambda claims: [claims["aud"], "https://www.example.org"],
            "in an object": lambda claims: {claims["aud"]: True},
        }.items()
    },
}


@dataclass(frozen=True, slots=True)
class _Respelt:
    """Write a whole number in another way."""

    claim: str
    new: str

    def __call__(self, payload: str) -> str:
        return re.sub(rf'"{self.claim}":[0-9]+', self.new, payload)


def _time(claim: str) -> dict[str, Attack]:
    values = {
        "left out": ABSENT,
        "null": None,
        "a text": lambda claims: str(claims[claim]),
        "a fraction": lambda claims: claims[claim] + 0.5,
        "true": True,
        "a list": lambda claims: [claims[claim]],
        "zero": 0,
        "negative": -1,
        "beyond all numbers": 10**30,
        "infinite": float("inf"),
        "not a number": float("nan"),
    }
    spellings = {"with a point": r"\g<0>.0", "with an exponent": r"\g<0>e0", "in tens": r"\g<0>0e-1"}
    return {
        **{f"{claim} {name}": _claims("malformed", **{claim: value}) for name, value in values.items()},
        **{f"{claim} {name}": _texts(str, _Respelt(claim, new)) for name, new in spellings.items()},
    }


_TIMES: Final = {
    "expired": _when("expired", lambda claims: claims["exp"] + LEEWAY),
    "expired a day ago": _when("expired", lambda claims: claims["exp"] + 86400),
    "not yet valid": _when("not_yet_valid", lambda claims: claims["iat"] - LEEWAY - 0.5),
    "of tomorrow": _when("not_yet_valid", lambda claims: claims["iat"] - 86400),
    **_time("iat"),
    **_time("exp"),
    "exp before iat": _claims("malformed", exp=lambda claims: claims["iat"] - 1),
    "exp is iat": _claims("malformed", exp=lambda claims: claims["iat"]),
    "a life of a second too long": _claims("malformed", exp=lambda claims: claims["iat"] + 601),
    "a life of a year": _claims("malformed", exp=lambda claims: claims["iat"] + 31_536_000),
}

_NAMES: Final = {
    f"{name} {value!r:.40}": _claims("malformed", **{name: value})
    for name, values in {
        "jti": _values(
            ABSENT,
            None,
            "",
            1,
            ["a"],
            "A" * 65,
            "a b",
            "a/b",
            "a:b",
            "a\n",
            "\0",
            "é",
            "\U0001f600",
            "\u0661",
        ),
        "appId": _values(ABSENT, None, 300000000000),
        "taskId": _values(None, 1, []),
    }.items()
    for value in values
}

_NUMBER: Final = {
    "no number": _number("malformed"),
    "two numbers": _number("malformed", phoneNumMasked=MASKED, phoneNumHash="0" * 64),
    "three numbers": _number("malformed", phoneNumMasked=MASKED, phoneNumHash="0" * 64, phoneNumJwe="A"),
    **{
        f"{name} {index}": _number("malformed", **{name: value})
        for name, values in {
            "phoneNumHash": _values(
                "", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n", "０" * 64, None, 0, ["0" * 64]
            ),
            "phoneNumMasked": _values(
                "", NUMBER, "139***45678", MASKED + "\n", MASKED.replace("1", "１"), None, 1
            ),
            "phoneNumJwe": _values(None, 1, []),
        }.items()
        for index, value in enumerate(values)
    },
}

_JWE: Final = {
    f"JWE {name}": _number("number_undecipherable", phoneNumJwe=value)
    for name, value in {
        "empty": "",
        "a text": "A.B.C.D.E",
        "of another's": lambda _: encrypted(NUMBER, stranger_key()),
        "of another's, under our kid": lambda _: encrypted(
            NUMBER, stranger_key(), kid=business_key().thumbprint()
        ),
        "without kid": lambda _: encrypted(NUMBER, business_key(), kid=ABSENT),
        "by RSA-OAEP with SHA-1": lambda _: encrypted(NUMBER, business_key(), alg="RSA-OAEP"),
        "by RSA1_5": lambda _: encrypted(NUMBER, business_key(), alg="RSA1_5"),
        "by A128GCM": lambda _: encrypted(NUMBER, business_key(), enc="A128GCM"),
        "by A256CBC-HS512": lambda _: encrypted(NUMBER, business_key(), enc="A256CBC-HS512"),
        "with a key that everybody has": lambda _: jwe.encrypt_compact(
            {"alg": "dir", "enc": "A256GCM", "kid": business_key().thumbprint()},
            NUMBER,
            OctKey.import_key(bytes(32)),
            algorithms=["dir", "A256GCM"],
        ),
        "of ten digits": lambda _: encrypted(NUMBER[:-1], business_key()),
        "of two numbers": lambda _: encrypted(NUMBER * 2, business_key()),
        "of words": lambda _: encrypted("thirteen", business_key()),
        "of nothing": lambda _: encrypted("", business_key()),
        "of a line": lambda _: encrypted(NUMBER + "\n", business_key()),
        "with a part more": lambda _: encrypted(NUMBER, business_key()) + ".A",
        "with a part less": lambda _: encrypted(NUMBER, business_key()).rpartition(".")[0],
        "with a short tag": lambda _: encrypted(NUMBER, business_key())[:-6],
        **{f"with part {part} altered": _JweWithPartAltered(part) for part in range(5)},
    }.items()
}

_NONCES: Final = {
    "nonce of another login": _nonce(lambda _: "another"),
    "nonce not given": _nonce(lambda _: None),
    "nonce empty": _nonce(lambda _: ""),
    "nonce cut short": _nonce(lambda nonce: nonce[:-1]),
    "nonce with more": _nonce(lambda nonce: nonce + "x"),
    "nonce in the other case": _nonce(str.swapcase),
    **{
        f"nonce {name} on both sides": Attack("wrong_nonce", _same_nonce(value, given))
        for name, value, given in _values(("empty", "", ""), ("null", None, None), ("left out", ABSENT, None))
    },
    "nonce in a list": _claims("wrong_nonce", nonce=lambda claims: [claims["nonce"]]),
    **{
        f"nonce {value!r} in it": _claims("wrong_nonce", nonce=value)
        for value in _values(ABSENT, None, "", 1)
    },
}

ATTACKS: Final[dict[str, Attack]] = {
    **_NO_JWS,
    **_ALTERED,
    **_ALGORITHM,
    **_TYPE,
    **_KEY,
    **_MORE_IN_THE_HEADER,
    **_PARTIES,
    **_TIMES,
    **_NAMES,
    **_NUMBER,
    **_JWE,
    **_NONCES,
}
