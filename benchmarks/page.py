"""Writes the results into docs/performance.md, between its markers, and draws them."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import log2, log10
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from benchmarks.figures import AT_LEAST, FIGURES, Figure, Results
from benchmarks.scaling.svg import Drawing, Scale, ticks
from benchmarks.scene import NAIVE, Scene
from local import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
PLOTS: Final = ROOT / "docs" / "performance"

_OURS, _OTHERS, _OVER = 0, 4, 1
"""Colours."""


def write(results: Results, scene: Scene) -> None:
    """Bring the page and its plots up to date."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = {
        "machine": _machine(scene),
        "figures": _figures(results),
        "cold": _cold(results),
        "warm": _warm(results),
        "anatomy": _anatomy(results),
        "receipts": _receipts(results),
        "concurrent": _concurrent(results),
        "attempts": _attempts(results),
    }
    for name, block in blocks.items():
        marked = re.compile(rf"(<!-- {name}: made by make bench -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = marked.sub(lambda match, block=block: f"{match[1]}\n{block}\n\n{match[2]}", text)  # type: ignore[misc]
    PAGE.write_text(text, encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    (PLOTS / "figures.svg").write_text(_draw_figures(results), encoding="utf-8")
    (PLOTS / "cold.svg").write_text(_draw_cold(results), encoding="utf-8")
    (PLOTS / "growth.svg").write_text(_draw_growth(results), encoding="utf-8")


def shown(figure: Figure, value: float) -> str:
    """Write a figure's value."""
    return f"{value:.0f}" if figure.key == "verify_aws_calls" else f"{value:.2f}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], texts: int = 1) -> str:
    """Write a Markdown table whose first columns are texts and whose others are numbers."""
    rule = ["---"] * texts + ["--:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _machine(scene: Scene) -> str:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    sdk = json.loads((NAIVE / "node" / "package.json").read_text())["dependencies"]
    versions = {
        "Python": _said_by(scene.python, "-c", "import platform; print(platform.python_version())"),
        "Node.js": _said_by("node", "--version").removeprefix("v"),
        **{name: version(name) for name in ("cryptography", "botocore", "aws-lambda-powertools", "urllib3")},
        **sdk,
    }
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors {cpu[1] if cpu else platform.machine()}, "
        f"{gigabytes:.0f} GiB, {platform.system()} {platform.release().split('-')[0]}; "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + "."
    )


def _said_by(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603 - versions


def _figures(results: Results) -> str:
    rows = [
        (
            f"`{figure.key}`",
            figure.what,
            shown(figure, results.values[figure.key]),
            f"{figure.sign} {figure.goal:g}",
            "yes" if figure.met(results.values[figure.key]) else "**no**",
        )
        for figure in FIGURES
    ]
    return _table(("figure", "what", "measured", "goal", "met"), rows, 2)


def _cold(results: Results) -> str:
    rows = []
    for kind, times in (("emulator", results.cold), ("process", results.first)):
        for name, seconds in times.items():
            low, middle, high = (f"{1000 * value:.0f}" for value in quantiles(seconds, n=4))
            rows.append((name, kind, middle, f"{low} to {high}"))
    return _table(("side", "where", "median, ms", "middle half, ms"), rows, 2)


def _warm(results: Results) -> str:
    presign = [
        (f"presign: {name}", f"{nanoseconds / 1e6:.3f}") for name, nanoseconds in results.presign.items()
    ]
    verify = [(f"verify: {name}", f"{nanoseconds / 1e6:.3f}") for name, nanoseconds in results.verify.items()]
    memory = [
        (f"peak memory: {name}", f"{kilobytes / 1024:.1f} MiB") for name, kilobytes in results.memory.items()
    ]
    return _table(("part", "processor time, ms"), [*presign, *verify, *memory])


def _anatomy(results: Results) -> str:
    whole = sum(results.anatomy.values())
    rows = [(name, f"{part:.1f}", f"{part / whole:.0%}") for name, part in results.anatomy.items()]
    return _table(("part", "ms", "share"), [*rows, ("**all**", f"**{whole:.1f}**", "")])


def _receipts(results: Results) -> str:
    without, receipts = "verify", "verify with receipts"
    warm = {name: nanoseconds / 1e6 for name, nanoseconds in results.receipts.items()}
    cold = {name: 1000 * median(results.cold[name]) for name in (without, receipts)}
    rows = [
        (
            what,
            f"{ms[without]:.{digits}f}",
            f"{ms[receipts]:.{digits}f}",
            f"{ms[receipts] - ms[without]:+.{digits}f}",
        )
        for what, ms, digits in (
            ("a warm call's processor time, ms", warm, 2),
            ("a cold start under the emulator, ms", cold, 0),
        )
    ]
    return _table(("", "without", "with", "added"), rows)


def _concurrent(results: Results) -> str:
    rows = [
        (str(each.numbers), f"{each.milliseconds:.2f}", f"{each.aws_calls:g}") for each in results.concurrent
    ]
    return _table(("numbers at once", "processor time each, ms", "DynamoDB calls each"), rows)


def _attempts(results: Results) -> str:
    rows = [
        (str(each.ordinal), f"{each.milliseconds:.2f}", str(each.item_bytes), str(each.write_units))
        for each in results.attempts
    ]
    return _table(("attempt of the day", "processor time, ms", "item, bytes", "write units to reserve"), rows)


def _draw_figures(results: Results) -> str:
    """Draw each figure as a share of its goal, so that all of them are good on the left of one line."""
    row, left, right = 34, 190, 640
    drawing = Drawing(760, 90 + row * len(FIGURES), "Figures as shares of their goals")
    drawing.text(20, 32, "How much of its goal each figure takes up (left of the line is good)", "t")
    shares = {figure.key: _share(figure, results.values[figure.key]) for figure in FIGURES}
    scale = Scale(0, max(1.25, *shares.values()), left, right)
    for index, figure in enumerate(FIGURES):
        y, share = 56 + row * index, shares[figure.key]
        value = f"{shown(figure, results.values[figure.key])}  ({figure.sign} {figure.goal:g})"
        drawing.text(left - 10, y + 16, figure.key, anchor="end")
        drawing.bar(left, y, scale(share) - left, 22, _OURS if share <= 1 else _OVER)
        drawing.text(scale(max(share, 1)) + 8, y + 16, value, "s")
    drawing.line(scale(1), 48, scale(1), 60 + row * len(FIGURES), "mark")
    drawing.text(scale(1), 78 + row * len(FIGURES), "goal", "s", "middle")
    return drawing.write()


def _share(figure: Figure, value: float) -> float:
    return figure.goal / value if figure.sign == AT_LEAST else value / figure.goal


def _draw_cold(results: Results) -> str:
    """Draw the medians of cold starts."""
    sides = {name: median(seconds) * 1000 for name, seconds in results.cold.items()}
    sides |= {f"{name} (process)": median(seconds) * 1000 for name, seconds in results.first.items()}
    row, left, right = 34, 220, 660
    drawing = Drawing(760, 86 + row * len(sides), "Cold starts in milliseconds")
    drawing.text(20, 32, "From nothing to the first answer, ms, median", "t")
    scale = Scale(0, max(sides.values()), left, right)
    bottom = 52 + row * len(sides)
    for tick in ticks(max(sides.values())):
        drawing.line(scale(tick), 46, scale(tick), bottom, "grid")
        drawing.text(scale(tick), bottom + 18, f"{tick:g}", "s", "middle")
    for index, (name, milliseconds) in enumerate(sides.items()):
        y = 52 + row * index
        ours = name in {"presign", "verify", "presign (process)"}
        drawing.text(left - 10, y + 16, name, anchor="end")
        drawing.bar(left, y, scale(milliseconds) - left, 22, _OURS if ours else _OTHERS)
        drawing.text(scale(milliseconds) + 8, y + 16, f"{milliseconds:.0f}", "s")
    return drawing.write()


def _draw_growth(results: Results) -> str:
    """Draw processor time over concurrent numbers, and over attempts on one number."""
    drawing = Drawing(760, 300, "Processor time of a verification")
    drawing.text(20, 32, "A verification's processor time, ms", "t")
    numbers = [(log10(each.numbers), each.milliseconds, str(each.numbers)) for each in results.concurrent]
    attempts = [(log2(each.ordinal), each.milliseconds, str(each.ordinal)) for each in results.attempts]
    top = 1.25 * max(milliseconds for _, milliseconds, _ in (*numbers, *attempts))
    height = Scale(0, top, 240, 60)
    for tick in ticks(top):
        drawing.line(60, height(tick), 730, height(tick), "grid")
        drawing.text(52, height(tick) + 4, f"{tick:g}", "s", "end")
    for start, end, name, points in (
        (80, 360, "numbers at once", numbers),
        (440, 710, "attempt on one number", attempts),
    ):
        across = Scale(0, max(place for place, *_ in points), start, end)
        drawing.curve(((across(place), height(value)) for place, value, _ in points), _OURS)
        for place, value, label in points:
            drawing.dot(across(place), height(value), _OURS)
            drawing.text(across(place), 260, label, "s", "middle")
        drawing.text((start + end) / 2, 284, name, "s", "middle")
    return drawing.write()
