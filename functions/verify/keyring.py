"""The keys and the pepper of the verify function, each parsed once and refreshed as its secret changes."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from cmpassport.errors import CmpassportError
from cmpassport.keys import load_private_key, load_public_key
from cmpassport.secret_cache import CachedSecret, SecretFormatError, read_fields
from cmpassport.telemetry import secret_is_stale
from verify.message import Credentials
from verify.settings import Settings

MIN_PEPPER_CHARACTERS: Final = 32

_T = TypeVar("_T")


class Keyring:
    """Signing key, appKey and platform key, pepper, and what else is added.

    Parameters
    ----------
    settings
        Names of the secrets, appId and signature scheme.
    fetch
        Reads a secret's current text by name or ARN.
    monotonic
        Clock in seconds.
    """

    def __init__(
        self, settings: Settings, fetch: Callable[[str], str], monotonic: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._fetch = fetch
        self._monotonic = monotonic
        # A refresh that brings the same key does not parse it again.
        self._parse_signing = lru_cache(maxsize=1)(load_private_key)
        self._secrets: list[CachedSecret[Any]] = []
        self._signing = self.add(self._load_signing)
        self._verification = self.add(self._load_verification)
        self._pepper = self.add(self._load_pepper)

    def add(self, load: Callable[[], _T]) -> CachedSecret[_T]:
        """Keep one more secret, refreshed with the others and put off with them.

        Parameters
        ----------
        load
            Fetches and parses it.
        """
        secret = CachedSecret(
            load,
            max_age=self._settings.common.secret_max_age,
            monotonic=self._monotonic,
            on_stale=self._stale,
        )
        self._secrets.append(secret)
        return secret

    @property
    def app_id(self) -> str:
        """The configured appId."""
        return self._settings.common.app_id

    def credentials(self, check_time: Callable[[], None]) -> Credentials:
        """Return what a request is encrypted and signed with; check the time before each secret."""
        check_time()
        app_key, platform_key = self._verification.get()
        check_time()
        common = self._settings.common
        return Credentials(common.app_id, app_key, platform_key, self._signing.get(), common.scheme)

    def pepper(self) -> bytes:
        """Return the key of the keyed hashes."""
        return self._pepper.get()

    def refresh_soon(self) -> None:
        """Fetch both keys anew for the next request: the platform says that they do not match its own."""
        self._signing.refresh_soon()
        self._verification.refresh_soon()

    def _stale(self, error: Exception) -> None:
        secret_is_stale(error)
        if not isinstance(error, CmpassportError):  # then it was not this secret's content
            for secret in self._secrets:
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
