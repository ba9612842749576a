"""The day's attempts and the one outcome of a token, through HTTP and against the platform's own journal."""

from concurrent.futures import ThreadPoolExecutor

from local.stack import Stack
from tests.support.phone import Phone, Ticket
from tests.support.stacks import phone_of


def calls(phone: Phone, tokens: list[str]) -> int:
    """Count the verifications that reached the platform with one of the tokens."""
    return sum(
        any(token in (entry["request"]["body"] or "") for token in tokens)
        for entry in phone.journal()
        if entry["step"] == 14
    )


def test_of_ten_verifications_five_reach_the_platform(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000001")
    tickets = [phone.ticket() for _ in range(10)]

    replies = [phone.verify("13600000009", ticket) for ticket in tickets]

    assert [reply.status for reply in replies] == [200] * 5 + [429] * 5
    assert [reply.json["attemptsLeft"] for reply in replies[:5]] == [4, 3, 2, 1, 0]
    assert all(int(reply.headers["Retry-After"]) > 0 for reply in replies[5:])
    assert calls(phone, [ticket.token for ticket in tickets]) == 5


def test_of_sixty_four_at_once_no_more_than_five_reach_the_platform(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000002")
    with ThreadPoolExecutor(16) as pool:
        tickets = list(pool.map(lambda _: phone.ticket(), range(64)))
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(lambda ticket: phone.verify(phone.sim, ticket), tickets))

    assert sorted(reply.status for reply in replies) == [200] * 5 + [429] * 59
    assert calls(phone, [ticket.token for ticket in tickets]) == 5


def test_made_up_tokens_use_up_nothing(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000003")

    rejected = [phone.verify(phone.sim, Ticket(f"VM_madeup{n}", "made%2Bup")).status for n in range(12)]
    verdict = phone.verify(phone.sim, phone.ticket())

    assert rejected == [422] * 12
    assert (verdict.status, verdict.json["attemptsLeft"]) == (200, 4)


def test_operators_faults_use_up_nothing(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000004")
    for _ in range(6):
        ticket = phone.ticket()
        phone.fault("resultCode", resultCode="110004")
        assert phone.verify(phone.sim, ticket).status == 502

    assert phone.verify(phone.sim, phone.ticket()).json["attemptsLeft"] == 4


def test_an_answer_that_may_hide_a_verdict_uses_up_an_attempt(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000005")
    ticket = phone.ticket()
    phone.fault("wrongMsgId")
    assert phone.verify(phone.sim, ticket).status == 502

    assert phone.verify(phone.sim, phone.ticket()).json["attemptsLeft"] == 3


def test_a_repeated_request_gets_the_same_outcome_without_a_second_call(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000006")
    ticket = phone.ticket()

    first, second = phone.verify(phone.sim, ticket), phone.verify("+86 136 0000 0006", ticket)

    assert first.json == second.json
    assert calls(phone, [ticket.token]) == 1
    assert phone.verify(phone.sim, phone.ticket()).json["attemptsLeft"] == 3


def test_a_repeated_request_without_verdict_is_not_sent_again(stack: Stack) -> None:
    phone = phone_of(stack, sim="13600000007")
    ticket = phone.ticket()
    phone.fault("html")

    first, second = phone.verify(phone.sim, ticket), phone.verify(phone.sim, ticket)

    assert [first.json["code"], second.json["code"]] == ["platform_error", "platform_error"]
    assert calls(phone, [ticket.token]) == 1
