"""What is wrong with a secret's text, and with keys that do not belong together."""

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
from tools.messages import Language
from tools.pairs import bare_public, fingerprint
from tools.secret_text import examine_reported, examine_signing, examine_together, examine_verification

SECRET: Final = "shop/secret"
VERIFICATION: Final = json.loads(VERIFICATION_TEXT)


def verification(**changes: Any) -> str:
    return json.dumps({name: each for name, each in {**VERIFICATION, **changes}.items() if each is not None})


# The text, and the codes of what is said about it.
CASES: Final = {
    "signing": (examine_signing, SIGNING_TEXT, "key-readable"),
    "signing, more fields": (
        examine_signing,
        json.dumps({"privateKey": PRIVATE, "note": "x"}),
        "key-readable",
    ),
    "signing, another field": (examine_signing, json.dumps({"key": PRIVATE}), "field-missing"),
    "signing, misspelt": (examine_signing, json.dumps({"private_key": PRIVATE}), "field-misspelled"),
    "signing, misspelt at length": (
        examine_signing,
        json.dumps({f"private{'_' * 60}key": PRIVATE}),
        "field-misspelled",
    ),
    "signing, no text": (examine_signing, json.dumps({"privateKey": 1}), "field-missing"),
    "signing, bare key": (examine_signing, PRIVATE, "bare-key"),
    "signing, quotes eaten": (examine_signing, "{privateKey:changeme}", "json-broken"),
    "signing, words": (examine_signing, "changeme", "not-json"),
    "signing, a list": (examine_signing, "[]", "secret-not-object"),
    "signing, swapped": (examine_signing, VERIFICATION_TEXT, "secrets-swapped"),
    "signing, public half": (examine_signing, json.dumps({"privateKey": PUBLIC}), "public-for-private"),
    "verification": (examine_verification, VERIFICATION_TEXT, "key-readable app-key"),
    "blanks around the appKey": (
        examine_verification,
        verification(appKey=f" {APP_KEY}\n"),
        "key-readable app-key",
    ),
    "a blank inside the appKey": (
        examine_verification,
        verification(appKey=f"{APP_KEY[:16]} {APP_KEY[16:]}"),
        "key-readable app-key-blanks",
    ),
    "full-width digits": (
        examine_verification,
        verification(appKey="１" + APP_KEY[1:]),
        "key-readable app-key-blanks",
    ),
    "an appId": (examine_verification, verification(appKey="300011112222"), "key-readable app-key-unusual"),
    "pasted twice": (examine_verification, verification(appKey=APP_KEY * 2), "key-readable app-key-unusual"),
    "too long for a block": (
        examine_verification,
        verification(appKey="A" * 218),
        "key-readable app-key-long",
    ),
    "the longest": (examine_verification, verification(appKey="A" * 217), "key-readable app-key-unusual"),
    "no platform key": (examine_verification, verification(platformPublicKey=None), "field-missing app-key"),
    "no appKey": (examine_verification, verification(appKey=None), "field-missing key-readable"),
    "neither": (examine_verification, "{}", "field-missing field-missing"),
    "the other secret": (examine_verification, SIGNING_TEXT, "secrets-swapped secrets-swapped"),
    "the platform key alone": (examine_verification, PLATFORM_KEY, "bare-key"),
    "a private key": (
        examine_verification,
        verification(platformPublicKey=PRIVATE),
        "private-for-public app-key",
    ),
    "a small platform key": (
        examine_verification,
        verification(platformPublicKey=bare_public(SMALL.public_key())),
        "key-small app-key",
    ),
}


def said_of(finding: Finding) -> str:
    return finding.text.say(Language.ENGLISH, {})


def faults(findings: Any) -> list[str]:
    return [finding.code for finding in findings if finding.severity is Severity.FAULT]


@pytest.mark.parametrize(("examine", "content", "said"), CASES.values(), ids=CASES)
def test_a_secret_is_told_what_it_is_and_none_of_it_is_shown(examine: Any, content: str, said: str) -> None:
    found = examine(content, SECRET).findings

    assert [finding.code for finding in found] == said.split()
    names = ("privateKey",) if examine is examine_signing else ("appKey", "platformPublicKey")
    try:
        read_fields(content, *names)
    except SecretFormatError:  # what the functions cannot read is a fault
        assert faults(found)
    shown = " ".join(map(said_of, found))
    hidden = (APP_KEY, PRIVATE, PLATFORM_KEY, "changeme", "300011112222", "____")
    assert not [secret for secret in hidden if secret[:16] in shown]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("an appId", "the form of an appId"),
        ("pasted twice", "the same text twice"),
        ("a small platform key", "the platform's to change"),
        ("signing, public half", "keys new"),
    ],
)
def test_advice_is_for_this_mistake(case: str, words: str) -> None:
    examine, content, _ = CASES[case]

    assert words in " ".join(map(said_of, examine(content, SECRET).findings))


_PEM: Final = OWN.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("content", "severity"),
    [
        (PUBLIC, Severity.OK),
        (PUBLIC + "\n", Severity.OK),
        (_PEM, Severity.FAULT),
        ("\n".join(_PEM.splitlines()[1:-1]), Severity.FAULT),
        (bare_public(OWN.public_key(), PublicFormat.PKCS1), Severity.FAULT),
    ],
    ids=["bare", "a line break at the end", "PEM", "lines", "PKCS#1"],
)
def test_a_reported_key_has_to_be_one_line_without_armour(content: str, severity: Severity) -> None:
    key, (_, form) = examine_reported(content, "pasted.txt")

    assert key == OWN.public_key()
    assert (form.code, form.severity) == ("reported-form", severity)
    assert severity is Severity.OK or PUBLIC in said_of(form)


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

    assert [finding.code for finding in findings] == said.split()
    assert faults(findings) == wrong.split()
    if said in {"no-pair", "platforms-key-reported"}:
        assert PUBLIC in said_of(findings[0])
    if said == "no-pair":
        assert fingerprint(OURS) in said_of(findings[0])
