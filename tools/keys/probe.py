"""Whether the platform takes the present key: the doctor's signed probe."""

import argparse
from enum import Enum
from pathlib import Path

from tools.keys.report import advise, show_findings


class Outcome(Enum):
    """What came of a probe."""

    TAKEN = "the platform takes the present key, and /presign signs with it"
    PRESIGN_LAGS = "the platform takes the present key, and /presign still signs with another"
    NOT_TAKEN = "the platform has not been seen to take the present key"


def add_deployment_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a deployment, as the doctor has them."""
    group = parser.add_argument_group("which deployment is verified").add_mutually_exclusive_group()
    group.add_argument("--stack", metavar="NAME", help="a deployed stack")
    group.add_argument("--env", type=Path, metavar="FILE", help="the functions' variables, KEY=VALUE lines")
    group.add_argument("--state", type=Path, metavar="FILE", help="a local stack's .local/stack.json")


def probe(arguments: argparse.Namespace) -> Outcome:
    """Have the doctor probe the deployment that is named, print what it finds, and tell what came of it.

    Raises
    ------
    ToolError
        The doctor could not look.
    """
    # A third of a second for boto3, which --help does without.
    from tools.doctor.command import find  # noqa: PLC0415
    from tools.doctor.examination import STEPS, take  # noqa: PLC0415
    from tools.doctor.facts import Asked, Facts  # noqa: PLC0415
    from tools.doctor.place import NoPlaceError  # noqa: PLC0415
    from tools.doctor.steps.probe import STEP, Verdict, verdict  # noqa: PLC0415
    from tools.doctor.world import ThisMachine  # noqa: PLC0415

    try:
        place, client = find(arguments)
    except NoPlaceError as error:
        show_findings(arguments, "Deployment", (error.finding,))
        return Outcome.NOT_TAKEN
    world = ThisMachine(client, arguments.clock.now)
    facts = Facts(place, Asked(probe=True), world.now())
    for step in STEPS:
        group, facts = take(step, facts, world)
        if step is STEP:
            show_findings(arguments, group.title, group.findings)
    outcome = {
        Verdict.ALL_RIGHT: Outcome.TAKEN,
        Verdict.PRESIGN_LAGS: Outcome.PRESIGN_LAGS,
        Verdict.NOT_RIGHT: Outcome.NOT_TAKEN,
    }[verdict(facts)]
    if outcome is Outcome.NOT_TAKEN:
        advise(arguments, "All that the doctor sees: `python -m tools doctor --probe`")
    return outcome
