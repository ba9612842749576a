"""Secrets from Secrets Manager: parsed once, refreshed by age, the last good one kept when that fails.

The parsed object is what is kept, since parsing a key costs several signatures. Nothing is fetched
before the first use, so that no secret lies in a snapshot of the function.
"""

import json
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from cmpassport.aws import SecretsManagerClient
from cmpassport.errors import CmpassportError, error_name

RETRY_SECONDS: Final = 10.0
"""How long a failed or forced refresh keeps the next one from being tried."""

_T = TypeVar("_T")


class SecretUnavailableError(CmpassportError):
    """A secret could not be fetched or parsed, and none is cached; names the cause without its text."""


class SecretFormatError(CmpassportError):
    """A secret's content is not of the documented form; names the field, never its value."""


class CachedSecret(Generic[_T]):
    """One secret, parsed.

    Parameters
    ----------
    load
        Fetches and parses the secret; any exception counts as a failed refresh.
    max_age
        Seconds after which the secret is fetched again.
    monotonic
        Clock in seconds.
    on_stale
        Told the exception when a refresh failed and the last good secret stays in use.

    Example
    -------
    >>> key = CachedSecret(lambda: load_private_key(fetch("signing")), max_age=300, monotonic=time.monotonic)
    >>> key.get()
    """

    def __init__(
        self,
        load: Callable[[], _T],
        *,
        max_age: float,
        monotonic: Callable[[], float],
        on_stale: Callable[[Exception], None],
    ) -> None:
        self._load = load
        self._max_age = max_age
        self._monotonic = monotonic
        self._on_stale = on_stale
        self._lock = threading.Lock()
        self._value: _T | None = None
        self._refresh_at = float("-inf")
        self._force_at = float("-inf")

    def get(self) -> _T:
        """Return the secret, fetched first if none is cached or it is too old.

        Raises
        ------
        SecretUnavailableError
            None is cached, and it is unavailable.
        """
        if self._value is None or self._monotonic() >= self._refresh_at:
            with self._lock:
                if self._value is None or self._monotonic() >= self._refresh_at:
                    self._value = self._refresh(self._value)
        return self._value

    def refresh_soon(self) -> None:
        """Make the next `get` fetch the secret, at most every 10 seconds: it may have been rotated."""
        now = self._monotonic()
        if now >= self._force_at:
            self._force_at = now + RETRY_SECONDS
            self._refresh_at = now

    def put_off(self) -> None:
        """Use what is cached a little longer: Secrets Manager has just failed for another secret.

        Where it does not answer, each try takes seconds, and a function that tried for each of its secrets
        would time out with good ones in its hands.
        """
        self._refresh_at = max(self._refresh_at, self._monotonic() + min(RETRY_SECONDS, self._max_age))

    def _refresh(self, last_good: _T | None) -> _T:
        try:
            value = self._load()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the last good secret serves
            if last_good is None:
                # Not chained: an AWS error's text is the service's, and a parser's may be about the content.
                reason = str(error) if isinstance(error, CmpassportError) else error_name(error)
                raise SecretUnavailableError(f"a secret is unavailable: {reason}") from None
            self._refresh_at = self._monotonic() + min(RETRY_SECONDS, self._max_age)
            self._on_stale(error)
            return last_good
        self._refresh_at = self._monotonic() + self._max_age
        return value


def fetcher(client: SecretsManagerClient) -> Callable[[str], str]:
    """Return a function that reads a secret's current text by name or ARN."""

    def fetch(secret_id: str) -> str:
        response = client.get_secret_value(SecretId=secret_id)
        if "SecretString" not in response:
            raise SecretFormatError("the secret is binary; a text is expected")
        return response["SecretString"]

    return fetch


def read_fields(text: str, *names: str) -> tuple[str, ...]:
    """Read fields of a secret that is a JSON object of texts.

    Raises
    ------
    SecretFormatError
        It is not a JSON object, or a field is missing, empty or not a text; names the field.
    """
    content = read_object(text)
    for name in names:
        if not isinstance(content.get(name), str) or not content[name].strip():
            raise SecretFormatError(f"the secret has no {name}")
    return tuple(content[name].strip() for name in names)


def read_object(text: str) -> dict[str, Any]:
    """Read a secret that is a JSON object, after the byte order mark that editors of Windows put before it.

    Raises
    ------
    SecretFormatError
        It is not.
    """
    try:
        content = json.loads(text.removeprefix("\ufeff"))
    except ValueError:
        raise SecretFormatError("the secret is not JSON") from None
    if not isinstance(content, dict):
        raise SecretFormatError("the secret is not a JSON object")
    return content
