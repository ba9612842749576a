"""What is examined: a deployed stack, the running local one, or a file of variables."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import chain, starmap
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError, InvalidRegionError

from local import state
from tools.errors import WRONG_USE, ToolError
from tools.findings import Finding, Severity, fault, fine, warning
from tools.keys.people import name_of
from tools.trouble import AWS_ERRORS, AWS_REMEDIES, AwsError, Kind, classify

PRESIGN: Final = "PreSignFunction"
VERIFY: Final = "VerifyFunction"
RECEIPT_KEYS: Final = "ReceiptKeysFunction"
"""There where receipts are on."""

_LIVE: Final = {"Qualifier": "live"}
"""Asks for what runs where there is a release: the version that the alias names."""
_LATEST: Final[Mapping[str, str]] = {}
"""Asks for what was deployed last, which is what runs where there is no release."""
_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_DEPLOYED: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_ROLLED_BACK: Final = frozenset({"UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"})


class Origin(Enum):
    """Where the facts about a place come from."""

    STACK = "a deployed stack"
    LOCAL = "the local stack"
    FILE = "a file of variables"


@dataclass(frozen=True, slots=True)
class Place:
    """What is examined.

    Attributes
    ----------
    origin
        Where its facts come from.
    name
        For people: the stack's name or the file's.
    variables
        The functions' environment variables, by logical id.
    region
        Where the stack is; None for what the variables or the machine say.
    api
        The API's base address, without a trailing slash; None where there is none to call.
    egress
        The addresses from which a deployment's platform calls come; empty where they are not fixed.
    own_network
        Whether a deployment runs in the operator's own VPC, whose addresses the stack does not know.
    reported_key
        The customer's public key as reported to the open platform; None where it is not known.
    pages
        Pages that are looked at where none is named.
    unreleased
        What was deployed to a function since its release and so does not run, by logical id: names of
        variables, and words for the rest.
    findings
        What was found on the way.
    """

    origin: Origin
    name: str
    variables: Mapping[str, Mapping[str, str]] = field(repr=False)
    region: str | None = None
    api: str | None = None
    egress: tuple[str, ...] = ()
    own_network: bool = False
    reported_key: str | None = None
    pages: tuple[str, ...] = ()
    unreleased: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class NoPlaceError(Exception):
    """What should be examined cannot be seen; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def local_place(path: Path) -> Place:
    """Give the running local stack as its state file has it.

    Raises
    ------
    ToolError
        None is running.
    """
    functions = state.find_functions(path)
    if not functions:
        raise ToolError(
            "no local stack is running",
            "Start one with `python -m local up`, or name what to examine: --stack NAME or --env FILE.",
            WRONG_USE,
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    variables = {name: function.variables for name, function in functions.items()}
    return Place(
        Origin.LOCAL,
        f"the local stack at {content['api']}",
        variables,
        region=content["region"],
        api=content["api"],
        reported_key=content["customerPublicKey"],
        pages=(f"{content['page']}/",),
        findings=(fine("stack-found", f"The local stack is running: API {content['api']}."),),
    )


def file_place(path: Path) -> Place:
    """Give what a file of KEY=VALUE lines says; both functions get all of it.

    Blank lines and lines that begin with # are passed over, `export` and one pair of quotes are dropped.

    Raises
    ------
    ToolError
        It cannot be read, or a line is no KEY=VALUE.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ToolError(
            f"{name_of(path)} cannot be read: {reason}", "Name a file of KEY=VALUE lines.", WRONG_USE
        ) from None
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ToolError(
                f"{name_of(path)}: line {number} is no KEY=VALUE",
                "Write the variables as the functions get them, one a line, such as APP_ID=300011112222.",
                WRONG_USE,
            )
        variables[match[1]] = _unquoted(match[2].strip())
    found = fine("variables-found", f"{path} has {len(variables)} variables; both functions are given all.")
    return Place(Origin.FILE, str(path), dict.fromkeys((PRESIGN, VERIFY), variables), findings=(found,))


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def deployed_place(name: str, region: str, cloudformation: Any, functions: Any) -> Place:
    """Give a deployed stack: what CloudFormation says of it, and what Lambda has of its functions.

    Parameters
    ----------
    name
        The stack's.
    region
        Where it is looked for.
    cloudformation, functions
        boto3 clients of CloudFormation and Lambda.

    Raises
    ------
    NoPlaceError
        It is not there, or cannot be seen.
    """
    try:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}
        parameters = {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", ())}
        status = _judge_status(name, region, stack["StackStatus"])
        if status.severity is Severity.FAULT:
            raise NoPlaceError(status)
        released = parameters.get("Release", "off") != "off"
        see = partial(_configurations, name, cloudformation, functions)
        configurations = see(_LIVE if released else _LATEST)
        done = not stack["StackStatus"].endswith("_IN_PROGRESS")  # else a release may be taking over
        latest = see(_LATEST) if released and done else {}
    except AWS_ERRORS as error:
        raise NoPlaceError(_not_seen(name, region, error)) from None
    addresses = outputs.get("EgressAddresses", "")
    return Place(
        Origin.STACK,
        f"the stack {name} in {region}",
        {logical_id: _variables(each) for logical_id, each in configurations.items()},
        region=region,
        api=outputs.get("ApiUrl", "").rstrip("/") or None,
        egress=tuple(part.strip() for part in addresses.split(",") if part.strip()),
        own_network=bool(parameters.get("SubnetIds")),
        unreleased={
            logical_id: changes
            for logical_id, each in configurations.items()
            if (changes := _changes(each, latest.get(logical_id, each)))
        },
        findings=(status, *chain.from_iterable(starmap(_judge_function, configurations.items()))),
    )


def _variables(configuration: Mapping[str, Any]) -> Mapping[str, str]:
    variables: Mapping[str, str] = configuration.get("Environment", {}).get("Variables", {})
    return variables


def _changes(running: Mapping[str, Any], latest: Mapping[str, Any]) -> tuple[str, ...]:
    """Give what the version that runs lacks of what was deployed last."""
    old, new = _variables(running), _variables(latest)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    layers = [[layer["Arn"] for layer in each.get("Layers", ())] for each in (running, latest)]
    others = {
        "its code": running.get("CodeSha256") != latest.get("CodeSha256"),
        "its layers": layers[0] != layers[1],
        "MemorySize": running.get("MemorySize") != latest.get("MemorySize"),
    }
    return (*names, *(word for word, changed in others.items() if changed))


def _configurations(
    stack: str,
    cloudformation: Any,
    functions: Any,
    qualifier: Mapping[str, str],
) -> dict[str, Mapping[str, Any]]:
    """Ask for the functions, with receipts for one more."""
    ask = partial(_configuration, stack, cloudformation, functions, qualifier)
    found = {logical_id: ask(logical_id) for logical_id in (PRESIGN, VERIFY)}
    if _variables(found[VERIFY]).get("RECEIPTS", "off") != "off":
        found[RECEIPT_KEYS] = ask(RECEIPT_KEYS)
    return found


def _configuration(
    name: str, cloudformation: Any, functions: Any, qualifier: Mapping[str, str], logical_id: str
) -> Mapping[str, Any]:
    try:
        resource = cloudformation.describe_stack_resource(StackName=name, LogicalResourceId=logical_id)
    except ClientError as error:
        if classify(error).kind is not Kind.NOT_FOUND:
            raise
        raise NoPlaceError(
            fault(
                "function-missing",
                f"The stack {name} has no {logical_id}.",
                "Is it this project's stack? Its name is the one that was deployed, "
                "number-verification by default."
                if logical_id == PRESIGN
                else "Its template has lost it: deploy template.yaml as it is.",
            )
        ) from None
    physical = resource["StackResourceDetail"]["PhysicalResourceId"]
    try:
        configuration: Mapping[str, Any] = functions.get_function_configuration(
            FunctionName=physical, **qualifier
        )
    except ClientError as error:
        if classify(error).kind is not Kind.NOT_FOUND:
            raise
        raise NoPlaceError(
            fault(
                "function-missing",
                f"Lambda has no {physical}{' with an alias live' if qualifier else ''}; the stack names it.",
                "It was deleted by hand: deploy again, with another Release where there is one.",
            )
        ) from None
    if "Error" in configuration.get("Environment", {}):
        raise NoPlaceError(_denied(logical_id))
    return configuration


def _judge_status(name: str, region: str, status: str) -> Finding:
    what = f"The stack {name} in {region} is {status}."
    if status in _DEPLOYED:
        return fine("stack-found", what)
    if status in _ROLLED_BACK:
        return warning(
            "stack-rolled-back",
            f"{what} What runs is from before the last deployment.",
            f"`aws cloudformation describe-stack-events --stack-name {name}` says what failed; "
            "mend it, and deploy again.",
        )
    if status.endswith("_IN_PROGRESS"):
        return warning(
            "stack-in-progress",
            f"{what} It is being changed at this moment.",
            "Wait until it is done, and run the doctor again.",
        )
    return fault(
        "stack-unfinished",
        f"{what} It was never deployed whole.",
        f"`aws cloudformation describe-stack-events --stack-name {name}` says what failed. "
        "A stack in ROLLBACK_COMPLETE has to be deleted first: `sam delete`.",
    )


def _judge_function(logical_id: str, configuration: Mapping[str, Any]) -> list[Finding]:
    findings = []
    for member, reason in (("State", "StateReason"), ("LastUpdateStatus", "LastUpdateStatusReason")):
        if configuration.get(member) == "Failed":
            code = configuration.get(f"{reason}Code", "no reason given")
            findings.append(
                fault(
                    "function-failed",
                    f"{logical_id}: Lambda says {member} Failed ({code}).",
                    "Deploy again; where it is about the VPC (Eni, Subnet), make room there first.",
                )
            )
    return findings


def _denied(logical_id: str) -> Finding:
    return fault(
        "function-variables-denied",
        f"{logical_id}: its environment variables cannot be decrypted.",
        "Have this identity allowed kms:Decrypt on the function's key.",
    )


def no_client(name: str, error: ValueError) -> Finding:
    """Make the finding of a region that is none (boto3 has an error for it), or an endpoint (it has not)."""
    what = f"The stack {name} cannot be seen: what names"
    if isinstance(error, InvalidRegionError):
        return fault("stack-no-region", f"{what} the region is none.", AWS_REMEDIES[Kind.NO_REGION])
    return fault(
        "stack-unreachable",
        f"{what} AWS's endpoint is no address.",
        "AWS_ENDPOINT_URL, or endpoint_url of the profile, begins with http:// or https://; for a deployment "
        "unset it.",
    )


def _not_seen(name: str, region: str, error: AwsError) -> Finding:
    trouble = classify(error)
    if trouble.kind is Kind.NOT_FOUND:
        return fault(
            "stack-not-found",
            f"There is no stack {name} in {region}.",
            f"`aws cloudformation list-stacks --region {region}` lists what there is; "
            "name another with --stack, another region with --region.",
        )
    rights = (
        "Have this identity allowed cloudformation:DescribeStacks, cloudformation:DescribeStackResource and "
        "lambda:GetFunctionConfiguration."
    )
    what = f"The stack {name} in {region} cannot be seen ({trouble.name})."
    return fault(f"stack-{trouble.kind.value}", what, AWS_REMEDIES.get(trouble.kind, rights))
