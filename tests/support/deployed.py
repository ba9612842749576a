"""A stack's API on loopback: its routes lead to its functions, which run on the built bundle.

All comes from the stack as AWS's APIs tell it: routes, what each calls, handlers, environments.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

from local.aws import ACCOUNT_ID, AwsCredentials
from local.environment import Function, Pool, WorkerEnvironment
from local.gateway import Api, Gateway
from local.server import Server
from local.template import FUNCTION, Template
from tests.support.cloudformation import Stack
from tests.support.cloudformation_server import FUNCTIONS_KEYS

_PATH: Final = ":lambda:path/2015-03-31/functions/"


@dataclass(frozen=True, slots=True)
class Served:
    """An API that answers.

    Attributes
    ----------
    address
        Where.
    functions
        What each route calls.
    """

    address: str
    functions: Mapping[str, Function]


@contextmanager
def served(stack: Stack, bundle: Path, python: str, log: Path, **variables: str) -> Iterator[Served]:
    """Serve the API.

    Parameters
    ----------
    bundle
        The folder that `sam build` filled.
    python
        Lambda's Python.
    log
        File to which the functions' output is appended.
    variables
        Environment variables that have another value here, where a function has them.
    """
    api_id = stack.resources["NumberVerificationApi"]
    functions = {
        route: _function(stack, arn, bundle, variables) for route, arn in _integrations(stack, api_id).items()
    }

    # The program itself: what stands for it on PATH may need more of this environment than functions get.
    asked = [python, "-c", "import sys; print(sys.executable)"]
    program = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def start(function: Function, output: Path | None) -> WorkerEnvironment:
        with mock.patch.object(sys, "executable", program):  # which it starts
            return WorkerEnvironment(function, output)

    with ExitStack() as cleanup:
        pools = {}
        for route, function in functions.items():
            pools[route] = Pool(function, 1, log, start)
            cleanup.callback(pools[route].stop)
            pools[route].warm()

        def invoke(route: str, event: Any, request_id: str) -> Any:
            return pools[route].invoke(event, request_id)

        api = Api("NumberVerificationApi", api_id, ACCOUNT_ID, None, {route: route for route in functions})
        server = cleanup.enter_context(Server(Gateway(api, invoke, lambda: datetime.now(UTC))))
        yield Served(server.url, functions)


def _integrations(stack: Stack, api_id: str) -> dict[str, str]:
    """Give the ARN of what each route calls."""
    client = stack.client("apigatewayv2")
    uris = {
        f"integrations/{each['IntegrationId']}": each["IntegrationUri"]
        for each in client.get_integrations(ApiId=api_id)["Items"]
    }
    return {
        route["RouteKey"]: uris[route["Target"]].partition(_PATH)[2].removesuffix("/invocations")
        for route in client.get_routes(ApiId=api_id)["Items"]
    }


def _function(stack: Stack, arn: str, bundle: Path, variables: Mapping[str, str]) -> Function:
    """Read a function as Lambda would start it."""
    found = stack.client("lambda").get_function_configuration(FunctionName=arn)
    own: Mapping[str, str] = found["Environment"]["Variables"]
    name = found["FunctionName"]
    return Function(
        logical_id=name,
        arn=arn,
        handler=found["Handler"],
        variables={
            "AWS_DEFAULT_REGION": stack.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{found['Runtime']}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(found["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": found["Version"],
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "group",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "AWS_REGION": stack.region,
            "TZ": ":UTC",
            **AwsCredentials(access_key_id=f"{FUNCTIONS_KEYS}{name}").variables(),
            **own,
            **{key: value for key, value in variables.items() if key in own},
        },
        roots=_roots(bundle, found["Handler"]),
        timeout=float(found["Timeout"]),
    )


def _roots(bundle: Path, handler: str) -> tuple[Path, ...]:
    """Find code and layers of the function that has a handler, in the order of Lambda's path."""
    resources = Template.read(bundle / "template.yaml").document["Resources"]
    (function,) = (
        each["Properties"]
        for each in resources.values()
        if each["Type"] == FUNCTION and each["Properties"]["Handler"] == handler
    )
    contents = (resources[layer["Ref"]]["Properties"]["ContentUri"] for layer in function["Layers"])
    return (bundle / function["CodeUri"], *(bundle / content / "python" for content in contents))
