"""Keys made, stored and checked in Secrets Manager over HTTP, and the keys of receipts."""

import base64
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cmpassport.keys import load_private_key
from cmpassport.receipt_keys import MAX_KEYS, PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.settings import MAX_SECRET_AGE
from local.aws import AwsEndpoint
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
    Run,
    Shown,
    runner,
)
from tools.keys import receipts
from tools.keys.receipts import LEAD, SKEW
from tools.pairs import bare_private, bare_public
from tools.store import Store

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SIGNING: Final = "number-verification/signing"
VERIFICATION: Final = "number-verification/verification"
RECEIPTS: Final = "number-verification/receipts"
LINE: Final = re.compile(r"^MI[A-Za-z0-9+/]+=*$", re.MULTILINE)
BUSINESS: Final = bare_public(BIG.public_key())
RECEIPTS_TEXT: Final = json.dumps({"keys": [], "hashKey": "h" * 32})
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def run(
    endpoint: AwsEndpoint,
    secrets: "SecretsManagerClient",
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """An operator's desk, with Secrets Manager; nothing of a private key or a hashKey is ever shown."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.address)
    command = runner(monkeypatch, capsys)

    def watched(*arguments: object, given: str = "", **clock: Any) -> Shown:
        shown = command(*arguments, given=given, **clock)
        listed = secrets.list_secrets()["SecretList"]
        held = "".join(secrets.get_secret_value(SecretId=each["ARN"])["SecretString"] for each in listed)
        hidden = re.findall(r'"(?:privateKey|hashKey|appKey)": "([^"]{20,60})', held)
        assert not [each for each in hidden if each in shown.out + shown.err]
        return shown

    return watched


def text_of(secrets: "SecretsManagerClient", name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    return content


def public_line(shown: Shown) -> str:
    """Return the one line that is to be pasted."""
    (line,) = LINE.findall(shown.out)
    return str(line)


# keys new, put and check.


def test_a_new_pair_is_in_the_secret_and_the_public_half_on_a_line_of_its_own(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    shown = run(
        "keys", "new", "--secret", "shop/signing", "--kms-key", "alias/shop", "--region", "cn-north-1"
    )

    assert shown.code == 0
    content = text_of(secrets, "shop/signing")
    assert list(content) == ["privateKey"]
    assert public_line(shown) == bare_public(load_private_key(content["privateKey"]).public_key())
    there = secrets.describe_secret(SecretId="shop/signing")
    assert there["ARN"] in shown.out
    assert there["KmsKeyId"] == "alias/shop"
    # What comes next repeats what was given.
    assert "keys put verification --secret shop/verification --region cn-north-1`" in shown.words
    both = "--secret shop/signing --verification-secret shop/verification"
    assert f"`python -m tools keys check {both} --region cn-north-1`" in shown.words
    assert "`sam deploy --stack-name shop --region cn-north-1`" in shown.words
    assert "`python -m tools doctor --stack shop --region cn-north-1`" in shown.words
    assert "aws kms describe-key --key-id alias/shop" in shown.words


def test_a_secret_is_never_overwritten(run: Run, secrets: "SecretsManagerClient") -> None:
    secrets.create_secret(Name=SIGNING, SecretString=SIGNING_TEXT)

    made = run("keys", "new", "--secret", SIGNING)
    put = run("keys", "put", "signing", "--private", "-", given=PRIVATE)

    assert (made.code, put.code) == (1, 1)
    assert "keys rotate" in made.err
    assert text_of(secrets, SIGNING) == json.loads(SIGNING_TEXT)


def test_a_secret_without_a_value_gets_its_first(run: Run, secrets: "SecretsManagerClient") -> None:
    secrets.create_secret(Name=SIGNING)

    shown = run("keys", "new", "--bits", "1024")

    assert load_private_key(text_of(secrets, SIGNING)["privateKey"]).key_size == 1024
    assert "only if the platform has refused 2048 bits" in shown.words


def test_what_the_open_platform_shows_is_stored_and_replaced_only_when_asked_for(
    run: Run, secrets: "SecretsManagerClient", tmp_path: Path
) -> None:
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
    assert text_of(secrets, VERIFICATION) == {"appKey": APP_KEY[::-1], "platformPublicKey": PLATFORM_KEY}


@pytest.mark.parametrize(
    ("given", "said", "code"),
    [
        (f"{APP_KEY}\n{PRIVATE}\n", "is a private key", 1),
        (f"{APP_KEY}\n{PLATFORM_KEY[:100]}\n", "is cut off", 1),
        (f"a b\n{PLATFORM_KEY}\n", "has blanks", 1),
        (f"300011112222\n{PLATFORM_KEY}\nno\n", "the form of an appId", 1),
        (f"{APP_KEY * 2}\n{PLATFORM_KEY}\nno\n", "pasted two times", 1),
        (f"\n{PLATFORM_KEY}\n", "nothing was entered", 2),
        (f"{APP_KEY}\n", "the input ended", 2),
    ],
)
def test_what_is_wrong_is_said_and_not_stored(
    run: Run, secrets: "SecretsManagerClient", given: str, said: str, code: int
) -> None:
    shown = run("keys", "put", "verification", given=given)

    assert shown.code == code
    assert said in shown.words
    assert secrets.list_secrets()["SecretList"] == []


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        *(
            (f"{before}{PRIVATE}{after}", True)
            for before, after in (("privateKey:", ""), ("privateKey=", "\n"), ("", "\n"))
        ),
        (PLATFORM_KEY, False),
    ],
)
def test_a_private_key_made_elsewhere_is_stored_in_the_right_form_and_nothing_else_is(
    run: Run, secrets: "SecretsManagerClient", content: str, *, taken: bool
) -> None:
    shown = run("keys", "put", "signing", "--private", "-", given=content)

    assert shown.code == (0 if taken else 1)
    if taken:
        assert text_of(secrets, SIGNING) == {"privateKey": PRIVATE}
        assert public_line(shown) == PUBLIC
    else:
        assert secrets.list_secrets()["SecretList"] == []


def test_both_secrets_are_checked_and_one_that_is_not_there_hides_none(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    secrets.create_secret(Name=SIGNING, SecretString=SIGNING_TEXT)
    half = run("keys", "check")
    secrets.create_secret(Name=VERIFICATION, SecretString=VERIFICATION_TEXT)
    whole = run("keys", "check", "--public", "-", given=PUBLIC)

    assert (half.code, whole.code) == (1, 0)
    assert f"secret {VERIFICATION}: there is no such one in cn-north-1" in half.words
    assert f"privateKey of {SIGNING} is an RSA key of 2048 bits" in half.words
    assert "The halves are a pair" in whole.words
    assert "in order: 6," in whole.words


def test_files_are_checked_without_aws(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    (tmp_path / "key.pem").write_bytes(OWN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "key.der").write_bytes(OWN.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    private = ("keys", "check", "--private")

    good = run(*private, tmp_path / "key.pem", "--public", "-", given=PUBLIC)
    secret = run(*private, "-", given=json.dumps({"private_key": PRIVATE}))

    assert (good.code, secret.code) == (0, 1)
    assert "privateKey is missing, spelled otherwise" in secret.words
    assert "openssl base64 -A" in run(*private, tmp_path / "key.der").words
    assert run(*private, tmp_path / "none").code == 2
    assert run(*private, "-", "--public", "-").code == 2


@pytest.mark.parametrize("broken", ["{}", PRIVATE, f"{{privateKey:{PRIVATE}}}", '{"private_key": "MIIE"}'])
def test_a_broken_signing_secret_is_replaced_by_the_command_that_is_shown(
    run: Run, secrets: "SecretsManagerClient", tmp_path: Path, broken: str
) -> None:
    secrets.create_secret(Name=SIGNING, SecretString=broken)
    (tmp_path / "key.txt").write_text(PRIVATE)
    put = ("keys", "put", "signing", "--private", tmp_path / "key.txt", "--replace")

    refused = run("keys", "rotate", "--step", "prepare")
    assert "keys put signing --private FILE --replace" in refused.words
    assert (refused.code, run(*put).code) == (1, 0)
    assert text_of(secrets, SIGNING) == {"privateKey": PRIVATE}

    other = ("keys", "put", "signing", "--private", "-", "--replace")
    asked = run(*other, given=bare_private(OTHER))
    assert (asked.code, "holds another good key" in asked.words) == (2, True)
    assert text_of(secrets, SIGNING) == {"privateKey": PRIVATE}


@pytest.mark.parametrize(
    "command",
    [
        "put verification --replace --platform-public - --app-key APP",
        "put signing --replace --private OWN",
        "rotate --step prepare",
        "rotate --step switch",
        "receipts rotate",
        "receipts rotate --now",
        "receipts encryption-key -",
    ],
)
def test_a_secret_that_holds_something_else_is_left_alone(
    run: Run, secrets: "SecretsManagerClient", tmp_path: Path, command: str
) -> None:
    own = {"put verification": VERIFICATION_TEXT, "receipts": RECEIPTS_TEXT}
    mine = next((text for begins, text in own.items() if command.startswith(begins)), SIGNING_TEXT)
    files = {"APP": APP_KEY, "OWN": PRIVATE}
    words: list[object] = []
    for word in command.split():
        words.append(tmp_path / word if word in files else word)
        if word in files:
            (tmp_path / word).write_text(files[word])
    for foreign in (SIGNING_TEXT, VERIFICATION_TEXT, RECEIPTS_TEXT, '{"password": "p"}', "q7Zr0Y3tVb8Lw2Nx"):
        if foreign == mine:
            continue
        secrets.create_secret(Name="elses", SecretString=foreign)

        shown = run("keys", *words, "--secret", "elses", given=PLATFORM_KEY)

        assert shown.code == 2
        assert "holds something else" in shown.words
        there = secrets.describe_secret(SecretId="elses")["VersionIdsToStages"]
        assert list(there.values()) == [["AWSCURRENT"]]
        secrets.delete_secret(SecretId="elses", ForceDeleteWithoutRecovery=True)


@pytest.mark.parametrize(
    ("changes", "arguments", "said", "code"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, (), "AWS cannot be reached", 1),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:1"}, (), "begins with http://", 1),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, (), "there are no AWS credentials", 1),
        ({"AWS_DEFAULT_REGION": None}, (), "no AWS region is set, or its name is wrong", 2),
        ({}, ("--profile", "nobody"), "there is no AWS profile of that name", 1),
        ({}, ("--region", "planted 0123"), "no AWS region is set, or its name is wrong", 1),
        (
            {},
            ("--secret", f"arn:aws:secretsmanager:eu-central-1:1:secret:{SIGNING}"),
            "If eu-central-1 is right",
            2,
        ),
    ],
)
def test_what_keeps_aws_from_answering_is_told_before_a_question_is_asked(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str | None],
    arguments: tuple[str, ...],
    said: str,
    code: int,
) -> None:
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)

    shown = run("keys", "put", "verification", *arguments)

    assert shown.code == code
    assert said in shown.words
    assert "appKey (not shown)" not in shown.words
    assert "planted" not in shown.words


def test_a_secret_that_is_deleted_is_told(run: Run, secrets: "SecretsManagerClient") -> None:
    secrets.create_secret(Name="gone", SecretString=SIGNING_TEXT)
    secrets.delete_secret(SecretId="gone")
    assert "restore-secret --secret-id gone" in run("keys", "check", "--secret", "gone").words


# keys receipts.


def receipt_keys(secrets: "SecretsManagerClient") -> ReceiptKeys:
    """Read the secret as the functions do."""
    return ReceiptKeys.parse(secrets.get_secret_value(SecretId=RECEIPTS)["SecretString"])


def store(secrets: "SecretsManagerClient", *ages: timedelta) -> list[str]:
    """Make a secret whose keys began that long ago; return their identifiers."""
    keys = []
    for age in ages:
        key = ec.generate_private_key(ec.SECP256R1())
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        begins = f"{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%SZ}"
        keys.append({"privateKey": base64.b64encode(der).decode(), "signFrom": begins})
    content = json.dumps({"keys": keys, "hashKey": "h" * 32})
    secrets.create_secret(Name=RECEIPTS, SecretString=content)
    return [key.kid for key in receipt_keys(secrets).signing]


def test_a_new_receipt_secret_signs_at_once_and_is_never_overwritten(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    shown = run("keys", "receipts", "new", "--encryption-key", "-", given=BUSINESS)

    keys = receipt_keys(secrets)
    assert shown.code == 0
    # A function whose clock is minutes behind this machine's has a key that signs.
    assert keys.signing_at(datetime.now(UTC) - SKEW) == keys.signing[0]
    assert keys.signing[0].kid in shown.words
    assert keys.hash_key is not None
    assert keys.encryption_key is not None
    again = run("keys", "receipts", "new")
    assert (again.code, "receipts rotate" in again.words) == (1, True)
    assert receipt_keys(secrets).signing[0].kid == keys.signing[0].kid


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (PRIVATE, "is a private key"),
        (BUSINESS[:100], "is cut off"),
        (bare_public(SMALL.public_key()), "1024 bits; 2048 or more are wanted"),
    ],
)
def test_what_is_no_encryption_key_is_told_with_advice_for_this_key(
    run: Run, secrets: "SecretsManagerClient", given: str, said: str
) -> None:
    store(secrets, DAY)

    shown = run("keys", "receipts", "encryption-key", "-", given=given)
    good = run("keys", "receipts", "encryption-key", "-", given=BUSINESS)

    assert (shown.code, good.code) == (2, 0)
    assert said in shown.words
    assert "keys rotate" not in shown.words
    assert "keys new" not in shown.words
    assert text_of(secrets, RECEIPTS)["encryptionKey"] == BUSINESS


def test_a_rotation_publishes_the_next_key_an_hour_before_it_signs(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    _, long_ago, just_now, current = store(secrets, 9 * DAY, 8 * DAY, 25 * HOUR, 23 * HOUR)
    now = datetime.now(UTC)

    shown = run("keys", "receipts", "rotate", now=lambda: now)

    keys = receipt_keys(secrets)
    *kept, following = [key.kid for key in keys.signing]
    assert kept == [just_now, current]
    assert long_ago not in kept
    assert "Dropped: 2; kept: 2." in shown.words
    assert keys.signing_at(now + HOUR - timedelta(seconds=1)).kid == current
    assert keys.signing_at(now + HOUR).kid == following
    assert timedelta(seconds=MAX_SECRET_AGE + PUBLISHED_MAX_AGE) + SKEW == LEAD <= HOUR


@pytest.mark.parametrize("ages", [(DAY, -HOUR / 2), tuple(HOUR * hours for hours in range(MAX_KEYS, 0, -1))])
def test_a_rotation_that_comes_too_soon_is_refused(
    run: Run, secrets: "SecretsManagerClient", ages: tuple[timedelta, ...]
) -> None:
    former = store(secrets, *ages)

    shown = run("keys", "receipts", "rotate")

    assert shown.code == 1
    assert "Rotate after that time" in shown.words
    assert "rotate --now" in shown.words
    assert [key.kid for key in receipt_keys(secrets).signing] == former


@pytest.mark.parametrize("keys", [None, [], {}, [{"privateKey": "-" * 99}]])
def test_compromised_or_damaged_keys_are_made_anew_at_once_and_the_rest_stays(
    run: Run, secrets: "SecretsManagerClient", keys: Any
) -> None:
    former = store(secrets, DAY, HOUR)
    if keys is not None:
        spoilt = json.dumps({"keys": keys, "hashKey": "h" * 32})
        secrets.put_secret_value(SecretId=RECEIPTS, SecretString=spoilt)
        checked = run("keys", "receipts", "check")
        assert (checked.code, "receipts rotate --now" in checked.words) == (1, True)

    shown = run("keys", "receipts", "rotate", "--now")

    made = receipt_keys(secrets)
    assert shown.code == 0
    assert [key.kid for key in made.signing if key.kid in former] == []
    assert made.signing_at(datetime.now(UTC) - SKEW) == made.signing[0]
    assert text_of(secrets, RECEIPTS)["hashKey"] == "h" * 32
    assert "not being believed" in shown.words


def test_a_good_receipt_secret_is_shown_with_each_keys_part(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    former, current, following = store(secrets, 2 * DAY, DAY, -HOUR)

    shown = run("keys", "receipts", "check")

    assert shown.code == 0
    for key, part in ((former, "former, published still"), (current, "signs now"), (following, "next")):
        assert f"Key {key}: {part}" in shown.words


@pytest.mark.parametrize("moment", ["before the write", "after it"])
def test_a_write_that_another_has_overtaken_is_told(
    run: Run, secrets: "SecretsManagerClient", monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    store(secrets, DAY)
    others = json.dumps({**text_of(secrets, RECEIPTS), "note": "another operator's"})
    put = Store.put

    def write() -> None:
        secrets.put_secret_value(SecretId=RECEIPTS, SecretString=others)

    def overtaken(self: Store, *arguments: Any) -> str:
        write()
        return put(self, *arguments)

    if moment == "after it":
        monkeypatch.setattr(Store, "put", overtaken)
    else:
        monkeypatch.setattr(receipts, "refuse_foreign", lambda *_: write())

    shown = run("keys", "receipts", "rotate", "--now")

    assert (shown.code, "was changed meanwhile" in shown.words) == (1, True)
    label = "AWSPREVIOUS" if moment == "after it" else "AWSCURRENT"
    assert secrets.get_secret_value(SecretId=RECEIPTS, VersionStage=label)["SecretString"] == others
