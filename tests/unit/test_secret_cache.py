"""The secret cache: parsed once, refreshed by age or on demand, the last good one kept."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

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
    failed: int = 0
    told: list[Exception] = field(default_factory=list)

    def load(self) -> str:
        self.fetched += 1
        if self.error:
            self.failed += 1
            raise self.error
        return f"version {self.fetched}"

    def cache(self, max_age: float = MAX_AGE) -> CachedSecret[str]:
        return CachedSecret(
            self.load, max_age=max_age, monotonic=self.clock.monotonic, on_stale=self.told.append
        )


@pytest.fixture
def source(clock: FakeClock) -> Source:
    return Source(clock)


# Seconds that pass, what happens then to the source or the cache, the version that is got, all fetches.
STORIES: Final[dict[str, list[tuple[float, str, int, int]]]] = {
    "it is fetched again when it is as old as allowed": [
        *((0, "put_off", 1, 1), (MAX_AGE - 0.001, "", 1, 1), (0.001, "", 2, 2), (MAX_AGE - 0.001, "", 2, 2))
    ],
    "the last good one is kept when a refresh fails, which is tried again after ten seconds": [
        *((0, "", 1, 1), (3 * 86400, "fail", 1, 2), (9.999, "", 1, 2), (0.001, "", 1, 3), (10, "mend", 4, 4))
    ],
    "a refresh on demand happens at the next use, counts its age anew, and comes every ten seconds at most": [
        *((0, "", 1, 1), (MAX_AGE - 5, "refresh_soon", 2, 2), (9.999, "refresh_soon", 2, 2)),
        *((0.001, "fail", 2, 2), (0, "refresh_soon", 2, 3)),
    ],
    "one that is put off, when it is due, happens ten seconds later and none earlier": [
        *((0, "", 1, 1), (0, "put_off", 1, 1), (20, "", 1, 1), (MAX_AGE - 20, "put_off", 1, 1)),
        *((9.999, "", 1, 1), (0.001, "", 2, 2)),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_secret_is_fetched_when_it_is_due(
    story: list[tuple[float, str, int, int]], source: Source, clock: FakeClock
) -> None:
    secret = source.cache()
    for seconds, happens, version, fetched in story:
        clock.advance(seconds)
        if happens in {"fail", "mend"}:
            source.error = Unavailable("planted") if happens == "fail" else None
        elif happens:
            getattr(secret, happens)()
        assert [secret.get(), secret.get()] == [f"version {version}"] * 2
        assert source.fetched == fetched
    assert len(source.told) == source.failed


def test_a_shorter_age_than_ten_seconds_is_the_pause_too(source: Source, clock: FakeClock) -> None:
    secret = source.cache(max_age=2)
    for source.error in (None, Unavailable("planted"), Unavailable("planted")):
        secret.get()
        clock.advance(2)

    assert source.fetched == 3


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
