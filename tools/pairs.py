"""RSA key pairs as the open platform and the signing secret hold them (guide section 2.1)."""

import base64
import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme

_DIGESTS: Final[dict[SignatureAlgorithm, HashAlgorithm]] = {
    SignatureAlgorithm.MD5_WITH_RSA: MD5(),  # noqa: S303 - the platform's digest
    SignatureAlgorithm.SHA1_WITH_RSA: SHA1(),  # noqa: S303 - the platform's digest
    SignatureAlgorithm.SHA256_WITH_RSA: SHA256(),
}


def new_private_key(bits: int) -> RSAPrivateKey:
    """Make a key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def bare_private(key: RSAPrivateKey) -> str:
    """Return a private key as bare Base64 on one line."""
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def bare_public(key: RSAPublicKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    """Return a public key as the open platform wants it: bare Base64 on one line, X.509 by default."""
    return base64.b64encode(key.public_bytes(Encoding.DER, form)).decode()


def fingerprint(key: RSAPublicKey) -> str:
    """Return the SHA-256 of the SubjectPublicKeyInfo, in hex: for people to compare keys by."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def is_signed(key: RSAPublicKey, message: str, signature: str, scheme: SignatureScheme) -> bool:
    """Tell whether a signature is this message's and key's, in the scheme's encoding."""
    is_base64 = scheme.encoding is SignatureEncoding.BASE64
    try:
        raw = base64.b64decode(signature, validate=True) if is_base64 else bytes.fromhex(signature)
        key.verify(raw, message.encode(), PKCS1v15(), _DIGESTS[scheme.algorithm])
    except (InvalidSignature, ValueError):
        return False
    upper = scheme.encoding is SignatureEncoding.HEX_UPPER
    return is_base64 or signature == (raw.hex().upper() if upper else raw.hex())
