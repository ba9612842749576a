"""Settings: every variable with its default and bounds; a bad value is named, and never repeated."""

from datetime import timedelta
from typing import Any, Final

import pytest

from cmpassport.settings import SettingsError, read_origins
from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme
from presign.settings import Settings as PreSignSettings
from verify.platform import Limits
from verify.settings import NumberForm, ReceiptSettings
from verify.settings import Settings as VerifySettings

REQUIRED: Final = {
    "APP_ID": "000340",
    "ALLOWED_ORIGINS": "https://www.example.com",
    "SIGNING_SECRET_ID": "number-verification/signing",
}
REQUIRED_BY_VERIFY: Final = {
    **REQUIRED,
    "VERIFICATION_SECRET_ID": "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:verification-AbCdEf",
    "PEPPER_SECRET_ID": "number-verification/pepper",
    "TABLE_NAME": "attempts",
    "PLATFORM_URL": "https://www.cmpassport.com/NumberAbility/h5/verifyVmMobileApi.htm",
}


def test_presign_has_the_documented_defaults() -> None:
    settings = PreSignSettings.from_environment(REQUIRED)

    assert settings.window == timedelta(hours=24)
    assert settings.common.app_id == "000340"
    assert settings.common.allowed_origins == {"https://www.example.com"}
    assert settings.common.signing_secret_id == "number-verification/signing"
    assert settings.common.scheme == SignatureScheme(
        SignatureAlgorithm.MD5_WITH_RSA, SignatureEncoding.BASE64
    )
    assert settings.common.secret_max_age == 300


def test_verify_has_the_documented_defaults() -> None:
    settings = VerifySettings.from_environment(REQUIRED_BY_VERIFY)

    assert settings.common == PreSignSettings.from_environment(REQUIRED).common
    assert settings.platform_url == REQUIRED_BY_VERIFY["PLATFORM_URL"]
    assert settings.verification_secret_id == REQUIRED_BY_VERIFY["VERIFICATION_SECRET_ID"]
    assert settings.pepper_secret_id == "number-verification/pepper"
    assert settings.table_name == "attempts"
    assert settings.daily_attempt_limit == 5
    assert settings.client_hourly_limit == 0
    assert settings.mismatch_hourly_limit == 100
    assert settings.device_days == 90
    assert settings.limits == Limits(connect=2, read=5, deadline=8)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", "   "])
def test_presign_names_a_required_variable_that_is_missing(name: str, value: str | None) -> None:
    env = {key: text for key, text in {**REQUIRED, name: value}.items() if text is not None}

    with pytest.raises(SettingsError, match=f"^{name} is not set: "):
        PreSignSettings.from_environment(env)


@pytest.mark.parametrize("name", REQUIRED_BY_VERIFY)
@pytest.mark.parametrize("value", [None, "", "   "])
def test_verify_names_a_required_variable_that_is_missing(name: str, value: str | None) -> None:
    env = {key: text for key, text in {**REQUIRED_BY_VERIFY, name: value}.items() if text is not None}

    with pytest.raises(SettingsError, match=f"^{name} is not set: "):
        VerifySettings.from_environment(env)


def _read(name: str, settings: VerifySettings, presign: PreSignSettings) -> Any:
    """Give what a variable's value became."""
    return {
        "APP_ID": settings.common.app_id,
        "ALLOWED_ORIGINS": settings.common.allowed_origins,
        "SIGNING_SECRET_ID": settings.common.signing_secret_id,
        "VERIFICATION_SECRET_ID": settings.verification_secret_id,
        "PEPPER_SECRET_ID": settings.pepper_secret_id,
        "TABLE_NAME": settings.table_name,
        "PLATFORM_URL": settings.platform_url,
        "DAILY_ATTEMPT_LIMIT": settings.daily_attempt_limit,
        "CLIENT_HOURLY_LIMIT": settings.client_hourly_limit,
        "MISMATCH_HOURLY_LIMIT": settings.mismatch_hourly_limit,
        "DEVICE_DAYS": settings.device_days,
        "PRESIGN_WINDOW_HOURS": presign.window,
        "SIGNATURE_ALGORITHM": settings.common.scheme.algorithm,
        "SIGNATURE_ENCODING": settings.common.scheme.encoding,
        "SECRET_MAX_AGE_SECONDS": settings.common.secret_max_age,
        "PLATFORM_CONNECT_TIMEOUT": settings.limits.connect,
        "PLATFORM_READ_TIMEOUT": settings.limits.read,
        "PLATFORM_DEADLINE": settings.limits.deadline,
    }[name]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("APP_ID", " 300012345678 ", "300012345678"),
        ("PRESIGN_WINDOW_HOURS", "", timedelta(hours=24)),
        ("PRESIGN_WINDOW_HOURS", "0", None),
        ("PRESIGN_WINDOW_HOURS", "0.5", timedelta(minutes=30)),
        ("PRESIGN_WINDOW_HOURS", "8760", timedelta(days=365)),
        ("SIGNATURE_ALGORITHM", "MD5withRSA", SignatureAlgorithm.MD5_WITH_RSA),
        ("SIGNATURE_ALGORITHM", "SHA1withRSA", SignatureAlgorithm.SHA1_WITH_RSA),
        ("SIGNATURE_ALGORITHM", "SHA256withRSA", SignatureAlgorithm.SHA256_WITH_RSA),
        ("SIGNATURE_ENCODING", "base64", SignatureEncoding.BASE64),
        ("SIGNATURE_ENCODING", "hex", SignatureEncoding.HEX_LOWER),
        ("SIGNATURE_ENCODING", "HEX", SignatureEncoding.HEX_UPPER),
        ("SECRET_MAX_AGE_SECONDS", "1", 1),
        ("SECRET_MAX_AGE_SECONDS", "3000", 3000),
        ("DAILY_ATTEMPT_LIMIT", "1", 1),
        ("DAILY_ATTEMPT_LIMIT", "1000", 1000),
        ("DAILY_ATTEMPT_LIMIT", " 7 ", 7),
        ("CLIENT_HOURLY_LIMIT", "0", 0),
        ("CLIENT_HOURLY_LIMIT", "1000000", 1_000_000),
        ("MISMATCH_HOURLY_LIMIT", "0", 0),
        ("MISMATCH_HOURLY_LIMIT", "1000000", 1_000_000),
        ("DEVICE_DAYS", "0", 0),
        ("DEVICE_DAYS", "366", 366),
        ("PLATFORM_CONNECT_TIMEOUT", "0.1", 0.1),
        ("PLATFORM_READ_TIMEOUT", "20", 20),
        ("PLATFORM_DEADLINE", "10", 10),
        ("PLATFORM_URL", "http://120.197.235.102/NumberAbility/h5/verifyVmMobileApi.htm", None),
        ("PLATFORM_URL", "http://127.0.0.1:8090/NumberAbility/h5/verifyVmMobileApi.htm?x=1", None),
        ("PLATFORM_URL", "http://[::1]:8090/verify", None),
        ("TABLE_NAME", "stack-AttemptsTable-1A2B3C", "stack-AttemptsTable-1A2B3C"),
    ],
)
def test_a_good_value_is_read(name: str, text: str, value: Any) -> None:
    env = {**REQUIRED_BY_VERIFY, name: text}

    read = _read(name, VerifySettings.from_environment(env), PreSignSettings.from_environment(env))

    assert read == (text if name == "PLATFORM_URL" else value)


BAD: Final = [
    ("APP_ID", "abc340-planted"),
    ("APP_ID", "000340\n000341"),
    ("APP_ID", "０００３４０"),
    ("APP_ID", "1" * 33),
    ("SIGNING_SECRET_ID", '{"privateKey": "planted"}'),
    ("SIGNING_SECRET_ID", "a name with spaces"),
    ("SIGNATURE_ALGORITHM", "md5withrsa"),
    ("SIGNATURE_ALGORITHM", "SHA512withRSA"),
    ("SIGNATURE_ENCODING", "BASE64"),
    ("SIGNATURE_ENCODING", "Hex"),
    ("SECRET_MAX_AGE_SECONDS", "0.99"),
    ("SECRET_MAX_AGE_SECONDS", "3000.5"),
    ("SECRET_MAX_AGE_SECONDS", "five minutes"),
    ("SECRET_MAX_AGE_SECONDS", "nan"),
    ("SECRET_MAX_AGE_SECONDS", "inf"),
]
BAD_FOR_PRESIGN: Final = [
    *BAD,
    ("PRESIGN_WINDOW_HOURS", "-0.01"),
    ("PRESIGN_WINDOW_HOURS", "8760.5"),
    ("PRESIGN_WINDOW_HOURS", "a day"),
    ("PRESIGN_WINDOW_HOURS", "nan"),
]
BAD_FOR_VERIFY: Final = [
    *BAD,
    ("VERIFICATION_SECRET_ID", "a/name with spaces"),
    ("PEPPER_SECRET_ID", "pepper\x00planted"),
    ("TABLE_NAME", "no"),
    ("TABLE_NAME", "arn:aws:dynamodb:planted"),
    ("PLATFORM_URL", "https://www.cmpassport.example"),
    ("PLATFORM_URL", "ftp://www.cmpassport.example/planted"),
    ("PLATFORM_URL", "www.cmpassport.example/planted"),
    ("PLATFORM_URL", "https://user:planted@www.cmpassport.example/verify"),
    ("PLATFORM_URL", "https://www.cmpassport.example/a b"),
    ("PLATFORM_URL", "https://www.cmpassport.example/a\x7f"),
    ("PLATFORM_URL", "https://www.cmpassport_.example/a"),
    ("PLATFORM_URL", "https://www.cmpassport.example:123456/a"),
    ("PLATFORM_URL", "https://www.cmpassport.example:/a"),
    ("PLATFORM_URL", "https://[::g]/a"),
    ("PLATFORM_URL", "https://www.cmpassport.example/"),
    ("DAILY_ATTEMPT_LIMIT", "0"),
    ("DAILY_ATTEMPT_LIMIT", "1001"),
    ("DAILY_ATTEMPT_LIMIT", "-5"),
    ("DAILY_ATTEMPT_LIMIT", "5.5"),
    ("DAILY_ATTEMPT_LIMIT", "many"),
    ("DAILY_ATTEMPT_LIMIT", "nan"),
    ("CLIENT_HOURLY_LIMIT", "-1"),
    ("CLIENT_HOURLY_LIMIT", "1000001"),
    ("MISMATCH_HOURLY_LIMIT", "-1"),
    ("MISMATCH_HOURLY_LIMIT", "1000001"),
    ("DEVICE_DAYS", "-1"),
    ("DEVICE_DAYS", "367"),
    ("PLATFORM_CONNECT_TIMEOUT", "0"),
    ("PLATFORM_CONNECT_TIMEOUT", "0.09"),
    ("PLATFORM_CONNECT_TIMEOUT", "20.1"),
    ("PLATFORM_READ_TIMEOUT", "0"),
    ("PLATFORM_READ_TIMEOUT", "-3"),
    ("PLATFORM_DEADLINE", "10.1"),
    ("PLATFORM_DEADLINE", "inf"),
]


@pytest.mark.parametrize(("name", "value"), BAD_FOR_PRESIGN)
def test_presign_names_a_bad_value_and_does_not_repeat_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is ") as refusal:
        PreSignSettings.from_environment({**REQUIRED, name: value})

    _assert_not_repeated(value, refusal.value)


@pytest.mark.parametrize(("name", "value"), BAD_FOR_VERIFY)
def test_verify_names_a_bad_value_and_does_not_repeat_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is ") as refusal:
        VerifySettings.from_environment({**REQUIRED_BY_VERIFY, name: value})

    _assert_not_repeated(value, refusal.value)


def _assert_not_repeated(value: str, error: SettingsError) -> None:
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    if len(value) > 6:
        assert value not in str(error)
    assert "planted" not in str(error)


def test_settings_cannot_be_changed() -> None:
    settings = PreSignSettings.from_environment(REQUIRED)

    with pytest.raises(AttributeError):
        settings.window = timedelta(days=1)  # type: ignore[misc]


RECEIPTS: Final = {"RECEIPT_SECRET_ID": "number-verification/receipts"}


def test_receipts_are_on_where_their_secret_is_named() -> None:
    receipts = VerifySettings.from_environment({**REQUIRED_BY_VERIFY, **RECEIPTS}).receipts

    assert receipts == ReceiptSettings("number-verification/receipts", NumberForm.HASH, 120, "")
    assert VerifySettings.from_environment(REQUIRED_BY_VERIFY).receipts is None
    assert VerifySettings.from_environment({**REQUIRED_BY_VERIFY, "RECEIPT_SECRET_ID": " "}).receipts is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECEIPT_SECRET_ID", "two words"),
        ("RECEIPT_NUMBER", "plain"),
        ("RECEIPT_LIFE_SECONDS", "29"),
        ("RECEIPT_LIFE_SECONDS", "601"),
        ("RECEIPT_ISSUER", "https://api.example.com/"),
        ("RECEIPT_ISSUER", "api.example.com"),
        ("RECEIPT_ISSUER", "https://[::1"),
        ("RECEIPT_ISSUER", "https://api.example.com:123456"),
    ],
)
def test_a_wrong_setting_of_receipts_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is "):
        VerifySettings.from_environment({**REQUIRED_BY_VERIFY, **RECEIPTS, name: value})


@pytest.mark.parametrize("value", ["https://api.example.com", "http://127.0.0.1:3000", "https://[::1]:3000"])
def test_an_issuer_is_an_address_without_a_path(value: str) -> None:
    settings = VerifySettings.from_environment({**REQUIRED_BY_VERIFY, **RECEIPTS, "RECEIPT_ISSUER": value})

    assert settings.receipts is not None
    assert settings.receipts.issuer == value


# Origins.


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://www.example.com", {"https://www.example.com"}),
        ("http://127.0.0.1:8080", {"http://127.0.0.1:8080"}),
        ("https://a.example,https://b.example", {"https://a.example", "https://b.example"}),
        (" https://a.example , https://b.example ,", {"https://a.example", "https://b.example"}),
        ("http://localhost", {"http://localhost"}),
        ("http://[::1]:8080", {"http://[::1]:8080"}),
        ("https://xn--fiqs8s.example", {"https://xn--fiqs8s.example"}),
        ("https://www.example.com:8443", {"https://www.example.com:8443"}),
    ],
)
def test_origins_are_read_as_browsers_write_them(text: str, origins: set[str]) -> None:
    assert read_origins({"ALLOWED_ORIGINS": text}, "ALLOWED_ORIGINS") == origins


@pytest.mark.parametrize(
    "text",
    [
        "https://www.example.com/",
        "https://www.example.com/planted",
        "https://www.example.com?planted",
        "https://www.example.com#planted",
        "*",
        "https://*",
        "https://*.example.com",
        "null",
        "www.example.com",
        "//www.example.com",
        "https://",
        "https:///planted",
        "https://WWW.example.com",
        "HTTPS://www.example.com",
        "https://user@www.example.com",
        "https://www.example.com:",
        "https://www.example.com:port",
        "https://www.example.com:123456",
        "https://www.example.com:443",
        "http://www.example.com:80",
        "http://www.example.com:0",
        "https://www..example.com",
        "https://www.example.com https://b.example",
        "https://www.example.com;https://b.example",
        "https://www.example.com\nhttps://b.example",
        "https://中国.example",
        "http://::1",
        "file://",
        "ftp://www.example.com",
        "capacitor://localhost",
        "https://a.example,*",
        "https://a.example,https://b.example/",
    ],
)
def test_what_no_browser_writes_as_an_origin_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^ALLOWED_ORIGINS is not valid: .*no trailing slash") as refusal:
        read_origins({"ALLOWED_ORIGINS": text}, "ALLOWED_ORIGINS")

    assert "planted" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_no_origin_at_all_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^ALLOWED_ORIGINS is not set: "):
        read_origins({"ALLOWED_ORIGINS": text}, "ALLOWED_ORIGINS")
