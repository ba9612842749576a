"""What is wrong with a text that should be a key, and exactly so.

Whether it is a key is the word of the product's own reader (`cmpassport.keys`), so that what is said here and
what the functions do never differ. Where that refuses, the usual accidents are undone one after the other,
until it accepts or none is left. What had to be undone is what is wrong.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import PrivateFormat, PublicFormat

from cmpassport.keys import KeyFault, KeyFormatError, load_private_key, load_public_key
from tools.findings import Finding, fault, fine, warning
from tools.keys.pairs import SAFE_BITS, bare_private, bare_public

_K = TypeVar("_K", RSAPrivateKey, RSAPublicKey)

_ARMOUR: Final = re.compile(r"-+ *(?:BEGIN|END) [A-Z0-9 ]*-*")
_INVISIBLE: Final = re.compile("[\u00a0\u200b-\u200f\u2028\u2029\u2060\u3000\ufeff]")
_HEX: Final = re.compile(r"[0-9A-Fa-f\s]{200,}")
_LONG_FORM: Final = 0x80
_SEQUENCE: Final = 0x30

_AGAIN: Final = (
    "Make a new pair with `python -m tools keys new`, or export this key again: `openssl pkey -in KEY.pem "
    "-outform DER | openssl base64 -A`."
)
_COPY_AGAIN: Final = (
    "Copy it from the app's page on the open platform: `python -m tools keys put verification --replace`."
)
_STORE: Final = "`python -m tools keys put signing --private FILE` stores it in the right form."


class Owner(Enum):
    """Whose a key pair is, by how a small one becomes a larger one."""

    OPERATOR = "Change to 2048 bits when you can: `python -m tools keys rotate`."
    PLATFORM = (
        "It is the platform's to change: ask its support. Nothing here can, and nothing has to be done."
    )
    BUSINESS = (
        "Make one: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out business.pem`, and "
        "give its public half: `openssl pkey -in business.pem -pubout`."
    )


@dataclass(frozen=True, slots=True)
class Examined(Generic[_K]):
    """What an examination gave.

    Attributes
    ----------
    key
        As the product reads it; None where it refuses the text.
    findings
        In the order in which they should be read.
    """

    key: _K | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Accident:
    """What often happens to a key on its way, and how it is undone."""

    code: str
    what: str
    remedy: str
    undo: Callable[[str], str]


def examine_private(text: str, name: str) -> Examined[RSAPrivateKey]:
    """Examine a text that should be the customer's private key; `name` is what it is called in findings."""
    try:
        key = load_private_key(text)
    except KeyFormatError as error:
        return Examined(None, tuple(_diagnosis(text, name, load_private_key, error, _AGAIN)))
    pkcs1 = bare_private(key, PrivateFormat.TraditionalOpenSSL)
    return Examined(
        key,
        (
            *_size(key.key_size, f"{name} is an RSA private key", Owner.OPERATOR),
            *_form(text, name, pkcs1, "PKCS#8"),
        ),
    )


def examine_public(text: str, name: str, owner: Owner = Owner.OPERATOR) -> Examined[RSAPublicKey]:
    """Examine a text that should be a public key, of whoever owns the pair."""
    again = _COPY_AGAIN if owner is Owner.PLATFORM else _AGAIN
    try:
        key = load_public_key(text)
    except KeyFormatError as error:
        return Examined(None, tuple(_diagnosis(text, name, load_public_key, error, again)))
    pkcs1 = bare_public(key, PublicFormat.PKCS1)
    form = _form(text, name, pkcs1, "X.509 SubjectPublicKeyInfo")
    return Examined(key, (*_size(key.key_size, f"{name} is an RSA public key", owner), *form))


def _size(bits: int, what: str, owner: Owner) -> Iterator[Finding]:
    if bits >= SAFE_BITS:
        yield fine("key-readable", f"{what} of {bits} bits.")
    else:
        yield warning(
            "key-small",
            f"{what} of {bits} bits: {'the platform takes it, but ' if owner is Owner.OPERATOR else ''}it is "
            "weak today.",
            owner.value,
        )


def _form(text: str, name: str, pkcs1: str, wanted: str) -> Iterator[Finding]:
    """Tell what of a good key's form is out of the ordinary; the functions accept all of it."""
    payload = "".join(_ARMOUR.sub("", text.replace("\\n", "\n")).split())
    if "\\n" in text:
        yield fine(
            "literal-line-breaks",
            rf"{name} has \n written out, from JSON that was escaped twice: accepted.",
        )
    if _ARMOUR.search(text):
        yield fine("pem-armour", f"{name} has PEM armour (-----BEGIN …): accepted.")
    elif len(text.strip().split()) > 1:
        yield fine("line-breaks", f"{name} has line breaks or blanks inside its Base64: accepted.")
    if payload == pkcs1:
        yield fine("pkcs1", f"{name} is PKCS#1, where the open platform's own form is {wanted}: accepted.")


# What is refused.


def _diagnosis(
    text: str, name: str, load: Callable[[str], _K], refusal: KeyFormatError, again: str
) -> Iterator[Finding]:
    if not text.strip():
        yield fault("key-empty", f"{name} is empty.", "Put the key there.")
        return
    if foreign := _foreign(text, name):
        yield foreign
        return
    mended, met = text.replace("\\n", "\n"), list[_Accident]()
    accepted = False
    for accident in _ACCIDENTS:
        undone = accident.undo(mended)
        if undone == mended or _known_reason(refusal):
            continue
        met.append(accident)
        mended = undone
        try:
            load(mended)
        except KeyFormatError as error:
            refusal = error
        else:
            accepted = True
            break
    for accident in met:
        if accepted or accident.code not in _TENTATIVE:
            yield fault(accident.code, f"{name} {accident.what}.", accident.remedy)
    if not accepted:
        yield _refused(mended, name, refusal, again)


def _refused(text: str, name: str, refusal: KeyFormatError, again: str) -> Finding:
    known = _known_reason(refusal)
    if known is None:
        return _damaged(text, name, again)
    code, remedy = known
    return fault(code, f"{name}: {refusal}.", remedy)


def _known_reason(refusal: KeyFormatError) -> tuple[str, str] | None:
    """Give code and remedy of a refusal that says what the text is instead."""
    return _REASONS.get(refusal.kind)


def _damaged(text: str, name: str, again: str) -> Finding:
    """Compare how long the key says it is with how long it is; the text has no armour any more."""
    payload = "".join(_ARMOUR.sub("", text).split())
    try:
        der = base64.b64decode(payload[: len(payload) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return fault(
            "not-base64",
            f"{name} has characters that are not Base64's: it is no key, or text got into it.",
            "Copy the key again: letters, digits, + / = and nothing else.",
        )
    said = _stated_length(der)
    if said is None or not der:
        return fault(
            "not-a-key",
            f"{name} is Base64, but of something else than a key.",
            f"Copy the key itself. {again}",
        )
    if len(der) < said:
        return fault(
            "truncated",
            f"{name} is cut off: {len(der)} of its {said} bytes are there.",
            f"Copy all of it; a console may cut long lines. {again}",
        )
    if len(der) > said:
        return fault(
            "trailing",
            f"{name} has {len(der) - said} bytes after the key's {said}: something else was pasted behind "
            "it.",
            "Copy the key alone, up to its end.",
        )
    return fault(
        "inconsistent",
        f"{name} has a key's form and length, but its numbers do not belong together: it was changed on its "
        "way.",
        f"Take the original. {again}",
    )


def _stated_length(der: bytes) -> int | None:
    """Give the length that a DER SEQUENCE says it has, header and all; None for anything else."""
    if len(der) < 4 or der[0] != _SEQUENCE:  # noqa: PLR2004 - tag and a length of up to three bytes
        return None
    if der[1] < _LONG_FORM:
        return 2 + der[1]
    octets = der[1] - _LONG_FORM
    return 2 + octets + int.from_bytes(der[2 : 2 + octets])


_REASONS: Final[Mapping[KeyFault, tuple[str, str]]] = {
    KeyFault.PUBLIC_INSTEAD: (
        "public-for-private",
        (
            "The halves are swapped or the wrong one was taken: the private half belongs here, the public "
            "half on the open platform. If the private half is lost, make a new pair: `python -m tools keys "
            "new`."
        ),
    ),
    KeyFault.PRIVATE_INSTEAD: (
        "private-for-public",
        (
            "The public half belongs here: `openssl pkey -in KEY.pem -pubout -outform DER | openssl base64 "
            "-A` writes it. If this private key has been pasted into the open platform, sent or shown, it is "
            "no secret any more: replace it with `python -m tools keys rotate`."
        ),
    ),
    KeyFault.CERTIFICATE_INSTEAD: (
        "certificate",
        (
            "The key alone is wanted. A certificate's public key: `openssl x509 -in CERT.pem -noout "
            "-pubkey`; its private key is in a file of its own."
        ),
    ),
    KeyFault.ENCRYPTED: (
        "encrypted",
        (
            "Take the passphrase off: `openssl pkey -in KEY.pem -out PLAIN.pem`; then "
            f"{_STORE[0].lower()}{_STORE[1:]}"
        ),
    ),
    KeyFault.OTHER_ALGORITHM: (
        "not-rsa",
        "The platform works with RSA alone: make a pair with `python -m tools keys new`.",
    ),
    KeyFault.SIZE: (
        "key-size",
        "Make a pair of 2048 bits: `python -m tools keys new`.",
    ),
}
"""The finding's code and the remedy, by what a text is instead; the other kinds are looked into."""

_FOREIGN: Final[Sequence[tuple[re.Pattern[str], str, str, str]]] = (
    (
        re.compile(r"-+BEGIN OPENSSH PRIVATE KEY"),
        "openssh",
        "is in OpenSSH's own form, which the platform and the functions do not read",
        (
            "Convert a copy of it (the file is overwritten): `ssh-keygen -p -m PKCS8 -N '' -f COPY`. Better, "
            "make a pair for this purpose alone: `python -m tools keys new`."
        ),
    ),
    (
        re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA"),
        "openssh-public",
        "is a line of OpenSSH's (ssh-rsa AAAA…)",
        "Convert it: `ssh-keygen -e -m PKCS8 -f KEY.pub`.",
    ),
    (
        re.compile(r"-+BEGIN (?:NEW )?CERTIFICATE REQUEST"),
        "certificate-request",
        "is a certificate request, not a key",
        "Give the key: `openssl req -in REQUEST.pem -noout -pubkey` writes the public one.",
    ),
    (
        re.compile(r"PuTTY-User-Key-File|-+ ?BEGIN (?:SSH2|PGP) "),
        "foreign-key",
        "is a key of PuTTY's, SSH2's or PGP's",
        "Make a pair for this purpose alone: `python -m tools keys new`.",
    ),
    (
        re.compile(r'\{[^{}]*"kty"\s*:'),
        "jwk",
        "is a JSON Web Key",
        (
            "Give the key as bare Base64 or PEM. Make a pair with `python -m tools keys new` if there is no "
            "other form."
        ),
    ),
)
"""Forms of other tools, told by how they begin."""


def _foreign(text: str, name: str) -> Finding | None:
    for pattern, code, what, remedy in _FOREIGN:
        if pattern.match(text.strip()):
            return fault(code, f"{name} {what}.", remedy)
    return None


def _without_quotes(text: str) -> str:
    bare = text.strip()
    try:
        content = json.loads(bare)
    except ValueError:
        quoted = len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"`"
        return bare[1:-1] if quoted else text
    return content if isinstance(content, str) else text


def _out_of_json(text: str) -> str:
    try:
        content = json.loads(text)
    except ValueError:
        return text
    values = (
        [value for value in content.values() if isinstance(value, str)] if isinstance(content, dict) else []
    )
    return max(values, key=len) if values else text


def _out_of_base64(text: str) -> str:
    try:
        inner = base64.b64decode("".join(text.split()), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return text
    return inner if inner.startswith(("-----BEGIN", "MI")) else text


def _from_pem(text: str) -> str:
    start = text.find("-----BEGIN ")
    return text[start:] if start > 0 and text[:start].strip() else text


def _without_armour(text: str) -> str:
    return _ARMOUR.sub("", text).strip() if _ARMOUR.search(text) else text


def _out_of_hex(text: str) -> str:
    if not _HEX.fullmatch(text):
        return text
    try:
        return base64.b64encode(bytes.fromhex(text)).decode()
    except ValueError:
        return text


def _padded(text: str) -> str:
    payload = "".join(text.split()).rstrip("=")
    missing = -len(payload) % 4
    padded = payload + "=" * missing
    # Three missing characters are no padding: such a text is cut off.
    return text if missing == 3 or padded == "".join(text.split()) else padded  # noqa: PLR2004


_TENTATIVE: Final = frozenset({"armour-broken", "padding"})
"""Accidents that are one only if undoing them makes a key of it."""

_ACCIDENTS: Final = (
    _Accident(
        "invisible",
        "has invisible characters in it (a byte order mark, a zero-width or no-break space)",
        "Copy it as plain text; save files as UTF-8 without a byte order mark.",
        lambda text: _INVISIBLE.sub("", text),
    ),
    _Accident(
        "quotes",
        "has quotation marks around it that belong to JSON or to a shell",
        "Take the marks off.",
        _without_quotes,
    ),
    _Accident(
        "nested-json",
        "is a JSON object where the key alone should stand: a secret's whole text was put into one field",
        "Put the key itself into the field.",
        _out_of_json,
    ),
    _Accident(
        "base64-twice",
        "is Base64 of something that is a key's text already: it was encoded twice",
        "Decode it once: `openssl base64 -d -A -in FILE`.",
        _out_of_base64,
    ),
    _Accident(
        "text-before-pem",
        "has other text before -----BEGIN, such as OpenSSL's Bag Attributes",
        "Leave out all that stands before -----BEGIN and after -----END.",
        _from_pem,
    ),
    _Accident(
        "armour-broken",
        "has PEM armour that does not fit: a BEGIN or END line is missing, damaged, or names another form",
        "Leave both armour lines out: the Base64 between them is what counts.",
        _without_armour,
    ),
    _Accident(
        "hex",
        "is in hexadecimal digits, not in Base64",
        "Convert it: `xxd -r -p FILE | openssl base64 -A`.",
        _out_of_hex,
    ),
    _Accident(
        "url-safe-base64",
        "is URL-safe Base64 (- and _ in place of + and /)",
        "Convert it: `tr -- '-_' '+/' < FILE`, with = at the end up to a length that four divides.",
        lambda text: text.translate(str.maketrans("-_", "+/")),
    ),
    _Accident(
        "padding",
        "lacks the = at the end that Base64 has, or has too many of them",
        "Add = until four divides the length; if that does not help, the end of the key is missing.",
        _padded,
    ),
)
