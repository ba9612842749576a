"""Receipts: verdicts that a business's own services can check without calling back.

A page can say anything; a receipt is signed. It is a JWT (RFC 7519) in JWS's compact form (RFC 7515), signed
with ES256 by a key of its own, and bound to one login: its time, the page's origin, and the nonce that the
business's server gave the page. The guide has none of it. This module is imported only where receipts are
on, since its library costs a third of a start.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from joserfc import jwe, jwt

from cmpassport.receipt_keys import ALGORITHM, ReceiptKeys, SigningKey
from cmpassport.secret_cache import SecretFormatError
from cmpassport.settings import SettingsError
from cmpassport.telemetry import Metric, count
from verify.outcome import Outcome
from verify.settings import NumberForm, ReceiptSettings

TYPE: Final = "number-verification+jwt"
"""The header's `typ`, so that a receipt does not pass for another kind of token (RFC 8725 section 3.11)."""

_KEY_ENCRYPTION: Final = "RSA-OAEP-256"
_CONTENT_ENCRYPTION: Final = "A256GCM"


def parse_keys(text: str, form: NumberForm, now: datetime) -> ReceiptKeys:
    """Read the receipt secret, which must have a key that signs and what the number's form takes.

    Raises
    ------
    SecretFormatError, KeyFormatError
        It is of another form.
    """
    keys = ReceiptKeys.parse(text)
    keys.signing_at(now)
    if form is NumberForm.HASH and keys.hash_key is None:
        raise SecretFormatError("the secret has no hashKey, which RECEIPT_NUMBER=hash takes")
    if form is NumberForm.ENCRYPTED and keys.encryption_key is None:
        raise SecretFormatError("the secret has no encryptionKey, which RECEIPT_NUMBER=encrypted takes")
    return keys


@dataclass(frozen=True, slots=True)
class Login:
    """The login that a receipt is for, with all of the receipt that can be made before the verdict.

    Attributes
    ----------
    issuer
        Address of the API, without a trailing slash.
    audience
        Origin of the page that asked.
    nonce
        As the page sent it.
    number
        The claim that tells the number.
    signing
        The key that will sign.
    """

    issuer: str
    audience: str
    nonce: str | None
    number: Mapping[str, str] = field(repr=False)
    signing: SigningKey

    @property
    def binding(self) -> str:
        """What must be the same when the token comes again: a token is for one login too."""
        return f"{self.audience}\0{self.nonce or ''}"


class Receipts:
    """Issues receipts; one for the life of the function.

    Parameters
    ----------
    settings
        How long they live, how the number is in them, who issues them.
    app_id
        The configured appId.
    keys
        Returns the keys.
    now
        Clock, aware.
    """

    def __init__(
        self,
        settings: ReceiptSettings,
        app_id: str,
        keys: Callable[[], ReceiptKeys],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._app_id = app_id
        self._keys = keys
        self._now = now

    def prepare(self, number: str, *, domain_name: str, audience: str, nonce: str | None) -> Login:
        """Make all of a receipt but its times, so that no verdict is billed for which there can be none.

        Parameters
        ----------
        number
            11 digits.
        domain_name
            Name under which the API was called: the issuer, where no address is configured.
        audience
            Origin of the page that asks.
        nonce
            As the page sent it.

        Raises
        ------
        SecretUnavailableError, SecretFormatError
            The secret is unavailable, no key signs yet, or the one for the number's form is missing.
        SettingsError
            The issuer is not known.
        """
        if not (self._settings.issuer or domain_name):
            raise SettingsError(
                "RECEIPT_ISSUER", "is not set, and the name under which the API was called is not known"
            )
        keys = self._keys()
        return Login(
            issuer=self._settings.issuer or f"https://{domain_name}",
            audience=audience,
            nonce=nonce,
            number=self._number(keys, number),
            signing=keys.signing_at(self._now()),
        )

    def issue(self, outcome: Outcome, login: Login) -> str | None:
        """Return the receipt of a positive verdict; None for any other, and past the receipt's end.

        A verdict that is returned again has a receipt of the same identifier and times.

        Parameters
        ----------
        outcome
            The verdict.
        login
            As `prepare` returned it.
        """
        expires = outcome.verified_at + self._settings.life_seconds
        if not outcome.verified or self._now().timestamp() >= expires:
            return None
        claims: dict[str, Any] = {
            "iss": login.issuer,
            "aud": login.audience,
            "iat": outcome.verified_at,
            "exp": expires,
            "jti": outcome.msg_id,
            "appId": self._app_id,
            **login.number,
        }
        if outcome.task_id:
            claims["taskId"] = outcome.task_id
        if login.nonce is not None:
            claims["nonce"] = login.nonce
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": login.signing.kid}
        receipt = jwt.encode(header, claims, login.signing.key, algorithms=[ALGORITHM])
        count(Metric.RECEIPT_ISSUED)
        return receipt

    def _number(self, keys: ReceiptKeys, number: str) -> dict[str, str]:
        match self._settings.number_form:
            case NumberForm.MASKED:
                return {"phoneNumMasked": f"{number[:3]}****{number[-4:]}"}
            case NumberForm.HASH if keys.hash_key:
                digest = hmac.new(keys.hash_key, number.encode(), hashlib.sha256)
                return {"phoneNumHash": digest.hexdigest()}
            case NumberForm.ENCRYPTED if keys.encryption_key:
                header = {
                    "alg": _KEY_ENCRYPTION,
                    "enc": _CONTENT_ENCRYPTION,
                    "kid": keys.encryption_key.thumbprint(),
                }
                algorithms = [_KEY_ENCRYPTION, _CONTENT_ENCRYPTION]
                return {"phoneNumJwe": jwe.encrypt_compact(header, number, keys.encryption_key, algorithms)}
        raise SecretFormatError("the receipt secret lacks what RECEIPT_NUMBER takes")
