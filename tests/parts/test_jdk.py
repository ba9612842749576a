"""A JDK with the JCA's defaults as the other side of the cryptography, both ways."""

import base64
import json
from collections.abc import Iterator
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import text

from cmpassport.keys import load_private_key, load_public_key
from cmpassport.signing import SignatureAlgorithm, SignatureScheme
from tests.support.jdk import KEY_BITS, MESSAGES, VECTORS, Jdk, Pair, plaintexts, running_jdk
from tests.support.parts import required
from verify.message import encrypt

# One Java process answers every example in turn; nothing is left over between them.
EXAMPLES: Final = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def jdk() -> Iterator[Jdk]:
    with required(), running_jdk() as jdk:
        yield jdk


@pytest.fixture(scope="module", params=[(bits, by) for bits in KEY_BITS for by in ("JDK", "us")], ids=str)
def pair(jdk: Jdk, request: pytest.FixtureRequest) -> Pair:
    """Pairs of both sizes, as the JDK encodes them and as this side does, in bare Base64."""
    bits, maker = request.param
    if maker == "JDK":
        return jdk.generate(bits)
    key = generate_private_key(65537, bits)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Pair(base64.b64encode(private).decode(), base64.b64encode(public).decode())


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_both_sides_make_the_same_signature(jdk: Jdk, pair: Pair, algorithm: SignatureAlgorithm) -> None:
    key = load_private_key(pair.private_key)

    for message in MESSAGES:
        signature = SignatureScheme(algorithm).sign(key, message)
        assert signature == jdk.sign(algorithm, pair.private_key, message)
        assert jdk.verifies(algorithm, pair.public_key, message, signature)
        assert not jdk.verifies(algorithm, pair.public_key, f"{message}0", signature)


@EXAMPLES
@given(message=text(max_size=300))
def test_any_text_is_signed_alike(jdk: Jdk, pair: Pair, message: str) -> None:
    scheme = SignatureScheme()
    ours = scheme.sign(load_private_key(pair.private_key), message)

    assert ours == jdk.sign(scheme.algorithm, pair.private_key, message)


def test_each_side_decrypts_what_the_other_encrypts_up_to_the_limit(jdk: Jdk, pair: Pair) -> None:
    private, public = load_private_key(pair.private_key), load_public_key(pair.public_key)

    for plaintext in plaintexts(public.key_size):
        assert jdk.decrypt(pair.private_key, encrypt(public, plaintext)) == plaintext
        block = base64.b64decode(jdk.encrypt(pair.public_key, plaintext), validate=True)
        assert private.decrypt(block, PKCS1v15()).decode() == plaintext


def test_the_committed_vectors_are_what_a_jdk_makes(jdk: Jdk) -> None:
    vectors = json.loads(VECTORS.read_text())
    private = {bits: pair["privateKey"] for bits, pair in vectors["keys"].items()}

    for vector in vectors["signatures"]:
        signature = jdk.sign(vector["algorithm"], private[vector["key"]], vector["message"])
        assert signature == vector["signature"]
    for vector in vectors["ciphertexts"]:
        assert jdk.decrypt(private[vector["key"]], vector["ciphertext"]) == vector["plaintext"]
