"""RSA key pairs as the open platform and the signing secret hold them (guide section 2.1)."""

import base64
import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

BITS: Final = (1024, 2048, 3072, 4096)
"""Sizes that `keys new` makes."""
SAFE_BITS: Final = 2048

_EXPONENT: Final = 65537


def new_private_key(bits: int) -> RSAPrivateKey:
    """Make a key."""
    return rsa.generate_private_key(public_exponent=_EXPONENT, key_size=bits)


def bare_private(key: RSAPrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    """Give a private key as bare Base64 on one line."""
    return base64.b64encode(key.private_bytes(Encoding.DER, form, NoEncryption())).decode()


def bare_public(key: RSAPublicKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    """Give a public key as the open platform wants it: bare Base64 on one line, X.509 by default."""
    return base64.b64encode(key.public_bytes(Encoding.DER, form)).decode()


def fingerprint(key: RSAPublicKey) -> str:
    """Give the SHA-256 of the SubjectPublicKeyInfo, in hex: for people to compare keys by."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
