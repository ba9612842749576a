"""Secrets Manager's one call without botocore: signed as botocore signs, left to it when anything is odd."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from cmpassport.direct_secret import DirectFetch, SecretReader, Signer
from cmpassport.secret_cache import SecretFormatError
from tests.support.fakes import FakeClock
from tests.support.secrets_manager import SecretsManager, secrets_manager

ON_LAMBDA: Final = {
    "AWS_LAMBDA_FUNCTION_NAME": "presign",
    "AWS_REGION": "cn-north-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "planted key",
    "AWS_SESSION_TOKEN": "planted token",
}


@pytest.fixture
def server() -> Iterator[SecretsManager]:
    with secrets_manager() as server:
        server.secrets = {
            "signing": {"SecretString": "the text 密"},
            "binary": {"SecretBinary": "AAAA"},
        }
        yield server


@pytest.fixture
def environment(server: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Lambda's environment with Secrets Manager on loopback, for botocore too, whose pauses are cut short."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setattr("cmpassport.aws.session", Session)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    return {**ON_LAMBDA, "AWS_ENDPOINT_URL": server.url}


@pytest.fixture
def reader(environment: dict[str, str]) -> Iterator[SecretReader]:
    reader = SecretReader(environment)
    yield reader
    reader.disconnect()


@pytest.fixture
def direct(environment: dict[str, str], clock: FakeClock) -> Iterator[DirectFetch]:
    signer = Signer.from_environment(environment)
    assert signer is not None
    fetch = DirectFetch(signer, clock.now, clock.monotonic)
    yield fetch
    fetch.disconnect()


def by_botocore(headers: Any) -> bool:
    return "amz-sdk-invocation-id" in headers


# Signing.


@given(
    key=st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1),
    token=st.none() | st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1),
    region=st.sampled_from(["cn-north-1", "cn-northwest-1", "ap-east-1", "us-gov-west-1"]),
    body=st.binary(),
    now=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the zone is beside it
)
def test_a_request_is_signed_as_botocore_signs_it(
    key: str, token: str | None, region: str, body: bytes, now: datetime
) -> None:
    variables = {
        **ON_LAMBDA,
        "AWS_REGION": region,
        "AWS_SECRET_ACCESS_KEY": key,
        "AWS_SESSION_TOKEN": token or "",
    }
    signer = Signer.from_environment(variables)
    assert signer is not None

    headers = signer.headers("secretsmanager.GetSecretValue", body, now.replace(tzinfo=UTC))

    unsigned = {name: value for name, value in headers.items() if name not in {"authorization", "host"}}
    request = AWSRequest("POST", signer.address.geturl() + "/", unsigned, body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: now)
        botocore.auth.SigV4Auth(Credentials("testing", key, token), "secretsmanager", region).add_auth(
            request
        )
    assert headers["authorization"] == request.headers["Authorization"]
    assert request.headers["X-Amz-Date"] == headers["x-amz-date"]
    assert headers.get("x-amz-security-token") == token


def test_the_address_is_the_one_that_botocore_knows() -> None:
    session = Session()
    session.set_credentials("testing", "testing")
    regions = {
        region: session.create_client("secretsmanager", region).meta.endpoint_url
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("secretsmanager", partition)
    }
    known = {
        region: signer.address.geturl()
        for region in regions
        if (signer := Signer.from_environment({**ON_LAMBDA, "AWS_REGION": region}))
    }

    assert known == {region: regions[region] for region in known}
    assert {"cn-north-1", "cn-northwest-1", "ap-east-1", "eu-west-1", "us-gov-west-1"} <= known.keys()
    assert {region for region in regions if "amazonaws.com" in regions[region]} == known.keys()


def test_credentials_are_in_no_repr() -> None:
    assert "planted" not in repr(Signer.from_environment(ON_LAMBDA))


# What is left to botocore.


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_LAMBDA_FUNCTION_NAME": None},
        {"AWS_ACCESS_KEY_ID": None},
        {"AWS_SECRET_ACCESS_KEY": None},
        {"AWS_REGION": None},
        {"AWS_REGION": "us-iso-east-1"},
        {"AWS_REGION": "us-isob-east-1"},
        {"AWS_REGION": "eusc-de-east-1"},
        {"AWS_REGION": "evil.example/"},
        {"AWS_PROFILE": "mine"},
        {"AWS_CA_BUNDLE": "/etc/ssl/mine.pem"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/secrets"},
        {"HTTPS_PROXY": "http://127.0.0.1:3128"},
        {"http_proxy": "http://127.0.0.1:3128"},
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_botocore(change: dict[str, str | None]) -> None:
    variables = {name: value for name, value in {**ON_LAMBDA, **change}.items() if value is not None}

    assert Signer.from_environment(variables) is None


def test_the_services_own_endpoint_comes_first() -> None:
    variables = {
        **ON_LAMBDA,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:2",
    }
    signer = Signer.from_environment(variables)

    assert signer is not None
    assert signer.address.port == 2


# Fetching.


def test_a_secret_is_fetched_without_botocore(reader: SecretReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("cmpassport.aws.client")

    assert reader.fetch("signing") == "the text 密"


def test_secrets_that_are_fetched_together_share_a_connection(
    direct: DirectFetch, server: SecretsManager
) -> None:
    direct("signing")
    direct("signing")

    assert len({client for client, *_ in server.asked}) == 1


def test_a_connection_that_has_lain_idle_is_not_used_again(
    direct: DirectFetch, server: SecretsManager, clock: FakeClock
) -> None:
    direct("signing")
    clock.advance(6)
    direct("signing")

    assert len({client for client, *_ in server.asked}) == 2


@pytest.mark.parametrize("failure", [500, 503, 400, 302, "hang up"])
def test_any_answer_but_a_good_one_is_left_to_botocore(
    reader: SecretReader, server: SecretsManager, failure: int | str
) -> None:
    server.failures.append(failure)

    assert reader.fetch("signing") == "the text 密"
    assert [by_botocore(headers) for _, headers, _ in server.asked] == [False, True]


def test_after_a_time_out_botocore_asks_only_once(
    reader: SecretReader, server: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time_out(_: object, secret_id: str) -> str:
        raise TimeoutError(secret_id)

    monkeypatch.setattr(DirectFetch, "__call__", time_out)
    server.failures += [500, 500]

    with pytest.raises(ClientError):
        reader.fetch("signing")

    assert [by_botocore(headers) for _, headers, _ in server.asked] == [True]


def test_after_a_failure_the_next_secret_is_fetched_directly_again(
    reader: SecretReader, server: SecretsManager
) -> None:
    server.failures.append("hang up")
    reader.fetch("signing")
    server.asked.clear()

    reader.fetch("signing")

    assert [by_botocore(headers) for _, headers, _ in server.asked] == [False]


def test_a_secret_that_is_not_there_is_botocores_error(reader: SecretReader) -> None:
    with pytest.raises(ClientError, match="ResourceNotFound"):
        reader.fetch("no-such-secret")


def test_a_binary_secret_is_refused(reader: SecretReader) -> None:
    with pytest.raises(SecretFormatError, match="binary"):
        reader.fetch("binary")


def test_elsewhere_than_on_lambda_botocore_fetches(
    environment: dict[str, str], server: SecretsManager
) -> None:
    del environment["AWS_LAMBDA_FUNCTION_NAME"]
    reader = SecretReader(environment)

    reader.prepare()
    assert server.asked == []
    assert reader.fetch("signing") == "the text 密"


def test_no_credential_is_sent_in_clear(reader: SecretReader, server: SecretsManager) -> None:
    reader.fetch("signing")

    ((_, headers, body),) = server.asked
    sent: Any = {**headers, "body": body.decode()}
    del sent["x-amz-security-token"]  # that is how it is sent
    assert "planted" not in str(sent)
