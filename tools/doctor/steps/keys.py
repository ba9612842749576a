"""The keys and the appKey: what `keys check` says of them, and which half the open platform has."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from cmpassport.secret_cache import SecretFormatError, read_fields
from tools.doctor.facts import Facts
from tools.doctor.place import Origin
from tools.doctor.steps.settings import PARAMETERS
from tools.doctor.steps.step import Step, nothing
from tools.doctor.steps.stored import SIGNING, VERIFICATION, Secret, name_of
from tools.findings import Finding, fault, unknown
from tools.keys.contents import (
    Signing,
    Verification,
    examine_reported,
    examine_signing,
    examine_together,
    examine_verification,
)
from tools.keys.pairs import bare_public
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
    if text is None:
        return None, ()
    reported, findings = examine_reported(text, "The reported public key")
    own, platforms = _signing(facts).key, _verification(facts).platform_key
    if reported is None or reported != platforms or (own and reported == own.public_key()):
        return reported, findings
    return None, (_platforms_key(own),)


def _platforms_key(own: RSAPrivateKey | None) -> Finding:
    """Judge a reported key that is the platform's; without ours it may as well be the other way round."""
    if own is None:
        return fault(
            "one-key-in-both-places",
            "The reported public key and platformPublicKey are one key: one of them is in the wrong place.",
            "Look at the open platform: the customer's public key (客户公钥) is to be reported, the "
            "platform's (平台公钥) belongs into the verification secret.",
        )
    return fault(
        "platforms-key-reported",
        "The reported public key is the platform's own (平台公钥), not the customer's (客户公钥).",
        "Put the customer's public key into the file of --public-key. If the open platform has the "
        f"platform's key in the customer's field, paste this line there: `{bare_public(own.public_key())}`",
    )


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
    for finding in (*_signing(facts).findings, *_verification(facts).findings):
        yield _swapped(facts, finding) if finding.code == "secrets-swapped" else finding


def _swapped(facts: Facts, finding: Finding) -> Finding:
    """Name what holds the secrets' names here, in place of options that the doctor does not have."""
    variables = (SIGNING.variable, VERIFICATION.variable)
    if facts.place.origin is Origin.STACK:
        names = " and ".join(PARAMETERS[variable] for variable in variables)
        return replace(finding, remedy=f"Exchange the parameters {names}, and deploy again.")
    return replace(finding, remedy=f"Exchange {' and '.join(variables)}: each names the other's secret.")


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
