"""The verify function's secrets together: what the failure of one means for the others."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.support.fakes import FakeClock
from tests.support.functions import VERIFY_ENVIRONMENT, secrets_of
from verify.keyring import Keyring
from verify.settings import Settings


class Safe:
    """A keyring, and its secrets by name, which can be out of reach; counts what is asked for."""

    def __init__(self, key: RSAPrivateKey, clock: FakeClock) -> None:
        self.texts = secrets_of(key) | {"added": "1"}
        self.out_of_reach = False
        self.asked: list[str] = []
        self.keyring = Keyring(Settings.from_environment(VERIFY_ENVIRONMENT), self._fetch, clock.monotonic)
        self._added = self.keyring.add(lambda: self._fetch("added"))

    def _fetch(self, name: str) -> str:
        self.asked.append(name)
        if self.out_of_reach:
            raise TimeoutError("planted")
        return self.texts[name]

    def use_all(self) -> list[str]:
        """Use each secret; return which were asked for."""
        self.asked.clear()
        self.keyring.pepper()
        self.keyring.credentials(lambda: None)
        self._added.get()
        return self.asked


@pytest.fixture
def safe(rsa_key: Callable[[int], RSAPrivateKey], clock: FakeClock) -> Safe:
    return Safe(rsa_key(1024), clock)


def test_when_secrets_manager_does_not_answer_one_secret_is_asked_for_every_ten_seconds(
    safe: Safe, clock: FakeClock
) -> None:
    assert safe.use_all() == ["pepper", "verification", "signing", "added"]
    clock.advance(300)

    safe.out_of_reach = True
    assert safe.use_all() == ["pepper"]

    safe.out_of_reach = False
    clock.advance(10)
    assert safe.use_all() == ["pepper", "verification", "signing", "added"]


def test_a_secret_with_a_mistake_in_it_holds_up_no_other(safe: Safe, clock: FakeClock) -> None:
    safe.use_all()
    clock.advance(300)
    safe.texts["pepper"] = "too short"

    assert safe.use_all() == ["pepper", "verification", "signing", "added"]
