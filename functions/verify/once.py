"""One token, one outcome: a repeated request gets the kept outcome, not a second call, attempt and bill.

A token is claimed before anything is done with it. The claim says whose attempt it is for, and the attempt
keeps the outcome (`verify.budget`), so that settling an attempt and keeping its outcome are one write. The
outcome of an attempt that was given back is the claim's instead: anybody can cause any number of these, and
nothing of them may pile up with the number. Only keyed hashes are stored. Every write is fenced by the
attempt's identifier: a claim recognises itself when botocore sends it again, and a release that comes late
cannot remove another request's claim.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from cmpassport.aws import DynamoDBClient
from cmpassport.errors import RefusedError
from verify.budget import condition_failed, item_refused

_KEPT_FOR: Final = timedelta(minutes=5)
"""How long a token is held: while a page may ask again, and past its minute, so that none is sent twice."""
_LOOK_AGAIN_SECONDS: Final = 1


class TokenInUseError(RefusedError):
    """The same request is being processed, or was when its function died."""

    def __init__(self) -> None:
        super().__init__("the same request is being processed", _LOOK_AGAIN_SECONDS)


class TokenReusedError(RefusedError):
    """The token was already sent with other data."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A token's claim.

    Attributes
    ----------
    token
        Keyed hash of the token.
    request
        Keyed hash of all that must be the same when the token comes again.
    day_key
        Key of the item that has the attempt.
    attempt_id
        Identifies the attempt that is made with the token.
    outcome
        The outcome that the claim itself keeps; None for none.
    """

    token: str
    request: str
    day_key: str
    attempt_id: str
    outcome: Mapping[str, Any] | None = None


class Tokens:
    """Which tokens are claimed, and for what.

    Parameters
    ----------
    client
        DynamoDB client.
    table_name
        The table; claims live beside the budgets, under keys of their own.
    """

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._client = client
        self._table_name = table_name

    def claim(self, claim: Claim, now: datetime) -> Claim:
        """Claim a token; return the claim that holds it: this one, or the same request's earlier one.

        Raises
        ------
        TokenReusedError
            The token belongs to another request.
        ClientError, BotoCoreError
            The table could not be asked whether the token is free.
        """
        nobody_holds_it = "attribute_not_exists(id)"
        # Time to live deletes late, so the expiry is checked here.
        no_longer_held = "expiration <= :now"
        # True when the response to this very claim was lost and botocore sends it again; one that comes late
        # must not wipe the outcome.
        claimed_already = "(attempt = :attempt AND attribute_not_exists(outcome))"
        try:
            self._client.put_item(
                TableName=self._table_name,
                Item={
                    "id": {"S": f"token#{claim.token}"},
                    "request": {"S": claim.request},
                    "budget": {"S": claim.day_key},
                    "attempt": {"S": claim.attempt_id},
                    "expiration": {"N": str(int((now + _KEPT_FOR).timestamp()))},
                },
                ConditionExpression=f"{nobody_holds_it} OR {no_longer_held} OR {claimed_already}",
                ExpressionAttributeValues={
                    ":now": {"N": str(int(now.timestamp()))},
                    ":attempt": {"S": claim.attempt_id},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            held = item_refused(error, self._client, self._table_name, f"token#{claim.token}")
            if not held:  # released since
                raise TokenInUseError from None
            if held["request"]["S"] != claim.request:
                raise TokenReusedError("the token belongs to another request") from None
            outcome = json.loads(held["outcome"]["S"]) if "outcome" in held else None
            return replace(
                claim, day_key=held["budget"]["S"], attempt_id=held["attempt"]["S"], outcome=outcome
            )
        return claim

    def keep(self, claim: Claim, outcome: Mapping[str, Any]) -> None:
        """Keep the outcome of an attempt that was given back: it is returned when the token comes again."""
        try:
            self._client.update_item(
                TableName=self._table_name,
                Key={"id": {"S": f"token#{claim.token}"}},
                UpdateExpression="SET outcome = :outcome",
                ConditionExpression="attempt = :attempt",
                ExpressionAttributeValues={
                    ":outcome": {"S": json.dumps(outcome, ensure_ascii=False)},
                    ":attempt": {"S": claim.attempt_id},
                },
            )
        except ClientError as error:
            if not condition_failed(error):  # else it is another's by now
                raise

    def release(self, claim: Claim) -> None:
        """Release a token with which nothing was done; it may be sent again."""
        try:
            self._client.delete_item(
                TableName=self._table_name,
                Key={"id": {"S": f"token#{claim.token}"}},
                ConditionExpression="attempt = :attempt",
                ExpressionAttributeValues={":attempt": {"S": claim.attempt_id}},
            )
        except ClientError as error:
            if not condition_failed(error):  # else it is another's by now
                raise
