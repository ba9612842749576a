"""The stack that most integration tests share, and the search of its whole output when they are done."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Options, Stack
from tests.support.planted import leaks
from tests.support.stacks import start


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
