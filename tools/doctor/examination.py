"""The examination: all steps, in an order in which causes come before their consequences."""

from typing import Final

from tools.doctor.facts import Facts, World
from tools.doctor.steps import (
    address,
    clock,
    keys,
    line,
    pages,
    platform,
    probe,
    receipts,
    settings,
    stored,
    table,
)
from tools.doctor.steps.step import Step
from tools.findings import Group

STEPS: Final[tuple[Step, ...]] = (
    settings.STEP,
    line.STEP,
    pages.STEP,
    clock.STEP,
    platform.STEP,
    stored.STEP,
    keys.STEP,
    table.STEP,
    receipts.STEP,
    address.STEP,
    probe.STEP,
)


def take(step: Step, facts: Facts, world: World) -> tuple[Group, Facts]:
    """Take one step; give its findings, and the facts with what it saw."""
    facts = step.look(facts, world)
    return Group(step.title, tuple(finding for check in step.checks for finding in check(facts))), facts
