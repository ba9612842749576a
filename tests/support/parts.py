"""Parts that a machine may lack: what needs one ends the whole run with the line that names it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.emulator import PartMissingError


@contextmanager
def required() -> Iterator[None]:
    """End the run where a part is missing: without it, what was asked for is not tested."""
    try:
        yield
    except PartMissingError as error:
        pytest.exit(str(error), returncode=1)
