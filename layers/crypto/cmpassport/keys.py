"""Keys in the forms in which customers of the platform hold them (guide section 2.1).

The open platform shows and takes bare Base64 (X.509 SubjectPublicKeyInfo, PKCS#8); tools make PEM and PKCS#1.
All of them are accepted. A parsed key is kept: parsing one costs several signatures.

A private key is proved rather than tested: testing its primes costs a hundred signatures, a quarter of a cold
start, and only says that they are primes. OpenSSL checks what it computes with them (RFC 8017's CRT form) and
computes without them where that fails, and the key's first signature is verified here with its own public
half. So a damaged key signs correctly or is refused. The tools test the primes as well.
"""

import base64
import re
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from cmpassport.errors import CmpassportError

if TYPE_CHECKING:  # 2.4 ms of a cold start
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_T = TypeVar("_T")

MIN_KEY_BITS: Final = 1024
MAX_KEY_BITS: Final = 8192


class KeyFault(Enum):
    """What a text is instead of the wanted key."""

    PUBLIC_INSTEAD = "this is a public key; the private half is wanted"
    PRIVATE_INSTEAD = "this is a private key; the public half is wanted"
    CERTIFICATE_INSTEAD = "this is a certificate; the key alone is wanted"
    ENCRYPTED = "the private key has a passphrase; store it without one"
    OTHER_ALGORITHM = "the key is of another algorithm"
    SIZE = "the key is too small or too large"
    NEITHER_FORM = "the key is neither PEM nor Base64"
    SEVERAL = "there is more than one key; the wanted one alone is to be stored"
    NO_KEY = "this is not a key"


class KeyFormatError(CmpassportError):
    """The text is not a key of the wanted kind; the error names what it is, if known.

    Parameters
    ----------
    kind
        What it is instead.
    text
        In words; those of the kind if none are given.
    """

    def __init__(self, kind: KeyFault, text: str | None = None) -> None:
        super().__init__(text or kind.value)
        self.kind = kind


def load_private_key(text: str) -> RSAPrivateKey:
    """Parse the customer's private key, which signs.

    Parameters
    ----------
    text
        Bare Base64 or PEM of PKCS#8 or PKCS#1, without a passphrase, 1024 to 8192 bits. Line breaks and
        spaces inside the Base64 are allowed.

    Raises
    ------
    KeyFormatError
        The text is anything else, or a signature that the key makes does not verify.
    """
    key = load_private_of_any_kind(
        text, "this is not an RSA private key: PKCS#8 or PKCS#1 is wanted, bare Base64 or PEM"
    )
    if not isinstance(key, RSAPrivateKey):
        raise KeyFormatError(KeyFault.OTHER_ALGORITHM, "the private key is not an RSA key")
    _check_size(key.key_size)
    _prove(key)
    return key


def load_private_of_any_kind(text: str, expected: str) -> "PrivateKeyTypes":
    """Parse a private key of any kind, which is neither tested nor proved.

    Parameters
    ----------
    text
        In a form that `load_private_key` accepts.
    expected
        The error's text for what is not a private key.

    Raises
    ------
    KeyFormatError
        The text is anything else.
    """
    text = _unescaped(text)
    _refuse_several("PRIVATE KEY", text)
    try:
        return _load(text, _untested(load_pem_private_key), _untested(load_der_private_key))
    # The library's own texts are dropped, since these reach logs.
    except TypeError:
        raise KeyFormatError(KeyFault.ENCRYPTED) from None
    except (ValueError, UnsupportedAlgorithm):
        if _is_labelled("CERTIFICATE", text):
            raise KeyFormatError(
                KeyFault.CERTIFICATE_INSTEAD, "this is a certificate; the private key is wanted"
            ) from None
        if _is_labelled("PUBLIC KEY", text) or _parses(load_der_public_key, text):
            raise KeyFormatError(KeyFault.PUBLIC_INSTEAD) from None
        raise KeyFormatError(KeyFault.NO_KEY, expected) from None


def load_public_key(text: str) -> RSAPublicKey:
    """Parse a public key: the platform's, which encrypts, or the customer's, which verifies.

    Parameters
    ----------
    text
        Bare Base64 or PEM of SubjectPublicKeyInfo or PKCS#1, 1024 to 8192 bits.

    Raises
    ------
    KeyFormatError
        The text is anything else.
    """
    text = _unescaped(text)
    if "PRIVATE KEY-----" in text:  # whatever stands before it
        raise KeyFormatError(KeyFault.PRIVATE_INSTEAD)
    _refuse_several("PUBLIC KEY", text)
    try:
        key = _load(text, load_pem_public_key, load_der_public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if _is_labelled("CERTIFICATE", text):
            raise KeyFormatError(
                KeyFault.CERTIFICATE_INSTEAD, "this is a certificate; the public key alone is wanted"
            ) from None
        if _parses(partial(load_der_private_key, password=None), text):
            raise KeyFormatError(KeyFault.PRIVATE_INSTEAD) from None
        raise KeyFormatError(
            KeyFault.NO_KEY,
            "this is not an RSA public key: SubjectPublicKeyInfo or PKCS#1 is wanted, bare Base64 or PEM",
        ) from None
    if not isinstance(key, RSAPublicKey):
        raise KeyFormatError(KeyFault.OTHER_ALGORITHM, "the public key is not an RSA key")
    _check_size(key.key_size)
    return key


def _prove(key: RSAPrivateKey) -> None:
    """Refuse a key whose first signature, which leaves nobody's hands, does not verify."""
    message, padding, digest = b"the first signature", PKCS1v15(), SHA256()
    try:
        key.public_key().verify(key.sign(message, padding, digest), message, padding, digest)
    except (InvalidSignature, ValueError):
        raise KeyFormatError(
            KeyFault.NO_KEY, "the private key is damaged: its numbers do not belong together"
        ) from None


def _untested(load: "Callable[..., PrivateKeyTypes]") -> "Callable[[bytes], PrivateKeyTypes]":
    return partial(load, password=None, unsafe_skip_rsa_key_validation=True)


def _load(text: str, from_pem: Callable[[bytes], _T], from_der: Callable[[bytes], _T]) -> _T:
    """Load bare Base64 or PEM; like OpenSSL, a PEM by what it holds where its label names another form."""
    if not _is_pem(text):
        return from_der(_der(text))
    try:
        return from_pem(text.strip().encode())
    except ValueError:
        body = "".join(text.split("-----")[2:3])
        return from_der(base64.b64decode("".join(body.split()), validate=True))


def _unescaped(text: str) -> str:
    r"""Undo what JSON within JSON does to a text, once or more: ``\r\n``, ``\n``, ``\r`` and PHP's ``\/``."""
    return re.sub(r"(?<!\\)\\+(?:([rn])|/)", lambda found: "\n" if found[1] else "/", text)


def _is_pem(text: str) -> bool:
    return text.lstrip().startswith("-----BEGIN ")


def _refuse_several(label: str, text: str) -> None:
    """Refuse a PEM beside which another key of the kind stands: nobody can tell which was meant."""
    labels = re.findall(rf"-----BEGIN (?:[A-Z]+ )?{label}-----", text)
    _, end, behind = text.rpartition("-----END ")
    if len(labels) > 1 or (end and re.search("[A-Za-z0-9+/]{64}", behind)):
        raise KeyFormatError(KeyFault.SEVERAL)


def _is_labelled(label: str, text: str) -> bool:
    """Tell swapped halves and certificates by the PEM label, which is not secret."""
    return _is_pem(text) and label in text.lstrip().partition("\n")[0]


def _parses(load: Callable[[bytes], object], text: str) -> bool:
    """Tell a swapped half in bare Base64, which has no label."""
    try:
        load(_der(text))
    except (KeyFormatError, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _der(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:  # binascii.Error is one
        raise KeyFormatError(KeyFault.NEITHER_FORM) from None


def _check_size(bits: int) -> None:
    if not MIN_KEY_BITS <= bits <= MAX_KEY_BITS:
        raise KeyFormatError(
            KeyFault.SIZE, f"the key has {bits} bits; {MIN_KEY_BITS} to {MAX_KEY_BITS} are accepted"
        )
