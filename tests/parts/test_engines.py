"""The login page's flows in the engines that users have beside today's Chromium."""

from collections.abc import Iterator
from itertools import count

import pytest

from local.stack import Stack
from tests.e2e.flows import FLOWS, Engine, Phone
from tests.parts.engines import ENGINES
from tests.support.parts import required

_numbers = count(13_710_000_000)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with required(), ENGINES[request.param](tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.mark.parametrize("name", FLOWS)
def test_flow(engine: Engine, stack: Stack, name: str) -> None:
    phone = Phone(stack, engine, str(next(_numbers)))
    for what in ("faults", "journal", "attempts"):
        phone.control("DELETE", what)
    FLOWS[name](phone)
