"""Both handlers as Lambda imports them: settings at start, an event in, a response out."""

import base64
import importlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwt
from joserfc.jwk import KeySet

from cmpassport.clock import utc_now
from cmpassport.settings import SettingsError
from cmpassport.signing import SignatureAlgorithm, SignatureScheme
from tests.support import signatures
from tests.support.functions import (
    APP_ID,
    ORIGIN,
    PRESIGN_ENVIRONMENT,
    VERIFY_ENVIRONMENT,
    secrets_of,
    signing_secret,
)
from tests.support.receipt_secrets import LONG_AGO, new_key, part, secret
from verify.message import format_timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OTHER_ORIGIN: Final = "https://m.example.com"
NUMBER: Final = "13912345678"
RECEIPTS: Final = {"RECEIPT_SECRET_ID": "receipts", "RECEIPT_NUMBER": "masked"}
SUBMISSION: Final = {
    "phoneNum": "+86 139-1234-5678",
    "token": "VM_PLANTEDTOKEN01",
    "userInformation": "planted%2Binformation%3D%3D",
}

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]
Start = Callable[..., Handler]
Log = Callable[[], list[dict[str, Any]]]


class Platform(BaseHTTPRequestHandler):
    """Answers every request with the code that the server has at the time."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Any = self.server
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.asked.append((self.path, message))
        header = {name: message["header"][name] for name in ("msgId", "timestamp", "appId")}
        answer = {"header": header | {"resultCode": server.code}, "body": {"taskId": "t1", "resultDesc": "d"}}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class PlatformServer(ThreadingHTTPServer):
    """A platform on loopback."""

    daemon_threads = True
    code = "000"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Platform)
        self.asked: list[tuple[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/NumberAbility/h5/verifyVmMobileApi.htm"


@pytest.fixture
def platform() -> Iterator[PlatformServer]:
    with PlatformServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


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


def event(body: Any, origin: str = ORIGIN) -> dict[str, Any]:
    return {
        "version": "2.0",
        "headers": {"origin": origin, "content-type": "application/json"},
        "requestContext": {
            "requestId": "the request",
            "domainName": "api.example.com",
            "http": {"sourceIp": "203.0.113.7"},
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def answer(handler: Handler, body: Any) -> tuple[int, dict[str, Any]]:
    response = handler(event(body), None)
    return response["statusCode"], json.loads(response["body"])


def new_pre_sign(age: timedelta = timedelta(0)) -> str:
    return f"{APP_ID}{'A' * 32}{format_timestamp(utc_now() - age)}{'B' * 32}1.2"


# preSign.


def test_a_presign_is_signed(start: Start, rsa_key: Callable[[int], RSAPrivateKey]) -> None:
    handler = start("presign.app", PRESIGN_ENVIRONMENT)
    pre_sign = new_pre_sign()

    status, body = answer(handler, {"preSign": pre_sign})

    assert (status, list(body)) == (200, ["sign"])
    signatures.verify(SignatureScheme(), rsa_key(1024).public_key(), pre_sign, body["sign"])


def test_the_signing_key_is_fetched_when_first_needed_and_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = start("presign.app", PRESIGN_ENVIRONMENT)
    fetched: list[str] = []
    secrets = sys.modules["presign.app"]._secrets  # noqa: SLF001 - the one place where calls can be counted
    fetch = secrets.fetch

    def counting(name: str) -> str:
        fetched.append(name)
        text: str = fetch(name)
        return text

    monkeypatch.setattr(secrets, "fetch", counting)

    answer(handler, {"preSign": "no preSign"})
    assert fetched == []
    for _ in range(3):
        assert answer(handler, {"preSign": new_pre_sign()})[0] == 200

    assert fetched == ["signing"]


def test_a_refresh_parses_a_key_only_if_it_is_another(
    start: Start, aws: boto3.Session, rsa_key: Callable[[int], RSAPrivateKey]
) -> None:
    start("presign.app", PRESIGN_ENVIRONMENT)
    key = sys.modules["presign.app"]._key  # noqa: SLF001 - what it holds is the question
    first = key.get()

    key.refresh_soon()
    assert key.get() is first

    text = signing_secret(rsa_key(2048))
    aws.client("secretsmanager").update_secret(SecretId="signing", SecretString=text)
    key._force_at = float("-inf")  # noqa: SLF001 - ten seconds later
    key.refresh_soon()
    assert key.get().key_size == 2048


@pytest.mark.parametrize("pre_sign", ["planted", new_pre_sign(timedelta(days=2))], ids=["words", "stale"])
def test_what_is_no_presign_is_rejected_and_not_logged(start: Start, pre_sign: str, logged: Log) -> None:
    handler = start("presign.app", PRESIGN_ENVIRONMENT)

    status, document = answer(handler, {"preSign": pre_sign})

    assert (status, document["code"], document["action"]) == (400, "presign_rejected", "fix_request")
    (line,) = logged()
    assert line["level"] == "WARNING"
    assert pre_sign not in json.dumps([document, line])


def test_presign_signs_in_the_configured_scheme(
    start: Start, rsa_key: Callable[[int], RSAPrivateKey]
) -> None:
    environment = {**PRESIGN_ENVIRONMENT, "SIGNATURE_ALGORITHM": "SHA256withRSA", "SIGNATURE_ENCODING": "HEX"}
    pre_sign = new_pre_sign()

    sign = answer(start("presign.app", environment), {"preSign": pre_sign})[1]["sign"]

    assert len(sign) == 256
    assert sign == sign.upper()
    raw = base64.b64encode(bytes.fromhex(sign)).decode()
    signatures.verify(
        SignatureScheme(SignatureAlgorithm.SHA256_WITH_RSA), rsa_key(1024).public_key(), pre_sign, raw
    )


@pytest.mark.parametrize(
    ("module", "name"), [("presign.app", "SIGNING_SECRET_ID"), ("jwks.app", "RECEIPT_SECRET_ID")]
)
def test_without_its_secret_a_function_has_an_internal_error_that_no_cache_keeps(
    start: Start, logged: Log, module: str, name: str
) -> None:
    handler = start(module, {**PRESIGN_ENVIRONMENT, **RECEIPTS, name: "no-such-secret"})

    response = handler(event({"preSign": new_pre_sign()}), None)

    assert (response["statusCode"], response["headers"]["Cache-Control"]) == (500, "no-store")
    assert json.loads(response["body"])["code"] == "internal_error"
    assert [line["error"] for line in logged()] == ["SecretUnavailableError"]


# Verification.


@pytest.fixture
def verify(start: Start, platform: PlatformServer) -> Handler:
    return start("verify.app", {**VERIFY_ENVIRONMENT, "PLATFORM_URL": platform.url})


def test_a_matching_number_is_verified(
    verify: Handler, platform: PlatformServer, capsys: pytest.CaptureFixture[str]
) -> None:
    status, body = answer(verify, SUBMISSION)

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


def test_a_repeated_request_is_answered_the_same_without_another_call(
    verify: Handler, platform: PlatformServer
) -> None:
    first = verify(event(SUBMISSION), None)

    assert [verify(event(SUBMISSION), None) for _ in range(2)] == [first] * 2
    assert verify(event({**SUBMISSION, "phoneNum": NUMBER}), None) == first
    assert len(platform.asked) == 1


@pytest.mark.parametrize(
    ("code", "status", "problem", "action"),
    [
        ("001", 200, None, "refuse"),
        ("120020", 422, "token_rejected", "retry"),
        ("121011", 429, "attempts_exhausted", "use_other_method"),
        ("130018", 502, "platform_rejected", "use_other_method"),
    ],
)
def test_a_refusal_of_the_platform_has_its_code(
    receipting: Handler, platform: PlatformServer, code: str, status: int, problem: str | None, action: str
) -> None:
    platform.code = code

    response = receipting(event(SUBMISSION), None)

    document = json.loads(response["body"])
    assert (response["statusCode"], document.get("code"), document["action"]) == (status, problem, action)
    assert document["resultCode"] == code
    assert document.get("verified") is (False if status == 200 else None)
    assert "receipt" not in document
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
    start: Start, platform: PlatformServer, name: str, code: str, seconds: int
) -> None:
    handler = start("verify.app", {**VERIFY_ENVIRONMENT, "PLATFORM_URL": platform.url, name: "1"})
    answer(handler, SUBMISSION)

    response = handler(event({**SUBMISSION, "token": "VM_ANOTHER"}), None)

    assert (response["statusCode"], json.loads(response["body"])["code"]) == (429, code)
    assert 1 <= int(response["headers"]["Retry-After"]) <= seconds
    assert len(platform.asked) == 1


def test_an_unreachable_platform_is_503(start: Start, platform: PlatformServer) -> None:
    url = platform.url
    platform.server_close()
    handler = start("verify.app", {**VERIFY_ENVIRONMENT, "PLATFORM_URL": url})

    status, document = answer(handler, SUBMISSION)

    assert (status, document["code"], document["action"]) == (503, "platform_unreachable", "retry")
    assert "resultCode" not in document


# Start.


@pytest.mark.parametrize(
    ("module", "name"), [("presign.app", "PRESIGN_WINDOW_HOURS"), ("verify.app", "DAILY_ATTEMPT_LIMIT")]
)
def test_a_bad_setting_stops_the_start_and_is_named(start: Start, module: str, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is ") as refusal:
        start(module, {**VERIFY_ENVIRONMENT, name: "planted/"})

    assert "planted" not in str(refusal.value)


# Receipts.


@pytest.fixture
def receipting(start: Start, platform: PlatformServer) -> Handler:
    """The verification with receipts on, for two origins."""
    variables = {"ALLOWED_ORIGINS": f"{ORIGIN},{OTHER_ORIGIN}", "PLATFORM_URL": platform.url}
    return start("verify.app", {**VERIFY_ENVIRONMENT, **RECEIPTS, **variables})


def test_a_positive_verdict_has_a_receipt_that_the_published_keys_check(
    receipting: Handler, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    _, body = answer(receipting, {**SUBMISSION, "nonce": "n-1"})
    assert '"ReceiptIssued":[1.0]' in capsys.readouterr().out
    response = start("jwks.app", RECEIPTS)({"requestContext": {}}, None)

    keys = KeySet.import_key_set(json.loads(response["body"]))
    claims = jwt.decode(body["receipt"], keys, algorithms=["ES256"]).claims
    assert claims["jti"] == body["msgId"]
    assert (claims["iss"], claims["aud"], claims["nonce"]) == ("https://api.example.com", ORIGIN, "n-1")
    assert claims["exp"] - claims["iat"] == 120


def test_a_repeated_request_has_the_receipt_again_without_another_call(
    receipting: Handler, platform: PlatformServer
) -> None:
    first, again = (answer(receipting, {**SUBMISSION, "nonce": "n-1"})[1] for _ in range(2))

    assert part(first["receipt"], 1) == part(again["receipt"], 1)
    assert len(platform.asked) == 1


@pytest.mark.parametrize(
    ("nonce", "origin"), [("n-2", ORIGIN), ("n-1", OTHER_ORIGIN)], ids=["nonce", "origin"]
)
def test_a_verdict_is_not_taken_to_another_login(
    receipting: Handler, platform: PlatformServer, nonce: str, origin: str
) -> None:
    answer(receipting, {**SUBMISSION, "nonce": "n-1"})

    response = receipting(event({**SUBMISSION, "nonce": nonce}, origin), None)

    assert (response["statusCode"], json.loads(response["body"])["code"]) == (409, "token_reused")
    assert len(platform.asked) == 1


def test_without_the_receipts_secret_nothing_is_asked_that_would_be_billed(
    start: Start, platform: PlatformServer
) -> None:
    variables = {"RECEIPT_SECRET_ID": "no-such-secret", "PLATFORM_URL": platform.url}
    handler = start("verify.app", {**VERIFY_ENVIRONMENT, **RECEIPTS, **variables})

    assert answer(handler, SUBMISSION)[1]["code"] == "internal_error"
    assert platform.asked == []


def test_the_published_keys_are_for_caches_and_everybody(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    response = start("jwks.app", RECEIPTS)({"requestContext": {}}, None)

    assert (response["statusCode"], response["headers"]) == (
        200,
        {
            "Content-Type": "application/jwk-set+json",
            "Cache-Control": "public, max-age=300",
            "X-Content-Type-Options": "nosniff",
        },
    )
    assert '"ReceiptKeysServed":[1.0]' in capsys.readouterr().out
