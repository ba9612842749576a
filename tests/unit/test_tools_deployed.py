"""A deployed stack as the tools see it: CloudFormation, Lambda and secrets are moto's, in this process."""

import json
from collections.abc import Iterator
from typing import Any, Final

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
from moto import mock_aws

from local import ROOT
from tests.support.operator import (
    PLATFORM_KEY,
    PRIVATE,
    PUBLIC,
    SIGNING_TEXT,
    VERIFICATION_TEXT,
    Run,
    runner,
)
from tools.aws_errors import cause_of
from tools.doctor import checks, is_page
from tools.examination import Fetched, origin_of, parameter, referer_of
from tools.findings import Severity
from tools.target import TargetError, _status

NAME: Final = "number-verification"
PLATFORM: Final = checks.LINES["production"]


class Cloud:
    """AWS with a stack of two functions."""

    def __init__(self) -> None:
        client: Any = boto3.client("secretsmanager")
        self.secrets = client
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

    def configure(self, logical_id: str, **changes: str) -> None:
        """Change one function by hand."""
        cloudformation: Any = boto3.client("cloudformation")
        functions: Any = boto3.client("lambda")
        resource = cloudformation.describe_stack_resource(StackName=NAME, LogicalResourceId=logical_id)
        functions.update_function_configuration(
            FunctionName=resource["StackResourceDetail"]["PhysicalResourceId"],
            Environment={"Variables": {**self.variables, **changes}},
        )


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


@pytest.mark.parametrize(
    ("changes", "said", "fix"),
    [
        ({"PLATFORM_URL": checks.LINES["test"]}, "verifications go to the test line", "Line=production"),
        ({"APP_ID": "30001111222"}, "has 11 digits", "parameter AppId"),
        (
            {"DAILY_ATTEMPT_LIMIT": "many"},
            "DAILY_ATTEMPT_LIMIT is not a number",
            "parameter DailyAttemptLimit",
        ),
        ({"TABLE_NAME": "?"}, "TABLE_NAME is not valid", "is the template's own"),
        ({"TABLE_NAME": "no-such"}, "no-such: there is no such one in cn-north-1", "--region"),
        ({"SIGNING_SECRET_ID": "number-verification/sining"}, "there is no such one", "list-secrets"),
        ({"SIGNING_SECRET_ID": PRIVATE}, "was the key itself put there", "keys rotate"),
        (
            {"PEPPER_SECRET_ID": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:pepper-AbCdEf"},
            "secret pepper is in eu-central-1",
            "replicate-secret-to-regions",
        ),
    ],
)
def test_a_wrong_variable_is_found_with_where_it_is_set(
    cloud: Cloud, doctor: Run, changes: dict[str, str], said: str, fix: str
) -> None:
    cloud.deploy(**changes)

    shown = doctor()

    assert shown.code == 1
    assert said in shown.words
    assert fix in shown.words
    assert PRIVATE[40:80] not in shown.words


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"DAILY_ATTEMPT_LIMIT": "10"}, 0, "it is the platform that refuses a number first"),
        ({"ALLOWED_ORIGINS": "http://www.abc.com", "PLATFORM_URL": PLATFORM}, 0, "plain HTTP in production"),
    ],
)
def test_what_should_not_stay_so_is_a_warning(
    cloud: Cloud, doctor: Run, changes: dict[str, str], code: int, said: str
) -> None:
    cloud.deploy(**changes)

    shown = doctor()

    assert (shown.code, said in shown.words) == (code, True)


def test_a_function_that_was_changed_by_hand_is_found(cloud: Cloud, doctor: Run) -> None:
    cloud.deploy()
    cloud.configure("PreSignFunction", SIGNATURE_ENCODING="HEX")
    cloud.configure("VerifyFunction", SIGNATURE_ENCODING="hex")

    shown = doctor()

    assert shown.code == 1
    assert "SIGNATURE_ENCODING is not the same for PreSignFunction, VerifyFunction" in shown.words


def test_a_release_that_was_set_back_by_hand_is_told_with_the_one_not_to_deploy(
    cloud: Cloud, doctor: Run
) -> None:
    cloud.deploy()
    functions: Any = boto3.client("lambda")
    for each in functions.list_functions()["Functions"]:
        name = each["FunctionName"]
        for release in ("1.4.0", "1.5.0"):
            functions.update_function_configuration(
                FunctionName=name, Description=f"Signs. Release {release}, x"
            )
            functions.publish_version(FunctionName=name)
        functions.create_alias(FunctionName=name, Name="live", FunctionVersion="2")
    released = doctor()
    for each in functions.list_functions()["Functions"]:
        functions.update_alias(FunctionName=each["FunctionName"], Name="live", FunctionVersion="1")
    back = doctor()

    assert "✓ VerifyFunction runs release 1.5.0 (version 2)." in released.words
    assert "! VerifyFunction runs release 1.4.0 (version 1), and 1.5.0 was deployed last" in back.words
    assert "Do not deploy 1.5.0 again" in back.words


def test_secrets_that_are_swapped_are_told_by_their_parameters(cloud: Cloud, doctor: Run) -> None:
    swapped = {"SIGNING_SECRET_ID": "VERIFICATION_SECRET_ID", "VERIFICATION_SECRET_ID": "SIGNING_SECRET_ID"}
    cloud.deploy(**{name: cloud.arns[other] for name, other in swapped.items()})

    shown = doctor()

    assert shown.code == 1
    assert "it is the other secret" in shown.words
    assert "SigningSecretArn and VerificationSecretArn" in shown.words


def test_the_platforms_key_reported_as_ours_is_told(cloud: Cloud, doctor: Run) -> None:
    cloud.deploy()

    shown = doctor("--public", "-", given=PLATFORM_KEY)

    assert (shown.code, "the platform's own key, and not yours" in shown.words) == (1, True)
    assert PUBLIC in shown.words


@pytest.mark.parametrize(
    ("status", "document", "said"),
    [
        (422, {"resultCode": "120020"}, "refuses the made-up token alone"),
        (502, {"resultCode": "110004"}, "EgressAddresses"),
        (502, {"resultCode": "103111"}, "did not come through the carrier's gateway"),
        (429, {"code": "attempts_exhausted"}, "no reason to roll back"),
        (429, {"code": "too_many_requests"}, "no reason to roll back"),
        (503, {"code": "platform_unreachable"}, "nothing was sent"),
        (504, {"code": "platform_timeout"}, "A made-up token is not billed"),
        (500, {"code": "internal_error"}, "requestId"),
        (404, {"message": "Not Found"}, "gives no answer of this product (HTTP 404)"),
    ],
)
def test_a_deployment_is_probed_through_its_own_function(
    cloud: Cloud, doctor: Run, monkeypatch: pytest.MonkeyPatch, status: int, document: Any, said: str
) -> None:
    reply = Fetched(f"HTTP {status}", status, {}, json.dumps(document).encode())
    monkeypatch.setattr("tools.signed_probe.fetch", lambda *_, **__: reply)
    cloud.deploy(api="https://api.example.com")

    shown = doctor("--probe")

    assert said in shown.words


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
    assert f"There is no stack {NAME} in cn-north-1" in missing.words
    assert "has no VerifyFunction" in half.words


@pytest.mark.parametrize(
    ("status", "severity"),
    [
        ("CREATE_COMPLETE", Severity.OK),
        ("UPDATE_ROLLBACK_COMPLETE", Severity.WARNING),
        ("UPDATE_IN_PROGRESS", Severity.WARNING),
    ],
)
def test_the_state_of_a_deployment_is_said(status: str, severity: Severity) -> None:
    assert _status(status, {"stack": NAME, "region": "cn-north-1"}).severity is severity


def test_a_stack_that_was_never_whole_is_not_looked_at() -> None:
    with pytest.raises(TargetError, match="stack-unfinished"):
        _status("ROLLBACK_COMPLETE", {"stack": NAME, "region": "cn-north-1"})


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
        (client_error("ExpiredTokenException"), "credentials-refused"),
        (client_error("InvalidSignatureException"), "credentials-refused"),
        (client_error("InvalidSignatureException", "Signature not yet current"), "clock"),
        (client_error("RequestTimeTooSkewed"), "clock"),
        (client_error("ThrottlingException"), "refused"),
        (NoCredentialsError(), "no-credentials"),
        (ProfileNotFound(profile="planted"), "no-profile"),
        (NoRegionError(), "no-region"),
        (EndpointConnectionError(endpoint_url="planted"), "unreachable"),
        (ConnectTimeoutError(endpoint_url="planted"), "unreachable"),
        (UnknownServiceError(service_name="planted", known_service_names="x"), "refused"),
    ],
)
def test_what_aws_raises_is_told_apart_and_not_quoted(error: Any, kind: str) -> None:
    cause = cause_of(error)

    assert cause.kind == kind
    assert "planted" not in str(cause.text("AWS"))


@pytest.mark.parametrize(
    ("page", "referer", "origin"),
    [
        ("http://www.abc.com/a/mobile.html/#/abc", "http://www.abc.com/a/mobile.html/", "http://www.abc.com"),
        ("http://www.abc.com/a/mobile.html/?abc", "http://www.abc.com/a/mobile.html/", "http://www.abc.com"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a", "http://127.0.0.1:8080"),
        ("https://WWW.abc.com:443", "https://www.abc.com/", "https://www.abc.com"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a", "http://[::1]:8080"),
    ],
)
def test_referer_and_origin_are_the_guides(page: str, referer: str, origin: str) -> None:
    assert is_page(page)
    assert (referer_of(page), origin_of(page)) == (referer, origin)


@pytest.mark.parametrize(
    "page", ["www.abc.com/a", "https://", "https://a.com/,b", "ftp://a.com/", "http://a.com:x/"]
)
def test_what_is_no_page_is_told(page: str) -> None:
    assert not is_page(page)


def test_what_is_named_of_the_template_is_the_templates() -> None:
    assert all(url in (ROOT / "template.yaml").read_text() for url in checks.LINES.values())
    expected = {
        "APP_ID": "AppId",
        "PLATFORM_URL": "Line",
        "SIGNING_SECRET_ID": "SigningSecretArn",
        "TABLE_NAME": "",
    }
    assert {variable: parameter(variable) for variable in expected} == expected
