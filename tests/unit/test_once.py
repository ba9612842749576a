"""One token, one request: claimed once, recognised when it comes again, released by its own request alone."""

from datetime import timedelta
from typing import Final

import pytest

from cmpassport.aws import DynamoDBClient
from tests.support.fakes import FakeClock
from verify.once import Claim, TokenReusedError, Tokens

CLAIM: Final = Claim("token hash", "request hash", "budget key", "attempt 1")
REPEAT: Final = Claim("token hash", "request hash", "tomorrow's budget key", "attempt 2")
ANOTHER: Final = Claim("token hash", "another request", "budget key", "attempt 3")


@pytest.fixture
def tokens(table: DynamoDBClient) -> Tokens:
    return Tokens(table, "attempts")


def test_a_free_token_is_claimed_and_whatever_repeats_the_request_gets_that_claim(
    tokens: Tokens, clock: FakeClock
) -> None:
    claims = [tokens.claim(claim, clock.now()) for claim in (CLAIM, REPEAT, CLAIM)]

    assert claims == [CLAIM] * 3


@pytest.mark.parametrize(("seconds", "holder"), [(299, CLAIM), (300, REPEAT)])
def test_a_token_is_held_for_five_minutes(
    tokens: Tokens, clock: FakeClock, seconds: int, holder: Claim
) -> None:
    tokens.claim(CLAIM, clock.now())

    assert tokens.claim(REPEAT, clock.now() + timedelta(seconds=seconds)) == holder


def test_a_released_token_is_free_and_a_late_release_leaves_anothers_claim(
    tokens: Tokens, clock: FakeClock
) -> None:
    tokens.claim(CLAIM, clock.now())
    tokens.release(CLAIM)
    assert tokens.claim(ANOTHER, clock.now()) == ANOTHER

    tokens.release(CLAIM)

    with pytest.raises(TokenReusedError):
        tokens.claim(CLAIM, clock.now())
