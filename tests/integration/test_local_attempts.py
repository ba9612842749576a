"""The day's attempts on the local stack: used up as in production, and given back by its panel's control."""

import pytest
import urllib3

from local.stack import EXHAUSTED_NUMBER, Options, Stack
from tests.support.phone import Reply
from tests.support.planted import plant
from tests.support.stacks import client_of, phone_of, start

SIM = "13999993333"
plant(SIM)


def verify(stack: Stack, number: str = SIM) -> Reply:
    phone = phone_of(stack, SIM)
    return phone.verify(number, phone.ticket())


def give_back(stack: Stack) -> int:
    address = f"{stack.page}/panel/attempts"
    return urllib3.request("DELETE", address, headers={"Origin": stack.page}, retries=False).status


@pytest.fixture
def used_up(stack: Stack) -> Stack:
    """The stack, on which the number has used up its day."""
    while verify(stack).status == 200:
        pass
    assert verify(stack).json["code"] == "attempts_exhausted"
    return stack


def test_a_number_that_was_used_up_logs_in_again(used_up: Stack) -> None:
    assert give_back(used_up) == 204

    reply = verify(used_up)
    assert (reply.status, reply.json["resultCode"], reply.json["attemptsLeft"]) == (200, "000", 4)


def test_the_platforms_own_count_is_given_back_too() -> None:
    with start(Options(parameters={"DailyAttemptLimit": "100"})) as stack:
        replies = [verify(stack) for _ in range(11)]
        assert [reply.status for reply in replies] == [200] * 10 + [429]

        assert give_back(stack) == 204
        assert verify(stack).json["resultCode"] == "000"


def test_the_sample_number_stays_exhausted_and_outcomes_stay_known(used_up: Stack) -> None:
    phone = phone_of(used_up, SIM)
    give_back(used_up)
    ticket = phone.ticket()
    first = phone.verify(SIM, ticket).json
    give_back(used_up)

    assert phone.verify(SIM, ticket).json["msgId"] == first["msgId"]
    assert verify(used_up, EXHAUSTED_NUMBER).json["code"] == "attempts_exhausted"


def test_a_stranger_gives_nothing_back(used_up: Stack) -> None:
    for headers in ({}, {"Origin": "http://stranger.example"}):
        address = f"{used_up.page}/panel/attempts"
        assert urllib3.request("DELETE", address, headers=headers, retries=False).status == 403

    assert verify(used_up).json["code"] == "attempts_exhausted"


def test_on_another_platform_there_is_no_way_round_the_budget() -> None:
    with start(Options(platform_url="http://127.0.0.1:1")) as stack:
        assert give_back(stack) == 405


def test_a_table_of_several_pages_is_gone_through_to_the_end(stack: Stack) -> None:
    table = client_of(stack, "dynamodb")
    filler = {"S": "x" * 300_000}
    for item in range(4):  # a page of a scan has a megabyte
        for name, attempts in (("filler", {}), ("spent", {"attempts": {"SS": ["a"]}})):
            key = {"id": {"S": f"{name}-{item}"}}
            table.put_item(TableName=stack.table_name, Item={**key, "text": filler, **attempts})

    assert give_back(stack) == 204

    left = [
        name
        for item in range(4)
        for name in ("filler", "spent")
        if "Item" in table.get_item(TableName=stack.table_name, Key={"id": {"S": f"{name}-{item}"}})
    ]
    assert left == ["filler"] * 4
    for item in range(4):
        table.delete_item(TableName=stack.table_name, Key={"id": {"S": f"filler-{item}"}})
