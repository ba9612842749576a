"""Signatures over preSigns and verification requests (guide sections 2.2 and 3.2.1).

RSASSA-PKCS1-v1_5 (RFC 8017) is the platform's choice, and so is MD5 for the line seen in public; digest and
encoding are settings, since newer siblings differ.
"""

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm

_PADDING: Final = PKCS1v15()


class SignatureAlgorithm(StrEnum):
    """Digest and signature scheme under their JCA names."""

    MD5_WITH_RSA = "MD5withRSA"
    SHA1_WITH_RSA = "SHA1withRSA"
    SHA256_WITH_RSA = "SHA256withRSA"


class SignatureEncoding(StrEnum):
    """How a signature is written: on one line, without breaks."""

    BASE64 = "base64"
    HEX_LOWER = "hex"
    HEX_UPPER = "HEX"


# MD5 and SHA-1 are what the platform verifies. They serve here because of a preSign a caller chooses only 64
# characters, a time within the window and one of two versions, and of a verification the token, behind a
# fresh prefix; that signature never reaches the caller.
_DIGESTS: Final[dict[SignatureAlgorithm, HashAlgorithm]] = {
    SignatureAlgorithm.MD5_WITH_RSA: MD5(),  # noqa: S303 - the platform's digest
    SignatureAlgorithm.SHA1_WITH_RSA: SHA1(),  # noqa: S303 - the platform's digest
    SignatureAlgorithm.SHA256_WITH_RSA: SHA256(),
}


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """How this customer signs: algorithm and encoding, as agreed with the platform."""

    algorithm: SignatureAlgorithm = SignatureAlgorithm.MD5_WITH_RSA
    encoding: SignatureEncoding = SignatureEncoding.BASE64

    def sign(self, key: RSAPrivateKey, message: str) -> str:
        """Sign the UTF-8 bytes of a message; the signature has the key's size in bytes, then encoded."""
        return self._write(key.sign(message.encode(), _PADDING, _DIGESTS[self.algorithm]))

    def _write(self, signature: bytes) -> str:
        match self.encoding:
            case SignatureEncoding.BASE64:
                return base64.b64encode(signature).decode("ascii")
            case SignatureEncoding.HEX_LOWER:
                return signature.hex()
            case SignatureEncoding.HEX_UPPER:
                return signature.hex().upper()
