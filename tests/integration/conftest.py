"""What integration tests share: a stack, whose whole output is searched at the end, and an AWS endpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from local.aws import AwsEndpoint
from local.server import listen
from local.stack import Options, Stack
from tests.support.planted import leaks
from tests.support.stacks import start

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture(scope="session")
def function_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that holds all output of the shared stack's functions."""
    return tmp_path_factory.mktemp("stack") / "functions.log"


@pytest.fixture(scope="session")
def stack(function_log: Path) -> Iterator[Stack]:
    """A running stack with default settings; what its functions wrote is searched at the end."""
    with start(Options(log=function_log)) as stack:
        yield stack
    assert not leaks(function_log.read_text())


@pytest.fixture(scope="module")
def endpoint() -> Iterator[AwsEndpoint]:
    """An AWS endpoint of a module's own."""
    endpoint = AwsEndpoint(listen(0))
    yield endpoint
    endpoint.stop()


@pytest.fixture
def secrets(endpoint: AwsEndpoint) -> Iterator["SecretsManagerClient"]:
    """Secrets Manager without any secret."""
    session = boto3.Session("any", "any", region_name="cn-north-1")
    client = session.client("secretsmanager", endpoint_url=endpoint.address)
    yield client
    for secret in client.list_secrets(IncludePlannedDeletion=True)["SecretList"]:
        client.delete_secret(SecretId=secret["ARN"], ForceDeleteWithoutRecovery=True)
