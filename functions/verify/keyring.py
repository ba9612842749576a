"""The keys and the pepper of the verify function, each parsed once and refreshed as its secret changes."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from cmpassport.clock import utc_now
from cmpassport.errors import CmpassportError
from cmpassport.keys import load_private_key, load_public_key
from cmpassport.secret_cache import CachedSecret, SecretFormatError, read_fields
from cmpassport.settings import SettingsError
from cmpassport.telemetry import secret_is_stale
from verify.message import Credentials
from verify.settings import Settings

if TYPE_CHECKING:
    from cmpassport.receipt_keys import ReceiptKeys

MIN_PEPPER_CHARACTERS: Final = 32


class Keyring:
    """Signing key, appKey and platform key, pepper, and the keys of receipts where those are on.

    Parameters
    ----------
    settings
        Names of the secrets, appId and signature scheme.
    fetch
        Reads a secret's current text by name or ARN.
    monotonic
        Clock in seconds.
    now
        Clock, aware.
    """

    def __init__(
        self,
        settings: Settings,
        fetch: Callable[[str], str],
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings
        self._fetch = fetch
        self._now = now
        # A refresh that brings the same key does not parse it again.
        self._parse_signing = lru_cache(maxsize=1)(load_private_key)
        max_age = settings.common.secret_max_age
        self._signing = CachedSecret(
            self._load_signing, max_age=max_age, monotonic=monotonic, on_stale=self._stale
        )
        self._verification = CachedSecret(
            self._load_verification, max_age=max_age, monotonic=monotonic, on_stale=self._stale
        )
        self._pepper = CachedSecret(
            self._load_pepper, max_age=max_age, monotonic=monotonic, on_stale=self._stale
        )
        self._receipts = CachedSecret(
            self._load_receipts, max_age=max_age, monotonic=monotonic, on_stale=self._stale
        )

    def credentials(self) -> Credentials:
        """Give what a request is encrypted and signed with."""
        app_key, platform_key = self._verification.get()
        common = self._settings.common
        return Credentials(common.app_id, app_key, platform_key, self._signing.get(), common.scheme)

    def pepper(self) -> bytes:
        """Give the key of the keyed hashes."""
        return self._pepper.get()

    def receipts(self) -> "ReceiptKeys":
        """Give the keys of receipts, which have to be on."""
        return self._receipts.get()

    def refresh_soon(self) -> None:
        """Fetch both keys anew for the next request: the platform says that they do not match its own."""
        self._signing.refresh_soon()
        self._verification.refresh_soon()

    def _stale(self, error: Exception) -> None:
        secret_is_stale(error)
        if not isinstance(error, CmpassportError):  # then it was not this secret's content
            for secret in (self._signing, self._verification, self._pepper, self._receipts):
                secret.put_off()

    def _load_signing(self) -> RSAPrivateKey:
        text = self._fetch(self._settings.common.signing_secret_id)
        return self._parse_signing(*read_fields(text, "privateKey"))

    def _load_verification(self) -> tuple[str, RSAPublicKey]:
        text = self._fetch(self._settings.verification_secret_id)
        app_key, platform_key = read_fields(text, "appKey", "platformPublicKey")
        return app_key, load_public_key(platform_key)

    def _load_pepper(self) -> bytes:
        pepper = self._fetch(self._settings.pepper_secret_id).strip()
        if len(pepper) < MIN_PEPPER_CHARACTERS:
            raise SecretFormatError(f"the pepper has fewer than {MIN_PEPPER_CHARACTERS} characters")
        return pepper.encode()

    def _load_receipts(self) -> "ReceiptKeys":
        from verify.receipt import parse_keys  # noqa: PLC0415 - brings a library, for receipts only

        receipts = self._settings.receipts
        if receipts is None:
            raise SettingsError("RECEIPTS", "is off, and there are no keys of receipts")
        return parse_keys(self._fetch(receipts.secret_id), receipts.number_form, self._now())
