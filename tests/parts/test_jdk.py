"""A JDK with the JCA's defaults as the other side of the crypto layer, both ways."""

import base64
import json
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, text

from cmpassport.keys import load_private_key, load_public_key
from cmpassport.signing import SignatureAlgorithm, SignatureScheme
from tests.support.jdk import KEY_BITS, MESSAGES, VECTORS, Jdk, Pair, RefusedError, plaintexts
from tools.signatures import SignatureMismatchError, verify
from verify.message import PlaintextTooLongError, encrypt

# One Java process answers every example in turn; nothing is left over between them.
EXAMPLES: Final = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
@pytest.mark.parametrize("message", MESSAGES)
def test_both_sides_make_the_same_signature_and_accept_it(
    jdk: Jdk, pair: Pair, algorithm: SignatureAlgorithm, message: str
) -> None:
    scheme = SignatureScheme(algorithm)

    ours = scheme.sign(load_private_key(pair.private_key), message)
    theirs = jdk.sign(algorithm, pair.private_key, message)

    assert ours == theirs
    assert jdk.verifies(algorithm, pair.public_key, message, ours)
    verify(scheme, load_public_key(pair.public_key), message, theirs)


@EXAMPLES
@given(message=text(max_size=300))
def test_any_text_is_signed_alike(jdk: Jdk, pair: Pair, message: str) -> None:
    scheme = SignatureScheme()

    assert scheme.sign(load_private_key(pair.private_key), message) == jdk.sign(
        scheme.algorithm, pair.private_key, message
    )


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_both_sides_refuse_a_signature_over_another_text(
    jdk: Jdk, pair: Pair, algorithm: SignatureAlgorithm
) -> None:
    scheme = SignatureScheme(algorithm)
    theirs = jdk.sign(algorithm, pair.private_key, MESSAGES[1])

    assert not jdk.verifies(algorithm, pair.public_key, MESSAGES[2], theirs)
    with pytest.raises(SignatureMismatchError):
        verify(scheme, load_public_key(pair.public_key), MESSAGES[2], theirs)


def test_each_digest_is_told_from_the_others(jdk: Jdk, pair: Pair) -> None:
    for algorithm in SignatureAlgorithm:
        signature = SignatureScheme(algorithm).sign(load_private_key(pair.private_key), MESSAGES[1])
        accepted = [
            name for name in SignatureAlgorithm if jdk.verifies(name, pair.public_key, MESSAGES[1], signature)
        ]

        assert accepted == [algorithm]


def test_the_jdk_decrypts_what_is_encrypted_up_to_the_limit(jdk: Jdk, pair: Pair) -> None:
    key = load_public_key(pair.public_key)

    for plaintext in plaintexts(key.key_size):
        assert jdk.decrypt(pair.private_key, encrypt(key, plaintext)) == plaintext


def test_what_the_jdk_encrypts_up_to_the_limit_is_decrypted(jdk: Jdk, pair: Pair) -> None:
    key = load_private_key(pair.private_key)

    for plaintext in plaintexts(key.key_size):
        block = base64.b64decode(jdk.encrypt(pair.public_key, plaintext), validate=True)
        assert key.decrypt(block, PKCS1v15()).decode() == plaintext


@EXAMPLES
@given(number=integers(13_000_000_000, 19_999_999_999))
def test_any_number_arrives(jdk: Jdk, pair: Pair, number: int) -> None:
    plaintext = f"{number}0123456789ABCDEF0123456789ABCDEF20261123080910111"

    assert jdk.decrypt(pair.private_key, encrypt(load_public_key(pair.public_key), plaintext)) == plaintext


def test_both_sides_refuse_one_byte_more_than_a_block_holds(jdk: Jdk, pair: Pair) -> None:
    key = load_public_key(pair.public_key)
    too_long = "9" * (key.key_size // 8 - 10)

    with pytest.raises(RefusedError, match="IllegalBlockSizeException"):
        jdk.encrypt(pair.public_key, too_long)
    with pytest.raises(PlaintextTooLongError):
        encrypt(key, too_long)


def test_the_committed_vectors_are_what_a_jdk_makes(jdk: Jdk) -> None:
    vectors = json.loads(VECTORS.read_text())
    private = {bits: pair["privateKey"] for bits, pair in vectors["keys"].items()}

    for vector in vectors["signatures"]:
        signature = jdk.sign(vector["algorithm"], private[vector["key"]], vector["message"])
        assert signature == vector["signature"]
    for vector in vectors["ciphertexts"]:
        assert jdk.decrypt(private[vector["key"]], vector["ciphertext"]) == vector["plaintext"]
