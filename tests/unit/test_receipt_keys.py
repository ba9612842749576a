"""The receipt secret: which key signs when, what is published, and what is wrong with a wrong one."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cmpassport.keys import KeyFormatError
from cmpassport.receipt_keys import ReceiptKeys
from cmpassport.secret_cache import SecretFormatError
from tests.support.receipt_secrets import HASH_KEY, LONG_AGO, bare, new_key, public_pem, secret

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
VECTORS = Path(__file__).parents[1] / "vectors"


def test_the_key_that_took_over_last_signs_whatever_the_order() -> None:
    former, current, following = (new_key() for _ in range(3))
    # The key in the middle in PEM, its time in another zone.
    pem = current.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    entries = json.loads(secret((following, NOW + HOUR), (former, LONG_AGO)))["keys"]
    entries += entry(privateKey=pem, signFrom="2026-11-24T16:00:00+08:00")["keys"]

    keys = ReceiptKeys.parse(json.dumps({"keys": entries}))

    kids = [key.kid for key in keys.signing]
    assert [key.sign_from for key in keys.signing] == [LONG_AGO, NOW - HOUR, NOW + HOUR]
    assert keys.signing_at(NOW).kid == kids[1]
    assert keys.signing_at(NOW + HOUR).kid == kids[2]
    assert keys.signing_at(NOW + HOUR - timedelta(microseconds=1)).kid == kids[1]
    with pytest.raises(SecretFormatError, match="no key of the secret signs yet"):
        keys.signing_at(LONG_AGO - HOUR)


def test_every_key_is_published_by_its_public_half_alone() -> None:
    keys = ReceiptKeys.parse(secret((new_key(), LONG_AGO), (new_key(), NOW + HOUR)))

    for key, published in zip(keys.signing, keys.public_set()["keys"], strict=True):
        rest = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.kid}
        assert published == {**rest, "x": published["x"], "y": published["y"]}


def entry(**changes: Any) -> dict[str, Any]:
    """Make a secret of one key, some of whose members are others; None to leave one out."""
    members = {"privateKey": bare(new_key()), "signFrom": "2026-01-01T00:00:00Z", **changes}
    return {"keys": [{name: value for name, value in members.items() if value is not None}]}


WRONG: dict[str, tuple[Any, str]] = {
    "words": ("planted", "not JSON"),
    "a list": ([], "not a JSON object"),
    "no keys": ({}, "no keys"),
    "an empty list": ({"keys": []}, "no keys"),
    "too many": ({"keys": entry()["keys"] * 6}, "no keys"),
    "no object": ({"keys": ["planted"]}, "no privateKey"),
    "no private key": (entry(privateKey=None), "no privateKey"),
    "a blank private key": (entry(privateKey=" "), "no privateKey"),
    "an RSA key": (entry(privateKey=(VECTORS / "rsa-2048.pem").read_text()), "not on the curve P-256"),
    "a key on another curve": (entry(privateKey=bare(generate_private_key(SECP384R1()))), "not on the curve"),
    "a certificate": (entry(privateKey=(VECTORS / "certificate.pem").read_text()), "this is a certificate"),
    "no time": (entry(signFrom=None), "no signFrom"),
    "a number for a time": (entry(signFrom=1), "no signFrom"),
    "words for a time": (entry(signFrom="planted"), "not a time with its zone"),
    "a time without a zone": (entry(signFrom="2026-01-01T00:00:00"), "not a time with its zone"),
    "a short hash key": ({**entry(), "hashKey": "planted".ljust(31)}, "hashKey has fewer than 32"),
    "not a text for a hash key": ({**entry(), "hashKey": 1}, "hashKey has fewer than 32"),
    "not a text for an encryption key": ({**entry(), "encryptionKey": {}}, "encryptionKey is not a text"),
}


@pytest.mark.parametrize(("content", "reason"), WRONG.values(), ids=WRONG)
def test_a_secret_of_another_form_is_refused_by_the_members_name(content: Any, reason: str) -> None:
    with pytest.raises((SecretFormatError, KeyFormatError), match=reason) as error:
        ReceiptKeys.parse(json.dumps(content) if reason != "not JSON" else content)

    assert "planted" not in str(error.value)


def test_a_small_or_damaged_key_is_not_encrypted_for(rsa_key: Callable[[int], RSAPrivateKey]) -> None:
    for key, reason in (
        (public_pem(rsa_key(1024)), "has fewer than 2048 bits"),
        (even(rsa_key(2048)), "is damaged"),
    ):
        with pytest.raises(SecretFormatError, match=f"encryptionKey {reason}"):
            ReceiptKeys.parse(secret((new_key(), LONG_AGO), encryptionKey=key))


def even(key: RSAPrivateKey) -> str:
    """Write a key that cryptography would not make: the public half with the modulus's last bit off."""
    public = key.public_key()
    data = bytearray(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    data[data.index(public.public_numbers().n.to_bytes(256)) + 255] &= 0xFE
    return base64.b64encode(data).decode()


def test_no_repr_shows_a_key() -> None:
    key = new_key()

    shown = repr(ReceiptKeys.parse(secret((key, LONG_AGO), hashKey=HASH_KEY)))

    for text in (HASH_KEY, str(key.private_numbers().private_value), bare(key)):
        assert text not in shown
