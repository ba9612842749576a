"""A stack of the transformed template in moto, made through CloudFormation's API by change sets.

What CloudFormation does before it makes anything is done here, as moto does it in part only: parameters,
mappings, conditions and pseudo-parameters are put into the template, and what then is not to be is left out.
So a change set has what changes and nothing else, and in China's regions names are China's. What one resource
says of another stays for moto to find out.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import boto3

from local import ROOT
from local.aws import ACCOUNT_ID
from local.server import address_of
from local.template import Deployment, TemplateError
from tools.plan import planned

LEFT_OUT: Final = frozenset({"AWS::Logs::QueryDefinition"})
"""Types that moto has neither in CloudFormation nor in the service's own API."""

_SERVER: Final = "from tests.support.cloudformation_server import main; main()"
_NOTHING: Final = object()
_VARIABLE: Final = re.compile(r"\$\{([^!}]+)\}")


@dataclass(frozen=True, slots=True)
class Aws:
    """A running moto.

    Attributes
    ----------
    address
        Where it answers.
    notes
        File with a line for each call of a function's.
    """

    address: str
    notes: Path

    def client(self, service: str, region: str) -> Any:
        """Make a client that calls it."""
        return _client(service, region, self.address)

    def calls(self) -> list[dict[str, str]]:
        """Read what functions have called so far."""
        return [json.loads(line) for line in self.notes.read_text(encoding="utf-8").splitlines()]


@cache
def _session() -> boto3.Session:
    return boto3.Session("TESTS", "local")  # reads botocore's descriptions of the services once


@cache
def _client(service: str, region: str, address: str) -> Any:
    session = _session()
    return session.client(service, region, endpoint_url=address)  # type: ignore[call-overload]  # any service


@contextmanager
def aws(folder: Path) -> Iterator[Aws]:
    """Run moto in a process of its own.

    Parameters
    ----------
    folder
        An empty folder for its notes.
    """
    notes = folder / "calls.jsonl"
    notes.touch()
    variables = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        address = address_of(listener)
        descriptor = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(descriptor), str(notes)],
            cwd=ROOT,
            env={**variables, "MOTO_ACCOUNT_ID": ACCOUNT_ID, "AWS_EC2_METADATA_DISABLED": "true"},
            stdin=subprocess.PIPE,
            stdout=2,  # what goes wrong there is shown with the test that it fails
            pass_fds=(descriptor,),
        )
    with process:
        try:
            yield Aws(address, notes)
        finally:
            process.kill()


@dataclass(frozen=True, slots=True)
class Change:
    """A line of a change set."""

    action: str
    logical_id: str
    kind: str


@dataclass(frozen=True)
class Stack:
    """A stack that is there.

    Attributes
    ----------
    aws, region, name
        Where.
    template
        What was sent to CloudFormation.
    changes
        What the change set said that would happen.
    """

    aws: Aws
    region: str
    name: str
    template: Mapping[str, Any]
    changes: tuple[Change, ...]

    def client(self, service: str) -> Any:
        """Make a client for the stack's region."""
        return self.aws.client(service, self.region)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs' values."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @cached_property
    def resources(self) -> dict[str, str]:
        """Physical ids by logical ids."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.name)
            for resource in page["StackResourceSummaries"]
        }


def deploy(aws: Aws, deployment: Deployment) -> Stack:
    """Create or update a stack through a change set."""
    place = deployment.pseudo
    template = settled(deployment)
    client = aws.client("cloudformation", place.region)
    exists = place.stack_name in {stack["StackName"] for stack in client.describe_stacks()["Stacks"]}
    change_set = client.create_change_set(
        StackName=place.stack_name,
        ChangeSetName="update" if exists else "create",
        ChangeSetType="UPDATE" if exists else "CREATE",
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM"],
    )["Id"]
    changes = [
        change["ResourceChange"]
        for page in client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
        for change in page["Changes"]
    ]
    client.execute_change_set(ChangeSetName=change_set)
    # Moto works the outputs out when a template comes directly, not by a change set.
    client.update_stack(StackName=place.stack_name, TemplateBody=json.dumps(template))
    lines = (Change(each["Action"], each["LogicalResourceId"], each["ResourceType"]) for each in changes)
    return Stack(aws, place.region, place.stack_name, template, tuple(lines))


def settled(deployment: Deployment) -> dict[str, Any]:
    """Give the template with all in it but what one resource says of another."""
    document = deployment.document
    kept = {logical_id for logical_id, kind in planned(deployment) if kind not in LEFT_OUT}
    resources = {logical_id: _resource(deployment, document["Resources"][logical_id]) for logical_id in kept}
    outputs = {
        name: {"Value": _settled(deployment, output["Value"])}
        for name, output in document["Outputs"].items()
        if "Condition" not in output or deployment.holds(output["Condition"])
    }
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources, "Outputs": outputs}


def _resource(deployment: Deployment, resource: Mapping[str, Any]) -> dict[str, Any]:
    as_it_is = {name: resource[name] for name in ("Type", "DeletionPolicy") if name in resource}
    return {**as_it_is, "Properties": _settled(deployment, resource.get("Properties", {}))}


def _settled(deployment: Deployment, value: Any) -> Any:  # noqa: PLR0911 - a case each
    if isinstance(value, list):
        items = (_settled(deployment, item) for item in value)
        return [item for item in items if item is not _NOTHING]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": "AWS::NoValue"}:
            return _NOTHING
        case {"Fn::GetAZs": ""}:
            return {"Fn::GetAZs": deployment.pseudo.region}
        case {"Fn::If": [condition, then, otherwise]}:
            return _settled(deployment, then if deployment.holds(condition) else otherwise)
    try:
        return deployment.evaluate(value)
    except TemplateError:  # it names a resource
        return _with_resources(deployment, value)


def _with_resources(deployment: Deployment, value: dict[str, Any]) -> Any:
    if "Fn::Sub" in value:
        text, *variables = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else [value["Fn::Sub"]]

        own = {name for each in variables for name in each}

        def known(match: re.Match[str]) -> str:
            return match[0] if match[1] in own else str(deployment.references.get(match[1], match[0]))

        text = _VARIABLE.sub(known, text)
        return {"Fn::Sub": [text, *_settled(deployment, variables)] if variables else text}
    items = ((name, _settled(deployment, item)) for name, item in value.items())
    return {name: item for name, item in items if item is not _NOTHING}
