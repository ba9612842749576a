"""What is wrong with a secret's text, and with keys that do not belong together."""

import base64
import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cmpassport.secret_cache import SecretFormatError, read_fields
from tests.support.operator import (
    APP_KEY,
    BIG,
    OTHER,
    OWN,
    PLATFORM_KEY,
    PRIVATE,
    PUBLIC,
    SIGNING_TEXT,
    SMALL,
    VERIFICATION_TEXT,
)
from tools.findings import Finding, Severity
from tools.key_text import bare_public, fingerprint
from tools.messages import Language
from tools.secret_text import examine_reported, examine_signing, examine_together, examine_verification

SECRET: Final = "shop/secret"
VERIFICATION: Final = json.loads(VERIFICATION_TEXT)


def verification(**changes: Any) -> str:
    return json.dumps({name: each for name, each in {**VERIFICATION, **changes}.items() if each is not None})


# The text, the codes of what is said about it, and words of the advice for this mistake.
SIGNING: Final[dict[str, tuple[str, str, str]]] = {
    "good": (SIGNING_TEXT, "key-readable", ""),
    "after a byte order mark": ("\ufeff" + SIGNING_TEXT, "key-readable", ""),
    "more fields": (json.dumps({"privateKey": PRIVATE, "note": "x"}), "key-readable", ""),
    "another field": (json.dumps({"key": PRIVATE}), "field-missing", "put signing"),
    "misspelt": (json.dumps({"private_key": PRIVATE}), "field-missing", "spelled otherwise"),
    "no text": (json.dumps({"privateKey": 1}), "field-missing", ""),
    "a key alone": (PRIVATE, "bare-key", "the key in a field"),
    "quotes eaten": ("{privateKey:changeme}", "not-json", "needs no shell quoting"),
    "words": ("changeme", "not-json", ""),
    "a list": ("[]", "not-json", ""),
    "swapped": (VERIFICATION_TEXT, "secrets-swapped", "VerificationSecretArn"),
    "the public half": (json.dumps({"privateKey": PUBLIC}), "public-for-private", "keys new"),
}
OTHERS: Final[dict[str, tuple[str, str, str]]] = {
    "good": (VERIFICATION_TEXT, "key-readable app-key", ""),
    "blanks around the appKey": (verification(appKey=f" {APP_KEY}\n"), "key-readable app-key", ""),
    "a blank inside": (
        verification(appKey=f"{APP_KEY[:9]} {APP_KEY[9:]}"),
        "key-readable app-key-blanks",
        "",
    ),
    "full-width digits": (verification(appKey="１" + APP_KEY[1:]), "key-readable app-key-blanks", ""),
    "an appId": (verification(appKey="300011112222"), "key-readable app-key-app-id", "form of an appId"),
    "pasted twice": (verification(appKey=APP_KEY * 2), "key-readable app-key-twice", "same text twice"),
    "too long for a block": (verification(appKey="A" * 218), "key-readable app-key-long", "only 217 fit"),
    "the longest": (verification(appKey="A" * 217), "key-readable app-key-unusual", ""),
    "no platform key": (verification(platformPublicKey=None), "field-missing app-key", ""),
    "no appKey": (verification(appKey=None), "field-missing key-readable", ""),
    "neither": ("{}", "field-missing field-missing", ""),
    "the other secret": (SIGNING_TEXT, "secrets-swapped secrets-swapped", ""),
    "the platform key alone": (PLATFORM_KEY, "bare-key", ""),
    "a private key": (verification(platformPublicKey=PRIVATE), "private-for-public app-key", ""),
    "a small platform key": (
        verification(platformPublicKey=bare_public(SMALL.public_key())),
        "key-small-platform app-key",
        "the platform's to change",
    ),
}
CASES: Final = {
    **{f"signing: {name}": (examine_signing, *case) for name, case in SIGNING.items()},
    **{f"verification: {name}": (examine_verification, *case) for name, case in OTHERS.items()},
}


def said_of(finding: Finding) -> str:
    return finding.text.say(Language.ENGLISH, {})


def faults(findings: Any) -> list[str]:
    return [finding.text.key for finding in findings if finding.severity is Severity.FAULT]


@pytest.mark.parametrize(("examine", "content", "codes", "words"), CASES.values(), ids=CASES)
def test_a_secret_is_told_what_it_is_and_none_of_it_is_shown(
    examine: Any, content: str, codes: str, words: str
) -> None:
    found = examine(content, SECRET).findings

    assert [finding.text.key for finding in found] == codes.split()
    names = ("privateKey",) if examine is examine_signing else ("appKey", "platformPublicKey")
    try:
        read_fields(content, *names)
    except SecretFormatError:  # what the functions cannot read is a fault
        assert faults(found)
    shown = " ".join(map(said_of, found))
    assert words in shown
    hidden = (APP_KEY, PRIVATE, PLATFORM_KEY, "changeme", "300011112222")
    assert not [secret for secret in hidden if secret[:16] in shown]


_PEM: Final = OWN.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


_PKCS1: Final = OWN.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PUBLIC, "key-readable"),
        (PUBLIC + "\n", "key-readable"),
        (_PEM, "key-readable reported-form"),
        ("\n".join(_PEM.splitlines()[1:-1]), "key-readable reported-form"),
        (base64.b64encode(_PKCS1).decode(), "key-readable reported-form"),
    ],
    ids=["bare", "a line break at the end", "PEM", "lines", "PKCS#1"],
)
def test_a_reported_key_has_to_be_one_line_without_armour(content: str, said: str) -> None:
    key, findings = examine_reported(content, "pasted.txt")

    assert key == OWN.public_key()
    assert [finding.text.key for finding in findings] == said.split()
    assert ("reported-form" in said) == (PUBLIC in said_of(findings[-1])) == bool(faults(findings))


OURS, THEIRS, THIRD = OWN.public_key(), OTHER.public_key(), BIG.public_key()


@pytest.mark.parametrize(
    ("private", "reported", "platform", "said", "wrong"),
    [
        (OWN, OURS, THEIRS, "pair platform-key-apart", ""),
        (OWN, THIRD, None, "no-pair", "no-pair"),
        (OWN, None, OURS, "own-key-as-platforms", "own-key-as-platforms"),
        (None, OURS, OURS, "one-key-in-both-places", "one-key-in-both-places"),
        (OWN, THEIRS, THEIRS, "platforms-key-reported", "platforms-key-reported"),
        (OWN, None, None, "", ""),
        (None, None, THEIRS, "", ""),
    ],
)
def test_keys_are_held_against_each_other(
    private: Any, reported: Any, platform: Any, said: str, wrong: str
) -> None:
    findings = list(examine_together(private, reported, platform))

    assert [finding.text.key for finding in findings] == said.split()
    assert faults(findings) == wrong.split()
    if said in {"no-pair", "platforms-key-reported"}:
        assert PUBLIC in said_of(findings[0])
    if said == "no-pair":
        assert fingerprint(OURS) in said_of(findings[0])
