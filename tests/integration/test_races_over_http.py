"""Many requests at once, through HTTP: no more calls than attempts, one outcome for a token."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Final

from local.stack import Stack
from tests.support.phone import Phone, Reply
from tests.support.stacks import phone_of

AT_ONCE: Final = 16


def at_once(send: Callable[[int], Reply]) -> list[Reply]:
    gate = Barrier(AT_ONCE)

    def run(index: int) -> Reply:
        gate.wait()
        return send(index)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


def calls(phone: Phone, token: str) -> int:
    """Count the verifications with a token that reached the platform."""
    return sum(entry["step"] == 14 and token in (entry["request"]["body"] or "") for entry in phone.journal())


def test_of_many_at_once_no_more_than_five_reach_the_platform(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000002")
    tickets = [phone.ticket() for _ in range(AT_ONCE)]

    replies = at_once(lambda index: phone.verify(phone.sim, tickets[index]))

    left = sorted((reply.json["attemptsLeft"] for reply in replies if reply.status == 200), reverse=True)
    assert left == [4, 3, 2, 1, 0][: len(left)]
    assert {reply.status for reply in replies} == {200, 429}
    assert sum(calls(phone, ticket.token) for ticket in tickets) == len(left)


def test_the_same_request_many_times_at_once_is_sent_once(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000011")
    ticket = phone.ticket()

    replies = at_once(lambda _: phone.verify(phone.sim, ticket))
    again = phone.verify(phone.sim, ticket)

    assert calls(phone, ticket.token) == 1
    assert {reply.json["msgId"] for reply in replies if reply.status == 200} == {again.json["msgId"]}
    others = {(reply.status, reply.json["code"]) for reply in replies if reply.status != 200}
    assert others <= {(409, "in_progress")}
    assert phone.verify(phone.sim, phone.ticket()).json["attemptsLeft"] == 3


def test_one_token_with_many_numbers_at_once_is_sent_with_one(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000012")
    ticket = phone.ticket()

    replies = at_once(lambda index: phone.verify(f"136000001{index:02d}", ticket))

    assert calls(phone, ticket.token) == 1
    assert [reply.status for reply in replies].count(200) == 1
    refused = {(reply.status, reply.json["code"]) for reply in replies if reply.status != 200}
    assert refused <= {(409, "in_progress"), (409, "token_reused")}
