"""Plots as SVG, written directly: readable in light and dark, without a library and the same every time."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

_STYLE: Final = (
    'text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1d2b29}'
    ".t{font-weight:600;font-size:15px}"
    ".s{font-size:12px;fill:#566663}.bg{fill:#fff}.grid{stroke:#dfe7e5}.axis{stroke:#8a9a97}.mark{stroke:#566663;"
    "stroke-dasharray:4 4;fill:none}.line{fill:none;stroke-width:2}"
    "{light}@media(prefers-color-scheme:dark){text{fill:#e3efec}.s{fill:#9db0ac}.bg{fill:#0d1614}"
    ".grid{stroke:#24332f}.axis{stroke:#60726e}.mark{stroke:#9db0ac}{dark}}"
)
# Distinct for people who do not see red and green apart, and of like lightness within each scheme.
_LIGHT: Final = ("#0b6a60", "#d97706", "#3b6fb6", "#b4477f", "#8a9a97", "#7a5cc0", "#c8102e", "#5f8f1f")
_DARK: Final = ("#4fb3a5", "#f0a747", "#7aa7e6", "#e085b3", "#7d8f8b", "#ab93ea", "#ff6b7a", "#a3cf62")


def _colours(colours: Sequence[str]) -> str:
    fills = "".join(f".c{index}{{fill:{colour}}}" for index, colour in enumerate(colours))
    return fills + "".join(
        f".line.c{index}{{fill:none;stroke:{colour}}}" for index, colour in enumerate(colours)
    )


@dataclass(slots=True)
class Drawing:
    """An SVG document that grows."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, style: str = "", anchor: str = "start") -> None:
        """Write a text; the styles are t (title) and s (small)."""
        kind = f' class="{style}"' if style else ""
        self.parts.append(f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """Draw a line; the styles are grid, axis and mark."""
        self.parts.append(f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def bar(self, x: float, y: float, width: float, height: float, colour: int) -> None:
        """Fill a rectangle."""
        self.parts.append(
            f'<rect class="c{colour}" x="{x:.1f}" y="{y:.1f}" '
            f'width="{max(width, 0):.1f}" height="{height:.1f}"/>'
        )

    def dot(self, x: float, y: float, colour: int) -> None:
        """Fill a small circle."""
        self.parts.append(f'<circle class="c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>')

    def curve(self, points: Iterable[tuple[float, float]], colour: int) -> None:
        """Join points by a line."""
        joined = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path class="line c{colour}" d="M{joined}"/>')

    def dashed(self, points: Iterable[tuple[float, float]]) -> None:
        """Join points by a dashed line in the colour of texts."""
        joined = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path class="mark" d="M{joined}"/>')

    def area(self, points: Iterable[tuple[float, float]], colour: int) -> None:
        """Fill what points enclose."""
        joined = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path class="c{colour}" d="M{joined}Z"/>')

    def legend(self, x: float, y: float, names: Sequence[tuple[str, int]], advance: float = 7.2) -> None:
        """Write names beside their colours, in one row."""
        for name, colour in names:
            self.bar(x, y - 10, 12, 12, colour)
            self.text(x + 18, y, name, "s")
            x += 36 + advance * len(name)

    def write(self) -> str:
        """Give the document."""
        style = _STYLE.replace("{light}", _colours(_LIGHT)).replace("{dark}", _colours(_DARK))
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.title, quote=True)}">'
        )
        back = f'<rect class="bg" width="{self.width}" height="{self.height}" rx="10"/>'
        return "\n".join((head, f"<style>{style}</style>", back, *self.parts, "</svg>")) + "\n"


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to a stretch of the drawing, evenly or by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    shape: Callable[[float], float] = float

    def __call__(self, value: float) -> float:
        """Give the place of a value; one outside lies at the edge."""
        low, high = self.shape(self.low), self.shape(self.high)
        part = (self.shape(min(max(value, self.low), self.high)) - low) / (high - low)
        return self.start + part * (self.end - self.start)


def ticks(high: float, about: int = 4) -> list[float]:
    """Give round values from 0 to a maximum, about as many as asked for."""
    step = 10.0 ** math.floor(math.log10(high / about))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if high / (step * factor) <= about)
    return [index * step for index in range(int(high / step + 1e-9) + 1)]
