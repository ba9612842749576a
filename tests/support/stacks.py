"""Local stacks for tests: on free ports, with a phone for each."""

from dataclasses import replace
from typing import Any

import boto3

from local.stack import Options, Stack
from tests.support.phone import Phone


def start(options: Options) -> Stack:
    """Make a stack on free ports; a context manager."""
    return Stack(replace(options, api_port=0, web_port=0, platform_port=0, aws_port=0))


def phone_of(stack: Stack, sim: str = "13999994444") -> Phone:
    """Make a phone whose page is the stack's."""
    return Phone(api=stack.api, page=stack.page, platform=stack.platform, app_id=stack.app_id, sim=sim)


def client_of(stack: Stack, service: str) -> Any:
    """Make a boto3 client of the stack's AWS endpoint."""
    session = boto3.Session("local", "local", region_name="cn-north-1")
    return session.client(service, endpoint_url=stack.aws)  # type: ignore[call-overload]  # any service
