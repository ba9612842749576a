"""Settings: every variable with its default and bounds; a bad value is named, and never repeated."""

from datetime import timedelta
from operator import attrgetter
from typing import Any, Final

import pytest

from cmpassport.settings import CommonSettings, SettingsError
from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme
from presign.settings import Settings as PreSignSettings
from tests.support.functions import PRESIGN_ENVIRONMENT, VERIFY_ENVIRONMENT
from verify.platform import Limits
from verify.settings import NumberForm, ReceiptSettings
from verify.settings import Settings as VerifySettings

RECEIPTS: Final = {"RECEIPT_SECRET_ID": "receipts"}


def test_what_is_not_set_has_the_documented_default() -> None:
    settings = VerifySettings.from_environment(VERIFY_ENVIRONMENT)

    assert settings == VerifySettings(
        common=CommonSettings(
            app_id="000340",
            allowed_origins=frozenset({"https://www.example.com"}),
            signing_secret_id="signing",
            scheme=SignatureScheme(SignatureAlgorithm.MD5_WITH_RSA, SignatureEncoding.BASE64),
            secret_max_age=300,
        ),
        platform_url=VERIFY_ENVIRONMENT["PLATFORM_URL"],
        verification_secret_id="verification",
        pepper_secret_id="pepper",
        table_name="attempts",
        daily_attempt_limit=5,
        client_hourly_limit=0,
        mismatch_hourly_limit=100,
        device_days=90,
        limits=Limits(connect=2, read=5, deadline=8),
        receipts=None,
    )
    assert PreSignSettings.from_environment(PRESIGN_ENVIRONMENT) == PreSignSettings(
        settings.common, timedelta(hours=24)
    )


@pytest.mark.parametrize("name", VERIFY_ENVIRONMENT)
@pytest.mark.parametrize("value", [None, " "])
def test_a_required_variable_that_is_missing_is_named(name: str, value: str | None) -> None:
    env = {key: text for key, text in {**VERIFY_ENVIRONMENT, name: value}.items() if text is not None}

    with pytest.raises(SettingsError, match=f"^{name} is not set: "):
        VerifySettings.from_environment(env)


ORIGINS: Final = (
    *("https://www.example.com", "https://www.example.com:8443", "http://localhost", "http://[::1]:8080"),
    "https://xn--fiqs8s.example",
)
ISSUERS: Final = ("https://api.example.com", "https://[::1]:3000")
ARN: Final = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:verification-AbCdEf"
URLS: Final = (
    "http://120.197.235.102/h5/verifyVmMobileApi.htm",
    "http://[::1]:8090/verify?x=1",
    "https://www.a.cn/b",
)
GOOD: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "ALLOWED_ORIGINS": (
        "common.allowed_origins",
        {origin: {origin} for origin in ORIGINS} | {", ".join((*ORIGINS, "")): {*ORIGINS}},
    ),
    "APP_ID": ("common.app_id", {" 300012345678 ": "300012345678"}),
    "SIGNATURE_ALGORITHM": ("common.scheme.algorithm", {name.value: name for name in SignatureAlgorithm}),
    "SIGNATURE_ENCODING": (
        "common.scheme.encoding",
        dict(zip(("base64", "hex", "HEX"), SignatureEncoding, strict=True)),
    ),
    "VERIFICATION_SECRET_ID": ("verification_secret_id", {name: name for name in (ARN, "shop/verification")}),
    "SECRET_MAX_AGE_SECONDS": ("common.secret_max_age", {"1": 1, "3000": 3000}),
    "DAILY_ATTEMPT_LIMIT": ("daily_attempt_limit", {"1": 1, "1000": 1000, " 7 ": 7}),
    "CLIENT_HOURLY_LIMIT": ("client_hourly_limit", {"0": 0, "1000000": 1_000_000}),
    "MISMATCH_HOURLY_LIMIT": ("mismatch_hourly_limit", {"0": 0, "1000000": 1_000_000}),
    "DEVICE_DAYS": ("device_days", {"0": 0, "366": 366}),
    "PLATFORM_CONNECT_TIMEOUT": ("limits.connect", {"0.1": 0.1}),
    "PLATFORM_READ_TIMEOUT": ("limits.read", {"20": 20}),
    "PLATFORM_DEADLINE": ("limits.deadline", {"9": 9}),
    "PLATFORM_URL": ("platform_url", {url: url for url in URLS}),
    "TABLE_NAME": ("table_name", {"stack-AttemptsTable-1A2B3C": "stack-AttemptsTable-1A2B3C"}),
    "RECEIPT_ISSUER": ("receipts.issuer", {text: text for text in ISSUERS}),
}
"""Where a variable's value is found, and what its text becomes there."""
GOOD_VALUES: Final = [
    (name, text, path, value) for name, (path, texts) in GOOD.items() for text, value in texts.items()
]


@pytest.mark.parametrize(("name", "text", "path", "value"), GOOD_VALUES)
def test_a_good_value_is_read(name: str, text: str, path: str, value: Any) -> None:
    settings = VerifySettings.from_environment({**VERIFY_ENVIRONMENT, **RECEIPTS, name: text})

    assert attrgetter(path)(settings) == value


@pytest.mark.parametrize(("text", "hours"), [("0", None), ("0.5", 0.5), ("8760", 8760)])
def test_a_window_is_read_in_hours(text: str, hours: float | None) -> None:
    settings = PreSignSettings.from_environment({**PRESIGN_ENVIRONMENT, "PRESIGN_WINDOW_HOURS": text})

    assert settings.window == (None if hours is None else timedelta(hours=hours))


BAD: Final = {
    "APP_ID": ("abc340-planted", "000340\n000341", "０００３４０", "1" * 33),
    "ALLOWED_ORIGINS": (
        *("*", "null", "www.planted.example", "https:///planted", "https://a.example/", "http://::1"),
        *(
            "https://a.example?planted",
            "https://*.example.com",
            "https://A.example",
            "https://user@a.example",
        ),
        *("https://a.example:", "https://a.example:port", "https://a.example:123456", "http://a.example:0"),
        *("https://a.example:443", "http://a.example:80", "https://a..example", "https://中国.example"),
        *("https://a.example https://b.example", "https://a.example,*", "ftp://a.example"),
        *("https://a.example,https://b.example/", "http://a.example::81"),
    ),
    "SIGNING_SECRET_ID": ('{"privateKey": "planted"}', "a name with spaces"),
    "VERIFICATION_SECRET_ID": ("a/name with spaces",),
    "PEPPER_SECRET_ID": ("pepper\x00planted",),
    "SIGNATURE_ALGORITHM": ("md5withrsa", "SHA512withRSA"),
    "SIGNATURE_ENCODING": ("BASE64", "Hex"),
    "SECRET_MAX_AGE_SECONDS": ("0.99", "3000.5", "five minutes", "nan", "inf"),
    "PRESIGN_WINDOW_HOURS": ("-0.01", "8760.5", "a day", "nan"),
    "TABLE_NAME": ("no", "arn:aws:dynamodb:planted"),
    "PLATFORM_URL": (
        *("https://a.example", "https://a.example/", "a.example/planted", "ftp://a.example/planted"),
        *("https://user:planted@a.example/verify", "https://a.example/a b", "https://a.example/a\x7f"),
        *("https://a_.example/a", "https://a.example:123456/a", "https://a.example:/a", "https://[::g]/a"),
        "https://[a.example/a",
    ),
    "DAILY_ATTEMPT_LIMIT": ("0", "1001", "-5", "5.5", "many", "nan"),
    "CLIENT_HOURLY_LIMIT": ("-1", "1000001"),
    "MISMATCH_HOURLY_LIMIT": ("-1", "1000001"),
    "DEVICE_DAYS": ("-1", "367"),
    "PLATFORM_CONNECT_TIMEOUT": ("0", "0.09", "20.1"),
    "PLATFORM_READ_TIMEOUT": ("0", "-3"),
    "PLATFORM_DEADLINE": ("9.1", "inf"),
    "RECEIPT_SECRET_ID": ("two words",),
    "RECEIPT_NUMBER": ("plain",),
    "RECEIPT_LIFE_SECONDS": ("29", "601"),
    "RECEIPT_ISSUER": (
        *("https://a.example/", "a.example", "https://[::1", "https://[::G]", "https://a.example:123456"),
    ),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_a_bad_value_is_named_and_not_repeated(name: str, value: str) -> None:
    env = {**VERIFY_ENVIRONMENT, **RECEIPTS, name: value}
    settings = PreSignSettings if name == "PRESIGN_WINDOW_HOURS" else VerifySettings

    with pytest.raises(SettingsError, match=f"^{name} is (?!not set)") as refusal:
        settings.from_environment(env)

    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    assert len(value) <= 6 or value not in str(refusal.value)
    assert "planted" not in str(refusal.value)


def test_a_production_app_does_not_call_the_test_line() -> None:
    test_line = {**VERIFY_ENVIRONMENT, "PLATFORM_URL": URLS[0]}

    with pytest.raises(SettingsError, match=r"^PLATFORM_URL is of the test line, "):
        VerifySettings.from_environment({**test_line, "APP_ID": "300012345678"})
    assert VerifySettings.from_environment(test_line).platform_url == URLS[0]


def test_receipts_are_on_where_their_secret_is_named() -> None:
    receipts = VerifySettings.from_environment({**VERIFY_ENVIRONMENT, **RECEIPTS}).receipts

    assert receipts == ReceiptSettings("receipts", NumberForm.HASH, 120, "")
    assert [form.value for form in NumberForm] == ["hash", "masked", "encrypted"]
    assert VerifySettings.from_environment({**VERIFY_ENVIRONMENT, "RECEIPT_SECRET_ID": " "}).receipts is None
