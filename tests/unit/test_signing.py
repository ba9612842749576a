"""Signatures byte for byte as OpenSSL made the committed vectors, in every digest and encoding."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme

SIGNATURES: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "signatures.json").read_text()
)
WRITTEN: dict[SignatureEncoding, Callable[[bytes], str]] = {
    SignatureEncoding.BASE64: lambda raw: base64.b64encode(raw).decode(),
    SignatureEncoding.HEX_LOWER: bytes.hex,
    SignatureEncoding.HEX_UPPER: lambda raw: raw.hex().upper(),
}


def test_the_default_scheme_is_the_one_seen_in_public() -> None:
    assert SignatureScheme() == SignatureScheme(SignatureAlgorithm.MD5_WITH_RSA, SignatureEncoding.BASE64)


@pytest.mark.parametrize("vector", SIGNATURES, ids=lambda vector: f"{vector['algorithm']}-{vector['key']}")
@pytest.mark.parametrize("encoding", SignatureEncoding)
def test_a_signature_is_the_vectors_signature(
    rsa_key: Callable[[int], RSAPrivateKey], vector: dict[str, str], encoding: SignatureEncoding
) -> None:
    key = rsa_key(int(vector["key"].removeprefix("rsa-").removesuffix(".pem")))
    scheme = SignatureScheme(SignatureAlgorithm(vector["algorithm"]), encoding)

    assert scheme.sign(key, vector["message"]) == WRITTEN[encoding](base64.b64decode(vector["signature"]))


def test_the_vectors_cover_every_algorithm_and_both_key_sizes() -> None:
    covered = {(vector["algorithm"], vector["key"]) for vector in SIGNATURES}

    assert covered == {
        (name.value, f"rsa-{bits}.pem") for name in SignatureAlgorithm for bits in (1024, 2048)
    }
