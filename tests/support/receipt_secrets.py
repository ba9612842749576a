"""Receipt secrets for tests, and what a business does with a receipt."""

import base64
import json
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

HASH_KEY: Final = "a key of the business's, at least 32 long"
LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)


def new_key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


def bare(key: EllipticCurvePrivateKey | RSAPrivateKey) -> str:
    """Write a private key as bare Base64 of its PKCS#8."""
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def public_pem(key: RSAPrivateKey) -> str:
    """Write a key's public half as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def secret(*keys: tuple[EllipticCurvePrivateKey, datetime], **more: Any) -> str:
    """Write a receipt secret: keys with the times from which they sign, and other members."""
    entries = [{"privateKey": bare(key), "signFrom": f"{time:%Y-%m-%dT%H:%M:%SZ}"} for key, time in keys]
    return json.dumps({"keys": entries, **more})


def part(token: str, index: int) -> Any:
    """Read a part of a compact token: 0 is the header, 1 the payload."""
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
