"""Secrets Manager's one call without botocore: signed as botocore signs, left to it when anything is odd."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ReadTimeoutError
from botocore.regions import EndpointResolver

from cmpassport.aws import READ_TIMEOUTS
from cmpassport.direct_secret import Address, DirectFetch, SecretReader, Signer
from tests.support.secrets_manager import SecretsManager

ON_LAMBDA: Final = {
    "AWS_LAMBDA_FUNCTION_NAME": "presign",
    "AWS_REGION": "cn-north-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "planted key",
    "AWS_SESSION_TOKEN": "planted token",
}


@pytest.fixture
def server() -> Iterator[SecretsManager]:
    with SecretsManager() as server:
        server.secrets = {"signing": {"SecretString": "the text 密"}}
        yield server


@pytest.fixture
def environment(
    server: SecretsManager, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Lambda's environment with Secrets Manager on loopback, for botocore too, whose pauses are cut short."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setattr("cmpassport.aws.session", lambda: aws._session)  # noqa: SLF001 - botocore's below boto3's
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    return {**ON_LAMBDA, "AWS_ENDPOINT_URL": server.url}


@pytest.fixture
def reader(environment: dict[str, str]) -> SecretReader:
    return SecretReader(environment)


def url_of(signer: Signer) -> str:
    return f"{signer.address.scheme}://{signer.address.authority}"


def by_botocore(headers: Any) -> bool:
    return "amz-sdk-invocation-id" in headers


# Signing.


@pytest.mark.parametrize("token", [None, "planted/token+=="])
@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_a_request_is_signed_as_botocore_signs_it(
    monkeypatch: pytest.MonkeyPatch, token: str | None, region: str
) -> None:
    body, now = '{"SecretId": "密"}'.encode(), datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    signer = Signer.from_environment(ON_LAMBDA | {"AWS_REGION": region, "AWS_SESSION_TOKEN": token or ""})
    assert signer is not None

    headers = signer.headers("secretsmanager.GetSecretValue", body, now)

    unsigned = {name: value for name, value in headers.items() if name not in {"authorization", "host"}}
    request = AWSRequest("POST", url_of(signer) + "/", unsigned, body)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now)
    credentials = Credentials("testing", "planted key", token)
    botocore.auth.SigV4Auth(credentials, "secretsmanager", region).add_auth(request)
    assert headers["authorization"] == request.headers["Authorization"]
    assert request.headers["X-Amz-Date"] == headers["x-amz-date"]
    assert headers.get("x-amz-security-token") == token


def test_the_address_is_the_one_that_botocore_knows(aws: boto3.Session) -> None:
    resolver = EndpointResolver(aws._session.get_data("endpoints"))  # noqa: SLF001 - botocore's below boto3's
    regions = {
        region: f"https://{endpoint['hostname']}"
        for partition in aws.get_available_partitions()
        for region in aws.get_available_regions("secretsmanager", partition)
        if (endpoint := resolver.construct_endpoint("secretsmanager", region, partition))
    }
    known = {
        region: url_of(signer)
        for region in regions
        if (signer := Signer.from_environment({**ON_LAMBDA, "AWS_REGION": region}))
    }

    assert known == {region: regions[region] for region in known}
    assert {"cn-north-1", "cn-northwest-1", "ap-east-1", "eu-west-1", "us-gov-west-1"} <= known.keys()
    assert {region for region in regions if "amazonaws.com" in regions[region]} == known.keys()


# What is left to botocore.

OUT_OF_THE_ORDINARY: Final[dict[str, tuple[str | None, ...]]] = {
    **dict.fromkeys(("AWS_LAMBDA_FUNCTION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), (None,)),
    **dict.fromkeys(("AWS_PROFILE", "AWS_CA_BUNDLE", "HTTPS_PROXY", "http_proxy"), ("something",)),
    **dict.fromkeys(("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"), ("true",)),
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": ("true",),
    "AWS_REGION": (
        *(None, "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1", "evil.example/"),
        *("cn-north-:", "eu-west-:", "eu-w{st-1"),
    ),
    "AWS_ENDPOINT_URL": (
        *("ftp://a", "https://", "https://a/b", "https://a?b", "https://u@a", "https://[::1]"),
        *("https://a::", "//a"),
    ),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_THE_ORDINARY.items() for value in values]
)
def test_what_is_out_of_the_ordinary_is_left_to_botocore(name: str, value: str | None) -> None:
    variables = {**ON_LAMBDA, "AWS_ENDPOINT_URL": "http://127.0.0.1", name: value}

    assert Signer.from_environment({key: text for key, text in variables.items() if text is not None}) is None


@pytest.mark.parametrize(
    ("url", "own", "address"),
    [
        ("http://127.0.0.1", "", Address("http", "127.0.0.1", 80, "127.0.0.1")),
        ("http://127.0.0.1:4566/", "", Address("http", "127.0.0.1", 4566, "127.0.0.1:4566")),
        ("http://127.0.0.1", "https://a-1.b.cn", Address("https", "a-1.b.cn", 443, "a-1.b.cn")),
    ],
)
def test_another_endpoint_is_taken_the_services_own_first(url: str, own: str, address: Address) -> None:
    endpoints = {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_SECRETS_MANAGER": own}
    signer = Signer.from_environment(ON_LAMBDA | endpoints)

    assert signer is not None
    assert signer.address == address


# Fetching.


def test_a_secret_is_fetched_without_botocore_and_no_credential_is_shown(
    reader: SecretReader, server: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("cmpassport.aws.client")

    reader.prepare()
    assert reader.fetch("signing") == "the text 密"

    ((headers, body),) = server.asked
    sent: Any = {**headers, "body": body.decode()}
    del sent["X-Amz-Security-Token"]  # that is how it is sent
    assert "planted" not in f"{sent} {Signer.from_environment(ON_LAMBDA)!r}"


WRONG: Final = b'{"SecretString": "wrong"}'


def answer(body: bytes = WRONG, status: bytes = b"HTTP/1.1 200 OK", headers: bytes | None = None) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if headers is None else headers
    return status + b"\r\n" + length + b"\r\n" + body


NO_GOOD: Final[tuple[int | bytes, ...]] = (
    *(500, 400, b"", b"\r\n"),
    *(answer(status=status) for status in (b"HTTP/1.1 2000 OK", b"HTTP/2 200 OK", b"ICY 200 OK")),
    *(answer(headers=b"Content-Length: %b\r\n" % size) for size in (b"-1", b"many", b"262145", b"10")),
    answer(headers=b""),
    answer(headers=b"Content-Length: 25\r\n" + b"X: y\r\n" * 99),
    *(answer(body) for body in (b"[]", b'{"SecretString": 1}', b'{"Secret": "wrong"}')),
)


@pytest.mark.parametrize("failure", NO_GOOD)
def test_any_answer_but_a_good_one_is_left_to_botocore(
    reader: SecretReader, server: SecretsManager, failure: int | bytes
) -> None:
    server.failures += [failure, 500]

    assert reader.fetch("signing") == "the text 密"
    assert [by_botocore(headers) for headers, _ in server.asked] == [False, True, True]


@pytest.mark.parametrize(
    "good",
    [
        answer(status=b"HTTP/1.0 200 Fine"),
        answer(headers=b"content-LENGTH:25\r\n"),
        answer(headers=b"X: y\r\n" * 98 + b"Content-Length: 25\r\n"),
        answer(headers=b"X-Content-Length: 1\r\nContent-Length: 25\r\n"),
        answer(WRONG + b" " * (256 * 1024 - len(WRONG))),
    ],
)
def test_a_good_answer_is_read_however_it_is_written(
    reader: SecretReader, server: SecretsManager, good: bytes
) -> None:
    server.failures.append(good)

    assert reader.fetch("signing") == "wrong"


def direct(url: str) -> DirectFetch:
    signer = Signer.from_environment({**ON_LAMBDA, "AWS_ENDPOINT_URL": url})
    assert signer is not None
    return DirectFetch(signer)


def test_who_does_not_answer_is_asked_once_more_and_waited_for_briefly(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmpassport.direct_secret._TIMEOUT", 0.02)
    monkeypatch.setitem(READ_TIMEOUTS, "secretsmanager", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)

        with pytest.raises(ReadTimeoutError):  # which is botocore's
            SecretReader({**environment, "AWS_ENDPOINT_URL": url}).fetch("signing")

        silent.settimeout(0)
        for _ in range(2):
            silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_secret_is_fetched_over_tls_from_whom_the_machine_trusts_by_that_name_alone(
    server: SecretsManager, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")

    with pytest.raises(ssl.SSLCertVerificationError):
        direct(url)("signing")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(ssl.SSLCertVerificationError):
        direct(url.replace("127.0.0.1", "localhost"))("signing")
    assert server.asked == []
    assert direct(url)("signing") == "the text 密"


def test_elsewhere_than_on_lambda_botocore_fetches(
    environment: dict[str, str], server: SecretsManager
) -> None:
    del environment["AWS_LAMBDA_FUNCTION_NAME"]
    reader = SecretReader(environment)

    reader.prepare()
    assert server.asked == []
    assert reader.fetch("signing") == "the text 密"
