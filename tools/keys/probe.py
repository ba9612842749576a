"""Whether the platform takes the present key: the doctor's signed probe."""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Self

from tools import ROOT
from tools.doctor.findings import Finding, Severity
from tools.errors import ToolError
from tools.keys.report import show_findings

_GROUP: Final = "Probe"
_VERDICT: Final = "probe"
_PRESIGN: Final = "presign-signature"
_SECONDS: Final = 120


class Outcome(Enum):
    """What came of a probe."""

    TAKEN = "the platform takes the present key, and /presign signs with it"
    PRESIGN_LAGS = "the platform takes the present key, and /presign still signs with another"
    NOT_TAKEN = "the platform has not been seen to take the present key"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What sends the probe: the doctor's own options for it."""

    options: tuple[str, ...]

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self | None:
        """Read the command line; None where it names no deployment."""
        given = (("--stack", arguments.stack), ("--env", arguments.env), ("--state", arguments.state))
        return next((cls((name, str(value))) for name, value in given if value), None)


def add_deployment_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a deployment, as the doctor has them."""
    group = parser.add_argument_group("which deployment is verified").add_mutually_exclusive_group()
    group.add_argument("--stack", metavar="NAME", help="a deployed stack")
    group.add_argument("--env", type=Path, metavar="FILE", help="the functions' variables, KEY=VALUE lines")
    group.add_argument("--state", type=Path, metavar="FILE", help="a local stack's .local/stack.json")


def probe(deployment: Deployment, arguments: argparse.Namespace) -> Outcome:
    """Send the probe, print what the doctor finds of it, and tell what came of it.

    Raises
    ------
    ToolError
        The doctor could not look.
    """
    aws = (("--profile", arguments.profile), ("--region", arguments.region))
    options = [part for option, value in aws if value for part in (option, value)]
    command = [sys.executable, "-m", "tools", "doctor", *deployment.options, "--probe", "--json", *options]
    # A process of its own: the doctor's word reaches this one as its JSON and nothing else.
    try:
        done = subprocess.run(  # noqa: S603 - this Python, on this package
            command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ToolError(
            "the doctor did not finish in two minutes", f"Run it by itself: `{_shown(deployment)}`."
        ) from None
    try:
        groups = json.loads(done.stdout)["groups"]
    except (ValueError, KeyError):
        said = done.stderr.strip().removeprefix("error: ").partition("\n")
        raise ToolError(
            said[0].rstrip(".") or "the doctor gave no answer",
            said[2] or f"Run it by itself: `{_shown(deployment)}`.",
        ) from None
    findings = [_finding(each) for group in groups if group["title"] == _GROUP for each in group["findings"]]
    show_findings(_GROUP, findings)
    verdicts = [finding.severity for finding in findings if finding.code == _VERDICT]
    faults = [finding.code for finding in findings if finding.severity is Severity.FAULT]
    if verdicts == [Severity.OK] and faults in ([], [_PRESIGN]):
        return Outcome.PRESIGN_LAGS if faults else Outcome.TAKEN
    print(f"All that the doctor sees: `{_shown(deployment)}`")
    return Outcome.NOT_TAKEN


def _finding(member: dict[str, Any]) -> Finding:
    return Finding(member["code"], Severity(member["severity"]), member["what"], member["remedy"])


def _shown(deployment: Deployment) -> str:
    return " ".join(("python -m tools doctor", *deployment.options, "--probe"))
