"""The keys of receipts: those that sign them, and what stands for the number in them.

They lie in a secret of their own, apart from the platform's keys. Each signing key says from when on it signs
and all of them are published: one write to the secret rotates without a gap, since a key is published as soon
as it is there, used from its time on, and published still until a later write drops it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, RSAKey

from cmpassport.keys import KeyFault, KeyFormatError, load_private_of_any_kind, load_public_key
from cmpassport.secret_cache import SecretFormatError, read_object

ALGORITHM: Final = "ES256"
PUBLISHED_MAX_AGE: Final = 300
"""Seconds for which a back end may keep the published keys."""
MAX_KEYS: Final = 5
MIN_HASH_KEY_CHARACTERS: Final = 32
MIN_ENCRYPTION_KEY_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs receipts.

    Attributes
    ----------
    key
        EC key on P-256, private.
    kid
        Its thumbprint (RFC 7638, SHA-256).
    sign_from
        When it takes over, aware.
    """

    key: ECKey = field(repr=False)
    kid: str
    sign_from: datetime


@dataclass(frozen=True, slots=True)
class ReceiptKeys:
    """What the receipt secret holds.

    Attributes
    ----------
    signing
        The signing keys by the time from which each signs: former, current and next.
    hash_key
        Keys the hash of a number; None where the secret has none.
    encryption_key
        The business's RSA public key, at least 2048 bits; None where the secret has none.
    """

    signing: tuple[SigningKey, ...]
    hash_key: bytes | None = field(repr=False)
    encryption_key: RSAKey | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the secret's JSON `{"keys": [{"privateKey", "signFrom"}], "hashKey"?, "encryptionKey"?}`.

        Raises
        ------
        SecretFormatError
            It is of another form; names the member, never its value.
        KeyFormatError
            The text is not a key; the error names what it is, if known.
        """
        content = read_object(text)
        entries = content.get("keys")
        if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYS:
            raise SecretFormatError(f"the secret has no keys: a list of 1 to {MAX_KEYS}")
        signing = sorted(map(_read_key, entries), key=lambda key: key.sign_from)
        return cls(tuple(signing), _read_hash_key(content), _read_encryption_key(content))

    def signing_at(self, now: datetime) -> SigningKey:
        """Return the key that signs at an instant: the one that took over last.

        Raises
        ------
        SecretFormatError
            No key signs yet.
        """
        begun = [key for key in self.signing if key.sign_from <= now]
        if not begun:
            raise SecretFormatError("no key of the secret signs yet; give one a signFrom that has passed")
        return begun[-1]

    def public_set(self) -> dict[str, Any]:
        """Return the JWK Set of all keys (RFC 7517 section 5), public halves alone."""
        use = {"use": "sig", "alg": ALGORITHM}
        return {"keys": [{**key.key.as_dict(private=False), "kid": key.kid, **use} for key in self.signing]}


def _load_p256_private_key(text: str) -> EllipticCurvePrivateKey:
    """Parse a private key on the curve P-256, which signs receipts.

    Parameters
    ----------
    text
        Bare Base64 or PEM of PKCS#8 or SEC 1, without a passphrase.

    Raises
    ------
    KeyFormatError
        The text is anything else.
    """
    key = load_private_of_any_kind(
        text, "this is not a private key: PKCS#8 of a key on P-256 is wanted, bare Base64 or PEM"
    )
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise KeyFormatError(KeyFault.OTHER_ALGORITHM, "the private key is not on the curve P-256")
    return key


def _read_key(entry: object) -> SigningKey:
    key = ECKey.import_key(_load_p256_private_key(_read_member(entry, "privateKey")))
    return SigningKey(key, key.thumbprint(), _read_time(_read_member(entry, "signFrom")))


def _read_member(entry: object, name: str) -> str:
    value = entry.get(name) if isinstance(entry, Mapping) else None
    if not isinstance(value, str) or not value.strip():
        raise SecretFormatError(f"a key of the secret has no {name}")
    return value.strip()


def _read_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise SecretFormatError("signFrom is not a time with its zone, such as 2026-11-24T09:00:00Z")
    return time


def _read_hash_key(content: Mapping[str, Any]) -> bytes | None:
    value = content.get("hashKey")
    if value is None:
        return None
    if not isinstance(value, str) or len(value) < MIN_HASH_KEY_CHARACTERS:
        raise SecretFormatError(f"hashKey has fewer than {MIN_HASH_KEY_CHARACTERS} characters")
    return value.encode()


def _read_encryption_key(content: Mapping[str, Any]) -> RSAKey | None:
    value = content.get("encryptionKey")
    if value is None:
        return None
    if not isinstance(value, str):
        raise SecretFormatError("encryptionKey is not a text")
    key = load_public_key(value)
    if key.key_size < MIN_ENCRYPTION_KEY_BITS:
        raise SecretFormatError(f"encryptionKey has fewer than {MIN_ENCRYPTION_KEY_BITS} bits")
    try:  # a damaged modulus parses, and would fail with the first number
        key.encrypt(b"", OAEP(MGF1(SHA256()), SHA256(), None))
    except ValueError:
        raise SecretFormatError("encryptionKey is damaged: nothing can be encrypted with it") from None
    return RSAKey.import_key(key)
