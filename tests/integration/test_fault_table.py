"""Every row of the table of faults, provoked on the local stack: each column as the table says."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from zlib import crc32

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from local.stack import Stack
from tests.faults.scene import Ledger, Scene, address_of_platform, prepare, provoke, scene
from tests.faults.stranger import stranger
from tests.faults.table import ROWS, Address, Effect, Moment, Row

SILENT: Final = [row for row in ROWS if row.cause.takes_seconds]


def sim_of(row: Row) -> str:
    """Give a number of its own for each row, so that no row uses up another's attempts."""
    return f"136{crc32(row.name.encode()) % 10**8:08d}"


@pytest.fixture(scope="module")
def impostor(
    rsa_key: Callable[[int], RSAPrivateKey], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with stranger(rsa_key(2048), tmp_path_factory.mktemp("stranger")) as address:
        yield address


@pytest.fixture(scope="module")
def ledger(stack: Stack) -> Ledger:
    return Ledger(stack)


@pytest.fixture(scope="module")
def warm(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene of all faults that need no function of their own."""
    with scene(ledger, tmp_path_factory.mktemp("warm")) as stage:
        yield stage


@pytest.fixture(scope="module")
def silences(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Effect]:
    """What comes of the faults whose seconds no setting shortens: they pass all at the same time."""
    with ExitStack() as stages, ThreadPoolExecutor(len(SILENT)) as threads:
        ready = []
        for row in SILENT:
            stage = stages.enter_context(scene(ledger, tmp_path_factory.mktemp("silent")))
            stage.pool.warm()
            ready.append((row, stage, prepare(stage, row.cause, sim_of(row))))
        results = {
            row.name: threads.submit(provoke, stage, row.cause, sim_of(row), ticket)
            for row, stage, ticket in ready
        }
        return {name: result.result() for name, result in results.items()}


@pytest.fixture
def effect(row: Row, request: pytest.FixtureRequest, ledger: Ledger, impostor: str, tmp_path: Path) -> Effect:
    """What comes of a row's fault."""
    cause, sim = row.cause, sim_of(row)
    if cause.takes_seconds:
        results: Mapping[str, Effect] = request.getfixturevalue("silences")
        return results[row.name]
    if cause.moment is Moment.WARM and cause.address is Address.PLATFORM:
        stage: Scene = request.getfixturevalue("warm")
        return provoke(stage, cause, sim, prepare(stage, cause, sim))
    address = address_of_platform(cause.address, ledger.stack, impostor)
    with scene(ledger, tmp_path, address, receipts=cause.receipts) as stage:
        return provoke(stage, cause, sim, prepare(stage, cause, sim))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_has_the_effect_that_the_table_says(row: Row, effect: Effect) -> None:
    assert effect == row.effect


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in ROWS}) == len({sim_of(row) for row in ROWS}) == len(ROWS)
