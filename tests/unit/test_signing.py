"""The crypto envelope against OpenSSL, against committed vectors, and broken in one place at a time."""

import base64
import json
import subprocess
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.signing import (
    PlaintextTooLongError,
    SignatureAlgorithm,
    SignatureEncoding,
    SignatureMismatchError,
    SignatureScheme,
    encrypt,
)
from tests.support import openssl

VECTORS = Path(__file__).parents[1] / "vectors"
SIGNATURES: list[dict[str, str]] = json.loads((VECTORS / "signatures.json").read_text())
CIPHERTEXTS: list[dict[str, str]] = json.loads((VECTORS / "ciphertexts.json").read_text())
SCHEMES = [SignatureScheme(*pair) for pair in product(SignatureAlgorithm, SignatureEncoding)]
DIGESTS = {
    SignatureAlgorithm.MD5_WITH_RSA: "md5",
    SignatureAlgorithm.SHA1_WITH_RSA: "sha1",
    SignatureAlgorithm.SHA256_WITH_RSA: "sha256",
}
MESSAGE = "000001" + "A" * 32 + "20261123120000000" + "B" * 32 + "1.2"
PHONE_NUM = "13912345678" + "0123456789ABCDEF" * 2 + "20261123120000000"

Keys = Callable[[int], RSAPrivateKey]


def _name(scheme: SignatureScheme) -> str:
    return f"{scheme.algorithm}-{scheme.encoding}"


def _raw(signature: str, encoding: SignatureEncoding) -> bytes:
    if encoding is SignatureEncoding.BASE64:
        return base64.b64decode(signature, validate=True)
    return bytes.fromhex(signature)


def _write(raw: bytes, encoding: SignatureEncoding) -> str:
    match encoding:
        case SignatureEncoding.BASE64:
            return base64.b64encode(raw).decode()
        case SignatureEncoding.HEX_LOWER:
            return raw.hex()
        case SignatureEncoding.HEX_UPPER:
            return raw.hex().upper()


# Signatures.


def test_the_default_scheme_is_the_one_seen_in_public() -> None:
    assert _name(SignatureScheme()) == "MD5withRSA-base64"


@pytest.mark.parametrize("vector", SIGNATURES, ids=lambda vector: f"{vector['algorithm']}-{vector['key']}")
@pytest.mark.parametrize("encoding", SignatureEncoding)
def test_a_signature_is_the_vectors_signature(
    rsa_key: Keys, vector: dict[str, str], encoding: SignatureEncoding
) -> None:
    key = rsa_key(int(vector["key"].removeprefix("rsa-").removesuffix(".pem")))
    scheme = SignatureScheme(SignatureAlgorithm(vector["algorithm"]), encoding)
    expected = _write(base64.b64decode(vector["signature"]), encoding)

    assert scheme.sign(key, vector["message"]) == expected
    scheme.verify(key.public_key(), vector["message"], expected)


def test_the_vectors_cover_every_algorithm_and_both_key_sizes() -> None:
    covered = {(vector["algorithm"], vector["key"]) for vector in SIGNATURES}

    assert covered == {
        (name.value, f"rsa-{bits}.pem") for name in SignatureAlgorithm for bits in (1024, 2048)
    }


@pytest.mark.parametrize("bits", [1024, 2048, 4096])
@pytest.mark.parametrize("scheme", SCHEMES, ids=_name)
def test_openssl_accepts_what_is_signed(
    rsa_key: Keys, tmp_path: Path, scheme: SignatureScheme, bits: int
) -> None:
    signature = scheme.sign(rsa_key(bits), MESSAGE)

    assert openssl.verifies(
        tmp_path,
        openssl.public_half(VECTORS / f"rsa-{bits}.pem"),
        MESSAGE,
        base64.b64encode(_raw(signature, scheme.encoding)).decode(),
        DIGESTS[scheme.algorithm],
    )


@pytest.mark.parametrize("scheme", SCHEMES, ids=_name)
def test_what_openssl_signs_is_accepted(rsa_key: Keys, scheme: SignatureScheme) -> None:
    raw = subprocess.run(
        ["openssl", "dgst", f"-{DIGESTS[scheme.algorithm]}", "-sign", VECTORS / "rsa-1024.pem"],
        input=MESSAGE.encode(),
        capture_output=True,
        check=True,
    ).stdout

    scheme.verify(rsa_key(1024).public_key(), MESSAGE, _write(raw, scheme.encoding))


@pytest.mark.parametrize("scheme", SCHEMES, ids=_name)
def test_a_signature_is_on_one_line_and_as_long_as_the_key(rsa_key: Keys, scheme: SignatureScheme) -> None:
    signature = scheme.sign(rsa_key(2048), MESSAGE)

    assert len(_raw(signature, scheme.encoding)) == 256
    assert not any(character.isspace() for character in signature)


def test_hexadecimal_is_written_in_the_case_that_was_asked_for(rsa_key: Keys) -> None:
    lower = SignatureScheme(encoding=SignatureEncoding.HEX_LOWER).sign(rsa_key(1024), MESSAGE)
    upper = SignatureScheme(encoding=SignatureEncoding.HEX_UPPER).sign(rsa_key(1024), MESSAGE)

    assert (lower, upper) == (upper.lower(), lower.upper())
    assert lower != upper


# One thing broken each.


@pytest.mark.parametrize("scheme", SCHEMES, ids=_name)
@pytest.mark.parametrize("position", [0, 6, 38, 55, -1])
def test_a_changed_message_is_noticed(rsa_key: Keys, scheme: SignatureScheme, position: int) -> None:
    key = rsa_key(1024)
    signature = scheme.sign(key, MESSAGE)
    characters = list(MESSAGE)
    characters[position] = "9" if characters[position] != "9" else "8"

    with pytest.raises(SignatureMismatchError):
        scheme.verify(key.public_key(), "".join(characters), signature)


@pytest.mark.parametrize("scheme", SCHEMES, ids=_name)
@pytest.mark.parametrize("position", [0, 1, 63, 126, 127])
def test_a_changed_signature_is_noticed(rsa_key: Keys, scheme: SignatureScheme, position: int) -> None:
    key = rsa_key(1024)
    raw = bytearray(_raw(scheme.sign(key, MESSAGE), scheme.encoding))
    raw[position] ^= 1

    with pytest.raises(SignatureMismatchError):
        scheme.verify(key.public_key(), MESSAGE, _write(bytes(raw), scheme.encoding))


@pytest.mark.parametrize("scheme", SCHEMES, ids=_name)
def test_another_keys_signature_is_noticed(rsa_key: Keys, scheme: SignatureScheme) -> None:
    signature = scheme.sign(rsa_key(1024), MESSAGE)

    with pytest.raises(SignatureMismatchError):
        scheme.verify(rsa_key(2048).public_key(), MESSAGE, signature)


@pytest.mark.parametrize(("one", "other"), list(permutations(SignatureAlgorithm, 2)))
def test_another_digests_signature_is_noticed(
    rsa_key: Keys, one: SignatureAlgorithm, other: SignatureAlgorithm
) -> None:
    key = rsa_key(1024)
    signature = SignatureScheme(one).sign(key, MESSAGE)

    with pytest.raises(SignatureMismatchError):
        SignatureScheme(other).verify(key.public_key(), MESSAGE, signature)


BROKEN: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "cut off": lambda signature: signature[:-4],
    "something before": lambda signature: "AAAA" + signature,
    "something after": lambda signature: signature + "AAAA",
    "a line break": lambda signature: signature[:76] + "\n" + signature[76:],
    "a character of no alphabet": lambda signature: "!" + signature[1:],
    "a character beyond ASCII": lambda signature: "签" + signature[1:],
}


@pytest.mark.parametrize(
    "scheme", [scheme for scheme in SCHEMES if scheme.algorithm.startswith("MD5")], ids=_name
)
@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_what_is_no_signature_is_a_mismatch(
    rsa_key: Keys, scheme: SignatureScheme, damage: Callable[[str], str]
) -> None:
    key = rsa_key(1024)
    signature = scheme.sign(key, MESSAGE)

    with pytest.raises(SignatureMismatchError) as mismatch:
        scheme.verify(key.public_key(), MESSAGE, damage(signature))

    assert signature[:16] not in str(mismatch.value)
    assert MESSAGE not in str(mismatch.value)


@pytest.mark.parametrize(("one", "other"), list(permutations(SignatureEncoding, 2)))
def test_another_encoding_is_a_mismatch(
    rsa_key: Keys, one: SignatureEncoding, other: SignatureEncoding
) -> None:
    key = rsa_key(1024)
    signature = SignatureScheme(encoding=one).sign(key, MESSAGE)

    with pytest.raises(SignatureMismatchError):
        SignatureScheme(encoding=other).verify(key.public_key(), MESSAGE, signature)


# Encryption.


@pytest.mark.parametrize("bits", [1024, 2048, 4096])
@pytest.mark.parametrize("text", [PHONE_NUM, "", "号码"])
def test_what_is_encrypted_is_decrypted_with_the_private_key(rsa_key: Keys, bits: int, text: str) -> None:
    key = rsa_key(bits)

    ciphertext = encrypt(key.public_key(), text)

    assert key.decrypt(base64.b64decode(ciphertext, validate=True), PKCS1v15()).decode() == text


@pytest.mark.parametrize("bits", [1024, 2048])
def test_openssl_decrypts_what_is_encrypted(rsa_key: Keys, bits: int) -> None:
    ciphertext = encrypt(rsa_key(bits).public_key(), PHONE_NUM)

    assert openssl.decrypt(VECTORS / f"rsa-{bits}.pem", ciphertext) == PHONE_NUM


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
