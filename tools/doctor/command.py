"""The command: finds the place, examines it, prints what was found."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import boto3

from local.state import DEFAULT_FILE
from tools.aws import client_config, errors_in_words, session
from tools.commands import Given
from tools.doctor.examination import STEPS, take
from tools.doctor.facts import Asked, Facts, World
from tools.doctor.place import (
    VERIFY,
    NoPlaceError,
    Place,
    deployed_place,
    file_place,
    local_place,
    no_client,
)
from tools.doctor.report import to_report, write_json
from tools.doctor.steps.pages import is_page
from tools.doctor.steps.stored import given
from tools.doctor.world import ThisMachine
from tools.errors import FOUND, WRONG_USE, ToolError
from tools.findings import Group
from tools.keys.people import name_of
from tools.paper import Paper, failed

_ENDPOINTS: Final = {
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "dynamodb": "AWS_ENDPOINT_URL_DYNAMODB",
}
_STACK: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}|arn:[a-z-]+:cloudformation:[A-Za-z0-9:/-]+")
"""A stack's name or its ARN, which the service takes too."""


def run(arguments: argparse.Namespace) -> int:
    """Examine what the command line names; give the exit code."""
    if arguments.stack is not None:
        _check_stack(arguments.stack)
    for url in (*arguments.page, *filter(None, (arguments.address_service,))):
        _check_address(url)
    public_key = None if arguments.public_key is None else _read_key(arguments.public_key)
    paper = None if arguments.json else Paper(sys.stdout)
    try:
        place, client = find(arguments)
    except NoPlaceError as error:
        group = Group("Deployment", (error.finding,)).completed(Given.of(arguments))
        if paper:
            paper.group(group)
        return _end(paper, arguments.stack, [group], {})
    asked = Asked(
        pages=tuple(arguments.page) or place.pages,
        public_key=public_key,
        address_service=arguments.address_service,
        probe=arguments.probe,
        given=Given.of(arguments),
    )
    return examine_place(place, asked, ThisMachine(client), paper)


def examine_place(place: Place, asked: Asked, world: World, paper: Paper | None) -> int:
    """Take all steps and print what they find; give the exit code.

    Parameters
    ----------
    place
        What is examined.
    asked
        What the operator asked for.
    world
        In which it is seen.
    paper
        Takes findings as they come; None for one JSON document on standard output.
    """
    groups = [Group("Deployment", place.findings).completed(asked.given)]
    if paper:
        paper.heading(place.name)
        paper.group(groups[0])
    facts = Facts(place, asked, world.now())
    for step in STEPS:
        group, facts = take(step, facts, world)
        group = group.completed(given(facts))
        groups.append(group)
        if paper:
            paper.group(group)
    return _end(paper, place.name, groups, to_report(facts))


def _end(paper: Paper | None, name: str, groups: list[Group], lines: Mapping[str, str]) -> int:
    if paper is None:
        write_json(sys.stdout, name, groups, lines)
    else:
        paper.to_report(lines)
        paper.summary()
    return FOUND if failed(groups) else 0


def _check_stack(name: str) -> None:
    if not _STACK.fullmatch(name):  # which is not shown: an empty variable in a shell, or anything at all
        raise ToolError(
            "what is given with --stack is no stack's name"
            if name
            else "the name given with --stack is empty",
            "Name the stack as it was deployed: --stack number-verification. Leave --stack out for the local "
            "stack.",
            WRONG_USE,
        )


def _check_address(url: str) -> None:
    if not is_page(url):
        raise ToolError(
            "an address given with --page or --address-service is not a whole one",
            "Write it as the browser shows it, without wildcards: https://www.abc.com/a/mobile.html",
            WRONG_USE,
        )


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ToolError(
            f"{name_of(path)} cannot be read: {reason}",
            "Put the customer's public key (客户公钥) into a file, as the open platform shows it, and name "
            "that file.",
            WRONG_USE,
        ) from None


def find(arguments: argparse.Namespace) -> tuple[Place, Callable[[str], Any]]:
    """Find what is examined, and make what makes clients of AWS there."""
    if arguments.stack is not None:
        own = session(arguments)

        def client(service: str) -> Any:
            return own.client(service, config=client_config())  # type: ignore[call-overload] # any service

        region = str(own.region_name)
        try:
            services = client("cloudformation"), client("lambda")
        except ValueError as error:
            raise NoPlaceError(no_client(arguments.stack, error)) from None
        return deployed_place(arguments.stack, region, *services), client
    if arguments.env:
        place = file_place(arguments.env)
        own = _session(arguments, place.variables[VERIFY])
        return replace(place, region=own.region_name), _clients(own, place.variables[VERIFY])
    place = local_place(arguments.state or DEFAULT_FILE)
    return place, _clients(_session(arguments, place.variables[VERIFY]), place.variables[VERIFY])


def _session(arguments: argparse.Namespace, variables: Mapping[str, str]) -> boto3.Session:
    """Make the session that the functions' variables name, as far as they do."""
    region = arguments.region or variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION")
    with errors_in_words():
        if variables.get("AWS_ACCESS_KEY_ID") and not arguments.profile:
            return boto3.Session(
                variables["AWS_ACCESS_KEY_ID"],
                variables.get("AWS_SECRET_ACCESS_KEY"),
                variables.get("AWS_SESSION_TOKEN") or None,
                region_name=region,
            )
        return boto3.Session(region_name=region, profile_name=arguments.profile)


def _clients(own: boto3.Session, variables: Mapping[str, str]) -> Callable[[str], Any]:
    def client(service: str) -> Any:
        address = variables.get(_ENDPOINTS[service]) or variables.get("AWS_ENDPOINT_URL") or None
        return own.client(service, config=client_config(), endpoint_url=address)  # type: ignore[call-overload] # any service

    return client
