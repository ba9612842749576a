"""The soak's traffic: pages that verify numbers, in all the ways that pages do."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from urllib3.exceptions import HTTPError

from tests.faults.scene import Scene
from tests.support.phone import Phone, Reply, Ticket

_WINDOW: Final = 40
_PER_NUMBER: Final = 5
"""Numbers in use at a time, and stories after which the window moves on by one number."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request for a token got."""

    number: str
    status: int
    code: str
    body: str


@dataclass(slots=True)
class Story:
    """One token's life.

    Attributes
    ----------
    sim
        The number that the platform knows the token for; empty for a token that it never issued.
    token
        The token.
    answers
        What came back, in no order where requests left together.
    """

    sim: str
    token: str
    answers: list[Answer] = field(default_factory=list)


class NoTokenError(Exception):
    """The page got no token, and takes another way to log in."""


class Traffic:
    """Threads that live stories one after the other.

    Parameters
    ----------
    stage
        Whose function is called.
    ends_at
        When to stop, on the monotonic clock.
    most
        Stories at most.
    seed
        Makes the choice of stories repeatable, though not their order in time.
    """

    def __init__(self, stage: Scene, ends_at: float, most: int, seed: int) -> None:
        self._stage = stage
        self._ends_at = ends_at
        self._most = most
        self._seed = seed
        self._lock = threading.Lock()
        self._begun = 0
        self.stories: list[Story] = []
        self.outcomes: Counter[str] = Counter()
        self.without_token = 0

    def run(self, threads: int) -> None:
        """Live stories until the time or their number is up."""
        with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(threads) as second:
            lives = [pool.submit(self._live, self._seed + index, second) for index in range(threads)]
            for life in lives:
                life.result()

    @property
    def numbers(self) -> frozenset[str]:
        """All numbers that any request has named."""
        return frozenset(answer.number for story in self.stories for answer in story.answers)

    def _live(self, seed: int, second: ThreadPoolExecutor) -> None:
        choice = random.Random(seed)  # noqa: S311 - which story comes next is no secret
        phone = self._stage.phone("")
        tells = (
            self._match,
            self._match,
            self._mismatch,
            self._twice,
            self._again,
            self._reused,
            self._made_up,
        )
        while time.monotonic() < self._ends_at and (turn := self._turn()) < self._most:
            phone.sim = _number(turn // _PER_NUMBER + choice.randrange(_WINDOW))
            try:
                story = choice.choice(tells)(phone, choice, second)
            except (NoTokenError, HTTPError):  # as while a key is being replaced
                with self._lock:
                    self.without_token += 1
                continue
            with self._lock:
                self.stories.append(story)
                self.outcomes.update(f"{answer.status} {answer.code}" for answer in story.answers)

    def _turn(self) -> int:
        with self._lock:
            self._begun += 1
            return self._begun

    def _match(self, phone: Phone, _choice: random.Random, _second: ThreadPoolExecutor) -> Story:
        ticket = _ticket(phone)
        return _story(phone.sim, ticket, _ask(phone, phone.sim, ticket))

    def _mismatch(self, phone: Phone, choice: random.Random, _second: ThreadPoolExecutor) -> Story:
        ticket = _ticket(phone)
        return _story(phone.sim, ticket, _ask(phone, _other(phone.sim, choice), ticket))

    def _twice(self, phone: Phone, _choice: random.Random, second: ThreadPoolExecutor) -> Story:
        """Tap twice."""
        ticket, sim = _ticket(phone), phone.sim
        other = second.submit(_ask, phone, sim, ticket)
        return _story(sim, ticket, _ask(phone, sim, ticket), other.result())

    def _again(self, phone: Phone, _choice: random.Random, _second: ThreadPoolExecutor) -> Story:
        """Ask again, as after a lost answer."""
        ticket = _ticket(phone)
        return _story(phone.sim, ticket, *(_ask(phone, phone.sim, ticket) for _ in range(3)))

    def _reused(self, phone: Phone, choice: random.Random, _second: ThreadPoolExecutor) -> Story:
        """Use one token for two numbers."""
        ticket = _ticket(phone)
        numbers = (phone.sim, _other(phone.sim, choice))
        return _story(phone.sim, ticket, *(_ask(phone, number, ticket) for number in numbers))

    def _made_up(self, phone: Phone, choice: random.Random, _second: ThreadPoolExecutor) -> Story:
        """Send a token that nobody issued."""
        ticket = Ticket(f"VM_madeup{choice.getrandbits(64):016x}", "made%2Bup")
        return _story("", ticket, _ask(phone, phone.sim, ticket))


def _ticket(phone: Phone) -> Ticket:
    try:
        ticket = phone.ticket()
    except KeyError:
        raise NoTokenError from None
    if not ticket.token:
        raise NoTokenError
    return ticket


def _ask(phone: Phone, number: str, ticket: Ticket) -> Answer:
    reply: Reply = phone.verify(number, ticket)
    content = reply.json
    code = str(content.get("code") or content.get("resultCode") or "the gateway's own")
    return Answer(number, reply.status, code, reply.text)


def _story(sim: str, ticket: Ticket, *answers: Answer) -> Story:
    return Story(sim, ticket.token, list(answers))


def _number(index: int) -> str:
    return f"131{index:08d}"


def _other(number: str, choice: random.Random) -> str:
    return f"132{number[3:10]}{choice.randrange(3)}"
