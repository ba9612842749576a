"""The encrypted phoneNum: one RSAES-PKCS1-v1_5 block, against committed vectors."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from verify.message import PlaintextTooLongError, encrypt

CIPHERTEXTS: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "ciphertexts.json").read_text()
)
PHONE_NUM = "13912345678" + "0123456789ABCDEF" * 2 + "20261123120000000"

Keys = Callable[[int], RSAPrivateKey]


@pytest.mark.parametrize("bits", [1024, 2048, 4096])
@pytest.mark.parametrize("text", [PHONE_NUM, "", "号码"])
def test_what_is_encrypted_is_decrypted_with_the_private_key(rsa_key: Keys, bits: int, text: str) -> None:
    key = rsa_key(bits)

    ciphertext = encrypt(key.public_key(), text)

    assert key.decrypt(base64.b64decode(ciphertext, validate=True), PKCS1v15()).decode() == text


@pytest.mark.parametrize("bits", [1024, 2048])
def test_number_appkey_and_timestamp_are_one_block_on_one_line(rsa_key: Keys, bits: int) -> None:
    ciphertext = encrypt(rsa_key(bits).public_key(), PHONE_NUM)

    assert len(PHONE_NUM.encode()) == 60
    assert len(base64.b64decode(ciphertext, validate=True)) == bits // 8
    assert not any(character.isspace() for character in ciphertext)


@pytest.mark.parametrize("vector", CIPHERTEXTS, ids=lambda vector: str(vector["key"]))
def test_a_ciphertext_has_the_vectors_form(rsa_key: Keys, vector: dict[str, Any]) -> None:
    key = rsa_key(int(vector["key"].removeprefix("rsa-").removesuffix(".pem")))

    ciphertext = encrypt(key.public_key(), vector["plaintext"])

    assert len(ciphertext) == len(vector["ciphertext"])
    texts = [key.decrypt(base64.b64decode(text), PKCS1v15()) for text in (ciphertext, vector["ciphertext"])]
    assert texts == [vector["plaintext"].encode()] * 2


def test_one_text_is_never_encrypted_to_the_same_block_twice(rsa_key: Keys) -> None:
    key = rsa_key(1024).public_key()

    assert len({encrypt(key, PHONE_NUM) for _ in range(20)}) == 20


@pytest.mark.parametrize(("bits", "limit"), [(1024, 117), (2048, 245), (4096, 501)])
def test_a_plaintext_at_the_limit_fits(rsa_key: Keys, bits: int, limit: int) -> None:
    key = rsa_key(bits)

    ciphertext = encrypt(key.public_key(), "x" * limit)

    assert key.decrypt(base64.b64decode(ciphertext), PKCS1v15()) == b"x" * limit


@pytest.mark.parametrize(("bits", "limit"), [(1024, 117), (2048, 245), (4096, 501)])
@pytest.mark.parametrize("fill", ["z", "号"])
def test_one_byte_more_is_refused_with_both_sizes_and_without_the_text(
    rsa_key: Keys, bits: int, limit: int, fill: str
) -> None:
    text = fill + "z" * (limit + 1 - len(fill.encode()))

    with pytest.raises(PlaintextTooLongError) as refusal:
        encrypt(rsa_key(bits).public_key(), text)

    assert f"{limit + 1} bytes" in str(refusal.value)
    assert f"at most {limit}" in str(refusal.value)
    assert not {*text} & {*str(refusal.value)}
