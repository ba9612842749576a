"""RSA key pairs as the open platform and the signing secret hold them (guide section 2.1)."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def new_private_key(bits: int) -> RSAPrivateKey:
    """Make a key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def bare_private(key: RSAPrivateKey) -> str:
    """Return a private key as bare Base64 on one line."""
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def bare_public(key: RSAPublicKey) -> str:
    """Return a public key as the open platform wants it: X.509 in bare Base64 on one line."""
    return base64.b64encode(_der(key)).decode()


def fingerprint(key: RSAPublicKey) -> str:
    """Return the SHA-256 of the SubjectPublicKeyInfo, in hex: for people to compare keys by."""
    return hashlib.sha256(_der(key)).hexdigest()


def _der(key: RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
