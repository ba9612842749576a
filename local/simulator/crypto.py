"""The platform's half of the RSA: verify, and decrypt (guide sections 2.1 and 2.2).

Signatures are verified with the customer's public key, numbers decrypted with the platform's private key.
Written from the protocol on the `cryptography` package alone and sharing no code with the product, so that
two independent readings of the protocol check each other.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding as KeyEncoding
from cryptography.hazmat.primitives.serialization import PublicFormat, load_der_public_key

from local.simulator.protocol import RefusedError

DEFAULT_KEY_BITS: Final = 2048


class Algorithm(Enum):
    """Signature algorithms by their JCA names."""

    MD5_WITH_RSA = "MD5withRSA"
    SHA1_WITH_RSA = "SHA1withRSA"
    SHA256_WITH_RSA = "SHA256withRSA"

    @property
    def digest(self) -> hashes.HashAlgorithm:
        """The digest under the signature; MD5 is the platform's choice."""
        digest: hashes.HashAlgorithm = getattr(hashes, self.value.removesuffix("withRSA"))()
        return digest


class Encoding(Enum):
    """How a signature is written."""

    BASE64 = "base64"
    LOWER_HEX = "hex"
    UPPER_HEX = "HEX"


@dataclass(frozen=True, slots=True)
class SignatureForm:
    """Algorithm and encoding in which an app's signatures are expected."""

    algorithm: Algorithm = Algorithm.MD5_WITH_RSA
    encoding: Encoding = Encoding.BASE64

    def check(self, public_key: str, text: str, signature: str) -> None:
        """Verify an RSASSA-PKCS1-v1_5 signature over the UTF-8 bytes of a text.

        Raises
        ------
        RefusedError
            103605: the customer has no usable public key; 130018: the signature is not this text's.
        """
        key = load_public_key(public_key)
        try:
            raw = self._decode(signature)
        except ValueError:
            raise RefusedError("130018", f"the signature is not {self.encoding.value} on one line") from None
        try:
            key.verify(raw, text.encode(), padding.PKCS1v15(), self.algorithm.digest)
        except InvalidSignature:
            raise RefusedError(
                "130018", f"no {self.algorithm.value} signature of this text by the customer's key"
            ) from None

    def _decode(self, signature: str) -> bytes:
        if self.encoding is Encoding.BASE64:
            return decode_base64(signature)
        letters = "a-f" if self.encoding is Encoding.LOWER_HEX else "A-F"
        if not re.fullmatch(f"[0-9{letters}]*", signature):
            raise ValueError("not hexadecimal")
        return bytes.fromhex(signature)


class PlatformKey:
    """The platform's key pair, made fresh."""

    def __init__(self, bits: int = DEFAULT_KEY_BITS) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        self.public_key: Final = base64.b64encode(
            self._private.public_key().public_bytes(KeyEncoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()

    def decrypt(self, cipher: str) -> bytes:
        """Open Base64 of one RSAES-PKCS1-v1_5 block.

        A block with bad padding may come out as random bytes instead of an error (OpenSSL's implicit
        rejection): the caller has to check what it reads.

        Raises
        ------
        RefusedError
            130016.
        """
        try:
            block = decode_base64(cipher)
        except ValueError:
            raise RefusedError("130016", "phoneNum is not Base64 on one line") from None
        try:
            return self._private.decrypt(block, padding.PKCS1v15())
        except ValueError:
            raise RefusedError("130016", "phoneNum is not a block under the platform's key") from None


def load_public_key(text: str) -> rsa.RSAPublicKey:
    """Read a customer's public key: bare Base64 of an X.509 SubjectPublicKeyInfo.

    Raises
    ------
    RefusedError
        103605: empty, or no such key.
    """
    try:
        key = load_der_public_key(decode_base64(text))
    except (ValueError, TypeError):
        raise RefusedError("103605", "the customer has no usable public key in the open platform") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise RefusedError("103605", "the customer's public key is no RSA key")
    return key


def decode_base64(text: str) -> bytes:
    """Decode Base64 strictly: one line, standard alphabet, padded.

    Raises
    ------
    ValueError
        Anything else.
    """
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not Base64 on one line") from error
