"""Budgets in DynamoDB: attempts per number and Shanghai day, and requests per client address and hour.

An attempt is reserved before the platform is called and settled after it:

    reserve --------> call --------> settle
       |                               |-- judged, or may have judged: stays spent
       |                               `-- cannot have judged: given back
       `-- a crash from here on leaves it spent: over-counting is the safe side

One item per number and day holds the set of the attempts' identifiers, so that reserving and giving back are
idempotent: when botocore repeats a request whose response was lost, nothing is counted twice. The day is part
of the key, and that is what resets the budget; the table's time to live only cleans up.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from cmpassport.clock import SHANGHAI
from cmpassport.errors import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_FOR: Final = timedelta(days=2)
_HOUR: Final = timedelta(hours=1)


class AttemptsExhaustedError(RefusedError):
    """The number's attempts of the day are used up."""


class ClientBudgetExhaustedError(RefusedError):
    """The client address's requests of the hour are used up."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """One attempt that is reserved.

    Attributes
    ----------
    key
        The item's key: a number's keyed hash and the Shanghai day.
    attempt_id
        Identifies the attempt.
    attempts_left
        How many more the number has this day.
    """

    key: str
    attempt_id: str
    attempts_left: int


class AttemptBudget:
    """Attempts per number and Shanghai day.

    Parameters
    ----------
    client
        DynamoDB client.
    table_name
        The table.
    limit
        Attempts a day, 1 to 1000.
    """

    def __init__(self, client: "DynamoDBClient", table_name: str, limit: int) -> None:
        self._client = client
        self._table_name = table_name
        self._limit = limit

    def reserve(self, number_hash: str, attempt_id: str, now: datetime) -> Reservation:
        """Reserve one attempt; never more than the limit, under any concurrency.

        Raises
        ------
        AttemptsExhaustedError
            The day's attempts are used up.
        """
        key = f"{number_hash}#{now.astimezone(SHANGHAI):%Y%m%d}"

        no_attempt_yet = "attribute_not_exists(attempts)"
        below_the_limit = "size(attempts) < :limit"
        # True when the response to this very reservation was lost and botocore sends it again.
        reserved_already = "contains(attempts, :attempt_id)"

        try:
            response = self._client.update_item(
                TableName=self._table_name,
                Key={"id": {"S": key}},
                UpdateExpression="ADD attempts :attempt SET expiration = :expiration",
                ConditionExpression=f"{no_attempt_yet} OR {below_the_limit} OR {reserved_already}",
                ExpressionAttributeValues={
                    ":attempt": {"SS": [attempt_id]},
                    ":attempt_id": {"S": attempt_id},
                    ":limit": {"N": str(self._limit)},
                    ":expiration": {"N": _expiration(now)},
                },
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if _condition_failed(error):
                raise AttemptsExhaustedError(
                    "the day's attempts are used up", seconds_to_midnight(now)
                ) from None
            raise
        used = len(response["Attributes"]["attempts"]["SS"])
        return Reservation(key, attempt_id, max(self._limit - used, 0))

    def give_back(self, reservation: Reservation) -> None:
        """Give a reserved attempt back; once, however often it is called."""
        self._client.update_item(
            TableName=self._table_name,
            Key={"id": {"S": reservation.key}},
            UpdateExpression="DELETE attempts :attempt",
            ExpressionAttributeValues={":attempt": {"SS": [reservation.attempt_id]}},
        )


class ClientBudget:
    """Requests per client address and hour. Carriers put many phones behind one address, so it is off at 0.

    Parameters
    ----------
    client
        DynamoDB client.
    table_name
        The table.
    limit
        Requests an hour; 0 for no limit.
    """

    def __init__(self, client: "DynamoDBClient", table_name: str, limit: int) -> None:
        self._client = client
        self._table_name = table_name
        self.limit = limit

    def count(self, address_hash: str, now: datetime) -> None:
        """Count one request.

        Raises
        ------
        ClientBudgetExhaustedError
            The hour's requests are used up.
        """
        hour = now.astimezone(SHANGHAI)
        try:
            self._client.update_item(
                TableName=self._table_name,
                Key={"id": {"S": f"{address_hash}#{hour:%Y%m%d%H}"}},
                UpdateExpression="ADD requests :one SET expiration = :expiration",
                ConditionExpression="attribute_not_exists(requests) OR requests < :limit",
                ExpressionAttributeValues={
                    ":one": {"N": "1"},
                    ":limit": {"N": str(self.limit)},
                    ":expiration": {"N": _expiration(now)},
                },
            )
        except ClientError as error:
            if _condition_failed(error):
                elapsed = timedelta(minutes=hour.minute, seconds=hour.second)
                wait = int((_HOUR - elapsed).total_seconds())
                raise ClientBudgetExhaustedError("the hour's requests are used up", wait) from None
            raise


def client_network(address: str) -> str:
    """Return what stands for a client: an IPv4 address, or the /64 network that one IPv6 subscriber has."""
    if ":" not in address:
        return address
    try:
        return str(ip_network((address, 64), strict=False))
    except ValueError:
        return address


def seconds_to_midnight(instant: datetime) -> int:
    """Return the seconds until the next Shanghai day begins: 1 to 86400."""
    local = instant.astimezone(SHANGHAI)
    midnight = datetime(local.year, local.month, local.day, tzinfo=SHANGHAI) + timedelta(days=1)
    return -int((local - midnight) // timedelta(seconds=1))


def _expiration(now: datetime) -> str:
    return str(int((now + _KEPT_FOR).timestamp()))


def _condition_failed(error: ClientError) -> bool:
    return bool(error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException")
