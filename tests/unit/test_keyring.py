"""The verify function's secrets together: what the failure of one means for the others."""

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.fakes import FakeClock
from tests.support.receipt_secrets import HASH_KEY, LONG_AGO, new_key, secret
from verify.keyring import Keyring
from verify.settings import Settings

ENVIRONMENT = {
    "APP_ID": "000001",
    "ALLOWED_ORIGINS": "https://www.example.com",
    "SIGNING_SECRET_ID": "signing",
    "VERIFICATION_SECRET_ID": "verification",
    "PEPPER_SECRET_ID": "pepper",
    "TABLE_NAME": "attempts",
    "PLATFORM_URL": "http://127.0.0.1:1/verify",
    "RECEIPTS": "on",
    "RECEIPT_SECRET_ID": "receipts",
}
MAX_AGE = 300


class Safe:
    """Secrets by name, which can be out of reach; counts what is asked for."""

    def __init__(self, key: RSAPrivateKey) -> None:
        private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.texts = {
            "signing": json.dumps({"privateKey": base64.b64encode(private).decode()}),
            "verification": json.dumps(
                {"appKey": "planted", "platformPublicKey": base64.b64encode(public).decode()}
            ),
            "pepper": "p" * 64,
            "receipts": secret((new_key(), LONG_AGO), hashKey=HASH_KEY),
        }
        self.out_of_reach = False
        self.asked: list[str] = []

    def fetch(self, name: str) -> str:
        self.asked.append(name)
        if self.out_of_reach:
            raise TimeoutError("planted")
        return self.texts[name]


@pytest.fixture
def safe(rsa_key: Callable[[int], RSAPrivateKey]) -> Safe:
    return Safe(rsa_key(1024))


@pytest.fixture
def keyring(safe: Safe, clock: FakeClock) -> Keyring:
    """A keyring that has all its secrets and is about to refresh them."""
    keyring = Keyring(Settings.from_environment(ENVIRONMENT), safe.fetch, clock.monotonic)
    keyring.pepper()
    keyring.credentials()
    keyring.receipts()
    clock.advance(MAX_AGE)
    safe.asked.clear()
    return keyring


def test_when_secrets_manager_does_not_answer_one_secret_is_asked_for(keyring: Keyring, safe: Safe) -> None:
    safe.out_of_reach = True

    keyring.pepper()
    keyring.credentials()
    keyring.receipts()

    assert safe.asked == ["pepper"]


def test_ten_seconds_later_it_is_asked_again(keyring: Keyring, safe: Safe, clock: FakeClock) -> None:
    safe.out_of_reach = True
    keyring.pepper()
    safe.out_of_reach = False
    clock.advance(10)

    keyring.pepper()
    keyring.credentials()

    assert safe.asked == ["pepper", "pepper", "verification", "signing"]


def test_a_secret_with_a_mistake_in_it_holds_up_no_other(keyring: Keyring, safe: Safe) -> None:
    safe.texts["verification"] = "{}"

    keyring.credentials()

    assert safe.asked == ["verification", "signing"]


def test_a_rotation_of_receipts_is_noticed_with_the_next_refresh(
    keyring: Keyring, safe: Safe, clock: FakeClock
) -> None:
    former = keyring.receipts()
    safe.texts["receipts"] = secret((new_key(), LONG_AGO), hashKey=HASH_KEY)
    clock.advance(MAX_AGE)

    assert keyring.receipts().signing[0].kid != former.signing[0].kid


def test_a_receipt_secret_that_lacks_something_leaves_the_last_good_one(keyring: Keyring, safe: Safe) -> None:
    safe.texts["receipts"] = secret((new_key(), LONG_AGO))  # no hashKey

    assert keyring.receipts().hash_key == HASH_KEY.encode()
    assert safe.asked == ["receipts"]
