"""Every row of the table of faults, provoked on the local stack: each column as the table says."""

from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from local.environment import WorkerEnvironment
from local.stack import Stack
from tests.faults.page import PAGE, build
from tests.faults.scene import Scene, provoke, scene
from tests.faults.table import ROWS, Moment, Row
from verify import codes


def sim_of(row: Row) -> str:
    """Return a number of its own for each row, so that no row uses up another's attempts."""
    return f"136{crc32(row.name.encode()) % 10**8:08d}"


@pytest.fixture(scope="module")
def warm(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene of all faults that need no function of their own."""
    with scene(stack, tmp_path_factory.mktemp("warm")) as stage:
        yield stage


@pytest.fixture(scope="module")
def mortal(warm: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene of faults that outlast the function: a process, which Lambda would end after 20 seconds."""
    folder = tmp_path_factory.mktemp("mortal")
    with scene(warm.stack, folder, variables={}, runtime=WorkerEnvironment, timeout=1.5) as stage:
        yield stage


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_has_the_effect_that_the_table_says(
    row: Row, warm: Scene, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if row.cause.moment is Moment.LAST:
        effect = provoke(request.getfixturevalue("mortal"), row.cause, sim_of(row))
    elif row.cause.moment is Moment.WARM and not row.cause.address:
        effect = provoke(warm, row.cause, sim_of(row))
    else:
        with scene(warm.stack, tmp_path, row.cause.address) as stage:
            effect = provoke(stage, row.cause, sim_of(row))

    assert effect == row.effect


def test_the_page_is_what_the_table_says_and_has_every_return_code() -> None:
    names = {row.name for row in ROWS}

    assert len(names) == len({sim_of(row) for row in ROWS}) == len(ROWS)
    assert {f"return code {code}" for code in codes._KNOWN} <= names  # noqa: SLF001 - the table of codes
    assert PAGE.read_text(encoding="utf-8") == build(), "run: make docs"
