"""A deployed stack as the tools see it: its secrets are moto's, in this process."""

import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, UnknownServiceError
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from moto import mock_aws

from local import ROOT
from tests.support.operator import OWN, PRIVATE, SIGNING_TEXT, VERIFICATION_TEXT, Run, runner
from tests.support.server import serving
from tools.aws import Aws, said_of
from tools.doctor import LINES
from tools.examination import _RELEASE
from tools.web import Fetched, fetch, is_page, origin_of, referer_of
from verify.submission import normalise

NAME: Final = "number-verification"
RELEASE: Final = "Release {}, settings number-verification-{}"


class Cloud:
    """AWS with a stack of two functions; moto's own CloudFormation and Lambda would take 140 MB of memory."""

    def __init__(self, secrets: Any) -> None:
        self.secrets = secrets
        texts = {"signing": SIGNING_TEXT, "verification": VERIFICATION_TEXT, "pepper": "p" * 64}
        self.arns = {
            f"{name.upper()}_SECRET_ID": secrets.create_secret(Name=f"shop/{name}", SecretString=text)["ARN"]
            for name, text in texts.items()
        }
        self.variables = {
            "APP_ID": "300011112222",
            "ALLOWED_ORIGINS": "https://www.abc.com",
            "TABLE_NAME": "attempts",
            "SIGNATURE_ENCODING": "base64",
            "PLATFORM_URL": "http://127.0.0.1:1/verify",
            "RECEIPTS": "off",
            **self.arns,
        }
        self.functions = ["PreSignFunction", "VerifyFunction"]
        self.by_hand: dict[str, str] = {}
        self.tables = {"attempts": "ACTIVE", "restored": "CREATING"}
        self.status = "CREATE_COMPLETE"
        self.live = self.latest = RELEASE.format("1.5.0", 155)

    def answer(self, model: Any, params: Any, **_: Any) -> tuple[Any, Any]:
        """Answer in a service's place."""
        body: Any = params["body"]
        found: dict[str, Any] | None = None
        if model.name == "DescribeStacks" and self.functions:
            outputs = [{"OutputKey": "ApiUrl", "OutputValue": "https://api.example.com"}]
            found = {"Stacks": [{"StackStatus": self.status, "Outputs": outputs}]}
        elif model.name == "DescribeStackResource" and body["LogicalResourceId"] in self.functions:
            found = {"StackResourceDetail": {"PhysicalResourceId": body["LogicalResourceId"]}}
        elif model.name == "GetFunctionConfiguration":
            live = params["query_string"] == {"Qualifier": "live"}
            description = self.live if live else f"Asks the platform about a number. {self.latest}"
            changed = self.by_hand if "VerifyFunction" in params["url_path"] else {}
            environment = {"Variables": {**self.variables, **changed}}
            found = {"Description": description, "Version": "7", "Environment": environment}
        elif model.name == "DescribeTable" and (status := self.tables.get(json.loads(body)["TableName"])):
            found = {"Table": {"TableStatus": status}}
        code = "ResourceNotFoundException" if model.name == "DescribeTable" else "ValidationError"
        missing = {"Error": {"Code": code, "Message": "planted does not exist"}}
        return SimpleNamespace(status_code=200 if found else 400), found or missing


@pytest.fixture
def cloud(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    made = Aws.client
    with mock_aws():
        whole = Cloud(aws.client("secretsmanager"))

        def client(self: Aws, service: str) -> Any:
            client = made(self, service)
            for name in ("cloudformation", "lambda", "dynamodb"):
                client.meta.events.register(f"before-call.{name}", whole.answer)
            return client

        monkeypatch.setattr(Aws, "client", client)
        yield whole


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    # The platform's real lines are never called.
    monkeypatch.setattr("tools.doctor.fetch", lambda *_, **__: Fetched("planted"))
    return runner(monkeypatch, capsys)


@pytest.fixture
def doctor(run: Run) -> Run:
    return lambda *arguments: run("doctor", "--stack", NAME, *arguments)


def test_all_is_in_order_and_shown_commands_name_the_secrets(cloud: Cloud, doctor: Run, run: Run) -> None:
    cloud.secrets.put_secret_value(SecretId="shop/signing", SecretString="no JSON")
    broken = doctor("--region", "cn-north-1")
    cloud.secrets.put_secret_value(SecretId="shop/signing", SecretString=SIGNING_TEXT)

    shown, explained = doctor(), run("explain", "130018", "--stack", NAME)

    assert (shown.code, "✗" in shown.out) == (0, False)
    assert "The functions of a deployment have a way of their own" in shown.words
    assert "the output EgressAddresses of the network stack" in shown.words
    put = "keys put signing --private FILE --replace --secret shop/signing --region cn-north-1`"
    assert (broken.code, put in broken.words) == (1, True)
    names = "--secret shop/signing --verification-secret shop/verification`"
    assert f"keys check --public FILE {names}" in explained.words
    assert f"keys rotate --stack {NAME} --secret shop/signing`" in explained.words


OURS, THEIRS = "SIGNING_SECRET_ID", "VERIFICATION_SECRET_ID"
ALL: Final = "PreSignFunction VerifyFunction ReceiptKeysFunction"
SET_BACK: Final = (
    "release 1.4.0 (version 7), and 1.5.0 was deployed last: the alias live was set back by hand. →"
)
PLAIN: Final = {"ALLOWED_ORIGINS": "http://www.abc.com", "PLATFORM_URL": LINES["production"]}
ELSEWHERE: Final = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:pepper-AbCdEf"


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"PLATFORM_URL": LINES["test"]}, 1, "PLATFORM_URL is of the test line"),
        ({"APP_ID": "000340", "PLATFORM_URL": LINES["production"]}, 1, "Line=test"),
        ({"APP_ID": "30001111222"}, 1, "has 11 digits"),
        ({"DAILY_ATTEMPT_LIMIT": "many"}, 1, "is not a number"),
        ({"DAILY_ATTEMPT_LIMIT": "10"}, 0, "the parameter DailyAttemptLimit to less than 10"),
        ({"by hand": "hex"}, 1, "SIGNATURE_ENCODING is not the same for PreSignFunction, VerifyFunction"),
        ({"TABLE_NAME": "no-such"}, 1, "table no-such: there is no such one in cn-north-1"),
        ({"TABLE_NAME": "restored"}, 0, "Table restored is CREATING"),
        ({OURS: "shop/sining"}, 1, "list-secrets"),
        ({OURS: PRIVATE}, 1, "was the key itself put there"),
        ({"PEPPER_SECRET_ID": ELSEWHERE}, 1, "replicate-secret-to-regions"),
        ({OURS: THEIRS, THEIRS: OURS}, 1, "SigningSecretArn and VerificationSecretArn"),
        (PLAIN, 0, "plain HTTP in production"),
        ({"shop/verification": '{"appKey": "x"}'}, 1, "platformPublicKey is missing"),
        ({"shop/pepper": "planted-pepper-0123456789"}, 1, "fewer than 32 characters"),
        ({"functions": ""}, 1, f"stack {NAME}: there is no such one in cn-north-1"),
        ({"functions": "PreSignFunction"}, 1, f"{NAME}, VerifyFunction: there is no such one"),
        (
            {"RECEIPTS": "on", "RECEIPT_SECRET_ID": OURS, "functions": ALL},
            1,
            "every verdict would be refused",
        ),
        ({"live": RELEASE.format("1.5.0", 155)}, 0, "✓ VerifyFunction runs release 1.5.0 (version 7)."),
        (
            {"live": RELEASE.format("1.4.0", 154)},
            0,
            f"! VerifyFunction runs {SET_BACK} Do not deploy 1.5.0 again",
        ),
        (
            {"live": RELEASE.format("1.5.0", 154)},
            0,
            "! VerifyFunction runs release 1.5.0 with former settings",
        ),
        ({"live": RELEASE.format("1.4.0", 154), "status": "UPDATE_IN_PROGRESS"}, 0, "✓ VerifyFunction runs"),
        ({"status": "UPDATE_ROLLBACK_COMPLETE"}, 0, "may be from before the last deployment"),
        ({"status": "UPDATE_IN_PROGRESS"}, 0, "wait until it is done"),
        ({"status": "ROLLBACK_COMPLETE"}, 1, "has to be deleted first"),
    ],
)
def test_a_wrong_variable_or_secret_an_unsettled_stack_and_a_former_release_are_found(
    cloud: Cloud, doctor: Run, changes: dict[str, str], code: int, said: str
) -> None:
    cloud.variables |= {name: cloud.arns.get(value, value) for name, value in changes.items()}
    cloud.functions = changes.get("functions", " ".join(cloud.functions)).split()
    cloud.status, cloud.live = changes.get("status", cloud.status), changes.get("live", cloud.live)
    cloud.by_hand = {"SIGNATURE_ENCODING": changes.get("by hand", "base64")}
    for name in {"shop/verification", "shop/pepper"} & {*changes}:
        cloud.secrets.put_secret_value(SecretId=name, SecretString=changes[name])

    shown = doctor()

    assert (shown.code, said in shown.words) == (code, True), shown.words
    assert PRIVATE[40:80] not in shown.words


META: Final = b'<!doctype html><html><head><META CONTENT="always" name="referrer"></head></html>'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"<meta name=referrer " * 50_000, "no referrer policy", id="quadratic"),
        (META + b"<meta name=referrer content=no-referrer>", "or another one"),
        (b"<!-- " + META + b" -->", "no referrer policy"),
        (META + b"<!-- <meta name=referrer content=no-referrer> -->", "whole address go out"),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_a_page_is_held_against_the_guides_rules(
    doctor: Run, monkeypatch: Any, body: bytes, said: str
) -> None:
    monkeypatch.setattr("tools.doctor.fetch", lambda *_, **__: Fetched("HTTP 200", 200, body))

    shown = doctor("--page", "https://m.abc.com/a/mobile.html?x#y")

    assert said in shown.words
    assert "its origin https://m.abc.com is not among the allowed ones" in shown.words


ANSWERS: Final = [
    (422, {"resultCode": "120020"}, "refuses the made-up token alone"),
    (502, {"resultCode": "110004"}, "EgressAddresses"),
    (502, {"resultCode": "103111"}, "did not come through the carrier's gateway"),
    (429, {"code": "attempts_exhausted"}, "no reason to roll back"),
    (429, {"code": "attempts_exhausted", "resultCode": "121011"}, "no reason to roll back"),
    (429, {"code": "too_many_requests"}, "no reason to roll back"),
    (503, {"code": "platform_unreachable"}, "nothing is billed"),
    (504, {"code": "platform_timeout"}, "nothing is billed"),
    (500, {"code": "internal_error"}, "requestId"),
    (200, {"resultCode": "000"}, "what answers is not the platform"),
    (502, {"resultCode": "424242", "code": "platform_error"}, "no table of this product has this code"),
    (200, {"sign": "planted"}, "does not let a page of https://www.abc.com read its answers"),
    (404, {"message": "Not Found"}, "gives no answer of this product (HTTP 404)"),
]


@pytest.mark.usefixtures("cloud")
def test_a_deployment_is_probed_through_its_own_function_with_a_number_that_nobody_can_use_up(
    doctor: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply, numbers = Fetched(""), list[str]()

    def fetch(_method: str, _url: str, _seconds: float, *, body: str, **_: Any) -> Fetched:
        numbers.extend(filter(None, [json.loads(body).get("phoneNum")]))
        return reply

    monkeypatch.setattr("tools.signed_probe.fetch", fetch)
    for status, document, said in ANSWERS:
        reply = Fetched(f"HTTP {status}", status, json.dumps(document).encode())

        shown = doctor("--probe")

        assert said in shown.words
        assert "rollback" not in shown.words

    assert len({*numbers}) == len(ANSWERS)
    assert all(number.startswith("154") and normalise(number) == number for number in numbers)


# How the platform is reached.


def test_a_certificate_that_the_functions_python_alone_refuses_is_refused_here_too(
    cloud: Cloud, doctor: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, certificate: Path
) -> None:
    whole, own = x509.load_pem_x509_certificate(certificate.read_bytes()), tmp_path / "own"
    span = (whole.not_valid_before_utc, whole.not_valid_after_utc)
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "without key identifiers, as old tools make it")]
    )
    made = x509.CertificateBuilder(whole.subject, name, OWN.public_key(), 1, *span)
    loopback = whole.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    authority: Any = load_pem_private_key(certificate.read_bytes(), None)
    signed = made.add_extension(loopback.value, critical=False).sign(authority, SHA256())
    key = OWN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    own.write_bytes(signed.public_bytes(Encoding.PEM) + key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(own)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr("tools.doctor.fetch", fetch)
    with serving(lambda _, start: (start("200 OK", []), [])[1], tls) as address:
        cloud.variables["PLATFORM_URL"] = f"{address}/verify"

        strict = doctor()
        lenient = ssl.create_default_context()
        lenient.verify_flags &= ~ssl.VERIFY_X509_STRICT
        monkeypatch.setattr("tools.doctor.tls_of_the_functions", lambda: lenient)

        assert re.search("from this machine: TLS fails .Missing .* Key Identifier", strict.words)
        assert "127.0.0.1 answers (HTTP 200)" in doctor().words


@pytest.mark.parametrize(("url", "stage"), [("http://name.invalid/", "DNS"), ("http://127.0.0.1:1/", "TCP")])
def test_a_platform_that_is_not_reached_is_told_by_how_far_it_came(url: str, stage: str) -> None:
    assert fetch("GET", url).stage == stage


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
        (client_error("DecryptionFailure"), "denied"),
        (client_error("InvalidRequestException", "marked for deletion"), "deleted"),
        (client_error("ExpiredTokenException"), "credentials"),
        (client_error("InvalidSignatureException"), "credentials"),
        (client_error("RequestTimeTooSkewed"), "credentials"),
        (client_error("ThrottlingException"), "refused"),
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
    template = (ROOT / "template.yaml").read_text().replace("${Release}", "1.5.0")

    assert all(url in template for url in LINES.values())
    described = re.findall(r'- "(?:[^"]*\. )?(Release .*)"', template)
    assert (len(described), all(map(_RELEASE.fullmatch, described))) == (6, True), described
