"""The receipt secret: made, rotated without a gap, checked; over HTTP, and read by the product."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cmpassport.receipt_keys import MAX_KEYS, PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.settings import MAX_SECRET_AGE
from local.aws import AwsEndpoint
from tests.support import openssl
from tools.__main__ import main
from tools.clock import Clock
from tools.commands import SecretKind
from tools.doctor.steps.clock import REFUSED_SECONDS
from tools.keys import receipts
from tools.keys.pairs import bare_private, bare_public, new_private_key
from tools.keys.receipts import LEAD
from tools.keys.store import Store

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

NAME: Final = "number-verification/receipts"
BUSINESS: Final = new_private_key(2048)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Shown:
    code: int
    words: str


Run = Callable[..., Shown]


@pytest.fixture
def run(
    endpoint: AwsEndpoint,
    secrets: "SecretsManagerClient",
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a command at a moment, with what stands on standard input; nothing of a key is ever shown."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.address)

    def command(*arguments: str, given: str = "", at: datetime | None = None) -> Shown:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        code = main(["keys", "receipts", *arguments], Clock(lambda: at or datetime.now(UTC)))
        shown = capsys.readouterr()
        held = [
            secrets.get_secret_value(SecretId=each["ARN"]) for each in secrets.list_secrets()["SecretList"]
        ]
        for content in (json.loads(each["SecretString"]) for each in held):
            hidden = [
                content.get("hashKey", "-" * 40),
                *(key["privateKey"][20:60] for key in content["keys"]),
            ]
            assert not [each for each in hidden if each in shown.out + shown.err]
        return Shown(code, " ".join(f"{shown.out} {shown.err}".split()))

    return command


def content_of(secrets: "SecretsManagerClient") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(secrets.get_secret_value(SecretId=NAME)["SecretString"])
    return content


def keys_of(secrets: "SecretsManagerClient") -> ReceiptKeys:
    """Read the secret as the functions do."""
    return ReceiptKeys.parse(secrets.get_secret_value(SecretId=NAME)["SecretString"])


def member(sign_from: datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {"privateKey": base64.b64encode(der).decode(), "signFrom": f"{sign_from:%Y-%m-%dT%H:%M:%SZ}"}


def store(secrets: "SecretsManagerClient", *ages: timedelta) -> list[str]:
    """Make a secret whose keys began that long ago; gives their identifiers."""
    content = {"keys": [member(datetime.now(UTC) - age) for age in ages], "hashKey": "h" * 32}
    secrets.create_secret(Name=NAME, SecretString=json.dumps(content))
    return [key.kid for key in keys_of(secrets).signing]


# Made.


def test_a_new_secret_signs_at_once_and_is_read_by_the_functions(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    shown = run("new")

    keys = keys_of(secrets)
    assert shown.code == 0
    assert len(keys.signing) == 1
    # A function whose clock is minutes behind this machine's has a key that signs.
    assert keys.signing_at(datetime.now(UTC) - timedelta(minutes=5)) == keys.signing[0]
    assert keys.signing[0].kid in shown.words
    assert secrets.describe_secret(SecretId=NAME)["ARN"] in shown.words
    assert keys.hash_key is not None
    assert len(keys.hash_key) >= 32


def test_two_secrets_have_nothing_in_common(run: Run, secrets: "SecretsManagerClient") -> None:
    run("new")
    first = content_of(secrets)
    secrets.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)
    run("new")

    assert content_of(secrets)["hashKey"] != first["hashKey"]
    assert content_of(secrets)["keys"][0]["privateKey"] != first["keys"][0]["privateKey"]


def test_a_secret_with_a_value_is_not_overwritten(run: Run, secrets: "SecretsManagerClient") -> None:
    run("new")
    before = content_of(secrets)

    shown = run("new")

    assert shown.code == 1
    assert "receipts rotate" in shown.words
    assert content_of(secrets) == before


def test_the_key_is_openssls_p256(run: Run, secrets: "SecretsManagerClient", tmp_path: Path) -> None:
    run("new")
    der = base64.b64decode(content_of(secrets)["keys"][0]["privateKey"], validate=True)
    (tmp_path / "key.der").write_bytes(der)

    command = ["openssl", "pkey", "-inform", "DER", "-in", str(tmp_path / "key.der"), "-noout", "-text"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "NIST CURVE: P-256" in done.stdout


def test_the_command_that_is_shown_brings_the_hash_key(
    run: Run, secrets: "SecretsManagerClient", tmp_path: Path
) -> None:
    shown = run("new")
    (command,) = re.findall(r"`(aws secretsmanager get-secret-value [^`]*)`", shown.words)
    (tmp_path / "aws").write_text("#!/bin/sh\ncat <<'END'\n" + json.dumps(content_of(secrets)) + "\nEND\n")
    (tmp_path / "aws").chmod(0o755)

    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"--secret-id {NAME}" in command
    assert done.stdout.strip() == content_of(secrets)["hashKey"]


# The business's key.


def test_an_encryption_key_is_taken_along(run: Run, secrets: "SecretsManagerClient") -> None:
    given = openssl.pem(bare_public(BUSINESS.public_key())).decode()

    assert run("new", "--encryption-key", "-", given=given).code == 0

    assert keys_of(secrets).encryption_key is not None


def test_an_encryption_key_is_set_and_replaced_and_the_rest_stays(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    run("new")
    before = content_of(secrets)

    for business in (BUSINESS, new_private_key(3072)):
        assert run("encryption-key", "-", given=bare_public(business.public_key())).code == 0
        after = content_of(secrets)
        assert after.pop("encryptionKey") == bare_public(business.public_key())
        assert after == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (bare_private(BUSINESS), "this is a private key"),
        (bare_public(BUSINESS.public_key())[:100], "is cut off"),
        (bare_public(new_private_key(1024).public_key()), "has 1024 bits; 2048 or more are wanted"),
    ],
)
def test_what_is_no_encryption_key_is_told_and_not_stored(
    run: Run, secrets: "SecretsManagerClient", given: str, said: str
) -> None:
    run("new")

    shown = run("encryption-key", "-", given=given)

    assert shown.code == 2
    assert said in shown.words
    assert "encryptionKey" not in content_of(secrets)


# Rotated.


def test_a_rotation_publishes_the_next_key_an_hour_before_it_signs(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    (current,) = store(secrets, 30 * DAY)
    now = datetime.now(UTC)

    assert run("rotate", at=now).code == 0

    keys = keys_of(secrets)
    following = next(key.kid for key in keys.signing if key.kid != current)
    assert {key["kid"] for key in keys.public_set()["keys"]} == {current, following}
    assert keys.signing_at(now + HOUR - timedelta(seconds=1)).kid == current
    assert keys.signing_at(now + HOUR).kid == following
    assert content_of(secrets)["hashKey"] == "h" * 32


def test_the_hour_is_enough_for_the_slowest_function_the_slowest_back_end_and_a_clock_that_aws_takes() -> (
    None
):
    slowest = timedelta(seconds=MAX_SECRET_AGE + PUBLISHED_MAX_AGE + REFUSED_SECONDS)

    assert slowest <= LEAD == HOUR


def test_a_key_is_published_for_a_day_after_another_took_over(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    _, long_ago, just_now, current = store(secrets, 9 * DAY, 8 * DAY, 25 * HOUR, 23 * HOUR)

    shown = run("rotate")

    kept = [key.kid for key in keys_of(secrets).signing]
    assert kept[:-1] == [just_now, current]
    assert long_ago not in kept
    assert "Dropped: 2; kept: 2." in shown.words


def test_a_key_that_waits_is_waited_for(run: Run, secrets: "SecretsManagerClient") -> None:
    store(secrets, DAY, -HOUR / 2)
    before = content_of(secrets)

    shown = run("rotate")

    assert shown.code == 1
    assert "a next key waits already" in shown.words
    assert "rotate --now" in shown.words
    assert content_of(secrets) == before


def test_more_keys_than_the_functions_read_are_not_written(run: Run, secrets: "SecretsManagerClient") -> None:
    store(secrets, *(HOUR * hours for hours in range(MAX_KEYS, 0, -1)))
    before = content_of(secrets)

    shown = run("rotate")

    assert shown.code == 1
    assert "Rotate after that time" in shown.words
    assert content_of(secrets) == before


def test_a_compromised_key_is_gone_at_once_with_all_others(run: Run, secrets: "SecretsManagerClient") -> None:
    former = store(secrets, DAY, HOUR, -HOUR / 2)

    shown = run("rotate", "--now")

    keys = keys_of(secrets)
    assert shown.code == 0
    assert [key.kid for key in keys.signing if key.kid in former] == []
    assert keys.signing_at(datetime.now(UTC) - timedelta(minutes=5)) == keys.signing[0]
    assert "good receipts may be refused" in shown.words
    assert "up to an hour where they cannot fetch" in shown.words


def test_half_a_year_of_rotations_has_no_gap(run: Run, secrets: "SecretsManagerClient") -> None:
    begin = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    run("new", at=begin)
    signing = keys_of(secrets).signing_at(begin).kid

    for week in range(1, 26):
        now = begin + week * 7 * DAY
        assert run("rotate", at=now).code == 0
        published = {key["kid"] for key in keys_of(secrets).public_set()["keys"]}
        assert keys_of(secrets).signing_at(now).kid == signing  # the same as before the write
        signing = keys_of(secrets).signing_at(now + HOUR).kid
        assert signing in published

    assert len(keys_of(secrets).signing) == 2


# Checked.


def test_a_good_secret_is_shown_with_each_keys_part(run: Run, secrets: "SecretsManagerClient") -> None:
    former, current, following = store(secrets, 2 * DAY, DAY, -HOUR)

    shown = run("check")

    assert shown.code == 0
    assert f"Key {former}: former, published still" in shown.words
    assert f"Key {current}: signs now" in shown.words
    assert f"Key {following}: next" in shown.words


def test_a_secret_of_which_no_key_signs_is_a_fault(run: Run, secrets: "SecretsManagerClient") -> None:
    store(secrets, -HOUR)

    shown = run("check")

    assert shown.code == 1
    assert "No key signs yet" in shown.words


def test_a_missing_hash_key_is_told(run: Run, secrets: "SecretsManagerClient") -> None:
    secrets.create_secret(Name=NAME, SecretString=json.dumps({"keys": [member(datetime.now(UTC) - DAY)]}))

    shown = run("check")

    assert shown.code == 0
    assert "There is no hashKey" in shown.words


@pytest.mark.parametrize("command", ["check", "rotate"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hashKey": "short"}, "hashKey has fewer than 32 characters"),
        ({"encryptionKey": "MIIB"}, "no RSA public key"),
        ({"keys": []}, "the secret has no keys"),
    ],
)
def test_what_the_functions_could_not_read_is_told_in_their_words_and_left_alone(
    run: Run, secrets: "SecretsManagerClient", command: str, change: dict[str, Any], said: str
) -> None:
    store(secrets, DAY)
    spoilt = {**content_of(secrets), **change}
    secrets.put_secret_value(SecretId=NAME, SecretString=json.dumps(spoilt))

    shown = run(command)

    assert shown.code == 1
    assert said in shown.words
    assert content_of(secrets) == spoilt


@pytest.mark.parametrize("keys", [[], {}, [{"privateKey": "-" * 99}]])
def test_damaged_keys_are_made_anew_and_the_rest_stays(
    run: Run, secrets: "SecretsManagerClient", keys: Any
) -> None:
    store(secrets, DAY)
    spoilt = {"keys": keys, "hashKey": "h" * 32}
    secrets.put_secret_value(SecretId=NAME, SecretString=json.dumps(spoilt))

    refused = run("rotate")
    assert refused.code == 1
    assert "receipts rotate --now" in refused.words
    assert run("rotate", "--now").code == 0

    assert len(keys_of(secrets).signing) == 1
    assert content_of(secrets)["hashKey"] == "h" * 32


@pytest.mark.parametrize("command", [("rotate", "--now"), ("encryption-key", "-")])
@pytest.mark.parametrize("moment", ["before the write", "after it"])
def test_a_write_that_another_has_overtaken_is_told(
    run: Run,
    secrets: "SecretsManagerClient",
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    moment: str,
) -> None:
    store(secrets, DAY)
    others = json.dumps({**content_of(secrets), "note": "another operator's"})
    put = Store.put

    def between(self: Store, *arguments: Any) -> str:
        secrets.put_secret_value(SecretId=NAME, SecretString=others)
        return put(self, *arguments)

    def overtaken(text: str, name: str, kind: SecretKind) -> None:
        del text, name, kind
        secrets.put_secret_value(SecretId=NAME, SecretString=others)

    if moment == "after it":
        monkeypatch.setattr(Store, "put", between)
    else:
        monkeypatch.setattr(receipts, "refuse_foreign", overtaken)

    shown = run(*command, given=bare_public(BUSINESS.public_key()))

    assert shown.code == 1
    assert "was changed meanwhile" in shown.words
    kept = secrets.get_secret_value(
        SecretId=NAME, VersionStage="AWSPREVIOUS" if moment == "after it" else "AWSCURRENT"
    )
    assert json.loads(kept["SecretString"]) == json.loads(others)
