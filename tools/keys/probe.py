"""Whether the platform takes the present key: the doctor's signed probe."""

import argparse
from enum import Enum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tools.commands import Given
from tools.errors import WRONG_USE, ToolError
from tools.findings import fault
from tools.keys.people import is_like_a_key
from tools.keys.report import advise, show_findings
from tools.keys.store import Store


class Outcome(Enum):
    """What came of a probe."""

    TAKEN = "the platform takes the present key, and /presign signs with it"
    PRESIGN_LAGS = "the platform takes the present key, and /presign still signs with another"
    NOT_TAKEN = "the platform has not been seen to take the present key"


def add_deployment_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a deployment, as the doctor has them."""
    group = parser.add_argument_group("whose key is changed and verified").add_mutually_exclusive_group()
    group.add_argument("--stack", metavar="NAME", help="a deployed stack")
    group.add_argument("--env", type=Path, metavar="FILE", help="the functions' variables, KEY=VALUE lines")
    group.add_argument("--state", type=Path, metavar="FILE", help="a local stack's .local/stack.json")


def secret_of_deployment(arguments: argparse.Namespace) -> str | None:
    """Give the signing secret of the deployment that is named; None where none is named.

    Raises
    ------
    ToolError
        The deployment cannot be seen, its functions have no common secret, or --secret names another.
    """
    if Given.of(arguments).deployment is None:
        return None
    from tools.doctor.command import find  # noqa: PLC0415 - as in `probe`
    from tools.doctor.place import NoPlaceError  # noqa: PLC0415

    try:
        place, _ = find(arguments)
    except NoPlaceError as error:
        raise ToolError(error.finding.what.rstrip("."), error.finding.remedy) from None
    used = {each["SIGNING_SECRET_ID"] for each in place.variables.values() if "SIGNING_SECRET_ID" in each}
    if len(used) != 1:
        raise ToolError(
            f"the functions of {place.name} have {len(used)} signing secrets, where one is wanted",
            "Deploy again, with one SigningSecretArn for all.",
        )
    (secret,) = used
    if is_like_a_key(secret):
        raise ToolError(
            f"the functions of {place.name} have a key where the name of their signing secret is wanted",
            "Deploy again, with SigningSecretArn; others have seen that key, so make another.",
        )
    if arguments.secret not in {None, secret}:
        store = Store.reach(arguments)
        if store.describe(arguments.secret).arn != store.describe(secret).arn:
            raise ToolError(
                f"{place.name} signs with another secret than {arguments.secret}",
                f"Leave --secret out, or name the one that it uses: --secret {secret}",
                WRONG_USE,
            )
    return secret


def probe(arguments: argparse.Namespace, key: RSAPublicKey) -> Outcome:
    """Have the doctor probe the deployment that is named, print what it finds, and tell what came of it.

    `key` is the public half of the key with which the deployment has to sign.

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
    from tools.doctor.steps.keys import signing_key  # noqa: PLC0415
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
    signer = signing_key(facts)
    if signer is None or signer.public_key() != key:
        other = fault(
            "another-key",
            f"{place.name} has another key in its signing secret than this one.",
            "Name the deployment that this key is for, with its --region.",
        )
        show_findings(arguments, "Signing secret", (other,))
        return Outcome.NOT_TAKEN
    outcome = {
        Verdict.ALL_RIGHT: Outcome.TAKEN,
        Verdict.PRESIGN_LAGS: Outcome.PRESIGN_LAGS,
        Verdict.NOT_RIGHT: Outcome.NOT_TAKEN,
    }[verdict(facts)]
    if outcome is Outcome.NOT_TAKEN:
        advise(arguments, "All that the doctor sees: `python -m tools doctor --probe`")
    return outcome
