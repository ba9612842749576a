"""The crypto envelope: signatures over preSign and verification requests, and the encrypted phoneNum.

Guide sections 2.2 and 3.2.1. RSASSA-PKCS1-v1_5 and RSAES-PKCS1-v1_5 (RFC 8017) are the platform's choice, and
so is MD5 for the line seen in public; digest and encoding are settings, since newer siblings differ.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm

from cmpassport.errors import CmpassportError

_PADDING: Final = PKCS1v15()
_PADDING_BYTES: Final = 11
"""What RSAES-PKCS1-v1_5 takes of a block (RFC 8017 section 7.2.1)."""


class SignatureMismatchError(CmpassportError):
    """A signature does not belong to this message and key, or is no signature at all."""


class PlaintextTooLongError(CmpassportError):
    """A plaintext does not fit into the one block that the protocol has."""


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


# MD5 and SHA-1 are what the platform verifies. They serve here because no caller chooses what is signed.
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

    def verify(self, key: RSAPublicKey, message: str, signature: str) -> None:
        """Check a signature that `sign` or the platform's own tool class made.

        Raises
        ------
        SignatureMismatchError
            The signature is another message's, another key's, or not in this scheme's encoding.
        """
        try:
            raw = (
                base64.b64decode(signature, validate=True)
                if self.encoding is SignatureEncoding.BASE64
                else bytes.fromhex(signature)
            )
            if self._write(raw) != signature:  # the decoders let the other case, spaces and stray bits pass
                raise ValueError("another encoding")  # noqa: TRY301 - one refusal for all
            key.verify(raw, message.encode(), _PADDING, _DIGESTS[self.algorithm])
        except (InvalidSignature, binascii.Error, ValueError):
            raise SignatureMismatchError("the signature does not belong to this message and key") from None

    def _write(self, signature: bytes) -> str:
        match self.encoding:
            case SignatureEncoding.BASE64:
                return base64.b64encode(signature).decode("ascii")
            case SignatureEncoding.HEX_LOWER:
                return signature.hex()
            case SignatureEncoding.HEX_UPPER:
                return signature.hex().upper()


def encrypt(key: RSAPublicKey, plaintext: str) -> str:
    """Encrypt a text in one RSAES-PKCS1-v1_5 block and write it as Base64 on one line.

    Parameters
    ----------
    key
        The platform's public key.
    plaintext
        At most the key's size in bytes less 11, as UTF-8: 117 bytes for 1024 bits, 245 for 2048.

    Raises
    ------
    PlaintextTooLongError
        The text does not fit; the error has both sizes in bytes, and never the text.
    """
    data = plaintext.encode()
    limit = key.key_size // 8 - _PADDING_BYTES
    if len(data) > limit:
        raise PlaintextTooLongError(
            f"the plaintext has {len(data)} bytes; a key of {key.key_size} bits encrypts at most {limit}"
        )
    return base64.b64encode(key.encrypt(data, _PADDING)).decode("ascii")
