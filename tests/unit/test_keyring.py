"""The verify function's secrets together: what the failure of one means for the others."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cmpassport.receipt_keys import ReceiptKeys
from cmpassport.secret_cache import CachedSecret
from tests.support.fakes import FakeClock
from tests.support.receipt_secrets import HASH_KEY, LONG_AGO, new_key, secret
from verify.keyring import Keyring
from verify.receipt import parse_keys
from verify.settings import NumberForm, Settings

ENVIRONMENT = {
    "APP_ID": "000001",
    "ALLOWED_ORIGINS": "https://www.example.com",
    "SIGNING_SECRET_ID": "signing",
    "VERIFICATION_SECRET_ID": "verification",
    "PEPPER_SECRET_ID": "pepper",
    "TABLE_NAME": "attempts",
    "PLATFORM_URL": "http://127.0.0.1:1/verify",
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


@dataclass
class Kept:
    """A keyring that has all its secrets and is about to refresh them, and the one that was added to it."""

    keyring: Keyring
    receipts: CachedSecret[ReceiptKeys]


@pytest.fixture
def kept(safe: Safe, clock: FakeClock) -> Kept:
    keyring = Keyring(Settings.from_environment(ENVIRONMENT), safe.fetch, clock.monotonic)
    load = lambda: parse_keys(safe.fetch("receipts"), NumberForm.HASH, clock.now())  # noqa: E731
    kept = Kept(keyring, keyring.add(load))
    keyring.pepper()
    keyring.credentials()
    kept.receipts.get()
    clock.advance(MAX_AGE)
    safe.asked.clear()
    return kept


def test_when_secrets_manager_does_not_answer_one_secret_is_asked_for(kept: Kept, safe: Safe) -> None:
    safe.out_of_reach = True

    kept.keyring.pepper()
    kept.keyring.credentials()
    kept.receipts.get()

    assert safe.asked == ["pepper"]


def test_ten_seconds_later_it_is_asked_again(kept: Kept, safe: Safe, clock: FakeClock) -> None:
    safe.out_of_reach = True
    kept.keyring.pepper()
    safe.out_of_reach = False
    clock.advance(10)

    kept.keyring.pepper()
    kept.keyring.credentials()

    assert safe.asked == ["pepper", "pepper", "verification", "signing"]


def test_a_secret_with_a_mistake_in_it_holds_up_no_other(kept: Kept, safe: Safe) -> None:
    safe.texts["verification"] = "{}"

    kept.keyring.credentials()

    assert safe.asked == ["verification", "signing"]


def test_a_rotation_of_receipts_is_noticed_with_the_next_refresh(
    kept: Kept, safe: Safe, clock: FakeClock
) -> None:
    former = kept.receipts.get()
    safe.texts["receipts"] = secret((new_key(), LONG_AGO), hashKey=HASH_KEY)
    clock.advance(MAX_AGE)

    assert kept.receipts.get().signing[0].kid != former.signing[0].kid


def test_a_receipt_secret_that_lacks_something_leaves_the_last_good_one(kept: Kept, safe: Safe) -> None:
    safe.texts["receipts"] = secret((new_key(), LONG_AGO))  # no hashKey

    assert kept.receipts.get().hash_key == HASH_KEY.encode()
    assert safe.asked == ["receipts"]
