"""The handlers as Lambda imports them: settings at start, an event in, a response out."""

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final
from unittest import mock

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.clock import utc_now
from cmpassport.settings import SettingsError
from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme
from cmpassport.telemetry import Metric
from tests.support.functions import APP_ID, PRESIGN_ENVIRONMENT, VERIFY_ENVIRONMENT, event, secrets_of
from tests.support.phone import new_pre_sign as make_pre_sign
from tests.support.receipt_secrets import LONG_AGO, new_key, secret

RECEIPTS: Final = {"RECEIPT_SECRET_ID": "receipts", "RECEIPT_NUMBER": "masked"}
SUBMISSION: Final = {
    "phoneNum": "+86 139-1234-5678",
    "token": "VM_PLANTEDTOKEN01",
    "userInformation": "planted%2Binformation%3D%3D",
}

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]
Start = Callable[..., Handler]
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def start(
    table: object,
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
    return make_pre_sign(APP_ID, utc_now() - age)[3]


# preSign.


CONFIGURED: Final = SignatureScheme(SignatureAlgorithm.SHA256_WITH_RSA, SignatureEncoding.HEX_UPPER)


@pytest.mark.parametrize("scheme", [SignatureScheme(), CONFIGURED], ids=["by default", "configured"])
def test_presign_signs_in_the_configured_scheme(
    start: Start,
    rsa_key: Callable[[int], RSAPrivateKey],
    capsys: pytest.CaptureFixture[str],
    scheme: SignatureScheme,
) -> None:
    pre_sign = new_pre_sign()
    settings = {"SIGNATURE_ALGORITHM": "SHA256withRSA", "SIGNATURE_ENCODING": "HEX"}

    handler = start("presign.app", PRESIGN_ENVIRONMENT | (settings if scheme is CONFIGURED else {}))
    answer(handler, {"preSign": new_pre_sign()})
    assert f'"{Metric.COLD_START}":[1.0]' in capsys.readouterr().out

    status, body = answer(handler, {"preSign": pre_sign})

    assert (status, list(body)) == (200, ["sign"])
    assert "".join(capsys.readouterr()) == ""  # a line for each would cost as much as the rest of it
    assert body["sign"] == scheme.sign(rsa_key(1024), pre_sign)


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


@pytest.mark.parametrize(
    ("module", "name"), [("presign.app", "PRESIGN_WINDOW_HOURS"), ("verify.app", "DAILY_ATTEMPT_LIMIT")]
)
def test_a_bad_setting_stops_the_start_and_is_named(start: Start, module: str, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is ") as refusal:
        start(module, {**VERIFY_ENVIRONMENT, name: "planted/"})

    assert "planted" not in str(refusal.value)


# Receipts.


def test_the_keys_of_receipts_are_published_for_a_while(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    response = start("jwks.app", RECEIPTS)({"requestContext": {}}, None)

    (key,) = json.loads(response["body"])["keys"]
    assert (key["kty"], "d" in key) == ("EC", False)
    kept = {"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300"}
    assert response["headers"] == {**kept, "X-Content-Type-Options": "nosniff"}
    assert response["statusCode"] == 200
    assert '"ReceiptKeysServed":[1.0]' in capsys.readouterr().out


def test_without_the_receipts_secret_nothing_is_asked_that_would_be_billed(start: Start, logged: Log) -> None:
    handler = start("verify.app", {**VERIFY_ENVIRONMENT, **RECEIPTS, "RECEIPT_SECRET_ID": "no-such-secret"})

    assert answer(handler, SUBMISSION)[1]["code"] == "internal_error"
    assert [line["message"] for line in logged()] == ["an unexpected error"]
