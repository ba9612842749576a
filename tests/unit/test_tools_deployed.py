"""A deployed stack as the tools see it: CloudFormation, Lambda and secrets are moto's, in this process."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, cast

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    UnknownServiceError,
)
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from moto import mock_aws

from local import ROOT
from tests.support.operator import (
    OTHER,
    OWN,
    PRIVATE,
    PUBLIC,
    SIGNING_TEXT,
    VERIFICATION_TEXT,
    Run,
    replying,
    runner,
)
from tests.support.server import serving
from tools.aws import said_of
from tools.doctor import LINES, parameter
from tools.examination import status_of
from tools.findings import Severity, ToolError
from tools.web import Fetched, fetch, is_page, origin_of, referer_of
from verify.submission import normalise

NAME: Final = "number-verification"


class Cloud:
    """AWS with a stack of two functions."""

    def __init__(self) -> None:
        client: Any = boto3.client("secretsmanager")
        self.secrets, self.aws_lambda = client, cast("Any", boto3.client("lambda"))
        texts = {"signing": SIGNING_TEXT, "verification": VERIFICATION_TEXT, "pepper": "p" * 64}
        self.arns = {
            f"{name.upper()}_SECRET_ID": client.create_secret(Name=f"shop/{name}", SecretString=text)["ARN"]
            for name, text in texts.items()
        }
        table: Any = boto3.client("dynamodb")
        table.create_table(
            TableName="attempts",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.variables = {
            "APP_ID": "300011112222",
            "ALLOWED_ORIGINS": "https://www.abc.com",
            "TABLE_NAME": "attempts",
            "PLATFORM_URL": "http://127.0.0.1:1/verify",
            "RECEIPTS": "off",
            **self.arns,
        }

    def functions(self) -> list[str]:
        return [each["FunctionName"] for each in self.aws_lambda.list_functions()["Functions"]]

    def deploy(self, *functions: str, egress: str = "", api: str = "", **changes: str) -> None:
        trust = {"Version": "2012-10-17", "Statement": []}
        resources: dict[str, Any] = {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
        }
        for name in functions or ("PreSignFunction", "VerifyFunction"):
            changed = {key: each for key, each in {**self.variables, **changes}.items() if each}
            resources[name] = {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "app.handler",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"ZipFile": "handler = None"},
                    "Environment": {"Variables": changed},
                },
            }
        document = {
            "Resources": resources,
            "Outputs": {"EgressAddresses": {"Value": egress}, "ApiUrl": {"Value": api}},
        }
        cloudformation: Any = boto3.client("cloudformation")
        cloudformation.create_stack(StackName=NAME, TemplateBody=json.dumps(document))


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with mock_aws():
        yield Cloud()


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    run = runner(monkeypatch, capsys)
    # The platform's real lines are never called.
    monkeypatch.setattr("tools.examination.fetch", lambda *_, **__: Fetched("planted", stage="connection"))
    return lambda *arguments, **more: run("doctor", "--stack", NAME, *arguments, **more)


def test_a_deployment_is_in_order_and_shown_commands_name_its_secrets(cloud: Cloud, doctor: Run) -> None:
    cloud.deploy(egress="198.51.100.7, 198.51.100.8")
    cloud.secrets.put_secret_value(SecretId="shop/signing", SecretString="no JSON")
    broken = doctor("--region", "cn-north-1")
    cloud.secrets.put_secret_value(SecretId="shop/signing", SecretString=SIGNING_TEXT)

    shown = doctor("--public", "-", given=PUBLIC)

    assert (shown.code, "✗" in shown.out) == (0, False)
    assert "the functions have a way of their own" in shown.words
    assert "出口 IP (white list): 198.51.100.7,198.51.100.8" in shown.words
    put = "keys put signing --private FILE --replace --secret shop/signing --region cn-north-1`"
    assert (broken.code, put in broken.words) == (1, True)


OURS, THEIRS = "SIGNING_SECRET_ID", "VERIFICATION_SECRET_ID"
PLAIN: Final = {"ALLOWED_ORIGINS": "http://www.abc.com", "PLATFORM_URL": LINES["production"]}
ELSEWHERE: Final = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:pepper-AbCdEf"


@pytest.mark.parametrize(
    ("changes", "code", "said", "fix"),
    [
        ({"PLATFORM_URL": LINES["test"]}, 1, "PLATFORM_URL is of the test line", "parameter Line"),
        (
            {"APP_ID": "000340", "PLATFORM_URL": LINES["production"]},
            1,
            "verifications go to the production line",
            "Line=test",
        ),
        ({"APP_ID": "30001111222"}, 1, "has 11 digits", "parameter AppId"),
        ({"DAILY_ATTEMPT_LIMIT": "many"}, 1, "is not a number", "parameter DailyAttemptLimit"),
        ({"DAILY_ATTEMPT_LIMIT": "10"}, 0, "the platform that refuses a number first", "to less than 10"),
        ({"TABLE_NAME": "?"}, 1, "TABLE_NAME is not valid", "is the template's own"),
        ({"TABLE_NAME": "no-such"}, 1, "no-such: there is no such one in cn-north-1", "--region"),
        ({OURS: "shop/sining"}, 1, "there is no such one", "list-secrets"),
        ({OURS: PRIVATE}, 1, "was the key itself put there", "keys rotate"),
        ({"PEPPER_SECRET_ID": ELSEWHERE}, 1, "is in eu-central-1", "replicate-secret-to-regions"),
        (
            {OURS: THEIRS, THEIRS: OURS},
            1,
            "it is the other secret",
            "SigningSecretArn and VerificationSecretArn",
        ),
        (PLAIN, 0, "plain HTTP in production", "parameter AllowedOrigins"),
    ],
)
def test_a_wrong_variable_is_found_with_where_it_is_set(
    cloud: Cloud, doctor: Run, changes: dict[str, str], code: int, said: str, fix: str
) -> None:
    cloud.deploy(**{name: cloud.arns.get(value, value) for name, value in changes.items()})

    shown = doctor()

    assert (shown.code, said in shown.words, fix in shown.words) == (code, True, True), shown.words
    assert PRIVATE[40:80] not in shown.words


def test_a_function_that_was_changed_by_hand_is_found(cloud: Cloud, doctor: Run) -> None:
    cloud.deploy()
    for each, encoding in zip(cloud.functions(), ("HEX", "hex"), strict=True):
        variables = {**cloud.variables, "SIGNATURE_ENCODING": encoding}
        cloud.aws_lambda.update_function_configuration(
            FunctionName=each, Environment={"Variables": variables}
        )

    shown = doctor()

    assert shown.code == 1
    assert "SIGNATURE_ENCODING is not the same for PreSignFunction, VerifyFunction" in shown.words


def test_a_release_that_was_set_back_by_hand_is_told_with_the_one_not_to_deploy(
    cloud: Cloud, doctor: Run
) -> None:
    cloud.deploy()
    for name in cloud.functions():
        for release in ("1.4.0", "1.5.0"):
            described = f"Signs. Release {release}, x"
            cloud.aws_lambda.update_function_configuration(FunctionName=name, Description=described)
            cloud.aws_lambda.publish_version(FunctionName=name)
        cloud.aws_lambda.create_alias(FunctionName=name, Name="live", FunctionVersion="2")
    released = doctor()
    for name in cloud.functions():
        cloud.aws_lambda.update_alias(FunctionName=name, Name="live", FunctionVersion="1")
    back = doctor()

    assert "✓ VerifyFunction runs release 1.5.0 (version 2)." in released.words
    assert "! VerifyFunction runs release 1.4.0 (version 1), and 1.5.0 was deployed last" in back.words
    assert "Do not deploy 1.5.0 again" in back.words


ANSWERS: Final = [
    (422, {"resultCode": "120020"}, "refuses the made-up token alone"),
    (502, {"resultCode": "110004"}, "EgressAddresses"),
    (502, {"resultCode": "103111"}, "did not come through the carrier's gateway"),
    (429, {"code": "attempts_exhausted"}, "no reason to roll back"),
    (429, {"code": "attempts_exhausted", "resultCode": "121011"}, "no reason to roll back"),
    (429, {"code": "too_many_requests"}, "no reason to roll back"),
    (503, {"code": "platform_unreachable"}, "nothing was sent"),
    (504, {"code": "platform_timeout"}, "A made-up token is not billed"),
    (500, {"code": "internal_error"}, "requestId"),
    (404, {"message": "Not Found"}, "gives no answer of this product (HTTP 404)"),
]


def test_a_deployment_is_probed_through_its_own_function_with_a_number_that_nobody_can_use_up(
    cloud: Cloud, doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.deploy(api="https://api.example.com")
    reply, numbers = Fetched(""), list[str]()

    def fetch(_method: str, _url: str, _seconds: float, *, body: str, **_: Any) -> Fetched:
        numbers.extend(filter(None, [json.loads(body).get("phoneNum")]))
        return reply

    monkeypatch.setattr("tools.signed_probe.fetch", fetch)
    for status, document, said in ANSWERS:
        reply = Fetched(f"HTTP {status}", status, {}, json.dumps(document).encode())

        shown = doctor("--probe")

        assert said in shown.words
        assert "rollback" not in shown.words

    assert len({*numbers}) == len(ANSWERS)
    assert all(number.startswith("154") and normalise(number) == number for number in numbers)


def test_an_explanation_names_the_deployments_own_secrets(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.deploy()

    shown = runner(monkeypatch, capsys)("explain", "130018", "--stack", NAME)

    assert (
        "keys check --public FILE --secret shop/signing --verification-secret shop/verification`"
        in shown.words
    )
    assert f"keys rotate --stack {NAME} --secret shop/signing`" in shown.words


def test_a_stack_that_is_not_there_or_not_whole_is_one_fault(cloud: Cloud, doctor: Run) -> None:
    missing = doctor()
    cloud.deploy("PreSignFunction")
    half = doctor()

    assert (missing.code, half.code) == (1, 1)
    assert f"stack {NAME}: there is no such one in cn-north-1" in missing.words
    assert "has no VerifyFunction" in half.words


@pytest.mark.parametrize(
    ("status", "severity"),
    [
        ("CREATE_COMPLETE", Severity.OK),
        ("UPDATE_ROLLBACK_COMPLETE", Severity.WARNING),
        ("UPDATE_IN_PROGRESS", Severity.WARNING),
        ("ROLLBACK_COMPLETE", None),
    ],
)
def test_the_state_of_a_deployment_is_said(status: str, severity: Severity | None) -> None:
    if severity is None:
        with pytest.raises(ToolError, match="stack-unfinished"):
            status_of(status, {})
    else:
        assert status_of(status, {}).severity is severity


# What the platform's certificate is held to.


def certify(subject: str, is_authority: bool) -> x509.Certificate:  # noqa: FBT001 - named by its callers
    """Certify a key under a made-up authority's; as old tools do, without key usage and key identifiers."""
    issuer, own = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("old", subject))
    now, key = datetime.now(UTC), OTHER if is_authority else OWN
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder(issuer, own, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(loopback, critical=False)
        .sign(OTHER, SHA256())
    )


@pytest.fixture
def https(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Run a server on loopback with a certificate that is good but for RFC 5280, and name its authority."""
    own, authority = tmp_path / "own", tmp_path / "authority"
    key = OWN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    own.write_bytes(certify("loopback", is_authority=False).public_bytes(Encoding.PEM) + key)
    authority.write_bytes(certify("old", is_authority=True).public_bytes(Encoding.PEM))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(own)
    with serving(replying(200, b""), tls) as address:
        yield f"{address}/verify", authority


def test_a_certificate_that_the_functions_python_alone_refuses_is_refused_here_too(
    cloud: Cloud, doctor: Run, https: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, trusted = https
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setattr("tools.examination.fetch", fetch)
    cloud.deploy(PLATFORM_URL=url)

    strict = doctor()
    lenient = ssl.create_default_context()
    lenient.verify_flags &= ~ssl.VERIFY_X509_STRICT
    monkeypatch.setattr("tools.examination.tls_of_the_functions", lambda: lenient)

    assert "127.0.0.1 cannot be reached from this machine (Missing Authority Key Identifier" in strict.words
    assert "127.0.0.1 answers (HTTP 200)" in doctor().words


# Small things.


def client_error(code: str, said: str = "planted") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": said}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ResourceNotFoundException"), "not-found"),
        (client_error("ResourceNotFoundException", "for staging label: AWSCURRENT"), "empty"),
        (client_error("ValidationError", "Stack with id x does not exist"), "not-found"),
        (client_error("AccessDeniedException"), "denied"),
        (client_error("AccessDeniedException", "Access to KMS is not allowed"), "kms-denied"),
        (client_error("DecryptionFailure"), "kms-denied"),
        (client_error("InvalidRequestException", "marked for deletion"), "deleted"),
        (client_error("ExpiredTokenException"), "credentials"),
        (client_error("InvalidSignatureException"), "credentials"),
        (client_error("InvalidSignatureException", "Signature not yet current"), "clock"),
        (client_error("RequestTimeTooSkewed"), "clock"),
        (client_error("ThrottlingException"), "refused"),
        (NoCredentialsError(), "credentials"),
        (ProfileNotFound(profile="planted"), "no-profile"),
        (NoRegionError(), "no-region"),
        (EndpointConnectionError(endpoint_url="planted"), "unreachable"),
        (ConnectTimeoutError(endpoint_url="planted"), "unreachable"),
        (UnknownServiceError(service_name="planted", known_service_names="x"), "refused"),
    ],
)
def test_what_aws_raises_is_told_apart_and_not_quoted(error: Any, kind: str) -> None:
    said = said_of(error, "AWS")

    assert said.key == f"aws-{kind}"
    assert "planted" not in str(said)


PAGES: Final = {
    "http://www.abc.com/a/mobile.html/#/abc": ("http://www.abc.com/a/mobile.html/", "http://www.abc.com"),
    "http://www.abc.com/a/mobile.html/?abc": ("http://www.abc.com/a/mobile.html/", "http://www.abc.com"),
    "http://127.0.0.1:8080/a": ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080"),
    "https://WWW.abc.com:443": ("https://www.abc.com/", "https://www.abc.com"),
    "http://[::1]:8080/a": ("http://[::1]:8080/a", "http://[::1]:8080"),
    **dict.fromkeys(("www.abc.com/a", "https://", "https://a.com/,b", "ftp://a.com/", "http://a.com:x/")),
}


@pytest.mark.parametrize(("page", "reported"), PAGES.items())
def test_referer_and_origin_are_the_guides(page: str, reported: tuple[str, str] | None) -> None:
    assert is_page(page) == (reported is not None)
    assert reported is None or (referer_of(page), origin_of(page)) == reported


def test_what_is_named_of_the_template_is_the_templates() -> None:
    assert all(url in (ROOT / "template.yaml").read_text() for url in LINES.values())
    expected = {"APP_ID": "AppId", "PLATFORM_URL": "Line", "TABLE_NAME": ""}
    assert {variable: parameter(variable) for variable in expected} == expected
