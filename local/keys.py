"""The keys of a local stack: fresh ones, or an operator's own from a file (guide section 2.1), and receipts'.

A private key is handed to the AWS endpoint and to nothing else: it is in no file, no output and no repr.
"""

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cmpassport.keys import KeyFormatError, load_private_key, load_public_key

_KEY_BITS: Final = 2048
_HASH_KEY_BYTES: Final = 32
_FIELDS: Final = ("privateKey", "platformPublicKey", "appKey")


class SecretsFileError(Exception):
    """A secrets file is not of the documented form; one line that names the field, never its value."""


@dataclass(frozen=True, slots=True)
class CustomerKeys:
    """What the customer has: the key that signs, its public half, and the appKey."""

    private_key: str = field(repr=False)
    """Bare Base64 or PEM, as the signing secret holds it."""
    public_key: str
    """Bare Base64 of the SubjectPublicKeyInfo, as the open platform takes it."""
    app_key: str = field(repr=False)
    platform_key: str | None
    """The platform's public key, which encrypts; None for the simulator's own."""

    @classmethod
    def fresh(cls) -> Self:
        """Make a key pair and an appKey."""
        key = _new_rsa_key()
        return cls(_private_text(key), _public_half(key), secrets.token_hex(16).upper(), None)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a secrets file, JSON `{"privateKey", "platformPublicKey", "appKey"}`.

        Raises
        ------
        SecretsFileError
            The file cannot be read, is of another form, or a key is not one.
        """
        values = _read_fields(path)
        for name, load in (("privateKey", load_private_key), ("platformPublicKey", load_public_key)):
            try:
                load(values[name])
            except KeyFormatError as error:
                raise SecretsFileError(f"{path}: {name}: {error}") from None
        public_key = _public_half(load_private_key(values["privateKey"]))
        return cls(values["privateKey"], public_key, values["appKey"], values["platformPublicKey"])


class ReceiptNumber(Enum):
    """What stands for the number in a receipt: the values of the template's parameter ReceiptNumber."""

    HASH = "hash"
    MASKED = "masked"
    ENCRYPTED = "encrypted"


@dataclass(frozen=True, slots=True)
class ReceiptSecrets:
    """Fresh keys of receipts: the API's secret, and the business's half of what it encrypts with."""

    number: ReceiptNumber
    text: str = field(repr=False)
    """The secret's JSON."""
    business_key: str | None = field(repr=False)
    """Private half of the secret's encryptionKey, PEM; None where nothing is encrypted."""

    @classmethod
    def fresh(cls, number: ReceiptNumber) -> Self:
        """Make a key that signs from now on, and what the number's form needs."""
        key = {
            "privateKey": _private_text(ec.generate_private_key(ec.SECP256R1())),
            "signFrom": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        content: dict[str, Any] = {"keys": [key]}
        business_key = None
        if number is ReceiptNumber.HASH:
            content["hashKey"] = secrets.token_urlsafe(_HASH_KEY_BYTES)
        elif number is ReceiptNumber.ENCRYPTED:
            key_pair = _new_rsa_key()
            business_key = key_pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
            content["encryptionKey"] = _public_half(key_pair)
        return cls(number, json.dumps(content), business_key)


def _new_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


def _private_text(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(der).decode()


def _read_fields(path: Path) -> dict[str, str]:
    try:
        content: Any = json.loads(path.read_bytes())  # UTF-8 or UTF-16, as editors of Windows write
    except OSError as error:
        raise SecretsFileError(f"{path}: {error.strerror}") from None
    except ValueError:  # not JSON, or another encoding; the parser's own text would quote the file
        raise SecretsFileError(f"{path}: not JSON") from None
    values = content if isinstance(content, dict) else {}
    for name in _FIELDS:
        if not isinstance(values.get(name), str) or not values[name].strip():
            raise SecretsFileError(f"{path}: {name} is missing, empty or not a text")
    return {name: values[name].strip() for name in _FIELDS}


def _public_half(key: rsa.RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()
