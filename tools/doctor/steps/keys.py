"""The keys and the appKey: what `keys check` says of them, and which half the open platform has."""

from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from cmpassport.secret_cache import SecretFormatError, read_fields
from tools.doctor.facts import Facts
from tools.doctor.steps.step import Step, nothing
from tools.doctor.steps.stored import SIGNING, VERIFICATION, Secret, name_of
from tools.findings import Finding, unknown
from tools.keys.contents import (
    Signing,
    Verification,
    examine_reported,
    examine_signing,
    examine_together,
    examine_verification,
)
from verify.message import Credentials


def _text(facts: Facts, secret: Secret) -> str | None:
    reading = facts.secrets.get(secret.variable)
    return None if reading is None else reading.text


def _signing(facts: Facts) -> Signing:
    text = _text(facts, SIGNING)
    return Signing(None, ()) if text is None else examine_signing(text, name_of(facts.place, SIGNING))


def _verification(facts: Facts) -> Verification:
    text = _text(facts, VERIFICATION)
    if text is None:
        return Verification(None, ())
    return examine_verification(text, name_of(facts.place, VERIFICATION))


def _reported(facts: Facts) -> tuple[RSAPublicKey | None, tuple[Finding, ...]]:
    text = facts.asked.public_key or facts.place.reported_key
    return (None, ()) if text is None else examine_reported(text, "The reported public key")


def signing_key(facts: Facts) -> RSAPrivateKey | None:
    """Give the customer's private key, or None where there is none that the functions could use."""
    return _signing(facts).key


def reported_key(facts: Facts) -> RSAPublicKey | None:
    """Give the public key that the open platform has, or None where it is not known."""
    return _reported(facts)[0]


def credentials(facts: Facts) -> Credentials | None:
    """Give what a request is signed and encrypted with, or None where any of it is wrong."""
    own, theirs, verify = _signing(facts).key, _verification(facts).platform_key, facts.settings.verify
    complete = facts.settings.has("APP_ID", "SIGNATURE_ALGORITHM", "SIGNATURE_ENCODING")
    if verify is None or own is None or theirs is None or not complete:
        return None
    try:
        (app_key,) = read_fields(_text(facts, VERIFICATION) or "", "appKey")
    except SecretFormatError:
        return None
    return Credentials(verify.common.app_id, app_key, theirs, own, verify.common.scheme)


def secrets_hold_keys(facts: Facts) -> Iterator[Finding]:
    """Say what is in the two secrets, and what is wrong with it."""
    for secret in (SIGNING, VERIFICATION):
        if _text(facts, secret) is None:
            fields = " and ".join(secret.fields)
            yield unknown("keys", f"{fields}: not looked at.", "Mend what stands above first.")
    yield from _signing(facts).findings
    yield from _verification(facts).findings


def keys_belong_together(facts: Facts) -> Iterator[Finding]:
    """Hold the key that signs against the one that the open platform has, and the platform's against both."""
    reported, findings = _reported(facts)
    yield from findings
    if reported is None and not findings:
        yield unknown(
            "pair",
            "Whether the open platform has privateKey's other half is not known.",
            "Copy the customer's public key (客户公钥) from the open platform into a file: "
            "--public-key FILE; or see what the platform says: --probe.",
        )
    yield from examine_together(_signing(facts).key, reported, _verification(facts).platform_key)


STEP: Final = Step("Keys", nothing, (secrets_hold_keys, keys_belong_together))
