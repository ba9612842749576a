"""Every input that the fuzzers have found worth keeping, once more; and what hypothesis makes of its own."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

CORPUS: Final = Path(__file__).parent / "corpus"
INPUTS: Final = [(path.parent.name, path) for path in sorted(CORPUS.glob("*/*"))]
_SEEDS: Final = {
    name: [path.read_bytes() for reader, path in INPUTS if reader == name and path.stat().st_size < 400]
    for name in TARGETS
}


@pytest.mark.parametrize("reader", TARGETS)
def test_both_readings_agree_on_the_corpus(reader: str) -> None:
    inputs = [path.read_bytes() for name, path in INPUTS if name == reader]

    assert len(inputs) > 5
    for data in inputs:
        TARGETS[reader](data)


@pytest.mark.parametrize("reader", TARGETS)
@given(st.data())
def test_both_readings_agree_on_what_becomes_of_the_corpus(reader: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(_SEEDS[reader]))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(start + 4, len(seed))))
    other = data.draw(st.sampled_from(_SEEDS[reader]))
    piece = data.draw(st.one_of(st.binary(max_size=4), st.just(other[start:end]), st.just(other[start:])))

    TARGETS[reader](seed[:start] + piece + seed[end:])
