"""How a verification's cost grows: with numbers that are verified at once, with attempts on one number."""

import math
from dataclasses import dataclass
from statistics import mean, median
from typing import Final

from benchmarks.scene import Scene
from benchmarks.warm import drain_calls, time_each

CONCURRENT: Final = (1, 10, 100, 1000)
ATTEMPTS: Final = (1, 2, 4, 8, 16, 32, 64)
_ENVIRONMENTS: Final = 10
"""Execution environments at most: Lambda would have one for each number, this machine would only swap."""
_EACH: Final = 20
"""Verifications that each environment makes at least, one after the other."""
_NUMBERS: Final = 16
"""Numbers on which the attempts are made, for the median."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """What verifications of different numbers at once cost, each.

    Attributes
    ----------
    numbers
        How many at once.
    milliseconds
        Processor time of the function.
    aws_calls
        Calls to AWS.
    """

    numbers: int
    milliseconds: float
    aws_calls: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one more attempt on the same number costs.

    Attributes
    ----------
    ordinal
        Which attempt of the day.
    milliseconds
        Processor time of the function.
    item_bytes
        Size of the number's item after it.
    write_units
        DynamoDB's units for reserving it.
    """

    ordinal: int
    milliseconds: float
    item_bytes: int
    write_units: int


def concurrent_numbers(scene: Scene, at_once: int) -> Concurrency:
    """Verify different numbers at once, spread over execution environments."""
    environments = min(at_once, _ENVIRONMENTS)
    share = max(math.ceil(at_once / environments), _EACH)
    events = [[scene.new_submission() for _ in range(1 + share)] for _ in range(environments)]
    drain_calls(scene)
    times = [nanoseconds for mine in time_each(scene, events) for nanoseconds in mine]
    calls = [target for target, _ in drain_calls(scene) if target.startswith("DynamoDB")]
    handled = environments * (1 + share)
    return Concurrency(at_once, mean(times) / 1e6, len(calls) / handled)


def attempts_on_one_number(scene: Scene) -> list[Attempt]:
    """Verify the same number again and again, each time with another token."""
    numbers = [str(17700000000 + index) for index in range(_NUMBERS)]
    events = [scene.new_submission()]
    events += [scene.new_submission(number) for _ in range(max(ATTEMPTS)) for number in numbers]
    drain_calls(scene)
    (times,) = time_each(scene, [events])
    reserved = next(message for _, message in drain_calls(scene) if message.get("ReturnValues") == "ALL_NEW")
    rounds = [times[start : start + _NUMBERS] for start in range(0, len(times), _NUMBERS)]
    return [
        Attempt(
            ordinal,
            median(rounds[ordinal - 1]) / 1e6,
            size := _item_bytes(reserved["Key"]["id"]["S"], ordinal),
            math.ceil(size / 1024),
        )
        for ordinal in ATTEMPTS
    ]


def _item_bytes(key: str, attempts: int) -> int:
    """Size an item as DynamoDB does: names, values, a byte for each element of the set and three for it."""
    identifier, expiration = 36, 6  # a UUID; a number of ten digits
    names = len("id") + len("attempts") + len("expiration")
    return names + len(key) + expiration + 3 + attempts * (identifier + 1)
