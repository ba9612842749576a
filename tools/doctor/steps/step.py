"""One step of the examination: what it looks at, and the checks of what was seen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tools.doctor.facts import Facts, World
from tools.findings import Finding

Look = Callable[[Facts, World], Facts]
Check = Callable[[Facts], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Step:
    """A step.

    Attributes
    ----------
    title
        Heads its findings.
    look
        Adds to the facts what it sees in the world; looks at nothing that cannot be there.
    checks
        Give the findings of the facts so far; each is a function of these alone.
    """

    title: str
    look: Look
    checks: tuple[Check, ...]


def nothing(facts: Facts, _world: World) -> Facts:
    """Look at nothing more."""
    return facts
