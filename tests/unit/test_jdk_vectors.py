"""Keys, signatures and ciphertexts of a JDK, for machines without one; tests/parts asks a running one."""

import base64
import json
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from cmpassport.keys import load_private_key, load_public_key
from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme
from tests.support.jdk import KEY_BITS, VECTORS

_CONTENT: Final = json.loads(VECTORS.read_text())
KEYS: Final[dict[str, dict[str, str]]] = _CONTENT["keys"]
SIGNATURES: Final[list[dict[str, str]]] = _CONTENT["signatures"]
CIPHERTEXTS: Final[list[dict[str, str]]] = _CONTENT["ciphertexts"]


@pytest.mark.parametrize("bits", KEY_BITS)
def test_a_pair_that_a_jdk_encoded_is_read(bits: int) -> None:
    pair = KEYS[str(bits)]

    private, public = load_private_key(pair["privateKey"]), load_public_key(pair["publicKey"])

    assert private.key_size == bits
    assert private.public_key() == public


@pytest.mark.parametrize("vector", SIGNATURES, ids=lambda vector: f"{vector['algorithm']}-{vector['key']}")
def test_a_signature_is_the_jdks_byte_for_byte_in_every_encoding(vector: dict[str, str]) -> None:
    key, algorithm = KEYS[vector["key"]], SignatureAlgorithm(vector["algorithm"])
    private, raw = load_private_key(key["privateKey"]), base64.b64decode(vector["signature"])
    written = {
        SignatureEncoding.BASE64: vector["signature"],
        SignatureEncoding.HEX_LOWER: raw.hex(),
        SignatureEncoding.HEX_UPPER: raw.hex().upper(),
    }

    for encoding in SignatureEncoding:
        assert SignatureScheme(algorithm, encoding).sign(private, vector["message"]) == written[encoding]


@pytest.mark.parametrize(
    "vector", CIPHERTEXTS, ids=lambda vector: f"{len(vector['plaintext'])}-{vector['key']}"
)
def test_a_jdks_ciphertext_is_one_block_of_the_plaintext(vector: dict[str, str]) -> None:
    key = load_private_key(KEYS[vector["key"]]["privateKey"])
    block = base64.b64decode(vector["ciphertext"], validate=True)

    assert len(block) == key.key_size // 8
    assert key.decrypt(block, PKCS1v15()).decode() == vector["plaintext"]
