"""The soak's audit: what the platform's own journal and the table say of every token, attempt and process."""

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Final, Self

from local.simulator import Simulator
from tests.soak.traffic import Story

_EVERY: Final = 0.5
_MEANINGS: Final = {"000": (True, "login"), "001": (False, "refuse")}
"""What a page is told of a verdict: verified and action."""

_GIVEN_BACK: Final = frozenset({"120020", "110004", "130018"})
"""Of the codes that come up in a soak, those after which the attempt is given back."""

LIMIT: Final = 5
GROWTH: Final = 0.05
"""How much of its memory a process may grow by between the second and the last quarter of its life."""

_PERSONAL: Final = re.compile(r"(?<![0-9A-Za-z.])13[12][0-9]{8}(?![0-9A-Za-z])|VM_[0-9a-z]{16}")
"""The traffic's numbers, and tokens; the lengths leave out a duration's fraction and a requestId."""

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Call:
    """One verification that reached the platform.

    Attributes
    ----------
    token, msg_id, number
        What it asked; the number is empty where the platform did not look into it.
    code
        What the platform decided, whether or not that reached the function.
    spoiled
        Whether the answer was spoiled on its way.
    """

    token: str
    msg_id: str
    number: str
    code: str
    spoiled: bool


class Watch(AbstractContextManager["Watch"]):
    """A thread that keeps the platform's journal, whose own memory is short, and the processes' sizes.

    Parameters
    ----------
    simulator
        The platform.
    watched
        Gives the processes whose size is wanted.
    """

    def __init__(self, simulator: Simulator, watched: Callable[[], Iterable[int]]) -> None:
        self._simulator = simulator
        self._watched = watched
        self._over = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._last = 0
        self.calls: list[Call] = []
        self.unread = 0
        self.sizes: dict[int, list[int]] = {}

    def __enter__(self) -> Self:
        self._running = self._thread.submit(self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.shutdown()
        self._running.result()  # if it has failed, all of this is worth nothing
        self._read_journal()

    def _run(self) -> None:
        while not self._over.wait(_EVERY):
            self._read_journal()
            for process in self._watched():
                if size := _resident(process):
                    self.sizes.setdefault(process, []).append(size)

    def _read_journal(self) -> None:
        for entry in self._simulator.journal.entries(self._last):
            self._last = entry["id"]
            if entry["step"] != 14:
                continue
            if entry["request"]["body"] is None:
                self.unread += 1  # reset before it was read
            else:
                self.calls.append(_call(entry))


def _call(entry: Mapping[str, Any]) -> Call:
    request = json.loads(entry["request"]["body"])
    fault = entry["fault"]
    return Call(
        token=request["body"]["token"],
        msg_id=request["header"]["msgId"],
        number=entry.get("phoneNum") or "",
        code=entry["resultCode"] or "",
        spoiled=fault is not None and fault["fault"] != "resultCode",
    )


def _resident(process: int) -> int:
    """Give a process's resident memory in bytes; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except OSError:
        return 0


def wrong_verdicts(stories: Iterable[Story], calls: Iterable[Call]) -> Iterator[str]:
    """Find answers that the platform did not give, or that are not true of the SIM."""
    decided = {call.token: call for call in calls}
    for story in stories:
        verdicts = [answer for answer in story.answers if answer.status == 200]
        for answer in verdicts:
            call = decided.get(story.token)
            true_code = "000" if answer.number == story.sim else "001"
            if call is None or call.code != answer.code or answer.code != true_code:
                yield f"a verdict {answer.code} that the platform did not give"
            content = json.loads(answer.body)
            if (content["verified"], content["action"]) != _MEANINGS[answer.code]:
                yield f"a verdict {answer.code} that is told otherwise"
        if len({(answer.number, answer.body) for answer in verdicts}) > 1:
            yield "one token with two verdicts"


def sent_twice(calls: Iterable[Call]) -> Iterator[str]:
    """Find tokens that reached the platform more than once."""
    return (
        f"a token was sent {times} times"
        for times in Counter(call.token for call in calls).values()
        if times > 1
    )


def lost_attempts(calls: Iterable[Call], attempts: Mapping[str, set[str]]) -> Iterator[str]:
    """Find verdicts whose attempt the table does not have."""
    kept = set().union(*attempts.values())
    return (
        f"a verdict {call.code} without its attempt"
        for call in calls
        if call.code in _MEANINGS and call.msg_id not in kept
    )


def over_limit(attempts: Mapping[str, set[str]]) -> Iterator[str]:
    """Find numbers with more attempts than a day has."""
    return (f"a number has {len(kept)} attempts" for kept in attempts.values() if len(kept) > LIMIT)


def overcounted(calls: Iterable[Call], attempts: Mapping[str, set[str]]) -> int:
    """Count attempts in the table that no call accounts for: the platform cannot have judged them."""
    kept = set().union(*attempts.values())
    spent = {call.msg_id for call in calls if call.spoiled or call.code not in _GIVEN_BACK}
    return len(kept - spent)


def leaks(logs: Iterable[Path]) -> Iterator[str]:
    """Find numbers and tokens in the functions' output; say in which member of a line."""
    for path in logs:
        with path.open(encoding="utf-8") as lines:
            for line in filter(_PERSONAL.search, lines):
                members = json.loads(line) if line.startswith("{") else {"no JSON": line}
                where = [name for name, value in members.items() if _PERSONAL.search(json.dumps(value))]
                yield f"{path.name} holds a number or a token in {', '.join(where)}"


def late_rotations(calls: Iterable[Call], rotations: int, in_flight: int) -> Iterator[str]:
    """Find more failed signatures than there were requests under way and functions that had the old key."""
    failed = sum(call.code == "130018" for call in calls)
    if failed > rotations * in_flight:
        yield f"{failed} signatures failed in {rotations} rotations"


def growth(sizes: Mapping[int, list[int]], samples: int) -> dict[int, float]:
    """Give each long-lived process's growth from the second quarter of its life to the last, as a share."""
    grown = {}
    for process, series in sizes.items():
        if len(series) >= samples:
            quarter = len(series) // 4
            early, late = median(series[quarter : 2 * quarter]), median(series[-quarter:])
            grown[process] = late / early - 1
    return grown
