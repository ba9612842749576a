"""Both handlers as Lambda imports them: settings at start, an event in, a response out."""

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug import Request, Response

from cmpassport.clock import utc_now
from cmpassport.settings import SettingsError
from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme
from cmpassport.telemetry import Metric
from tests.support import signatures
from tests.support.functions import (
    APP_ID,
    ORIGIN,
    PRESIGN_ENVIRONMENT,
    VERIFY_ENVIRONMENT,
    event,
    secrets_of,
)
from tests.support.receipt_secrets import LONG_AGO, new_key, part, secret
from tests.support.server import serving
from verify.message import format_timestamp

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from mypy_boto3_dynamodb import DynamoDBClient

OTHER_ORIGIN: Final = "https://m.example.com"
RECEIPTS: Final = {"RECEIPT_SECRET_ID": "receipts", "RECEIPT_NUMBER": "masked"}
SUBMISSION: Final = {
    "phoneNum": "+86 139-1234-5678",
    "token": "VM_PLANTEDTOKEN01",
    "userInformation": "planted%2Binformation%3D%3D",
}

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]
Start = Callable[..., Handler]
Log = Callable[[], list[dict[str, Any]]]


class Platform:
    """A platform on loopback: answers every request with the code that it has at the time."""

    def __init__(self) -> None:
        self.code = "000"
        self.asked: list[tuple[str, Any]] = []
        self.url = ""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        message = request.get_json()
        self.asked.append((request.path, message))
        header = {name: message["header"][name] for name in ("msgId", "timestamp", "appId")}
        content = {"header": header | {"resultCode": self.code}, "body": {"taskId": "t1", "resultDesc": "d"}}
        return Response(json.dumps(content))(environ, start_response)


@pytest.fixture
def platform() -> Iterator[Platform]:
    platform = Platform()
    with serving(platform) as address:
        platform.url = f"{address}/NumberAbility/h5/verifyVmMobileApi.htm"
        yield platform


@pytest.fixture
def start(
    table: "DynamoDBClient",
    aws: boto3.Session,
    rsa_key: Callable[[int], RSAPrivateKey],
    monkeypatch: pytest.MonkeyPatch,
) -> Start:
    """Return what imports a handler anew, as a new environment does, with secrets and table there."""
    del table
    monkeypatch.setattr("cmpassport.aws.session", lambda: aws._session)  # noqa: SLF001 - botocore's below boto3's
    texts = secrets_of(rsa_key(1024)) | {"receipts": secret((new_key(), LONG_AGO))}
    for name, text in texts.items():
        aws.client("secretsmanager").create_secret(Name=name, SecretString=text)

    def import_handler(module: str, environment: Mapping[str, str]) -> Handler:
        for name in (*VERIFY_ENVIRONMENT, *RECEIPTS):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, module, raising=False)
        handler: Handler = importlib.import_module(module).handler
        return handler

    return import_handler


def answer(handler: Handler, body: Any) -> tuple[int, dict[str, Any]]:
    response = handler(event(json.dumps(body)), None)
    return response["statusCode"], json.loads(response["body"])


def new_pre_sign(age: timedelta = timedelta(0)) -> str:
    return f"{APP_ID}{'A' * 32}{format_timestamp(utc_now() - age)}{'B' * 32}1.2"


# preSign.


@pytest.mark.parametrize(
    ("environment", "scheme"),
    [
        ({}, SignatureScheme()),
        (
            {"SIGNATURE_ALGORITHM": "SHA256withRSA", "SIGNATURE_ENCODING": "HEX"},
            SignatureScheme(SignatureAlgorithm.SHA256_WITH_RSA, SignatureEncoding.HEX_UPPER),
        ),
    ],
    ids=["by default", "configured"],
)
def test_presign_signs_in_the_configured_scheme(
    start: Start,
    rsa_key: Callable[[int], RSAPrivateKey],
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    scheme: SignatureScheme,
) -> None:
    pre_sign = new_pre_sign()

    status, body = answer(start("presign.app", PRESIGN_ENVIRONMENT | environment), {"preSign": pre_sign})

    assert (status, list(body)) == (200, ["sign"])
    assert f'"{Metric.PRESIGN_SIGNED}":[1.0]' in capsys.readouterr().out
    signatures.verify(scheme, rsa_key(1024).public_key(), pre_sign, body["sign"])


def test_the_signing_key_is_fetched_when_first_needed_and_once(start: Start) -> None:
    handler = start("presign.app", PRESIGN_ENVIRONMENT)
    secrets = sys.modules["presign.app"]._secrets  # noqa: SLF001 - the one place where calls can be counted

    with mock.patch.object(secrets, "fetch", wraps=secrets.fetch) as fetch:
        answer(handler, {"preSign": "no preSign"})
        assert not fetch.called
        for _ in range(3):
            assert answer(handler, {"preSign": new_pre_sign()})[0] == 200

    fetch.assert_called_once_with("signing")


@pytest.mark.parametrize("pre_sign", ["planted", new_pre_sign(timedelta(days=2))], ids=["words", "stale"])
def test_what_is_no_presign_is_rejected_and_not_logged(start: Start, pre_sign: str, logged: Log) -> None:
    handler = start("presign.app", PRESIGN_ENVIRONMENT)

    status, document = answer(handler, {"preSign": pre_sign})

    assert (status, document["code"], document["action"]) == (400, "presign_rejected", "fix_request")
    (line,) = logged()
    assert line["level"] == "WARNING"
    assert pre_sign not in json.dumps([document, line])


@pytest.mark.parametrize(
    ("module", "name"), [("presign.app", "SIGNING_SECRET_ID"), ("jwks.app", "RECEIPT_SECRET_ID")]
)
def test_without_its_secret_a_function_has_an_internal_error_that_no_cache_keeps(
    start: Start, logged: Log, module: str, name: str
) -> None:
    handler = start(module, {**PRESIGN_ENVIRONMENT, **RECEIPTS, name: "no-such-secret"})

    response = handler(event(json.dumps({"preSign": new_pre_sign()})), None)

    assert (response["statusCode"], response["headers"]["Cache-Control"]) == (500, "no-store")
    assert json.loads(response["body"])["code"] == "internal_error"
    assert [line["error"] for line in logged()] == ["SecretUnavailableError"]


# Verification.


def test_a_matching_number_is_verified(
    start: Start, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = start("verify.app", {**VERIFY_ENVIRONMENT, "PLATFORM_URL": platform.url})

    status, body = answer(handler, SUBMISSION)

    ((path, message),) = platform.asked
    assert path == "/NumberAbility/h5/verifyVmMobileApi.htm"
    assert message["body"]["userInformation"] == SUBMISSION["userInformation"]
    assert status == 200
    assert len(body.pop("device")) == 44
    assert body == {
        "verified": True,
        "resultCode": "000",
        "resultDesc": "d",
        "action": "login",
        "msgId": message["header"]["msgId"],
        "taskId": "t1",
        "attemptsLeft": 4,
    }
    assert '"NumberVerified":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "status", "problem", "action"),
    [
        ("001", 200, None, "refuse"),
        ("120020", 422, "token_rejected", "retry"),
        ("121011", 429, "attempts_exhausted", "use_other_method"),
    ],
)
def test_a_refusal_of_the_platform_has_its_code(
    receipting: Handler, platform: Platform, code: str, status: int, problem: str | None, action: str
) -> None:
    platform.code = code

    response = receipting(event(json.dumps(SUBMISSION)), None)

    document = json.loads(response["body"])
    assert (response["statusCode"], document.get("code"), document["action"]) == (status, problem, action)
    assert document["resultCode"] == code
    assert document.get("verified") is (False if status == 200 else None)
    assert not {"receipt", "device"} & document.keys()
    wait = response["headers"].get("Retry-After")
    assert 1 <= int(wait) <= 86400 if status == 429 else wait is None


@pytest.mark.parametrize(
    ("name", "code", "seconds"),
    [
        ("DAILY_ATTEMPT_LIMIT", "attempts_exhausted", 86400),
        ("CLIENT_HOURLY_LIMIT", "too_many_requests", 3600),
    ],
)
def test_a_limit_is_the_configured_one(
    start: Start, platform: Platform, name: str, code: str, seconds: int
) -> None:
    handler = start("verify.app", {**VERIFY_ENVIRONMENT, "PLATFORM_URL": platform.url, name: "1"})
    answer(handler, SUBMISSION)

    response = handler(event(json.dumps({**SUBMISSION, "token": "VM_ANOTHER"})), None)

    assert (response["statusCode"], json.loads(response["body"])["code"]) == (429, code)
    assert 1 <= int(response["headers"]["Retry-After"]) <= seconds
    assert len(platform.asked) == 1


# Start.


@pytest.mark.parametrize(
    ("module", "name"), [("presign.app", "PRESIGN_WINDOW_HOURS"), ("verify.app", "DAILY_ATTEMPT_LIMIT")]
)
def test_a_bad_setting_stops_the_start_and_is_named(start: Start, module: str, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is ") as refusal:
        start(module, {**VERIFY_ENVIRONMENT, name: "planted/"})

    assert "planted" not in str(refusal.value)


# Receipts.


def test_a_positive_verdict_has_a_receipt_that_the_published_keys_check(
    receipting: Handler, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    _, body = answer(receipting, {**SUBMISSION, "nonce": "n-1"})
    response = start("jwks.app", RECEIPTS)({"requestContext": {}}, None)

    keys = KeySet.import_key_set(json.loads(response["body"]))
    claims = jwt.decode(body["receipt"], keys, algorithms=["ES256"]).claims
    assert claims["jti"] == body["msgId"]
    assert (claims["iss"], claims["aud"], claims["nonce"]) == ("https://api.example.com", ORIGIN, "n-1")
    assert claims["exp"] - claims["iat"] == 120
    assert (response["statusCode"], response["headers"]) == (
        200,
        {
            "Content-Type": "application/jwk-set+json",
            "Cache-Control": "public, max-age=300",
            "X-Content-Type-Options": "nosniff",
        },
    )
    counted = capsys.readouterr().out
    assert '"ReceiptIssued":[1.0]' in counted
    assert '"ReceiptKeysServed":[1.0]' in counted


def test_a_repeated_request_is_answered_the_same_without_another_call(
    receipting: Handler, platform: Platform
) -> None:
    first, again = (
        answer(receipting, {**SUBMISSION, "phoneNum": typed})[1]
        for typed in (SUBMISSION["phoneNum"], "13912345678")
    )

    assert part(first.pop("receipt"), 1) == part(again.pop("receipt"), 1)
    assert first == again
    assert len(platform.asked) == 1


@pytest.fixture
def receipting(start: Start, platform: Platform) -> Handler:
    """The verification with receipts on, for two origins."""
    variables = {"ALLOWED_ORIGINS": f"{ORIGIN},{OTHER_ORIGIN}", "PLATFORM_URL": platform.url}
    return start("verify.app", {**VERIFY_ENVIRONMENT, **RECEIPTS, **variables})


@pytest.mark.parametrize(
    ("nonce", "origin"), [("n-2", ORIGIN), ("n-1", OTHER_ORIGIN)], ids=["nonce", "origin"]
)
def test_a_verdict_is_not_taken_to_another_login(
    receipting: Handler, platform: Platform, nonce: str, origin: str
) -> None:
    answer(receipting, {**SUBMISSION, "nonce": "n-1"})

    response = receipting(event(json.dumps({**SUBMISSION, "nonce": nonce}), origin=origin), None)

    assert (response["statusCode"], json.loads(response["body"])["code"]) == (409, "token_reused")
    assert len(platform.asked) == 1


def test_without_the_receipts_secret_nothing_is_asked_that_would_be_billed(
    start: Start, platform: Platform
) -> None:
    variables = {"RECEIPT_SECRET_ID": "no-such-secret", "PLATFORM_URL": platform.url}
    handler = start("verify.app", {**VERIFY_ENVIRONMENT, **RECEIPTS, **variables})

    assert answer(handler, SUBMISSION)[1]["code"] == "internal_error"
    assert platform.asked == []
