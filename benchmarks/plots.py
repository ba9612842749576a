"""Draws the plots of docs/ with matplotlib."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib.pyplot as plt

plt.switch_backend("Agg")
_WIDTH: Final = 8.0
"""Inches."""


def bars(path: Path, title: str, groups: Mapping[str, Mapping[str, float]], *, log: bool = False) -> None:
    """Draw horizontal bars: for each name of the first group one bar of each group, in its order."""
    names = list(next(iter(groups.values())))
    height = 0.8 / len(groups)
    figure, axes = plt.subplots(figsize=(_WIDTH, 1 + 0.3 * len(names) * max(1, len(groups) * 0.6)))
    for index, (group, values) in enumerate(groups.items()):
        places = [place + index * height for place in range(len(names))]
        drawn = axes.barh(places, [values[name] for name in names], height, label=group)
        axes.bar_label(drawn, fmt="{:,.0f}", padding=3, fontsize=8)
    axes.set_yticks([place + (len(groups) - 1) * height / 2 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xscale("log" if log else "linear")
    axes.margins(x=0.12)
    if len(groups) > 1:
        axes.legend()
    _save(path, title, figure, axes)


def shares(path: Path, title: str, columns: Mapping[str, Mapping[str, float]]) -> None:
    """Draw for each column a bar of its items' shares; items below 3 % in every column are not named."""
    figure, axes = plt.subplots(figsize=(_WIDTH, 1 + 0.45 * len(columns)))
    below = dict.fromkeys(columns, 0.0)
    for name in next(iter(columns.values())):
        parts = {column: items[name] / sum(items.values()) for column, items in columns.items()}
        named = max(parts.values()) >= 0.03  # noqa: PLR2004 - as above
        looks: dict[str, Any] = {"label": name} if named else {"color": "lightgrey"}
        axes.barh(list(columns), list(parts.values()), left=list(below.values()), **looks)
        below = {column: below[column] + part for column, part in parts.items()}
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend(bbox_to_anchor=(1, 1), fontsize=8)
    _save(path, title, figure, axes)


def _save(path: Path, title: str, figure: Any, axes: Any) -> None:
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
