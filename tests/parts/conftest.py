"""DynamoDB Local, a JDK and OpenSSL's command line, each started or found once."""

from collections.abc import Iterator

import pytest

from tests.support.jdk import Jdk, running_jdk
from tests.support.parts import command, dynamodb_local, required


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[str]:
    """DynamoDB Local's address."""
    with required(), dynamodb_local() as address:
        yield address


@pytest.fixture(scope="session")
def jdk() -> Iterator[Jdk]:
    """A JDK that answers."""
    with required(), running_jdk() as jdk:
        yield jdk


@pytest.fixture(scope="session")
def openssl_command() -> str:
    """The path of OpenSSL's program."""
    with required():
        return command("openssl", "openssl")
