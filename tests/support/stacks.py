"""Local stacks for tests: on free ports, with a phone for each; of which parts, the target says."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from local.stack import Options, Stack
from tests.support.phone import Phone

Start = Callable[[Options], AbstractContextManager[Stack]]


class LateClock:
    """A stack's clock: this machine's, and ahead of it when told to be."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def embedded(options: Options) -> Stack:
    """Make a stack whose every part is in the development environment; a context manager."""
    return Stack(replace(options, api_port=0, web_port=0, platform_port=0, aws_port=0))


_target: ContextVar[Start] = ContextVar("_target", default=embedded)


@contextmanager
def target(start: Start) -> Iterator[None]:
    """Have `start` make stacks of other parts."""
    token = _target.set(start)
    yield
    _target.reset(token)


def start(options: Options) -> AbstractContextManager[Stack]:
    """Make a stack of the target's parts; a context manager."""
    return _target.get()(options)


def addresses_of(stack: Stack) -> dict[str, str]:
    """Return what a phone has to know of a stack."""
    return {"api": stack.api, "page": stack.page, "platform": stack.platform, "app_id": stack.app_id}


def phone_of(stack: Stack, sim: str = "13999994444") -> Phone:
    return Phone(**addresses_of(stack), sim=sim)


def client_of(stack: Stack, service: str) -> Any:
    """Make a boto3 client of the stack's AWS endpoint, or of its DynamoDB."""
    session = boto3.Session(stack.credentials.access_key_id, "local", region_name="cn-north-1")
    address = stack.dynamodb if service == "dynamodb" else stack.aws
    return session.client(service, endpoint_url=address)  # type: ignore[call-overload]  # any service
