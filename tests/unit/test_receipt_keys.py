"""The receipt secret: which key signs when, what is published, and what is wrong with a wrong one."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cmpassport.keys import KeyFormatError
from cmpassport.receipt_keys import ReceiptKeys
from cmpassport.secret_cache import SecretFormatError
from tests.support.receipt_secrets import HASH_KEY, LONG_AGO, bare, new_key, public_pem, secret

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_key_that_took_over_last_signs_whatever_the_order() -> None:
    former, current, following = (new_key() for _ in range(3))
    keys = ReceiptKeys.parse(secret((following, NOW + HOUR), (former, LONG_AGO), (current, NOW - HOUR)))

    kids = [key.kid for key in keys.signing]
    assert [key.sign_from for key in keys.signing] == [LONG_AGO, NOW - HOUR, NOW + HOUR]
    assert keys.signing_at(NOW).kid == kids[1]
    assert keys.signing_at(NOW + HOUR).kid == kids[2]
    assert keys.signing_at(NOW + HOUR - timedelta(microseconds=1)).kid == kids[1]


def test_every_key_is_published_by_its_public_half_alone() -> None:
    keys = ReceiptKeys.parse(secret((new_key(), LONG_AGO), (new_key(), NOW + HOUR)))

    published = keys.public_set()["keys"]

    assert [set(key) for key in published] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}] * 2
    assert {(key["kty"], key["crv"], key["use"], key["alg"]) for key in published} == {
        ("EC", "P-256", "sig", "ES256")
    }
    assert [key["kid"] for key in published] == [key.kid for key in keys.signing]


def test_before_any_key_signs_there_is_none_to_sign_with() -> None:
    keys = ReceiptKeys.parse(secret((new_key(), NOW + HOUR)))

    with pytest.raises(SecretFormatError, match="no key of the secret signs yet"):
        keys.signing_at(NOW)


def test_pem_is_taken_as_well() -> None:
    key = new_key()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    entry = {"privateKey": pem, "signFrom": "2026-01-01T00:00:00+08:00"}

    (parsed,) = ReceiptKeys.parse(json.dumps({"keys": [entry]})).signing

    assert parsed.kid == ReceiptKeys.parse(secret((key, LONG_AGO))).signing[0].kid


def test_hash_key_and_encryption_key_are_there_if_the_secret_has_them(
    rsa_key: Callable[[int], RSAPrivateKey],
) -> None:
    entry = (new_key(), LONG_AGO)
    bare_secret = ReceiptKeys.parse(secret(entry))
    full = ReceiptKeys.parse(secret(entry, hashKey=HASH_KEY, encryptionKey=public_pem(rsa_key(2048))))

    assert (bare_secret.hash_key, bare_secret.encryption_key) == (None, None)
    assert full.hash_key == HASH_KEY.encode()
    assert full.encryption_key is not None
    assert not full.encryption_key.is_private


def entry(**changes: Any) -> dict[str, Any]:
    """Make a secret of one key, some of whose members are others; None to leave one out."""
    members = {"privateKey": bare(new_key()), "signFrom": "2026-01-01T00:00:00Z", **changes}
    return {"keys": [{name: value for name, value in members.items() if value is not None}]}


WRONG: dict[str, tuple[Any, str]] = {
    "a list": ([], "not a JSON object"),
    "no keys": ({}, "no keys"),
    "an empty list": ({"keys": []}, "no keys"),
    "too many": ({"keys": entry()["keys"] * 6}, "no keys"),
    "no object": ({"keys": ["planted"]}, "no privateKey"),
    "no private key": (entry(privateKey=None), "no privateKey"),
    "a blank private key": (entry(privateKey=" "), "no privateKey"),
    "no time": (entry(signFrom=None), "no signFrom"),
    "a number for a time": (entry(signFrom=1), "no signFrom"),
    "words for a time": (entry(signFrom="planted"), "not a time with its zone"),
    "a time without a zone": (entry(signFrom="2026-01-01T00:00:00"), "not a time with its zone"),
    "a short hash key": ({**entry(), "hashKey": "planted"}, "hashKey has fewer than 32"),
    "not a text for a hash key": ({**entry(), "hashKey": 1}, "hashKey has fewer than 32"),
    "not a text for an encryption key": ({**entry(), "encryptionKey": {}}, "encryptionKey is not a text"),
}


@pytest.mark.parametrize(("content", "reason"), WRONG.values(), ids=WRONG)
def test_a_secret_of_another_form_is_refused_by_the_members_name(content: Any, reason: str) -> None:
    with pytest.raises(SecretFormatError, match=reason) as error:
        ReceiptKeys.parse(json.dumps(content))

    assert "planted" not in str(error.value)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(SecretFormatError, match="not JSON"):
        ReceiptKeys.parse("planted")


def test_a_key_that_cannot_sign_receipts_is_refused(rsa_key: Callable[[int], RSAPrivateKey]) -> None:
    for key in (bare(rsa_key(2048)), bare(generate_private_key(SECP384R1()))):
        with pytest.raises(KeyFormatError, match="not on the curve P-256"):
            ReceiptKeys.parse(json.dumps(entry(privateKey=key)))


def test_a_public_key_in_the_private_ones_place_is_named(rsa_key: Callable[[int], RSAPrivateKey]) -> None:
    with pytest.raises(KeyFormatError, match="this is a public key"):
        ReceiptKeys.parse(json.dumps(entry(privateKey=public_pem(rsa_key(2048)))))


def test_a_small_key_is_not_encrypted_for(rsa_key: Callable[[int], RSAPrivateKey]) -> None:
    with pytest.raises(SecretFormatError, match="encryptionKey has fewer than 2048 bits"):
        ReceiptKeys.parse(secret((new_key(), LONG_AGO), encryptionKey=public_pem(rsa_key(1024))))


def test_a_damaged_key_is_not_encrypted_for(rsa_key: Callable[[int], RSAPrivateKey]) -> None:
    numbers = rsa_key(2048).public_key().public_numbers()
    even = RSAPublicNumbers(numbers.e, numbers.n - 1)
    der = serialise_unchecked(even)

    with pytest.raises(SecretFormatError, match="encryptionKey is damaged"):
        ReceiptKeys.parse(secret((new_key(), LONG_AGO), encryptionKey=der))


def serialise_unchecked(numbers: RSAPublicNumbers) -> str:
    """Write a key that cryptography would not make: the good one's bytes with the modulus's last bit off."""
    good = RSAPublicNumbers(numbers.e, numbers.n + 1).public_key()
    data = bytearray(good.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    modulus = (numbers.n + 1).to_bytes(256, "big")
    at = data.index(modulus) + 255
    data[at] &= 0xFE
    return base64.b64encode(data).decode()


def test_no_repr_shows_a_key() -> None:
    key = new_key()
    keys = ReceiptKeys.parse(secret((key, LONG_AGO), hashKey=HASH_KEY))

    assert HASH_KEY not in repr(keys)
    assert f"{key.private_numbers().private_value}" not in repr(keys)
    assert bare(key) not in repr(keys)
