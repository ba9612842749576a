"""The stack that most integration tests share, of the parts that `--target` names.

What its functions wrote is searched when the tests are done.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Options, Stack
from tests.support.parts import required
from tests.support.planted import leaks
from tests.support.stacks import real_parts, start, target


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        choices=("embedded", "real"),
        default="embedded",
        help="parts of the stacks: all embedded, or the built bundle, Lambda's runtime and DynamoDB Local",
    )


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
def stack(function_log: Path) -> Iterator[Stack]:
    """A running stack with default settings; what its functions wrote is searched at the end."""
    with start(Options(log=function_log)) as stack:
        yield stack
    assert not leaks(function_log.read_text())
