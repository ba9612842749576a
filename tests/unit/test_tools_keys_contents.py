"""What is wrong with a secret's text, and with keys that do not belong together."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cmpassport.secret_cache import SecretFormatError, read_fields
from tools.findings import Severity
from tools.keys.contents import (
    examine_reported,
    examine_signing,
    examine_together,
    examine_verification,
)
from tools.keys.pairs import bare_private, bare_public, fingerprint, new_private_key

SECRET: Final = "shop/secret"
APP_KEY: Final = "AA03E6C60D0B0D14320B9A3F0B5AAD99"

OWN: Final = new_private_key(2048)
PLATFORM: Final = new_private_key(2048).public_key()
PRIVATE: Final = bare_private(OWN)
PLATFORM_KEY: Final = bare_public(PLATFORM)

SIGNING: Final = {"privateKey": PRIVATE}
VERIFICATION: Final = {"appKey": APP_KEY, "platformPublicKey": PLATFORM_KEY}

# The text, and the codes of what is said about it.
SIGNING_CASES: Final[dict[str, tuple[str, list[str]]]] = {
    "good": (json.dumps(SIGNING), ["key-readable"]),
    "a field more": (json.dumps({**SIGNING, "note": "of 2026"}), ["key-readable"]),
    "the key alone": (PRIVATE, ["bare-key"]),
    "a shell has eaten the quotes": (f"{{privateKey:{PRIVATE}}}", ["json-broken"]),
    "a PEM with its line breaks as they are": ('{"privateKey": "-----BEGIN\nMII"}', ["json-broken"]),
    "words": ("changeme", ["not-json"]),
    "nothing": ("", ["not-json"]),
    "a list": (json.dumps([PRIVATE]), ["secret-not-object"]),
    "no field": ("{}", ["field-missing"]),
    "an empty field": (json.dumps({"privateKey": " "}), ["field-missing"]),
    "a number": (json.dumps({"privateKey": 1}), ["field-missing"]),
    "another spelling": (json.dumps({"private_key": PRIVATE}), ["field-misspelled"]),
    "another case": (json.dumps({"PrivateKey": PRIVATE}), ["field-misspelled"]),
    "the other secret": (json.dumps(VERIFICATION), ["secrets-swapped"]),
    "the public half": (json.dumps({"privateKey": bare_public(OWN.public_key())}), ["public-for-private"]),
}

VERIFICATION_CASES: Final[dict[str, tuple[str, list[str]]]] = {
    "good": (json.dumps(VERIFICATION), ["key-readable", "app-key"]),
    "blanks around the appKey": (
        json.dumps({**VERIFICATION, "appKey": f" {APP_KEY}\n"}),
        ["key-readable", "app-key"],
    ),
    "a blank inside the appKey": (
        json.dumps({**VERIFICATION, "appKey": f"{APP_KEY[:16]} {APP_KEY[16:]}"}),
        ["key-readable", "app-key-blanks"],
    ),
    "a line break inside the appKey": (
        json.dumps({**VERIFICATION, "appKey": f"{APP_KEY[:16]}\n{APP_KEY[16:]}"}),
        ["key-readable", "app-key-blanks"],
    ),
    "full-width digits": (
        json.dumps({**VERIFICATION, "appKey": "１" + APP_KEY[1:]}),
        ["key-readable", "app-key-blanks"],
    ),
    "an appId for the appKey": (
        json.dumps({**VERIFICATION, "appKey": "300011112222"}),
        ["key-readable", "app-key-unusual"],
    ),
    "a text too long for one block": (
        json.dumps({**VERIFICATION, "appKey": "A" * 218}),
        ["key-readable", "app-key-long"],
    ),
    "the longest text for one block": (
        json.dumps({**VERIFICATION, "appKey": "A" * 217}),
        ["key-readable", "app-key-unusual"],
    ),
    "no platform key": (json.dumps({"appKey": APP_KEY}), ["field-missing", "app-key"]),
    "no appKey": (json.dumps({"platformPublicKey": PLATFORM_KEY}), ["field-missing", "key-readable"]),
    "neither": ("{}", ["field-missing", "field-missing"]),
    "other spellings": (
        json.dumps({"app_key": APP_KEY, "platform_public_key": PLATFORM_KEY}),
        ["field-misspelled", "field-misspelled"],
    ),
    "the other secret": (json.dumps(SIGNING), ["secrets-swapped", "secrets-swapped"]),
    "the platform key alone": (PLATFORM_KEY, ["bare-key"]),
    "a private key": (
        json.dumps({**VERIFICATION, "platformPublicKey": PRIVATE}),
        ["private-for-public", "app-key"],
    ),
}


def faults(findings: Any) -> list[str]:
    return [finding.code for finding in findings if finding.severity is Severity.FAULT]


def is_read(text: str, *names: str) -> bool:
    """Tell whether the functions would find the fields."""
    try:
        read_fields(text, *names)
    except SecretFormatError:
        return False
    return True


@pytest.mark.parametrize(("text", "said"), SIGNING_CASES.values(), ids=SIGNING_CASES)
def test_a_signing_secret_is_told_what_it_is(text: str, said: list[str]) -> None:
    found = examine_signing(text, SECRET)

    assert [finding.code for finding in found.findings] == said
    assert (found.key is None) == bool(faults(found.findings))


@pytest.mark.parametrize(("text", "said"), VERIFICATION_CASES.values(), ids=VERIFICATION_CASES)
def test_a_verification_secret_is_told_what_it_is(text: str, said: list[str]) -> None:
    assert [finding.code for finding in examine_verification(text, SECRET).findings] == said


@pytest.mark.parametrize(
    ("examine", "text", "names"),
    [
        *((examine_signing, text, ("privateKey",)) for text, _ in SIGNING_CASES.values()),
        *(
            (examine_verification, text, ("appKey", "platformPublicKey"))
            for text, _ in VERIFICATION_CASES.values()
        ),
    ],
)
def test_a_text_that_the_functions_cannot_read_is_a_fault(
    examine: Callable[[str, str], Any], text: str, names: tuple[str, ...]
) -> None:
    assert is_read(text, *names) or faults(examine(text, SECRET).findings)


@pytest.mark.parametrize(
    ("examine", "text"),
    [
        *((examine_signing, text) for text, _ in SIGNING_CASES.values()),
        *((examine_verification, text) for text, _ in VERIFICATION_CASES.values()),
    ],
)
def test_no_finding_shows_any_of_a_secret(examine: Callable[[str, str], Any], text: str) -> None:
    shown = " ".join(f"{each.what} {each.remedy}" for each in examine(text, SECRET).findings)

    secrets = (APP_KEY, PRIVATE, PLATFORM_KEY, "changeme", "300011112222")
    assert not [secret for secret in secrets if secret[:16] in shown]


def test_a_long_name_of_a_field_is_not_repeated_as_it_might_be_a_value() -> None:
    text = json.dumps({"private" + "_" * 60 + "key": PRIVATE})

    (finding,) = examine_signing(text, SECRET).findings

    assert finding.code == "field-misspelled"
    assert "____" not in finding.what


# The public half, as it stands on the open platform.

PUBLIC: Final = OWN.public_key()
PEM: Final = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
REPORTED: Final = {
    "bare": (bare_public(PUBLIC), Severity.OK),
    "a line break at the end": (bare_public(PUBLIC) + "\n", Severity.OK),
    "PEM": (PEM, Severity.FAULT),
    "lines": ("\n".join(PEM.splitlines()[1:-1]), Severity.FAULT),
    "PKCS#1": (bare_public(PUBLIC, PublicFormat.PKCS1), Severity.FAULT),
}


@pytest.mark.parametrize(("text", "severity"), REPORTED.values(), ids=REPORTED)
def test_a_reported_key_has_to_be_one_line_without_armour(text: str, severity: Severity) -> None:
    key, findings = examine_reported(text, "pasted.txt")

    assert key == PUBLIC
    assert [(finding.code, finding.severity) for finding in findings[1:]] == [("reported-form", severity)]
    if severity is Severity.FAULT:
        assert bare_public(PUBLIC) in findings[-1].remedy


def test_what_is_no_reported_key_is_told_apart() -> None:
    key, findings = examine_reported(PRIVATE, "pasted.txt")

    assert key is None
    assert faults(findings) == ["private-for-public"]


# How keys belong together.

OTHER: Final = new_private_key(2048)
TOGETHER: Final[dict[str, tuple[RSAPrivateKey | None, Any, Any, list[str], list[str]]]] = {
    "all is well": (OWN, PUBLIC, PLATFORM, ["pair", "platform-key-apart"], []),
    "no pair": (OWN, OTHER.public_key(), None, ["no-pair"], ["no-pair"]),
    "the own key as the platform's": (OWN, None, PUBLIC, ["own-key-as-platforms"], ["own-key-as-platforms"]),
    "the reported key as the platform's": (
        None,
        PUBLIC,
        PUBLIC,
        ["one-key-in-both-places"],
        ["one-key-in-both-places"],
    ),
    "the platform's key reported": (
        OWN,
        PLATFORM,
        PLATFORM,
        ["platforms-key-reported"],
        ["platforms-key-reported"],
    ),
    "one key alone": (OWN, None, None, [], []),
    "the platform's alone": (None, None, PLATFORM, [], []),
}


@pytest.mark.parametrize(
    ("private", "reported", "platform", "said", "wrong"), TOGETHER.values(), ids=TOGETHER
)
def test_keys_are_held_against_each_other(
    private: RSAPrivateKey | None, reported: Any, platform: Any, said: list[str], wrong: list[str]
) -> None:
    findings = list(examine_together(private, reported, platform))

    assert [finding.code for finding in findings] == said
    assert faults(findings) == wrong


def test_halves_that_are_no_pair_are_shown_by_their_fingerprints_with_the_line_to_paste() -> None:
    (finding,) = examine_together(OWN, OTHER.public_key(), None)

    assert fingerprint(PUBLIC) in finding.what
    assert fingerprint(OTHER.public_key()) in finding.what
    assert bare_public(PUBLIC) in finding.remedy


def test_a_small_key_of_the_platforms_is_not_the_operators_to_change() -> None:
    small = bare_public(new_private_key(1024).public_key())
    text = json.dumps({"appKey": "A" * 32, "platformPublicKey": small})

    findings = {finding.code: finding for finding in examine_verification(text, "shop").findings}

    assert findings["key-small"].severity is Severity.WARNING
    assert "keys rotate" not in findings["key-small"].remedy
    assert "the platform's to change" in findings["key-small"].remedy


def test_a_platform_key_that_is_cut_off_is_copied_anew_and_not_made() -> None:
    text = json.dumps({"appKey": "A" * 32, "platformPublicKey": PLATFORM_KEY[:200]})

    findings = {finding.code: finding for finding in examine_verification(text, "shop").findings}

    assert "put verification --replace" in findings["truncated"].remedy
    assert "keys new" not in findings["truncated"].remedy
