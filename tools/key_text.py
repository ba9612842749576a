"""What is wrong with a text that should be a key, and exactly so.

Whether it is a key is the word of the product's own reader (`cmpassport.keys`), so that what is said here and
what the functions do never differ; but a key whose numbers do not belong together is refused here even if it
can still sign. Where that refuses, other loaders say what the text is instead, and the
usual accidents are undone one after the other until a loader takes it: they are what is wrong.
"""

import base64
import hashlib
import html
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7, pkcs12

from cmpassport.keys import (
    MAX_KEY_BITS,
    MIN_KEY_BITS,
    KeyFault,
    KeyFormatError,
    load_private_key,
    load_public_key,
)
from tools.commands import SAFE_BITS
from tools.findings import Finding, fault, fine, warning
from tools.messages import Text, text

Name = str | Text
_K = TypeVar("_K", RSAPrivateKey, RSAPublicKey)

_ARMOUR: Final = re.compile(r"-+ *(?:BEGIN|END) [A-Z0-9 ]*-*")


@dataclass(frozen=True, slots=True)
class Examined(Generic[_K]):
    """What an examination gave: the key as the product reads it, and what is said of the text.

    `meant` is the key that the text stands for, even where functions refuse it: `keys put` stores that.
    """

    key: _K | None
    findings: tuple[Finding, ...]
    meant: _K | None = None


def bare_private(key: RSAPrivateKey | EllipticCurvePrivateKey) -> str:
    """Return a private key as bare Base64 on one line."""
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def bare_public(key: RSAPublicKey) -> str:
    """Return a public key as the open platform wants it: X.509 in bare Base64 on one line."""
    return base64.b64encode(
        key.public_bytes(Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).decode()


def fingerprint(key: RSAPublicKey) -> str:
    """Return the SHA-256 of the SubjectPublicKeyInfo, in hex: for people to compare keys by."""
    return hashlib.sha256(base64.b64decode(bare_public(key))).hexdigest()


def examine_private(content: str, name: Name) -> Examined[RSAPrivateKey]:
    """Examine a text that should be the customer's private key; `name` is what it is called in findings."""
    return _examine(content, name, _load_sound, "operator")


def examine_public(content: str, name: Name, owner: str = "reported") -> Examined[RSAPublicKey]:
    """Examine what should be a public key: the `reported` one, the `platform`'s or the `business`'s."""
    return _examine(content, name, load_public_key, owner)


def _load_sound(content: str) -> RSAPrivateKey:
    """Load a private key whose numbers belong together, which the functions find out when they sign."""
    key = load_private_key(content)
    try:
        key.private_numbers().private_key(unsafe_skip_rsa_key_validation=False)
    except ValueError:
        raise KeyFormatError(KeyFault.NO_KEY) from None
    return key


def _examine(content: str, name: Name, load: Callable[[str], _K], owner: str) -> Examined[_K]:
    key: _K | None = None
    instead: _Named | None = None
    met: list[_Accident] = []
    plain = content
    wanted: str = "public" if load is load_public_key else "private"
    for accident in (None, *_accidents(wanted)):
        undone = accident.undo(content) if accident else content
        if accident and undone == content:
            continue
        content, met = undone, [*met, accident] if accident else met
        plain = plain if accident and accident.tentative else content
        try:
            key = load(content)
        except KeyFormatError:
            instead = _instead(content, wanted)
        if key is not None or instead is not None:
            break
    values: dict[str, Any] = {"name": name, "again": text(f"again-{owner}"), "file": "FILE.pem"}
    if "BEGIN" not in content:
        values |= {"decode": text("decode-first"), "file": "FILE.der -inform DER"}
    if key is not None and not met:
        values["bits"] = key.key_size
        good = key.key_size >= SAFE_BITS
        size = fine("key-readable", **values) if good else warning(f"key-small-{owner}", **values)
        return Examined(key, (size,), key)
    certain = key is not None or instead is not None
    wrong = [(each.code, values) for each in met if certain or not each.tentative]
    if isinstance(key, RSAPrivateKey):
        held = isinstance(name, Text) and name.key == "field-of"  # in a secret, which has a value
        wrong[-1] = (wrong[-1][0], {**values, "put": text("put-mends", replace=" --replace" if held else "")})
    elif instead is not None:
        at_home = wanted == "public" or instead[0] != "certificate"
        wrong.append((instead[0] if at_home else "certificate-for-private", {**values, **instead[1]}))
    elif key is None:
        wrong.append((_damage(plain), values))
    return Examined(None, tuple(fault(code, **said) for code, said in wrong), key)


def _damage(content: str) -> str:
    """Name what keeps a text that no loader takes from being a key."""
    payload = "".join(_ARMOUR.sub("", content).split())
    if not re.fullmatch("[A-Za-z0-9+/=]+", payload):
        return "not-base64" if payload else "key-empty"
    if "=" in payload.rstrip("="):
        return "trailing"
    try:
        der = base64.b64decode(payload[: len(payload) // 4 * 4], validate=True)
    except ValueError:
        return "not-base64"
    if not der.startswith(b"0"):  # an ASN.1 SEQUENCE, as every key
        return "not-a-key"
    try:
        asn1.decode_der(asn1.TLV, der)
    except ValueError as error:
        return "trailing" if "ExtraData" in str(error) else "truncated"
    return "changed"


# What a text is instead of the wanted key.

_DER: Final[tuple[tuple[str, Callable[[bytes], Any]], ...]] = (
    ("certificate", x509.load_der_x509_certificate),
    ("certificate-request", x509.load_der_x509_csr),
    ("pkcs7", pkcs7.load_der_pkcs7_certificates),
    ("pkcs12", lambda data: pkcs12.load_pkcs12(data, None)),
    ("public", serialization.load_der_public_key),
    ("private", lambda data: serialization.load_der_private_key(data, None)),
)
_BEGINNINGS: Final = (
    (r"-+BEGIN (?:NEW )?CERTIFICATE REQUEST", "certificate-request"),
    (r"-+BEGIN (?:TRUSTED |X509 )?CERTIFICATE", "certificate"),
    (r"-+BEGIN PKCS7", "pkcs7"),
    (r"/u3\+7QAAAAI|zs7OzgAAAAI", "java-store"),
    (r"-+BEGIN (?:ENCRYPTED PRIVATE KEY|[A-Z ]+-+\s+Proc-Type: 4,ENCRYPTED)", "encrypted"),
    (r"-+ ?BEGIN (?:OPENSSH|SSH2|PGP) |PuTTY-User-Key-File|(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA", "foreign"),
    (r'\{[^{}]*"kty"\s*:', "foreign"),  # a JSON Web Key
)
"""Forms that are told by how they begin, whole or not."""

_Named = tuple[str, dict[str, Any]]


def _instead(content: str, wanted: str) -> _Named | None:
    """Name what a text is instead of the wanted key, by the loader that takes it."""
    content = re.sub(r"\\[rn]", "\n", content).strip()
    for beginning, code in _BEGINNINGS:
        if re.match(beginning, content):
            return code, {}
    body = content.split("-----")[2] if re.match("-----BEGIN [A-Z0-9 ]+-----", content) else content
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        return None
    for code, load in _DER:
        try:
            named = _named(code, load(data), wanted)
        except TypeError:
            return "encrypted", {}
        except UnsupportedAlgorithm as error:  # 1.2.156.10197 is where China's own algorithms stand
            return "not-rsa", {"algorithm": "SM2" if "1.2.156.10197" in str(error) else "?"}
        except ValueError as error:
            named = (code, {}) if "Invalid password" in str(error) else None
        if named:
            return named
    return None


def _named(code: str, loaded: Any, wanted: str) -> _Named | None:
    if code not in {"public", "private"}:
        return code, {}
    if not isinstance(loaded, RSAPublicKey | RSAPrivateKey):
        return "not-rsa", {"algorithm": re.sub("(Public|Private)Key", "", type(loaded).__name__)}
    if code != wanted:
        return f"{code}-for-{wanted}", {}
    fits = MIN_KEY_BITS <= loaded.key_size <= MAX_KEY_BITS
    return None if fits else ("key-size", {"bits": loaded.key_size})


# What often happens to a key on its way, and how it is undone.


def _without_quotes(content: str) -> str:
    whole = re.sub(r"""(?:\\n)?(['"])\s*[.+,]?\s*\n\s*\1""", "\n", content)  # a text over lines of code
    return re.sub(rf"(?s)^\s*b?{_QUOTE}+(?:[a-z]*\n)?{_QUOTE}*(.+?)[^A-Za-z0-9+/=-]*$", r"\1", whole)


def _unnamed(content: str, wanted: str) -> str:
    """Return what stands behind a name; of a pair, whose halves are far apart in length, the wanted one."""
    named = re.split(_NAME, content, flags=re.MULTILINE)[1:]
    keys = sorted((_BEHIND.sub("", key) for key in named if key.startswith(("MI", "-----BEGIN"))), key=len)
    if [2 * len(key) <= len(keys[-1]) for key in keys] not in ([False], [True, False]):
        return content
    return keys[-1 if wanted == "private" else 0]


def _out_of_base64(content: str) -> str:
    with suppress(ValueError):
        inner = base64.b64decode("".join(content.split()), validate=True).decode("ascii")
        return inner if inner.startswith(("-----BEGIN", "MI")) else content
    return content


def _out_of_xml(content: str) -> str:
    parts = re.findall(r"<(Modulus|Exponent|P|Q|DP|DQ|InverseQ|D)>\s*([^<]+?)\s*</", content)
    try:
        number = {name: int.from_bytes(base64.b64decode(each)) for name, each in parts}
        public = rsa.RSAPublicNumbers(number["Exponent"], number["Modulus"])
        if "D" not in number:
            return bare_public(public.public_key())
        p, q, d, dp, dq, inverse = (number[name] for name in ("P", "Q", "D", "DP", "DQ", "InverseQ"))
        return bare_private(rsa.RSAPrivateNumbers(p, q, d, dp, dq, inverse, public).private_key())
    except (KeyError, ValueError):
        return content


def _padded(content: str) -> str:
    whole = "".join(content.split())
    payload = whole.rstrip("=")
    missing = -len(payload) % 4
    # Three missing characters are no padding: such a text is cut off.
    return content if missing == 3 or payload + "=" * missing == whole else payload + "=" * missing  # noqa: PLR2004


def _without_stray_end(content: str) -> str:
    bare = re.sub(r"[^A-Za-z0-9+/=\s][^A-Za-z0-9+/=]*$", "", content)
    return content if bare == content or "BEGIN" in bare else _padded(bare)


def _replaced(pattern: str, instead: str | Callable[[re.Match[str]], str] = "") -> Callable[[str], str]:
    return lambda content: re.sub(pattern, instead, content)


class _Accident(NamedTuple):
    """An accident by its finding's code, and how it is undone; a `tentative` one counts if that helps."""

    code: str
    undo: Callable[[str], str]
    tentative: bool = False


_INVISIBLE: Final = "[\0\u00a0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\u3000\ufe00-\ufe0f\ufeff]"
_QUOTE: Final = "[\"'`\u2018-\u201d\u300c-\u3011]"
_NAME: Final = (
    r"""(?:^|[,{;])[\s"'<{\\#*-]*[^\W\d][^\n"'\\:=>\uff1a\uff1d]{0,40}[\\"']*\s*[:=>\uff1a\uff1d]"""
    r"""(?:[\s\\"'`]*(?=MI|-----BEGIN)|[^\S\n]*(?=["']?\w))"""
)
"""A key's name before it, or that of another value behind it."""
_BEHIND: Final = re.compile(r"</.*|[^A-Za-z0-9+/=-]+$", re.DOTALL)
_HEX: Final = r"^\s*30(?:[\s:]*[0-9A-Fa-f]{2})+\s*$"
_PLAIN: Final = str.maketrans("-_", "+/")


def _accidents(wanted: str) -> tuple[_Accident, ...]:
    """Return them in the order in which they are undone."""
    return (
        _Accident("invisible", _replaced(_INVISIBLE, " ")),
        _Accident("rsa-key-value", _out_of_xml),
        _Accident("named", lambda content: _unnamed(content, wanted)),
        _Accident("quotes", _without_quotes),
        _Accident("escaped", lambda content: html.unescape(unquote(content.replace(r"\u00", "%")))),
        _Accident(
            "hex",
            _replaced(_HEX, lambda key: base64.b64encode(bytes.fromhex(key[0].replace(":", ""))).decode()),
        ),
        _Accident("base64-twice", _out_of_base64),
        _Accident("text-before-pem", _replaced(r"^(?![^-]*[\w+/]{64})[^-]*[^\s-][^-]*(?=-----BEGIN )")),
        _Accident("armour-broken", _replaced(_ARMOUR.pattern), tentative=True),
        _Accident("url-safe-base64", _replaced(r"^\s*MI[\w=\s-]+\W*$", lambda key: key[0].translate(_PLAIN))),
        _Accident("stray-end", _without_stray_end, tentative=True),
        _Accident("plus-lost", lambda key: key.lstrip().rstrip("\r\n").replace(" ", "+"), tentative=True),
        _Accident("padding", _padded, tentative=True),
    )
