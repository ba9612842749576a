"""A JDK with the JCA's defaults as the other side of the cryptography, both ways.

The vectors that tests/unit holds this side to are the JDK's too, as both sides make the same signatures.
"""

import base64
import json
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from cmpassport.keys import load_private_key, load_public_key
from cmpassport.signing import SignatureAlgorithm, SignatureScheme
from tests.support.jdk import KEY_BITS, VECTORS, Jdk, running_jdk
from tests.support.parts import required
from tools.key_text import bare_private, bare_public
from verify.message import encrypt

MESSAGES: Final = (
    "",
    "0000010123456789ABCDEFGHIJKLMNOPQRSTUV20261123080910111VUTSRQPONMLKJIHGFEDCBA98765432101.2",
    "3000000000000.8345678901234567202611230809101118a7b6c5d-0f1e-4d2c-8b3a-9c8d7e6f5a4b1.0",
    "一个不是 preSign 的文本",
)
NUMBER_AND_KEY: Final = "139123456780123456789ABCDEF0123456789ABCDEF20261123080910111"


class Pair(NamedTuple):
    """A key pair as bare Base64 of PKCS#8 and of SubjectPublicKeyInfo."""

    private_key: str
    public_key: str


@pytest.fixture(scope="module")
def jdk() -> Iterator[Jdk]:
    with required(), running_jdk() as jdk:
        yield jdk


@pytest.fixture(scope="module", params=[(bits, by) for bits in KEY_BITS for by in ("a JDK", "us")], ids=str)
def pair(request: pytest.FixtureRequest) -> Pair:
    """A pair of each size, as a JDK encoded it and as this side does."""
    bits, maker = request.param
    if maker == "us":
        key = generate_private_key(65537, bits)
        return Pair(bare_private(key), bare_public(key.public_key()))
    made = json.loads(VECTORS.read_text())["keys"][str(bits)]
    return Pair(made["privateKey"], made["publicKey"])


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_both_sides_make_the_same_signature(jdk: Jdk, pair: Pair, algorithm: SignatureAlgorithm) -> None:
    key = load_private_key(pair.private_key)

    for message in MESSAGES:
        signature = SignatureScheme(algorithm).sign(key, message)
        assert signature == jdk.sign(algorithm, pair.private_key, message)
        assert jdk.verifies(algorithm, pair.public_key, message, signature)
        assert not jdk.verifies(algorithm, pair.public_key, f"{message}0", signature)


def test_each_side_decrypts_what_the_other_encrypts_up_to_the_limit(jdk: Jdk, pair: Pair) -> None:
    private, public = load_private_key(pair.private_key), load_public_key(pair.public_key)

    for plaintext in ("", "1", NUMBER_AND_KEY, "9" * (public.key_size // 8 - 11)):
        assert jdk.decrypt(pair.private_key, encrypt(public, plaintext)) == plaintext
        block = base64.b64decode(jdk.encrypt(pair.public_key, plaintext), validate=True)
        assert private.decrypt(block, PKCS1v15()).decode() == plaintext
