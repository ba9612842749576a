"""OpenSSL's command line as the other side: it accepts what we sign and decrypts what we encrypt."""

import base64
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.signing import SignatureAlgorithm, SignatureScheme
from tests.support import openssl
from verify.message import encrypt

pytestmark = pytest.mark.usefixtures("openssl_command")

VECTORS = Path(__file__).parents[1] / "vectors"
DIGESTS = {
    SignatureAlgorithm.MD5_WITH_RSA: "md5",
    SignatureAlgorithm.SHA1_WITH_RSA: "sha1",
    SignatureAlgorithm.SHA256_WITH_RSA: "sha256",
}
MESSAGE = "000001" + "A" * 32 + "20261123120000000" + "B" * 32 + "1.2"
PHONE_NUM = "13912345678" + "0123456789ABCDEF" * 2 + "20261123120000000"
BITS = (1024, 2048)


@pytest.mark.parametrize(("algorithm", "bits"), list(product(SignatureAlgorithm, BITS)))
def test_openssl_accepts_what_is_signed(
    rsa_key: Callable[[int], RSAPrivateKey], tmp_path: Path, algorithm: SignatureAlgorithm, bits: int
) -> None:
    signature = SignatureScheme(algorithm).sign(rsa_key(bits), MESSAGE)
    public = openssl.public_half(VECTORS / f"rsa-{bits}.pem")

    assert len(base64.b64decode(signature)) == bits // 8
    assert openssl.verifies(tmp_path, public, MESSAGE, signature, DIGESTS[algorithm])
    assert not openssl.verifies(tmp_path, public, MESSAGE + "0", signature, DIGESTS[algorithm])


@pytest.mark.parametrize("bits", BITS)
def test_openssl_decrypts_what_is_encrypted(rsa_key: Callable[[int], RSAPrivateKey], bits: int) -> None:
    ciphertext = encrypt(rsa_key(bits).public_key(), PHONE_NUM)

    assert openssl.decrypt(VECTORS / f"rsa-{bits}.pem", ciphertext) == PHONE_NUM
