"""The keys, parsed as the functions parse them, and held against each other and the open platform's."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from cmpassport.clock import format_timestamp
from cmpassport.keys import KeyFormatError, load_private_key, load_public_key
from cmpassport.signing import PlaintextTooLongError, encrypt
from tools.doctor.facts import Facts
from tools.doctor.findings import Finding, fault, fine, unknown, warning
from tools.doctor.steps.step import Step, nothing
from tools.doctor.steps.stored import SIGNING, VERIFICATION, fields_of
from verify.message import Credentials

_CONFIRMED_BITS: Final = 2048
_MADE_UP_NUMBER: Final = "13000000000"

_K = TypeVar("_K")


def _load(load: Callable[[str], _K], text: str) -> _K | KeyFormatError:
    try:
        return load(text)
    except KeyFormatError as error:
        return error


def signing_key(facts: Facts) -> RSAPrivateKey | KeyFormatError | None:
    """Give the customer's private key, what is wrong with it, or None where there is none to look at."""
    fields = fields_of(facts, SIGNING)
    return None if fields is None else _load(load_private_key, fields[0])


def platform_key(facts: Facts) -> RSAPublicKey | KeyFormatError | None:
    """Give the platform's public key, what is wrong with it, or None where there is none to look at."""
    fields = fields_of(facts, VERIFICATION)
    return None if fields is None else _load(load_public_key, fields[1])


def reported_key(facts: Facts) -> RSAPublicKey | KeyFormatError | None:
    """Give the public key that the open platform has, what is wrong with it, or None if it is not known."""
    text = facts.asked.public_key or facts.place.reported_key
    return None if text is None else _load(load_public_key, text)


def credentials(facts: Facts) -> Credentials | None:
    """Give what a request is signed and encrypted with, or None where any of it is wrong, as was said."""
    own, theirs, fields = signing_key(facts), platform_key(facts), fields_of(facts, VERIFICATION)
    verify = facts.settings.verify
    complete = facts.settings.has("APP_ID", "SIGNATURE_ALGORITHM", "SIGNATURE_ENCODING")
    if verify is None or fields is None or not complete:
        return None
    if not isinstance(own, RSAPrivateKey) or not isinstance(theirs, RSAPublicKey):
        return None
    return Credentials(verify.common.app_id, fields[0], theirs, own, verify.common.scheme)


def the_signing_key_parses(facts: Facts) -> Iterator[Finding]:
    """Have privateKey parsed."""
    key = signing_key(facts)
    if key is None:
        yield unknown("signing-key", "privateKey was not looked at.", "Mend the signing secret first.")
    elif isinstance(key, KeyFormatError):
        yield fault(
            "signing-key-form",
            f"privateKey is none that the functions can use: {key}.",
            "`python -m tools keys check` says more; `python -m tools keys new` makes a pair and stores it.",
        )
    elif key.key_size > _CONFIRMED_BITS:
        yield warning(
            "signing-key-size",
            f"privateKey has {key.key_size} bits; the platform's tool makes 1024, and 2048 is what is tried.",
            "Ask the platform whether it takes this size, or make another: `python -m tools keys rotate`.",
        )
    else:
        yield fine("signing-key", f"privateKey is an RSA key of {key.key_size} bits.")


def the_platform_key_parses(facts: Facts) -> Iterator[Finding]:
    """Have platformPublicKey parsed, and encrypt as long a text as the functions will."""
    key, fields = platform_key(facts), fields_of(facts, VERIFICATION)
    if key is None or fields is None:
        yield unknown(
            "platform-key", "platformPublicKey was not looked at.", "Mend the verification secret first."
        )
        return
    if isinstance(key, KeyFormatError):
        yield fault(
            "platform-key-form",
            f"platformPublicKey is none that the functions can use: {key}.",
            "Copy the platform's public key (平台公钥) from the open platform, whole and on one line.",
        )
        return
    try:
        encrypt(key, _MADE_UP_NUMBER + fields[0] + format_timestamp(facts.now))
    except PlaintextTooLongError:
        yield fault(
            "app-key-long",
            f"appKey has {len(fields[0])} characters, too many for a platform key of {key.key_size} bits.",
            "Copy appKey from the open platform again: it has 32 characters as a rule.",
        )
        return
    yield fine("platform-key", f"platformPublicKey is an RSA key of {key.key_size} bits.")


def the_platform_key_is_not_ours(facts: Facts) -> Iterator[Finding]:
    """Tell the platform's key from the customer's own."""
    own, theirs = signing_key(facts), platform_key(facts)
    if isinstance(own, RSAPrivateKey) and isinstance(theirs, RSAPublicKey) and _is_pair(own, theirs):
        yield fault(
            "platform-key-is-ours",
            "platformPublicKey is the public half of your own privateKey: the platform cannot decrypt then.",
            "Copy the platform's public key (平台公钥) from the open platform; 客户公钥 there is yours.",
        )


def the_reported_key_is_the_pair(facts: Facts) -> Iterator[Finding]:
    """Hold the key that signs against the one that the open platform has."""
    own, reported = signing_key(facts), reported_key(facts)
    if isinstance(reported, KeyFormatError):
        yield fault(
            "public-key-form",
            f"The reported public key is none: {reported}.",
            "Give --public-key FILE the customer's public key (客户公钥) as it stands in the open platform.",
        )
    elif reported is None:
        yield unknown(
            "key-pair",
            "Whether the open platform has privateKey's other half is not known.",
            "Copy the customer's public key (客户公钥) from the open platform into a file: "
            "--public-key FILE; or see what the platform says: --probe.",
        )
    elif isinstance(own, RSAPrivateKey) and _is_pair(own, reported):
        yield fine("key-pair", "The reported public key is privateKey's other half.")
    elif isinstance(own, RSAPrivateKey):
        yield fault(
            "key-pair-mismatch",
            "The reported public key is not privateKey's other half: the platform answers 130018.",
            "`python -m tools keys check` shows privateKey's public half: paste that into the open platform, "
            "or finish the rotation: `python -m tools keys rotate`.",
        )


def _is_pair(own: RSAPrivateKey, public: RSAPublicKey) -> bool:
    return own.public_key().public_numbers() == public.public_numbers()


STEP: Final = Step(
    "Keys",
    nothing,
    (
        the_signing_key_parses,
        the_platform_key_parses,
        the_platform_key_is_not_ours,
        the_reported_key_is_the_pair,
    ),
)
