"""Every row of the table of faults, provoked on the local stack: each column as the table says."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
from werkzeug import Response

from local.environment import WorkerEnvironment
from local.stack import Stack
from tests.faults.page import PAGE, build
from tests.faults.scene import Ledger, Scene, address_of_platform, prepare, provoke, scene
from tests.faults.table import ROWS, VECTORS, Address, Ends, Moment, Row
from tests.support.server import serving
from verify import codes


def sim_of(row: Row) -> str:
    """Return a number of its own for each row, so that no row uses up another's attempts."""
    return f"136{crc32(row.name.encode()) % 10**8:08d}"


@pytest.fixture(scope="module")
def impostor() -> Iterator[str]:
    """A server whose certificate nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(VECTORS / "certificate.pem", VECTORS / "rsa-2048.pem")
    with serving(Response(), context) as address:
        yield address


@pytest.fixture(scope="module")
def warm(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene of all faults that need no function of their own."""
    with scene(Ledger(stack), tmp_path_factory.mktemp("warm")) as stage:
        yield stage


@pytest.fixture(scope="module")
def mortal(warm: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene of faults that outlast the function: a process, which Lambda would end after 20 seconds."""
    folder = tmp_path_factory.mktemp("mortal")
    with scene(warm.ledger, folder, variables={}, runtime=WorkerEnvironment, timeout=1.5) as stage:
        yield stage


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_has_the_effect_that_the_table_says(
    row: Row, warm: Scene, impostor: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    cause, sim = row.cause, sim_of(row)
    if cause.ends is Ends.FUNCTION:
        stage: Scene = request.getfixturevalue("mortal")
        effect = provoke(stage, cause, sim, prepare(stage, cause, sim))
    elif cause.moment is Moment.WARM and cause.address is Address.PLATFORM:
        effect = provoke(warm, cause, sim, prepare(warm, cause, sim))
    else:
        address = address_of_platform(cause.address, warm.stack, impostor)
        with scene(warm.ledger, tmp_path, address, receipts=cause.receipts) as stage:
            effect = provoke(stage, cause, sim, prepare(stage, cause, sim))

    assert effect == row.effect


def test_the_page_is_what_the_table_says_and_has_every_return_code() -> None:
    names = {row.name for row in ROWS}

    assert len(names) == len({sim_of(row) for row in ROWS}) == len(ROWS)
    assert {f"return code {code}" for code in codes._KNOWN} <= names  # noqa: SLF001 - the table of codes
    assert PAGE.read_text(encoding="utf-8") == build(), "run: make docs"
