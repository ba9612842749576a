"""Keys made, stored and checked in Secrets Manager over HTTP, with OpenSSL and a JDK as the other side."""

import io
import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug import Request, Response

from benchmarks.emulator import PartMissingError
from cmpassport.keys import load_private_key
from local.aws import AwsEndpoint
from local.server import Server
from tests.support import openssl
from tests.support.jdk import running_jdk
from tools.__main__ import main
from tools.keys.pairs import bare_private, bare_public, new_private_key

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SIGNING: Final = "number-verification/signing"
VERIFICATION: Final = "number-verification/verification"
APP_KEY: Final = "AA03E6C60D0B0D14320B9A3F0B5AAD99"
PLATFORM_KEY: Final = bare_public(new_private_key(2048).public_key())
OWN: Final = new_private_key(2048)
LINE: Final = re.compile(r"^MI[A-Za-z0-9+/]+=*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command gave and wrote."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        return " ".join(f"{self.out} {self.err}".split())


Run = Callable[..., Shown]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """An operator's desk: runs a command, with what stands on its standard input."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)

    def run(*arguments: str | Path, given: str = "") -> Shown:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        code = main([str(each) for each in arguments])
        shown = capsys.readouterr()
        return Shown(code, shown.out, shown.err)

    return run


@pytest.fixture
def run(
    desk: Run, endpoint: AwsEndpoint, secrets: "SecretsManagerClient", monkeypatch: pytest.MonkeyPatch
) -> Run:
    """The same, with Secrets Manager."""
    del secrets  # which are none
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.address)
    return desk


def text_of(secrets: "SecretsManagerClient", name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    return content


def public_line(shown: Shown) -> str:
    """Give the one line that is to be pasted."""
    (line,) = LINE.findall(shown.out)
    return str(line)


# keys new


def test_a_new_pair_is_in_the_secret_and_the_public_half_on_a_line_of_its_own(
    run: Run, secrets: "SecretsManagerClient", tmp_path: Path
) -> None:
    shown = run("keys", "new")

    assert shown.code == 0
    content = text_of(secrets, SIGNING)
    assert list(content) == ["privateKey"]
    (tmp_path / "key.pem").write_bytes(
        load_private_key(content["privateKey"]).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )
    assert content["privateKey"] == openssl.bare(tmp_path / "key.pem")
    assert public_line(shown) == openssl.public_half(tmp_path / "key.pem")
    assert secrets.describe_secret(SecretId=SIGNING)["ARN"] in shown.out
    assert content["privateKey"][40:80] not in shown.out + shown.err


def test_the_fingerprint_is_openssls(run: Run, tmp_path: Path) -> None:
    shown = run("keys", "new")

    (tmp_path / "public.pem").write_bytes(openssl.pem(public_line(shown)))
    command = "openssl pkey -pubin -in public.pem -outform DER | openssl dgst -sha256"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] in shown.out


def test_the_pair_is_one_for_a_jdk(run: Run, secrets: "SecretsManagerClient") -> None:
    shown = run("keys", "new")

    try:
        with running_jdk() as jdk:
            signature = jdk.sign("MD5withRSA", text_of(secrets, SIGNING)["privateKey"], "a text")
            assert jdk.verifies("MD5withRSA", public_line(shown), "a text", signature)
    except PartMissingError as error:
        if os.environ.get("ALL_PARTS"):
            raise
        pytest.skip(str(error))


def test_a_secret_with_a_value_is_never_overwritten(run: Run, secrets: "SecretsManagerClient") -> None:
    run("keys", "new")
    before = text_of(secrets, SIGNING)

    shown = run("keys", "new")

    assert shown.code == 1
    assert "keys rotate" in shown.err
    assert text_of(secrets, SIGNING) == before
    assert LINE.findall(shown.out) == []


def test_a_secret_without_a_value_gets_its_first(run: Run, secrets: "SecretsManagerClient") -> None:
    secrets.create_secret(Name=SIGNING)

    assert run("keys", "new").code == 0

    assert load_private_key(text_of(secrets, SIGNING)["privateKey"]).key_size == 2048


def test_a_kms_key_encrypts_the_secret_and_is_a_parameter_then(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    key = "arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

    shown = run("keys", "new", "--secret", "shop/signing", "--kms-key", key)

    assert secrets.describe_secret(SecretId="shop/signing")["KmsKeyId"] == key
    assert f"SecretsKmsKeyArn  {key}" in shown.out


def test_1024_bits_are_made_when_asked_for_and_said_to_be_weak(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    shown = run("keys", "new", "--bits", "1024")

    assert load_private_key(text_of(secrets, SIGNING)["privateKey"]).key_size == 1024
    assert "only if the platform has refused 2048 bits" in shown.words
    assert "1024" not in run("keys", "new", "--secret", "another").words


def test_a_size_that_nobody_needs_is_wrong_use(run: Run) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("keys", "new", "--bits", "512")


def test_a_file_is_written_only_when_asked_for_and_for_its_owner_alone(desk: Run, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"

    shown = desk("keys", "new", "--out", file, "--region", "nowhere-1")

    assert shown.code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert public_line(shown) == openssl.public_half(file)
    assert f"keys put signing --private {file} --region nowhere-1" in shown.words


def test_a_file_that_is_there_is_not_overwritten(desk: Run, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("mine")

    assert desk("keys", "new", "--out", file).code == 2

    assert file.read_text() == "mine"


def test_no_file_is_left_where_the_secret_could_not_be_made(run: Run, tmp_path: Path) -> None:
    run("keys", "new")

    assert run("keys", "new", "--secret", SIGNING, "--out", tmp_path / "key.pem").code == 1

    assert list(tmp_path.iterdir()) == []


# keys put


def test_what_the_open_platform_shows_is_asked_for_and_stored(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    shown = run("keys", "put", "verification", given=f"{APP_KEY}\n{PLATFORM_KEY}\n")

    assert shown.code == 0
    assert text_of(secrets, VERIFICATION) == {"appKey": APP_KEY, "platformPublicKey": PLATFORM_KEY}
    assert secrets.describe_secret(SecretId=VERIFICATION)["ARN"] in shown.out
    assert APP_KEY not in shown.out + shown.err


def test_a_pem_may_be_pasted_over_its_lines(run: Run, secrets: "SecretsManagerClient") -> None:
    pem = openssl.pem(PLATFORM_KEY).decode()

    assert run("keys", "put", "verification", given=f"{APP_KEY}\n{pem}").code == 0

    assert text_of(secrets, VERIFICATION)["platformPublicKey"] == pem.strip()


def test_files_stand_in_for_the_questions(run: Run, secrets: "SecretsManagerClient", tmp_path: Path) -> None:
    (tmp_path / "app").write_text(f" {APP_KEY}\n")

    options = ("--app-key", tmp_path / "app", "--platform-public", "-", "--secret", "shop/verification")
    assert run("keys", "put", "verification", *options, given=PLATFORM_KEY).code == 0

    assert text_of(secrets, "shop/verification")["appKey"] == APP_KEY


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (f"{APP_KEY}\n{bare_private(OWN)}\n", "this is a private key"),
        (f"{APP_KEY}\n{PLATFORM_KEY[:100]}\n", "is cut off"),
        (f"a b\n{PLATFORM_KEY}\n", "has blanks"),
        (f"\n{PLATFORM_KEY}\n", "appKey"),
    ],
)
def test_what_is_wrong_is_said_and_not_stored(
    run: Run, secrets: "SecretsManagerClient", given: str, said: str
) -> None:
    shown = run("keys", "put", "verification", given=given)

    assert shown.code == 1
    assert said in shown.words
    assert secrets.list_secrets()["SecretList"] == []


def test_an_input_that_ends_before_the_answers_is_wrong_use(run: Run) -> None:
    shown = run("keys", "put", "verification", given=f"{APP_KEY}\n")

    assert shown.code == 2
    assert "the input ended" in shown.err


def test_a_verification_secret_is_replaced_only_when_asked_for(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    run("keys", "put", "verification", given=f"{APP_KEY}\n{PLATFORM_KEY}\n")
    given = f"{APP_KEY[::-1]}\n{PLATFORM_KEY}\n"

    refused = run("keys", "put", "verification", given=given)
    kept = text_of(secrets, VERIFICATION)["appKey"]
    replaced = run("keys", "put", "verification", "--replace", given=given)

    assert (refused.code, kept) == (1, APP_KEY)
    assert "--replace" in refused.err
    assert replaced.code == 0
    assert text_of(secrets, VERIFICATION)["appKey"] == APP_KEY[::-1]


def test_a_private_key_made_elsewhere_is_stored_in_the_right_form(
    run: Run, secrets: "SecretsManagerClient", tmp_path: Path
) -> None:
    openssl.new_private_key(tmp_path / "key.pem", 2048)

    shown = run("keys", "put", "signing", "--private", tmp_path / "key.pem")

    assert shown.code == 0
    assert text_of(secrets, SIGNING) == {"privateKey": openssl.bare(tmp_path / "key.pem")}
    assert public_line(shown) == openssl.public_half(tmp_path / "key.pem")


def test_a_private_key_that_is_none_is_not_stored(run: Run, secrets: "SecretsManagerClient") -> None:
    shown = run("keys", "put", "signing", "--private", "-", given=PLATFORM_KEY)

    assert shown.code == 1
    assert "this is a public key" in shown.words
    assert secrets.list_secrets()["SecretList"] == []


def test_a_signing_secret_with_a_value_is_not_overwritten_by_another_key(
    run: Run, secrets: "SecretsManagerClient"
) -> None:
    run("keys", "new")
    before = text_of(secrets, SIGNING)

    shown = run("keys", "put", "signing", "--private", "-", given=bare_private(OWN))

    assert shown.code == 1
    assert text_of(secrets, SIGNING) == before


# keys check


@pytest.fixture
def filled(run: Run) -> Run:
    """Both secrets are there, and all is well."""
    run("keys", "put", "signing", "--private", "-", given=bare_private(OWN))
    run("keys", "put", "verification", given=f"{APP_KEY}\n{PLATFORM_KEY}\n")
    return run


def test_all_is_well(filled: Run) -> None:
    shown = filled("keys", "check", "--public", "-", given=bare_public(OWN.public_key()))

    assert shown.code == 0
    assert "The halves are a pair" in shown.words
    assert "7 in order." in shown.out
    assert bare_private(OWN)[40:80] not in shown.out + shown.err
    assert APP_KEY not in shown.out + shown.err


def test_halves_of_two_pairs_are_told(filled: Run) -> None:
    other = bare_public(new_private_key(2048).public_key())

    shown = filled("keys", "check", "--public", "-", given=other)

    assert shown.code == 1
    assert "The halves are no pair" in shown.words


def test_the_platforms_key_in_the_place_of_the_reported_one_is_told(filled: Run) -> None:
    shown = filled("keys", "check", "--public", "-", given=PLATFORM_KEY)

    assert shown.code == 1
    assert "the platform's own key, and not yours" in shown.words
    assert "keys put verification" not in shown.words


def test_the_own_key_in_the_platforms_place_is_told(filled: Run) -> None:
    given = f"{APP_KEY}\n{bare_public(OWN.public_key())}\n"
    filled("keys", "put", "verification", "--replace", given=given)

    shown = filled("keys", "check")

    assert shown.code == 1
    assert "your own public key" in shown.words
    assert "keys put verification --replace" in shown.words


def test_a_secret_that_is_not_there_does_not_hide_the_other(run: Run) -> None:
    run("keys", "put", "signing", "--private", "-", given=bare_private(OWN))

    shown = run("keys", "check")

    assert shown.code == 1
    assert f"secret {VERIFICATION}: there is no such secret in cn-north-1" in shown.words
    assert f"privateKey of {SIGNING} is an RSA private key of 2048 bits" in shown.words


def test_files_are_checked_without_aws(desk: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    openssl.new_private_key(tmp_path / "key.pem", 2048)
    (tmp_path / "public.txt").write_text(openssl.public_half(tmp_path / "key.pem"))

    shown = desk("keys", "check", "--private", tmp_path / "key.pem", "--public", tmp_path / "public.txt")

    assert shown.code == 0
    assert "The halves are a pair" in shown.words


def test_a_file_with_a_secrets_json_is_checked_as_the_secret_would_be(desk: Run) -> None:
    given = json.dumps({"private_key": bare_private(OWN)})

    shown = desk("keys", "check", "--private", "-", given=given)

    assert shown.code == 1
    assert "Name the field privateKey" in shown.words


def test_a_binary_file_is_told_how_to_become_text(desk: Run, tmp_path: Path) -> None:
    file = tmp_path / "key.der"
    file.write_bytes(OWN.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    shown = desk("keys", "check", "--private", file)

    assert shown.code == 1
    assert f"openssl base64 -A -in {file} -out KEY.txt" in shown.words
    command = f"openssl base64 -A -in {file} -out {tmp_path}/KEY.txt"
    subprocess.run(["sh", "-c", command], check=True)
    assert desk("keys", "check", "--private", tmp_path / "KEY.txt").code == 0


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"])
def test_a_file_of_nothing_or_of_bytes_is_told(desk: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)

    assert desk("keys", "check", "--private", tmp_path / "key").code == 1


def test_a_file_that_is_not_there_is_wrong_use(desk: Run, tmp_path: Path) -> None:
    shown = desk("keys", "check", "--private", tmp_path / "none")

    assert shown.code == 2
    assert "No such file" in shown.words


def test_two_files_on_one_standard_input_are_wrong_use(desk: Run) -> None:
    assert desk("keys", "check", "--private", "-", "--public", "-").code == 2


def test_an_ec_key_is_told_as_such(desk: Run) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    shown = desk("keys", "check", "--private", "-", given=pem)

    assert shown.code == 1
    assert "not an RSA key" in shown.words


@pytest.mark.parametrize("option", ["--private", "--public", "--platform-public"])
def test_a_key_in_a_files_place_is_not_repeated(desk: Run, option: str) -> None:
    shown = desk("keys", "check", option, bare_private(OWN))

    assert shown.code == 2
    assert "what was given as a file cannot be read" in shown.words
    assert bare_private(OWN)[40:80] not in shown.words


def test_a_key_in_a_new_files_place_is_not_repeated(desk: Run) -> None:
    shown = desk("keys", "new", "--out", bare_private(OWN))

    assert shown.code == 2
    assert bare_private(OWN)[40:80] not in shown.words


@pytest.mark.parametrize("key", [bare_private(OWN), PLATFORM_KEY, openssl.pem(PLATFORM_KEY).decode()])
@pytest.mark.parametrize("command", ["new", "check", "rotate"])
def test_a_key_in_a_secrets_place_is_wrong_use_and_not_repeated(
    desk: Run, command: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        desk("keys", command, "--secret", key)

    shown = capsys.readouterr().err
    assert "shell's history" in shown
    assert key[40:80] not in shown


# What keeps AWS from answering: one line each, and what to do.


class Refusing:
    """An AWS that refuses every call in one way."""

    def __init__(self, code: str, why: str) -> None:
        self.code = code
        self.why = why

    def answer(self, _: Request) -> Response:
        text = f"arn:aws:iam::123456789012:user/somebody {self.why}"
        body = json.dumps({"__type": self.code, "Message": text}).encode()
        return Response(body, 400, content_type="application/x-amz-json-1.1")


REFUSALS: Final = [
    ("UnrecognizedClientException", "", "does not accept the credentials", "aws sts get-caller-identity"),
    ("ExpiredTokenException", "", "does not accept the credentials", "Log in again"),
    ("AccessDeniedException", "may not", "AWS denies GetSecretValue", "secretsmanager:GetSecretValue"),
    ("AccessDeniedException", "may not use the KMS key", "KMS key", "kms:Decrypt"),
    ("DecryptionFailure", "", "KMS key", "kms:Decrypt"),
    ("RequestExpired", "", "clock is wrong", "Set this machine's clock"),
    (
        "ResourceNotFoundException",
        "can't find the specified secret value for staging label: AWSCURRENT",
        "has no value yet",
        "keys new",
    ),
    ("InvalidRequestException", "is already scheduled for deletion", "to be deleted", "restore-secret"),
    ("MadeUpException", "", "AWS refuses GetSecretValue", "documentation"),
]


@pytest.mark.parametrize(("code", "why", "what", "remedy"), REFUSALS)
def test_a_refusal_of_aws_is_told_in_words(
    code: str, why: str, what: str, remedy: str, desk: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(Request.application(Refusing(code, why).answer)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)

        shown = desk("keys", "check", "--secret", SIGNING)

    assert shown.code == 1
    assert all(words in shown.words for words in (what, remedy, code, SIGNING))
    assert "somebody" not in shown.words


def test_an_aws_that_cannot_be_reached_is_told(desk: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")

        shown = desk("keys", "new")

    assert shown.code == 1
    assert "AWS cannot be reached in cn-north-1 (EndpointConnectionError)" in shown.words
    assert "AWS_ENDPOINT_URL" in shown.words


def test_a_desk_without_credentials_is_told_to_log_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    shown = run("keys", "new")

    assert shown.code == 1
    assert "there are no AWS credentials" in shown.words
    assert "aws sso login" in shown.words


def test_a_desk_without_a_region_is_told_to_name_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    shown = run("keys", "new")

    assert shown.code == 2
    assert "--region" in shown.err


def test_a_profile_that_is_not_there_is_told(run: Run) -> None:
    shown = run("keys", "check", "--profile", "nobody")

    assert shown.code == 2
    assert "no AWS profile of that name" in shown.err


def test_an_arn_of_another_region_is_told_to_name_that(run: Run, secrets: "SecretsManagerClient") -> None:
    run("keys", "new")
    arn = secrets.describe_secret(SecretId=SIGNING)["ARN"]

    elsewhere = run("keys", "check", "--secret", arn, "--region", "cn-northwest-1")

    assert elsewhere.code == 1
    assert "is in cn-north-1, and cn-northwest-1 is asked" in elsewhere.words
    assert "Add --region cn-north-1." in elsewhere.words
    assert run("keys", "check", "--secret", arn, "--region", "cn-north-1").code == 0


def test_a_secret_that_is_to_be_deleted_is_told(run: Run, secrets: "SecretsManagerClient") -> None:
    run("keys", "new")
    secrets.delete_secret(SecretId=SIGNING)

    shown = run("keys", "check", "--secret", SIGNING)

    assert shown.code == 1
    assert "restore-secret" in shown.words


def test_a_binary_secret_is_told(run: Run, secrets: "SecretsManagerClient") -> None:
    secrets.create_secret(Name=SIGNING, SecretBinary=b"{}")

    shown = run("keys", "check", "--secret", SIGNING)

    assert shown.code == 1
    assert "is binary" in shown.words


# What a secret holds that is somebody else's, or broken.


OWN_TEXT: Final = json.dumps({"privateKey": bare_private(OWN)})
VERIFICATION_TEXT: Final = json.dumps({"appKey": APP_KEY, "platformPublicKey": PLATFORM_KEY})
RECEIPTS_TEXT: Final = json.dumps({"keys": [], "hashKey": "h" * 32})
PEPPER: Final = "q7Zr0Y3tVb8Lw2Nx5Kc9Hd4Jf6Gs1PmA"


@pytest.mark.parametrize(
    ("command", "foreign"),
    [
        (command, foreign)
        for command, own in {
            ("put", "verification", "--replace", "--platform-public", "-", "--app-key", "APP"): (
                VERIFICATION_TEXT
            ),
            ("put", "signing", "--replace", "--private", "OWN"): OWN_TEXT,
            ("rotate", "--step", "prepare"): OWN_TEXT,
            ("rotate", "--step", "switch"): OWN_TEXT,
            ("receipts", "rotate"): RECEIPTS_TEXT,
            ("receipts", "rotate", "--now"): RECEIPTS_TEXT,
            ("receipts", "encryption-key", "-"): RECEIPTS_TEXT,
        }.items()
        for foreign in (OWN_TEXT, VERIFICATION_TEXT, RECEIPTS_TEXT, '{"password": "p"}', PEPPER)
        if foreign != own
    ],
)
def test_a_secret_that_holds_something_else_is_left_alone(
    run: Run, secrets: "SecretsManagerClient", tmp_path: Path, command: tuple[str, ...], foreign: str
) -> None:
    secrets.create_secret(Name="somebody/elses", SecretString=foreign)
    files = {"APP": tmp_path / "app", "OWN": tmp_path / "own"}
    files["APP"].write_text(APP_KEY)
    files["OWN"].write_text(bare_private(OWN))
    words = [files.get(word, word) for word in command]

    shown = run("keys", *words, "--secret", "somebody/elses", given=PLATFORM_KEY)

    assert shown.code == 2
    assert "holds something else" in shown.words
    there = secrets.describe_secret(SecretId="somebody/elses")
    assert list(there["VersionIdsToStages"].values()) == [["AWSCURRENT"]]


BROKEN: Final = (
    "",
    "{}",
    bare_private(OWN),
    "{privateKey:" + bare_private(OWN) + "}",
    '{"privateKey": "MIIE"}',
    '{"private_key": "MIIE"}',
)


@pytest.mark.parametrize("broken", BROKEN[1:])
def test_a_broken_signing_secret_is_mended_by_the_command_that_the_check_shows(
    run: Run, secrets: "SecretsManagerClient", tmp_path: Path, broken: str
) -> None:
    secrets.create_secret(Name=SIGNING, SecretString=broken)
    (tmp_path / "key.txt").write_text(bare_private(OWN))
    mend = ("keys", "put", "signing", "--private", tmp_path / "key.txt", "--replace")

    refused = run("keys", "rotate", "--step", "prepare")
    assert refused.code == 1
    assert "keys put signing --private FILE --replace" in refused.words
    assert run(*mend).code == 0

    assert text_of(secrets, SIGNING) == {"privateKey": bare_private(OWN)}
    again = run(*mend)
    assert again.code == 1
    assert "holds a good key" in again.words


def test_a_key_that_broke_gives_way_to_the_former_one(run: Run, secrets: "SecretsManagerClient") -> None:
    secrets.create_secret(Name=SIGNING, SecretString=OWN_TEXT)
    secrets.put_secret_value(SecretId=SIGNING, SecretString='{"privateKey": "MIIE"}')

    asked = run("keys", "rotate", "--step", "rollback")
    (digest,) = re.findall(r"--to ([0-9a-f]{64})", asked.words)

    assert run("keys", "rotate", "--step", "rollback", "--to", digest).code == 0
    assert text_of(secrets, SIGNING) == json.loads(OWN_TEXT)
