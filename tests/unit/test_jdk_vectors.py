"""Keys and signatures of a JDK, for machines without one; tests/parts asks a running one."""

import base64
import json
from typing import Final

import pytest

from cmpassport.keys import load_private_key
from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme
from tests.support.jdk import VECTORS

_CONTENT: Final = json.loads(VECTORS.read_text())
KEYS: Final[dict[str, dict[str, str]]] = _CONTENT["keys"]
SIGNATURES: Final[list[dict[str, str]]] = _CONTENT["signatures"]


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
