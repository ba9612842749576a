"""One token, one outcome: a repeated request gets the stored outcome, not a second call, attempt and bill.

Powertools' Idempotency keeps the outcomes. It is handed keyed hashes only: what it stores of the request is a
plain hash of what it gets, and a plain hash of a number could be reversed.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)

from cmpassport.errors import RefusedError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_SECONDS: Final = 5 * 60
"""How long an outcome is kept: while a page may still ask again, not as a lasting proof of the verdict."""
_HELD_MILLISECONDS: Final = 120_000
"""How long a crashed request holds its token: past the token's minute, so that no live one is sent twice."""
_LOOK_AGAIN_SECONDS: Final = 1


class TokenInUseError(RefusedError):
    """The same request is being processed, or was when its function died."""


class TokenReusedError(RefusedError):
    """The token was already sent with another request."""


class _Hold:
    """Stands where Powertools asks a Lambda context how long this invocation may last."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return _HELD_MILLISECONDS


class OneOutcome:
    """Runs the work for a token once and returns its outcome ever after.

    Parameters
    ----------
    client
        DynamoDB client.
    table_name
        The table; outcomes live beside the attempts, under keys of their own.
    on_not_stored
        Told the error when an outcome is known and could not be stored.
    """

    def __init__(
        self, client: "DynamoDBClient", table_name: str, on_not_stored: Callable[[Exception], None]
    ) -> None:
        self._on_not_stored = on_not_stored
        # What a handler of this event returns is what is sent; the stubs know handlers that return nothing.
        client.meta.events.register("provide-client-params.dynamodb.PutItem", _sign_claim)  # type: ignore[arg-type]
        config = IdempotencyConfig(
            event_key_jmespath="token",
            payload_validation_jmespath="request",
            expires_after_seconds=_KEPT_SECONDS,
        )
        config.register_lambda_context(cast("LambdaContext", _Hold()))
        self._run = idempotent_function(
            _work,
            data_keyword_argument="claim",
            persistence_store=DynamoDBPersistenceLayer(table_name, boto3_client=client),
            config=config,
            key_prefix="token",
        )

    def run(
        self, *, token_hash: str, request_hash: str, work: Callable[[], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Return the token's outcome: the stored one, or what the work returns now.

        When the work raises, nothing is stored and the token may be sent again.

        Parameters
        ----------
        token_hash
            Keyed hash of the token.
        request_hash
            Keyed hash of all that must be the same when the token comes again.
        work
            Returns the outcome as JSON members.

        Raises
        ------
        TokenInUseError
            The same request is being processed.
        TokenReusedError
            The token belongs to another request.
        ClientError, BotoCoreError
            The table could not be asked whether the token is free; no work was done.
        """
        ending = _Ending(work)
        try:
            outcome: Mapping[str, Any] = self._run(
                claim={"token": token_hash, "request": request_hash}, work=ending
            )
        except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError):
            raise TokenInUseError("the same request is being processed", _LOOK_AGAIN_SECONDS) from None
        except IdempotencyValidationError:
            raise TokenReusedError("the token belongs to another request") from None
        except IdempotencyPersistenceLayerError as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            # After the work its own ending counts, not the record's: a verdict that was billed is given.
            if ending.outcome is not None:
                self._on_not_stored(cause)
                return ending.outcome
            if ending.error is not None:
                self._on_not_stored(cause)
                raise ending.error from None
            raise cause from None
        return outcome


def _work(*, claim: Mapping[str, str], work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:  # noqa: ARG001 - the claim is Powertools'
    return work()


def _sign_claim(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Make the claim idempotent: botocore sends it again when its answer is lost, and must recognise it.

    Without this the second sending would find the first one's claim, and the token would be held for nobody.
    """
    values = params.get("ExpressionAttributeValues", {})
    if ":inprogress" not in values:  # no claim of Powertools'
        return params
    claimant = {"S": os.urandom(8).hex()}
    # In progress alone: a sending that comes late must not take the place of the outcome.
    still_this_claim = "(claimant = :claimant AND #status = :inprogress)"
    return {
        **params,
        "Item": {**params["Item"], "claimant": claimant},
        "ConditionExpression": f"{params['ConditionExpression']} OR {still_this_claim}",
        "ExpressionAttributeValues": {**values, ":claimant": claimant},
    }


class _Ending:
    """Runs the work and remembers how it ended."""

    def __init__(self, work: Callable[[], Mapping[str, Any]]) -> None:
        self._work = work
        self.outcome: Mapping[str, Any] | None = None
        self.error: Exception | None = None

    def __call__(self) -> Mapping[str, Any]:
        try:
            self.outcome = self._work()
        except Exception as error:
            self.error = error
            raise
        return self.outcome
