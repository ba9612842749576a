"""Budgets of a client's network: requests and mismatches per hour."""

from datetime import datetime, timedelta
from typing import Final

import pytest
from botocore.exceptions import ClientError

from cmpassport.aws import DynamoDBClient
from cmpassport.clock import SHANGHAI
from verify.clients import ClientBudget, ClientBudgetExhaustedError, client_network

NETWORK: Final = "c" * 64
NOON: Final = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)


def budget(
    table: DynamoDBClient, *, requests: int = 0, mismatches: int = 0, name: str = "attempts"
) -> ClientBudget:
    return ClientBudget(table, name, requests=requests, mismatches=mismatches)


@pytest.mark.parametrize(("elapsed", "wait"), [(0.5, 3600), (1, 3599), (3599.9, 1)])
def test_requests_are_counted_up_to_the_limit_until_the_end_of_the_hour(
    table: DynamoDBClient, elapsed: float, wait: int
) -> None:
    clients = budget(table, requests=2)
    clients.count_request(NETWORK, NOON)
    clients.count_request(NETWORK, NOON)

    with pytest.raises(ClientBudgetExhaustedError) as refusal:
        clients.count_request(NETWORK, NOON + timedelta(seconds=elapsed))

    assert refusal.value.retry_after == wait
    clients.count_request("another", NOON)
    clients.count_request(NETWORK, NOON + timedelta(hours=1))


def test_mismatches_of_all_environments_count(table: DynamoDBClient) -> None:
    here, there = budget(table, mismatches=4), budget(table, mismatches=4)
    for clients in (here, there, there, here):
        clients.check_mismatches(NETWORK, NOON)
        clients.count_mismatch(NETWORK, NOON)

    for clients in (here, there):
        with pytest.raises(ClientBudgetExhaustedError) as refusal:
            clients.check_mismatches(NETWORK, NOON + timedelta(minutes=59))
        assert refusal.value.retry_after == 60
        clients.check_mismatches("another", NOON)
        clients.check_mismatches(NETWORK, NOON + timedelta(hours=1))


def test_an_environment_remembers_so_many_networks(
    table: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verify.clients._KNOWN_NETWORKS", 2)
    clients = budget(table, mismatches=1)
    for network in ("first", "second", "third"):
        clients.count_mismatch(network, NOON)

    with pytest.raises(ClientBudgetExhaustedError):
        clients.check_mismatches("second", NOON)
    clients.check_mismatches("first", NOON)


@pytest.mark.parametrize("method", ["count_request", "count_mismatch"])
def test_a_failure_of_the_table_is_raised_as_it_is(table: DynamoDBClient, method: str) -> None:
    clients = budget(table, requests=1, mismatches=1, name="no-such-table")

    with pytest.raises(ClientError, match="ResourceNotFound"):
        getattr(clients, method)(NETWORK, NOON)


def test_items_expire_and_where_nothing_is_counted_there_is_no_call(table: DynamoDBClient) -> None:
    clients = budget(table, requests=1, mismatches=4)
    clients.count_request(NETWORK, NOON)
    for _ in range(2):
        clients.count_mismatch(NETWORK, NOON)
    table.meta.events.register("before-call.dynamodb.GetItem", lambda **_: pytest.fail("a call"))
    clients.check_mismatches(NETWORK, NOON)  # there are few
    expirations = {item["expiration"]["N"] for item in table.scan(TableName="attempts")["Items"]}
    assert expirations == {str(int((NOON + timedelta(days=2)).timestamp()))}

    table.meta.events.register("before-call.dynamodb", lambda **_: pytest.fail("a call"))
    off = budget(table)
    off.count_request(NETWORK, NOON)
    off.count_mismatch(NETWORK, NOON)
    off.check_mismatches(NETWORK, NOON)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        *(("203.0.113.7", "203.0.113.7"), ("not:an:address", "not:an:address")),
        *(("2001:db8:1:203:4:5:6:7", "2001:db8:1:200::/56"), ("::ffff:203.0.113.7", "203.0.113.7")),
    ],
)
def test_a_line_is_one_network(address: str, network: str) -> None:
    assert client_network(address) == network
