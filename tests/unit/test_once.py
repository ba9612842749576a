"""One token, one request: claimed once, recognised when it comes again, released by its own request alone."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from botocore.exceptions import ClientError

from tests.support.fakes import FakeClock
from verify.once import Claim, TokenReusedError, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

CLAIM: Final = Claim("token hash", "request hash", "budget key", "attempt 1")
REPEAT: Final = Claim("token hash", "request hash", "tomorrow's budget key", "attempt 2")
ANOTHER: Final = Claim("token hash", "another request", "budget key", "attempt 3")


@pytest.fixture
def tokens(table: "DynamoDBClient") -> Tokens:
    return Tokens(table, "attempts")


def test_a_free_token_is_claimed(tokens: Tokens, clock: FakeClock) -> None:
    assert tokens.claim(CLAIM, clock.now()) == CLAIM


def test_the_same_request_gets_the_earlier_claim(tokens: Tokens, clock: FakeClock) -> None:
    tokens.claim(CLAIM, clock.now())

    assert tokens.claim(REPEAT, clock.now()) == CLAIM


def test_another_request_is_refused(tokens: Tokens, clock: FakeClock) -> None:
    tokens.claim(CLAIM, clock.now())

    with pytest.raises(TokenReusedError) as refusal:
        tokens.claim(ANOTHER, clock.now())
    assert refusal.value.retry_after is None


def test_a_claim_that_is_sent_again_recognises_itself(tokens: Tokens, clock: FakeClock) -> None:
    tokens.claim(CLAIM, clock.now())

    assert tokens.claim(CLAIM, clock.now()) == CLAIM


@pytest.mark.parametrize(("seconds", "held"), [(299, True), (300, False)])
def test_a_token_is_held_for_five_minutes(
    tokens: Tokens,
    clock: FakeClock,
    seconds: int,
    held: bool,  # noqa: FBT001 - the table's last column
) -> None:
    tokens.claim(CLAIM, clock.now())

    now = clock.now() + timedelta(seconds=seconds)

    assert tokens.claim(REPEAT, now) == (CLAIM if held else REPEAT)


def test_a_released_token_is_free(tokens: Tokens, clock: FakeClock) -> None:
    tokens.claim(CLAIM, clock.now())
    tokens.release(CLAIM)

    assert tokens.claim(ANOTHER, clock.now()) == ANOTHER


def test_a_release_that_comes_late_leaves_anothers_claim(tokens: Tokens, clock: FakeClock) -> None:
    tokens.claim(CLAIM, clock.now())
    tokens.release(CLAIM)
    tokens.claim(ANOTHER, clock.now())

    tokens.release(CLAIM)

    with pytest.raises(TokenReusedError):
        tokens.claim(CLAIM, clock.now())


@pytest.mark.parametrize("operation", ["claim", "release"])
def test_a_failure_of_the_table_is_raised_as_it_is(
    table: "DynamoDBClient", clock: FakeClock, operation: str
) -> None:
    tokens = Tokens(table, "no-such-table")

    call: dict[str, Callable[[], object]] = {
        "claim": lambda: tokens.claim(CLAIM, clock.now()),
        "release": lambda: tokens.release(CLAIM),
    }

    with pytest.raises(ClientError, match="ResourceNotFound"):
        call[operation]()
