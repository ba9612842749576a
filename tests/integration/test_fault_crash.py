"""A function dies in the middle of a verification: its token is neither held for ever nor judged twice."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from local.environment import WorkerEnvironment
from local.stack import Stack
from tests.faults.proxy import AwsFault, Failure, Step
from tests.faults.scene import Ledger, Scene, scene
from tests.faults.table import Attempt
from tests.support.phone import Ticket

_PATIENCE: Final = 20.0


@pytest.fixture(scope="module")
def stage(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("crash")
    with scene(Ledger(stack), folder, variables={}, runtime=WorkerEnvironment) as stage:
        stage.pool.warm()
        yield stage


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline


def die_at(stage: Scene, sim: str, ticket: Ticket, step: Step | None) -> int:
    """Have the function die while it waits for AWS, or (None) the platform; give the answer's status."""
    phone = stage.phone(sim)
    if step is None:
        stage.simulator.faults.arm({"fault": "delay", "seconds": _PATIENCE})
    else:
        stage.proxy.fail(AwsFault(frozenset({step}), Failure.SILENT))

    def arrived() -> int:
        return stage.calls(ticket) if step is None else stage.proxy.seen.count(step)

    seen = arrived()
    with ThreadPoolExecutor(1) as thread:
        reply = thread.submit(phone.verify, sim, ticket)
        wait_for(lambda: arrived() > seen)
        stage.die()
        status = reply.result().status
    stage.proxy.clear()
    stage.simulator.faults.clear()
    return status


def verdicts(stage: Scene, ticket: Ticket) -> int:
    """Count the verdicts on a token, each of which is billed."""
    return sum(
        entry["resultCode"] in {"000", "001"} and ticket.token in (entry["request"]["body"] or "")
        for entry in stage.simulator.journal.entries()
        if entry["step"] == 14
    )


@pytest.mark.parametrize(
    ("step", "calls", "attempt"),
    [(Step.RESERVATION, 0, Attempt.NOT_RESERVED), (None, 1, Attempt.SPENT), (Step.STORING, 1, Attempt.SPENT)],
    ids=["before the reservation", "while the platform works", "before the outcome is stored"],
)
def test_the_token_of_a_function_that_died_is_held_and_not_sent(
    stage: Scene, step: Step | None, calls: int, attempt: Attempt
) -> None:
    sim = f"1350000010{calls}" if step is None else f"1350000011{calls}"
    ticket = stage.phone(sim).ticket()

    assert die_at(stage, sim, ticket, step) == 500

    for _ in range(2):
        again = stage.send(stage.phone(sim), ticket)
        assert (again.reply.status, again.reply.json["code"]) == (409, "in_progress")
    assert stage.calls(ticket) == calls
    assert stage.attempt(sim) is attempt


def test_after_the_hold_a_token_that_was_not_sent_gets_its_verdict(stage: Scene) -> None:
    sim = "13500000121"
    ticket = stage.phone(sim).ticket()
    die_at(stage, sim, ticket, Step.RESERVATION)

    stage.ledger.end_holds()

    assert stage.send(stage.phone(sim), ticket).reply.json["resultCode"] == "000"
    assert (verdicts(stage, ticket), stage.attempt(sim)) == (1, Attempt.SPENT)


@pytest.mark.parametrize("step", [None, Step.STORING])
def test_after_the_hold_a_token_that_was_sent_is_dead_and_judged_no_second_time(
    stage: Scene, step: Step | None
) -> None:
    sim = "13500000131" if step is None else "13500000132"
    ticket = stage.phone(sim).ticket()
    die_at(stage, sim, ticket, step)

    stage.ledger.end_holds()
    again = stage.send(stage.phone(sim), ticket)

    assert (again.reply.status, again.reply.json["code"]) == (422, "token_rejected")
    assert verdicts(stage, ticket) == 1
    assert stage.attempt(sim) is Attempt.SPENT
    # From here on the outcome is stored.
    assert stage.send(stage.phone(sim), ticket).calls == 0


def test_a_function_that_dies_before_it_has_claimed_the_token_leaves_it_free(stage: Scene) -> None:
    sim = "13500000141"
    ticket = stage.phone(sim).ticket()

    assert die_at(stage, sim, ticket, Step.CLAIM) == 500

    assert stage.send(stage.phone(sim), ticket).reply.json["resultCode"] == "000"
    assert (verdicts(stage, ticket), stage.attempt(sim)) == (1, Attempt.SPENT)
