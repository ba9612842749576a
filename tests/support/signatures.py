"""The other half of `SignatureScheme.sign`: checks a signature with the public key."""

import base64
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm

from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme

_DIGESTS: Final[dict[SignatureAlgorithm, HashAlgorithm]] = {
    SignatureAlgorithm.MD5_WITH_RSA: MD5(),  # noqa: S303 - the platform's digest
    SignatureAlgorithm.SHA1_WITH_RSA: SHA1(),  # noqa: S303 - the platform's digest
    SignatureAlgorithm.SHA256_WITH_RSA: SHA256(),
}


def verify(scheme: SignatureScheme, key: RSAPublicKey, message: str, signature: str) -> None:
    """Check a signature that `SignatureScheme.sign` or the platform's own tool class made.

    Raises
    ------
    InvalidSignature, ValueError
        The signature is another message's, another key's, or not in this scheme's encoding.
    """
    if scheme.encoding is SignatureEncoding.BASE64:
        raw = base64.b64decode(signature, validate=True)
    else:
        raw = bytes.fromhex(signature)
    key.verify(raw, message.encode(), PKCS1v15(), _DIGESTS[scheme.algorithm])
