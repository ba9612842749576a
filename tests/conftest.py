"""What all tests share: made-up AWS credentials, keys, a clock that is set by hand, what was logged."""

import base64
import gc
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, cast

import boto3
import hypothesis
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from moto import mock_aws

from cmpassport.aws import DynamoDBClient
from cmpassport.telemetry import counted, logger
from local.keys import ReceiptNumber
from local.stack import Options, Stack
from tests.support.fakes import FakeClock
from tests.support.functions import create_table
from tests.support.jdk import VECTORS
from tests.support.parts import real_parts, required
from tests.support.planted import leaks
from tests.support.receipts import Issuer, publishing_issuer
from tests.support.stacks import LateClock, start, target

# Before a client is made: boto3 reads these once. Nobody's own account is used.
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "cn-north-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
    os.environ.pop(name, None)

# A busy machine is slow, not wrong.
hypothesis.settings.register_profile("number-verification", deadline=None)
hypothesis.settings.load_profile("number-verification")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        choices=("embedded", "real"),
        default="embedded",
        help="parts of the stacks: all embedded, or the built bundle, Lambda's runtime and DynamoDB Local",
    )


def pytest_collection_finish() -> None:
    """Start the garbage collector again, which the import of a function's start has stopped."""
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have every stack made of the parts that `--target` names."""
    if request.config.getoption("--target") == "embedded":
        yield
        return
    with required(), real_parts(tmp_path_factory.mktemp("layers")) as real, target(real):
        yield


@pytest.fixture(scope="session")
def function_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that holds all output of the shared stack's functions."""
    return tmp_path_factory.mktemp("stack") / "functions.log"


@pytest.fixture(scope="session")
def late_clock() -> LateClock:
    """The shared stack's clock; who sets it ahead sets it back."""
    return LateClock()


@pytest.fixture(scope="session")
def stack(function_log: Path, late_clock: LateClock) -> Iterator[Stack]:
    """The run's one stack with the demo's settings; what its functions wrote is searched at the end."""
    with start(Options(receipts=ReceiptNumber.ENCRYPTED, log=function_log, now=late_clock)) as stack:
        yield stack
    assert not leaks(function_log.read_text())


@pytest.fixture(scope="session")
def rsa_key() -> Callable[[int], RSAPrivateKey]:
    """Return the test key of a size in bits: 1024 or 2048."""
    keys = json.loads(VECTORS.read_text())["keys"]

    @cache
    def load(bits: int) -> RSAPrivateKey:
        der = base64.b64decode(keys[str(bits)]["privateKey"])
        return cast("RSAPrivateKey", load_der_private_key(der, password=None))

    return load


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PEM file of a certificate for 127.0.0.1, its own authority, and of its key."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    names = ("certificate.pem", "rsa-2048.pem")
    path.write_text("".join(VECTORS.with_name(name).read_text() for name in names))
    return path


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """The product's receipts, and a server that publishes their keys."""
    with publishing_issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def aws() -> boto3.Session:
    """Return a session that reads botocore's descriptions of the services once."""
    return boto3.Session()


@pytest.fixture
def table(aws: boto3.Session) -> Iterator[DynamoDBClient]:
    """Return a DynamoDB client whose account has the table `attempts`, empty: in this process, or real."""
    real = "AWS_ENDPOINT_URL_DYNAMODB" in os.environ
    with nullcontext() if real else mock_aws():
        client = aws.client("dynamodb")
        create_table(client)
        yield client
        if real:
            aws.client("dynamodb").delete_table(TableName="attempts")  # the test's own may be disturbed


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return what the product has logged since the test began, a dictionary a line."""
    lines = io.StringIO()
    handlers = [
        handler
        for handler in logging.getLogger(logger.service).handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    streams = [handler.setStream(lines) for handler in handlers]
    yield lambda: [json.loads(line) for line in lines.getvalue().splitlines()]
    for handler, stream in zip(handlers, streams, strict=True):
        handler.setStream(stream)


@pytest.fixture(autouse=True)
def _no_metrics_left_over() -> Iterator[None]:
    """Drop what a test has counted: it would be written with the next invocation's metrics."""
    yield
    counted.clear()
