"""docs/scaling.md is what the command makes, its plots are drawings, and what was measured still holds."""

import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.scaling.inputs import TEMPLATE, Inputs, Measured
from benchmarks.scaling.measure import measure
from benchmarks.scaling.page import DOCS, build, differences, table, write
from benchmarks.scaling.svg import Scale, ticks


@pytest.fixture(scope="module")
def files() -> Mapping[str, str]:
    return build(Inputs.read())


def test_the_committed_page_is_what_the_inputs_make(files: Mapping[str, str]) -> None:
    assert differences(files) == [], "run: make scaling"


def test_a_changed_file_is_named(files: Mapping[str, str], tmp_path: Path) -> None:
    write(files, tmp_path)
    (tmp_path / "scaling/cost.svg").write_text("older", encoding="utf-8")
    (tmp_path / "scaling/limits.svg").unlink()
    assert differences(files, tmp_path) == ["scaling/limits.svg", "scaling/cost.svg"]


def test_every_plot_is_shown_and_every_shown_plot_is_made(files: Mapping[str, str]) -> None:
    shown = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", files["scaling.md"]))
    assert shown == {name for name in files if name.endswith(".svg")}
    assert {f"scaling/{path.name}" for path in (DOCS / "scaling").glob("*.svg")} == shown


def test_every_plot_is_well_formed_named_and_made_for_dark_too(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        if name.endswith(".svg"):
            root = ET.fromstring(text)  # noqa: S314 - of our own making
            assert root.get("role") == "img"
            assert root.get("aria-label")
            assert "prefers-color-scheme:dark" in text


def test_every_table_has_as_many_cells_as_columns(files: Mapping[str, str]) -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", files["scaling.md"], re.MULTILINE)
    assert blocks
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_numbers_are_aligned_to_the_right() -> None:
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_ticks_are_round_and_reach_up_to_the_top() -> None:
    assert ticks(3000) == [0, 1000, 2000, 3000]
    assert ticks(90, 9) == [float(value) for value in range(0, 91, 10)]


def test_a_scale_keeps_what_lies_outside_at_its_edge() -> None:
    scale = Scale(0, 10, 100, 200)
    assert [scale(value) for value in (-5, 0, 5, 50)] == [100, 100, 150, 200]


def test_the_product_still_does_what_was_measured() -> None:
    committed = Measured.read()
    now = measure(TEMPLATE)
    for name, handler in (("presign", committed.presign), ("verify", committed.verify)):
        assert now[name]["warm_calls"] == handler.warm_calls, "run: python -m benchmarks.scaling measure"
        assert now[name]["first_calls"] == handler.first_calls
        assert now[name]["log_lines"] == handler.log_lines
        assert now[name]["log_bytes"] == pytest.approx(handler.log_bytes, rel=0.25)
        assert now[name]["metric_bytes"] == pytest.approx(handler.metric_bytes, rel=0.25)
    assert now["items"] == pytest.approx(committed.items, rel=0.1)
