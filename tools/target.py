"""What a command is about: a deployed stack, or the running local one."""

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from local import state
from tools.aws import Aws
from tools.aws_errors import AWS_ERRORS, cause_of
from tools.findings import Finding, ToolError, UseError, fault, fine, warning
from tools.messages import Text, text

PRESIGN: Final = "PreSignFunction"
VERIFY: Final = "VerifyFunction"
RECEIPT_KEYS: Final = "ReceiptKeysFunction"
"""There where receipts are on."""

_STACK: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}|arn:[a-z-]+:cloudformation:[A-Za-z0-9:/-]+")


class TargetError(ToolError):
    """A stack is not there, or cannot be seen."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is looked at.

    Attributes
    ----------
    name
        For people.
    is_local
        Whether it is the local stack.
    variables
        The functions' environment variables, by logical id.
    aws
        Where it is.
    api
        The API's base address, without a trailing slash; empty where there is none to call.
    egress
        The addresses from which a deployment's platform calls come; empty where they are not fixed.
    own_network
        Whether a deployment runs in a VPC, whose addresses the stack does not know.
    reported_key
        The customer's public key as reported to the open platform; empty where it is not known.
    pages
        Pages that are looked at where none is named.
    findings
        What was found on the way.
    """

    name: Text
    is_local: bool
    variables: Mapping[str, Mapping[str, str]] = field(repr=False)
    aws: Aws
    api: str = ""
    egress: tuple[str, ...] = ()
    own_network: bool = False
    reported_key: str = ""
    pages: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def is_named(options: argparse.Namespace) -> bool:
    """Tell whether the command line names a target."""
    return options.stack is not None or options.state is not None


def find(options: argparse.Namespace) -> Target:
    """Find what the command line names: by default the running local stack.

    Raises
    ------
    ToolError
        It is not there, or cannot be seen.
    """
    if options.stack is not None:
        return _deployed(options)
    path = options.state or state.DEFAULT_FILE
    functions = state.find_functions(path)
    if not functions:
        raise UseError("no-local-stack")
    content = json.loads(path.read_text(encoding="utf-8"))
    return Target(
        text("target-local", api=content["api"]),
        True,  # noqa: FBT003 - named by the field
        {name: function.variables for name, function in functions.items()},
        Aws(options, {**functions[VERIFY].variables, "AWS_REGION": content["region"]}),
        api=content["api"],
        reported_key=content["customerPublicKey"],
        pages=(f"{content['page']}/",),
        findings=(fine("stack-found", "local-stack-found", api=content["api"]),),
    )


def _deployed(options: argparse.Namespace) -> Target:
    """See what CloudFormation says of a stack, and what Lambda runs of its functions."""
    if not _STACK.fullmatch(options.stack):  # which is not shown: it may be anything
        raise UseError("no-stack-name")
    aws = Aws(options)
    where = {"stack": options.stack, "region": aws.region}
    try:
        stack = aws.client("cloudformation").describe_stacks(StackName=options.stack)["Stacks"][0]
        outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}
        parameters = {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", ())}
        status = _status(stack["StackStatus"], where)
        running = {name: _function(aws, options.stack, name) for name in (PRESIGN, VERIFY)}
        receipts = running[VERIFY]["Variables"]
        if receipts.get("RECEIPT_SECRET_ID") and receipts.get("RECEIPTS", "on") != "off":
            running[RECEIPT_KEYS] = _function(aws, options.stack, RECEIPT_KEYS)
    except AWS_ERRORS as error:
        cause = cause_of(error)
        if cause.kind in {"not-found", "denied"}:
            raise TargetError(f"stack-{cause.kind}", name=cause.name, **where) from None
        said = cause.text(f"stack {options.stack}", aws.region)
        raise TargetError(said.key, **said.values) from None
    failed = [
        fault("function-failed", function=name, state=state, reason=each.get(f"{state}ReasonCode", "-"))
        for name, each in running.items()
        for state in ("State", "LastUpdateStatus")
        if each.get(state) == "Failed"
    ]
    return Target(
        text("target-stack", **where),
        False,  # noqa: FBT003 - named by the field
        {name: each["Variables"] for name, each in running.items()},
        aws,
        api=outputs.get("ApiUrl", "").rstrip("/"),
        egress=tuple(filter(None, re.split(r"[,\s]+", outputs.get("EgressAddresses", "")))),
        own_network=bool(parameters.get("SubnetIds")),
        findings=(status, *_releases(running, settled=status.code != "stack-in-progress"), *failed),
    )


def _status(status: str, where: Mapping[str, Any]) -> Finding:
    if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
        return fine("stack-found", status=status, **where)
    if status in {"UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}:
        return warning("stack-rolled-back", status=status, **where)
    if status.endswith("_IN_PROGRESS"):
        return warning("stack-in-progress", status=status, **where)
    raise TargetError("stack-unfinished", status=status, **where)


def _function(aws: Aws, stack: str, logical_id: str) -> dict[str, Any]:
    """Return the configuration of what runs, with its variables: of the alias `live` where there is one."""
    try:
        resource = aws.client("cloudformation").describe_stack_resource(
            StackName=stack, LogicalResourceId=logical_id
        )
        name, functions = resource["StackResourceDetail"]["PhysicalResourceId"], aws.client("lambda")
        found = latest = functions.get_function_configuration(FunctionName=name)
        with suppress(functions.exceptions.ResourceNotFoundException):
            found = functions.get_function_configuration(FunctionName=name, Qualifier="live")
    except ClientError as error:
        if cause_of(error).kind != "not-found":
            raise
        raise TargetError("function-missing", stack=stack, function=logical_id) from None
    environment = found.get("Environment", {})
    if "Error" in environment:
        raise TargetError("function-variables-denied", function=logical_id)
    return {**found, "Variables": environment.get("Variables", {}), "Latest": latest.get("Description", "")}


def _releases(running: Mapping[str, Mapping[str, Any]], *, settled: bool) -> Iterator[Finding]:
    """Say which release runs, by the description of its version; and whether it is the one deployed last."""
    for function, each in running.items():
        runs, latest = each.get("Description", ""), each["Latest"]
        said = {"function": function, "release": _release(runs), "version": each["Version"]}
        if settled and runs != latest and _release(latest):
            yield warning("release-set-back", latest=_release(latest), **said)
        elif said["release"]:
            yield fine("release", **said)


def _release(description: str) -> str:
    found = re.search(r"\bRelease ([A-Za-z0-9._-]+)", description)
    return found[1] if found else ""
