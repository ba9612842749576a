"""Budgets of a client's network: requests per hour, and the mismatches that it causes whatever the number.

Mismatches are billed, so trying one SIM on many numbers meets a bound. It is shared by all environments of
the function and costs nothing where there are none: a mismatch is counted when it happens, and an
environment looks up the count only for networks whose mismatches it has seen come near the limit. So the
bound may be passed by one mismatch for each environment.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from botocore.exceptions import ClientError

from cmpassport.aws import DynamoDBClient
from cmpassport.clock import SHANGHAI
from cmpassport.errors import RefusedError
from verify.budget import condition_failed, expiration

_HOUR: Final = timedelta(hours=1)
_KNOWN_NETWORKS: Final = 1000


class ClientBudgetExhaustedError(RefusedError):
    """What the client's network may do in an hour is used up."""


class ClientBudget:
    """Budgets per network and hour; networks are named by their keyed hashes.

    Parameters
    ----------
    client
        DynamoDB client.
    table_name
        The table.
    requests
        Requests an hour; 0 for no limit, as carriers put many phones behind one address.
    mismatches
        Mismatches an hour; 0 for no limit.
    """

    def __init__(self, client: DynamoDBClient, table_name: str, *, requests: int, mismatches: int) -> None:
        self._client = client
        self._table_name = table_name
        self._requests = requests
        self._mismatches = mismatches
        self._seen: OrderedDict[str, int] = OrderedDict()

    def count_request(self, network: str, now: datetime) -> None:
        """Count one request.

        Raises
        ------
        ClientBudgetExhaustedError
            The hour's requests are used up.
        """
        if not self._requests:
            return
        try:
            self._client.update_item(
                TableName=self._table_name,
                Key={"id": {"S": f"{network}#{_hour(now)}"}},
                UpdateExpression="ADD requests :one SET expiration = :expiration",
                ConditionExpression="attribute_not_exists(requests) OR requests < :limit",
                ExpressionAttributeValues={
                    ":one": {"N": "1"},
                    ":limit": {"N": str(self._requests)},
                    ":expiration": {"N": expiration(now)},
                },
            )
        except ClientError as error:
            if condition_failed(error):
                raise ClientBudgetExhaustedError("the hour's requests are used up", _rest(now)) from None
            raise

    def check_mismatches(self, network: str, now: datetime) -> None:
        """Check that a network may cause another mismatch.

        Raises
        ------
        ClientBudgetExhaustedError
            The hour's mismatches are used up.
        """
        key = f"{network}#mismatches#{_hour(now)}"
        seen = self._seen.get(key, 0)
        if not self._mismatches or seen <= self._mismatches // 2:
            return
        if seen < self._mismatches:
            response = self._client.get_item(TableName=self._table_name, Key={"id": {"S": key}})
            seen = int(response.get("Item", {}).get("mismatches", {}).get("N", "0"))
            self._remember(key, seen)
        if seen >= self._mismatches:
            raise ClientBudgetExhaustedError("the hour's mismatches are used up", _rest(now))

    def count_mismatch(self, network: str, now: datetime) -> None:
        """Count one mismatch."""
        if not self._mismatches:
            return
        key = f"{network}#mismatches#{_hour(now)}"
        response = self._client.update_item(
            TableName=self._table_name,
            Key={"id": {"S": key}},
            UpdateExpression="ADD mismatches :one SET expiration = :expiration",
            ExpressionAttributeValues={":one": {"N": "1"}, ":expiration": {"N": expiration(now)}},
            ReturnValues="UPDATED_NEW",
        )
        self._remember(key, int(response["Attributes"]["mismatches"]["N"]))

    def _remember(self, key: str, count: int) -> None:
        self._seen[key] = count
        self._seen.move_to_end(key)
        if len(self._seen) > _KNOWN_NETWORKS:
            self._seen.popitem(last=False)


_LINE: Final = 56
"""Prefix length of the IPv6 network that a line has (RIPE-690): it can call from each /64 of it."""


def client_network(address: str) -> str:
    """Return what stands for a client: an IPv4 address, or the IPv6 network of a line."""
    if ":" not in address:
        return address
    try:
        mapped = IPv6Address(address).ipv4_mapped
        return str(mapped or IPv6Network((address, _LINE), strict=False))
    except ValueError:
        return address


def _hour(now: datetime) -> str:
    return f"{now.astimezone(SHANGHAI):%Y%m%d%H}"


def _rest(now: datetime) -> int:
    """Return the seconds until the next hour begins: 1 to 3600."""
    elapsed = timedelta(minutes=now.minute, seconds=now.second)
    return int((_HOUR - elapsed).total_seconds())
