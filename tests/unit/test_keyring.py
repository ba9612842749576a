"""The verify function's secrets together: what the failure of one means for the others."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.receipt_keys import ReceiptKeys
from cmpassport.secret_cache import CachedSecret, SecretUnavailableError
from tests.support.fakes import FakeClock
from tests.support.functions import VERIFY_ENVIRONMENT, secrets_of
from tests.support.receipt_secrets import HASH_KEY, LONG_AGO, new_key, secret
from verify.keyring import Keyring
from verify.receipt import parse_keys
from verify.settings import NumberForm, Settings

MAX_AGE = 300


class Safe:
    """Secrets by name, which can be out of reach; counts what is asked for."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self.texts = secrets_of(key) | {"receipts": secret((new_key(), LONG_AGO), hashKey=HASH_KEY)}
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
    keyring = Keyring(Settings.from_environment(VERIFY_ENVIRONMENT), safe.fetch, clock.monotonic)
    load = lambda: parse_keys(safe.fetch("receipts"), NumberForm.HASH, clock.now())  # noqa: E731
    kept = Kept(keyring, keyring.add(load))
    keyring.pepper()
    keyring.credentials()
    kept.receipts.get()
    clock.advance(MAX_AGE)
    safe.asked.clear()
    return kept


def test_when_secrets_manager_does_not_answer_one_secret_is_asked_for_every_ten_seconds(
    kept: Kept, safe: Safe, clock: FakeClock
) -> None:
    safe.out_of_reach = True

    kept.keyring.pepper()
    kept.keyring.credentials()
    kept.receipts.get()

    assert safe.asked == ["pepper"]
    safe.out_of_reach = False
    clock.advance(10)
    kept.keyring.pepper()
    kept.keyring.credentials()
    assert safe.asked == ["pepper", "pepper", "verification", "signing"]


def test_a_pepper_that_is_too_short_is_refused_without_showing_it(safe: Safe, clock: FakeClock) -> None:
    safe.texts["pepper"] = "planted" + "x" * 24

    with pytest.raises(SecretUnavailableError, match="the pepper has fewer than 32 characters") as refusal:
        Keyring(Settings.from_environment(VERIFY_ENVIRONMENT), safe.fetch, clock.monotonic).pepper()

    assert "planted" not in str(refusal.value)


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
