"""An AWS endpoint for integration tests, and Secrets Manager on it."""

from collections.abc import Iterator

import boto3
import pytest

from cmpassport.aws import SecretsManagerClient
from local.aws import AwsEndpoint
from local.server import listen


@pytest.fixture(scope="module")
def endpoint() -> Iterator[AwsEndpoint]:
    """An AWS endpoint of a module's own."""
    endpoint = AwsEndpoint(listen(0))
    yield endpoint
    endpoint.stop()


@pytest.fixture(scope="module")
def _secrets(endpoint: AwsEndpoint) -> SecretsManagerClient:
    session = boto3.Session("any", "any", region_name="cn-north-1")
    return session.client("secretsmanager", endpoint_url=endpoint.address)


@pytest.fixture
def secrets(_secrets: SecretsManagerClient) -> Iterator[SecretsManagerClient]:
    """Secrets Manager without any secret."""
    yield _secrets
    for secret in _secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]:
        _secrets.delete_secret(SecretId=secret["ARN"], ForceDeleteWithoutRecovery=True)
