"""The real parts, each started once: DynamoDB Local, and Lambda's runtime."""

from collections.abc import Iterator

import pytest

from benchmarks.emulator import Parts, find_parts
from local import ROOT
from tests.support.dynamodb_local import dynamodb_local
from tests.support.parts import required


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[str]:
    """DynamoDB Local's address."""
    with required(), dynamodb_local() as address:
        yield address


@pytest.fixture(scope="session")
def parts() -> Parts:
    """Lambda's runtime on this machine."""
    with required():
        return find_parts(ROOT)
