"""Stands between a function and the AWS endpoint and notes each call: operation and resource."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import urllib3
from werkzeug import Request, Response

from local.environment import Pool
from local.server import Server
from local.stack import Stack

_SERVICES: Final = {"DynamoDB_20120810": "dynamodb", "secretsmanager": "secretsmanager"}


@dataclass(slots=True)
class Recorder:
    """What one function has called.

    Attributes
    ----------
    upstream
        The AWS endpoint.
    calls
        Pairs of action, as policies write it, and resource: a secret's ARN or a table's name.
    journal
        The actions, one after the other.
    refuse
        Operations that are refused once each, with the error of AWS that is named.
    """

    upstream: str
    calls: set[tuple[str, str]] = field(default_factory=set)
    journal: list[str] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    _http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def answer(self, request: Request) -> Response:
        """Note a call and pass it on."""
        service, _, operation = request.headers.get("x-amz-target", "").partition(".")
        content = json.loads(request.get_data() or b"{}")
        resource = content.get("SecretId") or content.get("TableName") or ""
        action = f"{_SERVICES[service]}:{operation}"
        self.calls.add((action, resource))
        self.journal.append(action)
        if error := self.refuse.pop(operation, None):
            return Response(_error(error), 400, content_type="application/x-amz-json-1.0")
        headers = {name: value for name, value in request.headers if name.lower() not in _OF_THE_CONNECTION}
        answer = self._http.request("POST", self.upstream, body=request.get_data(), headers=headers)
        return Response(answer.data, answer.status, content_type=answer.headers.get("content-type", ""))


_OF_THE_CONNECTION: Final = {"host", "content-length", "connection"}


def _error(name: str) -> bytes:
    return json.dumps({"__type": name, "message": "provoked"}).encode()


@contextmanager
def recorded(stack: Stack, log: Path) -> Iterator[dict[str, Recorder]]:
    """Have a stack's functions run anew, each with a recorder before AWS; give the recorders by function."""
    recorders = {name: Recorder(stack.aws) for name in stack.functions}
    servers, pools = [], {}
    try:
        for name, recorder in recorders.items():
            servers.append(server := Server(Request.application(recorder.answer)))
            function = stack.functions[name].function
            variables = {**function.variables, "AWS_ENDPOINT_URL": server.url}
            pools[name] = Pool(replace(function, variables=variables), 2, log)
        before, stack.functions = stack.functions, pools
        yield recorders
        stack.functions = before
    finally:
        for pool in pools.values():
            pool.stop()
        for server in servers:
            server.close()
