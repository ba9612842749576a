"""Keys made, stored and checked in Secrets Manager over HTTP, and the keys of receipts."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cmpassport.keys import load_private_key
from cmpassport.receipt_keys import MAX_KEYS, ReceiptKeys
from local.aws import AwsEndpoint
from tests.support import operator as desk
from tests.support.operator import (
    APP_KEY,
    PLATFORM_KEY,
    PRIVATE,
    SIGNING_TEXT,
    VERIFICATION_TEXT,
    Run,
    runner,
)
from tests.support.receipt_secrets import new_key, secret
from tools.key_text import bare_private, bare_public
from tools.keys.receipts import SKEW

SIGNING: Final = "number-verification/signing"
VERIFICATION: Final = "number-verification/verification"
RECEIPTS: Final = "number-verification/receipts"
BUSINESS: Final = bare_public(desk.BIG.public_key())
RECEIPTS_TEXT: Final = json.dumps({"keys": [], "hashKey": "h" * 32})
PUT_SIGNING: Final = ("keys", "put", "signing", "--private", "-")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def run(endpoint: AwsEndpoint, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Run:
    """Return what runs a command, with Secrets Manager."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.address)
    return runner(monkeypatch, capsys)


def text_of(secrets: Any, name: str) -> Any:
    return json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])


def public_line(shown: desk.Shown) -> str:
    """Return the one line that is to be pasted."""
    (line,) = re.findall(r"^MI[A-Za-z0-9+/]+=*$", shown.out, re.MULTILINE)
    return str(line)


# keys new, put and check.


def test_a_new_pair_is_in_the_secret_and_the_public_half_on_a_line_of_its_own(run: Run, secrets: Any) -> None:
    place = ("--region", "cn-north-1")

    shown = run("keys", "new", "--secret", "shop/signing", "--kms-key", "alias/shop", *place)

    content = text_of(secrets, "shop/signing")
    there = secrets.describe_secret(SecretId="shop/signing")
    assert (shown.code, list(content), there["KmsKeyId"]) == (0, ["privateKey"], "alias/shop")
    assert public_line(shown) == bare_public(load_private_key(content["privateKey"]).public_key())
    assert there["ARN"] in shown.out
    for following in (  # what comes next repeats what was given
        "keys put verification --secret shop/verification --region cn-north-1",
        "keys check --secret shop/signing --verification-secret shop/verification --region cn-north-1",
        "sam deploy --config-env ENV --region cn-north-1",
        "doctor --stack shop --region cn-north-1",
    ):
        assert f"{following}`" in shown.words


def test_a_secret_gets_its_first_value_and_is_never_overwritten(run: Run, secrets: Any) -> None:
    secrets.create_secret(Name=SIGNING)

    first = run("keys", "new", "--bits", "1024")
    made = text_of(secrets, SIGNING)
    again, put = run("keys", "new"), run(*PUT_SIGNING, given=PRIVATE)

    assert (first.code, again.code, put.code) == (0, 1, 1)
    assert load_private_key(made["privateKey"]).key_size == 1024
    assert "only if the platform has refused 2048 bits" in first.words
    assert "keys rotate" in again.err
    assert text_of(secrets, SIGNING) == made


def test_what_the_platform_shows_is_stored_or_replaced(run: Run, secrets: Any, tmp_path: Path) -> None:
    (tmp_path / "app").write_text(f" {APP_KEY[::-1]}\n")
    pem = f"-----BEGIN PUBLIC KEY-----\n{PLATFORM_KEY}\n-----END PUBLIC KEY-----"

    asked = run("keys", "put", "verification", given=f"{APP_KEY}\n{pem}\n")
    first = text_of(secrets, VERIFICATION)
    refused = run("keys", "put", "verification")  # before a question is asked
    files = ("--app-key", tmp_path / "app", "--platform-public", "-", "--replace")
    replaced = run("keys", "put", "verification", *files, given=PLATFORM_KEY)

    assert (asked.code, refused.code, replaced.code) == (0, 1, 0)
    assert first == {"appKey": APP_KEY, "platformPublicKey": pem}
    assert secrets.describe_secret(SecretId=VERIFICATION)["ARN"] in asked.out
    assert "--replace" in refused.err
    assert APP_KEY not in asked.words
    assert text_of(secrets, VERIFICATION) == {"appKey": APP_KEY[::-1], "platformPublicKey": PLATFORM_KEY}


@pytest.mark.parametrize(
    ("command", "given", "said", "code"),
    [
        ("verification", f"{APP_KEY}\n{PRIVATE}\n", "is a private key", 1),
        ("verification", f"{APP_KEY}%\n{PLATFORM_KEY}\n", "characters that no appKey has", 1),
        ("verification", f"{APP_KEY * 2}\n{PLATFORM_KEY}\nno\n", "pasted two times", 1),
        ("verification", f"\n{PLATFORM_KEY}\n", "nothing was entered", 2),
        ("verification", f"{APP_KEY}\n", "the input ended", 2),
        ("signing --private -", PLATFORM_KEY, "is a public key", 1),
    ],
)
def test_what_is_wrong_is_said_and_not_stored(
    run: Run, secrets: Any, command: str, given: str, said: str, code: int
) -> None:
    shown = run("keys", "put", *command.split(), given=given)

    assert (shown.code, said in shown.words) == (code, True), shown.words
    assert secrets.list_secrets()["SecretList"] == []


@pytest.mark.parametrize(
    ("content", "file"),
    [(f"publicKey:{PLATFORM_KEY}\nprivateKey:{PRIVATE}%\n", "-"), (f"{PRIVATE}\n", None)],
)
def test_a_private_key_made_elsewhere_is_stored_in_the_right_form(
    run: Run, secrets: Any, content: str, file: str | None
) -> None:
    shown = run(*PUT_SIGNING[:3], *(("--private", file) if file else ()), given=content)

    assert (shown.code, public_line(shown)) == (0, desk.PUBLIC)
    assert text_of(secrets, SIGNING) == {"privateKey": PRIVATE}


@pytest.mark.parametrize("broken", [PRIVATE, '{"private_key": "MIIE"}'])
def test_a_broken_key_is_replaced_a_good_one_after_a_question(run: Run, secrets: Any, broken: str) -> None:
    secrets.create_secret(Name=SIGNING, SecretString=broken)

    refused = run("keys", "rotate", "--step", "prepare")
    replaced = run(*PUT_SIGNING, "--replace", given=PRIVATE)
    asked = run(*PUT_SIGNING, "--replace", given=bare_private(desk.OTHER))

    assert (refused.code, replaced.code, asked.code) == (1, 0, 2)
    assert "keys put signing --private FILE --replace" in refused.words
    assert "holds another good key" in asked.words
    assert text_of(secrets, SIGNING) == {"privateKey": PRIVATE}


def test_both_secrets_are_checked_and_one_that_is_not_there_hides_none(run: Run, secrets: Any) -> None:
    secrets.create_secret(Name=SIGNING, SecretString=SIGNING_TEXT)
    half = run("keys", "check")
    secrets.create_secret(Name=VERIFICATION, SecretString=VERIFICATION_TEXT)
    whole = run("keys", "check", "--public", "-", given=desk.PUBLIC)

    assert (half.code, whole.code) == (1, 0)
    assert f"secret {VERIFICATION}: there is no such one in cn-north-1" in half.words
    assert f"privateKey of {SIGNING} is an RSA key of 2048 bits" in half.words
    assert "The halves are a pair" in whole.words
    assert "in order: 5," in whole.words


def test_files_are_checked_without_aws(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    for name, encoding in (("key.pem", Encoding.PEM), ("key.der", Encoding.DER)):
        (tmp_path / name).write_bytes(desk.OWN.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "powershell.txt").write_text(PRIVATE, encoding="utf-16")
    private = ("keys", "check", "--private")

    good = run(*private, tmp_path / "key.pem", "--public", "-", given=desk.PUBLIC)
    swapped = run(*private, "-", given=VERIFICATION_TEXT)

    assert (good.code, swapped.code, run(*private, tmp_path / "none").code) == (0, 1, 2)
    assert "it is the other secret" in swapped.words
    assert "openssl base64 -A" in run(*private, tmp_path / "key.der").words
    assert run(*private, tmp_path / "powershell.txt").code == 0


@pytest.mark.parametrize(
    ("command", "mine"),
    [
        ("put verification --replace", VERIFICATION_TEXT),
        ("put signing --replace --private -", SIGNING_TEXT),
        ("rotate --step prepare", SIGNING_TEXT),
        ("receipts rotate --now", RECEIPTS_TEXT),
    ],
)
def test_a_foreign_secret_is_left_alone(run: Run, secrets: Any, command: str, mine: str) -> None:
    texts = {SIGNING_TEXT, VERIFICATION_TEXT, RECEIPTS_TEXT, '{"password": "p"}', "q7Zr0Y3tVb8Lw2Nx"}
    for number, foreign in enumerate(texts - {mine}):
        secrets.create_secret(Name=f"{number}", SecretString=foreign)

        shown = run("keys", *command.split(), "--secret", number, given=PRIVATE)

        assert (shown.code, "holds something else" in shown.words) == (2, True)
        there = secrets.describe_secret(SecretId=f"{number}")["VersionIdsToStages"]
        assert list(there.values()) == [["AWSCURRENT"]]


@pytest.mark.parametrize(
    ("changes", "arguments", "said", "code"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, (), "AWS cannot be reached", 1),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:1"}, (), "begins with http://", 1),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, (), "there are no AWS credentials", 1),
        ({"AWS_DEFAULT_REGION": ""}, (), "no AWS region is set", 2),
        ({}, ("--profile", "nobody"), "there is no AWS profile of that name", 1),
        ({}, ("--region", "planted 0123"), "no AWS region is set, or its name is wrong", 1),
        ({}, ("--secret", f"arn:aws:secretsmanager:eu-central-1:1:secret:{SIGNING}"), "--region eu-", 2),
        ({}, ("--replace", "--secret", "gone"), "restore-secret --secret-id gone", 1),
    ],
)
def test_what_keeps_aws_from_answering_is_told_before_a_question_is_asked(
    run: Run, secrets: Any, monkeypatch: Any, changes: Any, arguments: tuple[str, ...], said: str, code: int
) -> None:
    secrets.create_secret(Name="gone", SecretString=VERIFICATION_TEXT)
    secrets.delete_secret(SecretId="gone")
    for name, value in changes.items():
        monkeypatch.setenv(name, value)

    shown = run("keys", "put", "verification", *arguments)

    assert (shown.code, said in shown.words) == (code, True), shown.words
    assert "appKey (not shown)" not in shown.words
    assert "planted" not in shown.words


# keys receipts.


def receipt_keys(secrets: Any) -> ReceiptKeys:
    """Read the secret as the functions do."""
    return ReceiptKeys.parse(json.dumps(text_of(secrets, RECEIPTS)))


def store(secrets: Any, *ages: timedelta) -> list[str]:
    """Make a secret whose keys began that long ago; return their identifiers."""
    content = secret(*((new_key(), datetime.now(UTC) - age) for age in ages), hashKey="h" * 32)
    secrets.create_secret(Name=RECEIPTS, SecretString=content)
    return [key.kid for key in receipt_keys(secrets).signing]


def test_a_new_receipt_secret_signs_at_once_and_is_never_overwritten(run: Run, secrets: Any) -> None:
    shown = run("keys", "receipts", "new", "--encryption-key", "-", given=BUSINESS)
    keys = receipt_keys(secrets)
    again = run("keys", "receipts", "new")

    assert (shown.code, again.code) == (0, 1)
    # A function whose clock is minutes behind this machine's has a key that signs.
    assert keys.signing_at(datetime.now(UTC) - SKEW) == keys.signing[0]
    assert keys.signing[0].kid in shown.words
    assert keys.hash_key is not None
    assert keys.hash_key.decode() not in shown.words
    assert keys.encryption_key is not None
    assert "receipts rotate" in again.words
    assert receipt_keys(secrets).signing[0].kid == keys.signing[0].kid


def test_what_is_no_encryption_key_is_told_with_advice_for_this_key(run: Run, secrets: Any) -> None:
    store(secrets, DAY)
    command, small = ("keys", "receipts", "encryption-key", "-"), bare_public(desk.SMALL.public_key())

    for given, said in ((BUSINESS[:99], "is cut off"), (small, "2048 or more are wanted. → Make a")):
        shown = run(*command, given=given)
        assert (shown.code, said in shown.words) == (1, True)
        assert not re.search("keys (rotate|new)", shown.words)
    assert run(*command, given=BUSINESS).code == 0
    assert text_of(secrets, RECEIPTS)["encryptionKey"] == BUSINESS


def test_a_rotation_publishes_the_next_key_an_hour_before_it_signs(run: Run, secrets: Any) -> None:
    *_, just_now, current = store(secrets, 9 * DAY, 8 * DAY, 25 * HOUR, 23 * HOUR)
    now = datetime.now(UTC)

    shown = run("keys", "receipts", "rotate", now=lambda: now)

    keys = receipt_keys(secrets)
    *kept, following = [key.kid for key in keys.signing]
    assert kept == [just_now, current]
    assert "Dropped: 2; kept: 2." in shown.words
    assert keys.signing_at(now + HOUR - timedelta(seconds=1)).kid == current
    assert keys.signing_at(now + HOUR).kid == following
    checked = run("keys", "receipts", "check")
    for key, is_what in ((just_now, "former, published still"), (current, "signs now"), (following, "next")):
        assert f"Key {key}: {is_what}" in checked.words


@pytest.mark.parametrize("ages", [(DAY, -HOUR / 2), tuple(HOUR * hours for hours in range(MAX_KEYS, 0, -1))])
def test_a_rotation_too_soon_is_refused(run: Run, secrets: Any, ages: tuple[timedelta, ...]) -> None:
    former = store(secrets, *ages)

    shown = run("keys", "receipts", "rotate")

    assert (shown.code, "Rotate after that time" in shown.words) == (1, True)
    assert [key.kid for key in receipt_keys(secrets).signing] == former


@pytest.mark.parametrize("keys", [None, [{"privateKey": "-" * 99}]])
def test_compromised_or_damaged_keys_alone_are_made_anew_at_once(run: Run, secrets: Any, keys: Any) -> None:
    former = store(secrets, DAY, HOUR)
    if keys is not None:
        spoilt = json.dumps({"keys": keys, "hashKey": "h" * 32})
        secrets.put_secret_value(SecretId=RECEIPTS, SecretString=spoilt)
        checked = run("keys", "receipts", "check")
        assert (checked.code, "receipts rotate --now" in checked.words) == (1, True)

    shown = run("keys", "receipts", "rotate", "--now")

    made = receipt_keys(secrets)
    assert (shown.code, "not being believed" in shown.words) == (0, True)
    assert [key.kid for key in made.signing if key.kid in former] == []
    assert made.signing_at(datetime.now(UTC) - SKEW) == made.signing[0]
    assert text_of(secrets, RECEIPTS)["hashKey"] == "h" * 32
