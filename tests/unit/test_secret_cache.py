"""The secret cache: parsed once, refreshed by age or on demand, the last good one kept."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from cmpassport.keys import KeyFault, KeyFormatError
from cmpassport.secret_cache import (
    CachedSecret,
    SecretFormatError,
    SecretUnavailableError,
    fetcher,
    read_fields,
)
from tests.support.fakes import FakeClock

MAX_AGE = 300.0


class Unavailable(Exception):  # noqa: N818 - it stands for any exception
    """An error whose text would quote a secret."""


@dataclass
class Source:
    """Where the secret comes from: counts, fails on demand."""

    clock: FakeClock
    error: Exception | None = None
    fetched: int = 0
    told: list[Exception] = field(default_factory=list)

    def load(self) -> str:
        self.fetched += 1
        if self.error:
            raise self.error
        return f"version {self.fetched}"

    def cache(self, max_age: float = MAX_AGE) -> CachedSecret[str]:
        return CachedSecret(
            self.load, max_age=max_age, monotonic=self.clock.monotonic, on_stale=self.told.append
        )


@pytest.fixture
def source(clock: FakeClock) -> Source:
    return Source(clock)


@pytest.fixture
def secret(source: Source) -> CachedSecret[str]:
    """A cache that has been used once."""
    cache = source.cache()
    assert source.fetched == 0  # nothing before the first use
    cache.put_off()  # nor can that be put off
    assert [cache.get() for _ in range(100)] == ["version 1"] * 100
    return cache


def test_a_secret_is_fetched_again_when_it_is_as_old_as_allowed(
    secret: CachedSecret[str], clock: FakeClock
) -> None:
    clock.advance(MAX_AGE - 0.001)
    assert secret.get() == "version 1"
    clock.advance(0.001)
    assert secret.get() == "version 2"
    clock.advance(MAX_AGE - 0.001)
    assert secret.get() == "version 2"


def test_the_last_good_secret_is_kept_when_a_refresh_fails_which_is_tried_again_after_ten_seconds(
    source: Source, secret: CachedSecret[str], clock: FakeClock
) -> None:
    source.error = Unavailable("planted")
    clock.advance(3 * 86400)
    assert (secret.get(), source.fetched) == ("version 1", 2)

    clock.advance(9.999)
    assert (secret.get(), source.fetched) == ("version 1", 2)
    clock.advance(0.001)
    assert (secret.get(), source.fetched) == ("version 1", 3)
    assert [type(error) for error in source.told] == [Unavailable] * 2
    source.error = None
    clock.advance(10)
    assert secret.get() == "version 4"


def test_a_shorter_age_than_ten_seconds_is_the_pause_too(source: Source, clock: FakeClock) -> None:
    secret = source.cache(max_age=2)
    secret.get()
    source.error = Unavailable("planted")
    clock.advance(2)
    secret.get()
    clock.advance(2)
    secret.get()

    assert source.fetched == 3


def test_refreshes_on_demand_happen_at_the_next_use_and_every_ten_seconds_at_most(
    source: Source, secret: CachedSecret[str], clock: FakeClock
) -> None:
    clock.advance(MAX_AGE - 5)
    secret.refresh_soon()
    assert source.fetched == 1
    assert [secret.get(), secret.get()] == ["version 2"] * 2

    clock.advance(9.999)  # its age counts anew
    secret.refresh_soon()
    assert secret.get() == "version 2"
    clock.advance(0.001)
    source.error = Unavailable("planted")
    secret.refresh_soon()

    assert (secret.get(), source.fetched, len(source.told)) == ("version 2", 3, 1)


def test_a_refresh_that_is_put_off_happens_ten_seconds_later_and_none_earlier(
    secret: CachedSecret[str], clock: FakeClock
) -> None:
    secret.put_off()  # is not due for long yet
    clock.advance(MAX_AGE)
    secret.put_off()

    clock.advance(9.999)
    assert secret.get() == "version 1"
    clock.advance(0.001)
    assert secret.get() == "version 2"


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "planted"}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (Unavailable("planted"), "Unavailable"),
        (refused("AccessDeniedException"), "AccessDeniedException"),
        (refused("planted text"), "ClientError"),
        (refused(""), "ClientError"),
        (KeyFormatError(KeyFault.SIZE, "the key has 512 bits"), "the key has 512 bits"),
    ],
)
def test_without_a_last_good_secret_a_failure_is_an_error_that_quotes_nothing(
    source: Source, error: Exception, named: str
) -> None:
    secret = source.cache()
    source.error = error

    with pytest.raises(SecretUnavailableError) as failure:
        secret.get()

    assert str(failure.value) == f"a secret is unavailable: {named}"
    assert "planted" not in "".join(traceback.format_exception(failure.value))
    assert source.told == []
    source.error = None
    assert secret.get() == "version 2"


def test_many_threads_that_find_the_secret_too_old_fetch_it_once(clock: FakeClock) -> None:
    threads = 4
    looks = threading.Semaphore(0)
    fetched: list[int] = []

    def look_at_the_clock() -> float:
        looks.release()
        return clock.monotonic()

    def load() -> str:
        fetched.append(1)
        # The second fetch holds the lock until every thread has seen that the secret is too old.
        for _ in range(threads if len(fetched) == 2 else 0):
            assert looks.acquire(timeout=10)
        return f"version {len(fetched)}"

    secret = CachedSecret(load, max_age=MAX_AGE, monotonic=look_at_the_clock, on_stale=lambda _: None)
    secret.get()
    clock.advance(MAX_AGE)
    while looks.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(threads) as pool:
        given = list(pool.map(lambda _: secret.get(), range(threads)))

    assert given == ["version 2"] * threads
    assert len(fetched) == 2


# What is in a secret.


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("planted", "the secret is not JSON"),
        ('"planted"', "the secret is not a JSON object"),
        ("null", "the secret is not a JSON object"),
        ('{"appKey": "  \\n"}', "the secret has no appKey"),
        ('{"appKey": 17}', "the secret has no appKey"),
        ('{"appKey": "planted"}', "the secret has no platformPublicKey"),
    ],
)
def test_a_secret_of_another_form_is_refused_without_its_content(text: str, reason: str) -> None:
    with pytest.raises(SecretFormatError) as refusal:
        read_fields(text, "appKey", "platformPublicKey")

    assert str(refusal.value) == reason
    assert "planted" not in "".join(traceback.format_exception(refusal.value))


def test_fields_are_read_in_the_order_asked_for_and_trimmed() -> None:
    text = '{"platformPublicKey": " b\\n", "appKey": "a", "other": 1}'

    assert read_fields(text, "appKey", "platformPublicKey") == ("a", "b")
    assert read_fields(f"\ufeff{text}", "appKey") == ("a",)  # as editors of Windows write it


def test_a_secret_is_fetched_by_name_and_by_arn_and_is_a_text(aws: boto3.Session) -> None:
    with mock_aws():
        client = aws.client("secretsmanager")
        arn = client.create_secret(Name="signing", SecretString="the text")["ARN"]
        client.create_secret(Name="binary", SecretBinary=b"planted")
        fetch = fetcher(client)

        assert [fetch("signing"), fetch(arn)] == ["the text", "the text"]
        with pytest.raises(SecretFormatError, match=r"^the secret is binary; a text is expected$"):
            fetch("binary")
