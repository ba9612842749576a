"""The plots of docs/scaling.md."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

from benchmarks.scaling.campaign import Step
from benchmarks.scaling.inputs import Inputs
from benchmarks.scaling.model import cost, limits, load, total
from benchmarks.scaling.simulation import End, Result, rate_at
from benchmarks.scaling.svg import Drawing, Scale, ticks

COLOURS: Final[Mapping[End, int]] = {
    End.SERVED: 0,
    End.API: 1,
    End.CONCURRENCY: 2,
    End.REQUEST_RATE: 5,
    End.SCALING: 3,
    End.TABLE: 7,
    End.TIMEOUT: 6,
}
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "HTTP API": ("HTTP API",),
    "Lambda": ("Lambda requests", "Lambda compute"),
    "DynamoDB": ("DynamoDB writes", "DynamoDB storage"),
    "Logs": ("Logs",),
    "X-Ray": ("X-Ray",),
    "NAT gateway": ("NAT gateway",),
    "other": ("Data out", "Secrets Manager", "Metrics"),
}
_GROUP_COLOURS: Final = (0, 1, 2, 3, 7, 5, 4)
_WIDTH: Final = 860
_TWO_DIGITS: Final = 9.5


def whole(value: float) -> str:
    """Write a number in groups of three digits, whole where it has two digits or more."""
    return f"{value:,.0f}" if value >= _TWO_DIGITS else f"{value:.2g}"


def limits_plot(inputs: Inputs) -> str:
    """Draw each limit in verifications a second, for every latency of the platform."""
    latencies = inputs.traffic.platform_milliseconds
    order = [limit.name for limit in limits(inputs, latencies["usual"])]
    found = {
        name: {limit.name: limit.per_second for limit in limits(inputs, ms)} for name, ms in latencies.items()
    }
    row, top, left = 38, 92, 280
    bottom = top + row * len(order)
    drawing = Drawing(_WIDTH, bottom + 62, "Limits in verifications a second")
    drawing.text(20, 30, "Where each limit lies, in verifications a second", "t")
    names = [(f"platform {name}, {ms:g} ms", colour) for colour, (name, ms) in enumerate(latencies.items())]
    drawing.legend(20, 56, names)
    scale = Scale(0.1, 1e6, left, _WIDTH - 44, math.log10)
    for power in range(-1, 7):
        x = scale(10.0**power)
        drawing.line(x, top - 8, x, bottom, "grid")
        drawing.text(x, bottom + 18, whole(10.0**power), "s", "middle")
    for name, size in inputs.traffic.sizes.items():
        x = scale(load(inputs, size, latencies["usual"]).peak_verifications)
        drawing.line(x, top - 8, x, bottom, "mark")
        drawing.text(x, bottom + 38, f"{name} a day,", "s", "middle")
        drawing.text(x, bottom + 53, "busiest hour", "s", "middle")
    for index, limit in enumerate(order):
        y = top + row * index + row / 2
        drawing.text(left - 14, y + 4, limit, anchor="end")
        spread = 6 if len({whole(found[name][limit]) for name in latencies}) == 1 else 0
        for colour, name in enumerate(latencies):
            drawing.dot(scale(found[name][limit]) + (colour - 1) * spread, y, colour)
    return drawing.write()


def cost_plot(inputs: Inputs, regions: Sequence[str], platform_ms: float) -> str:
    """Draw what a month consists of, for each size and region."""
    row, top, left = 34, 96, 200
    sizes = inputs.traffic.sizes
    height = top + (row * len(sizes) + 34) * len(regions) + 24
    drawing = Drawing(_WIDTH, height, "Where a month's money goes")
    drawing.text(20, 30, "Where a month's money goes", "t")
    drawing.legend(20, 58, list(zip(GROUPS, _GROUP_COLOURS, strict=True)))
    scale = Scale(0, 1, left, _WIDTH - 150)
    y = float(top)
    for name in regions:
        region = inputs.prices.regions[name]
        drawing.text(20, y, f"{region.name}, {region.currency}", "t")
        y += 14
        for label, size in sizes.items():
            items = cost(inputs, region, size, platform_ms)
            month = total(items)
            shares = [sum(items[item] for item in group) / month for group in GROUPS.values()]
            ends = list(accumulate(shares))
            drawing.text(left - 14, y + 18, f"{label} a day", anchor="end")
            for share, end, colour in zip(shares, ends, _GROUP_COLOURS, strict=True):
                drawing.bar(scale(end - share), y, scale(end) - scale(end - share), row - 10, colour)
            drawing.text(_WIDTH - 140, y + 18, f"{whole(month)} a month", "s")
            y += row
        y += 20
    return drawing.write()


def campaign_plot(inputs: Inputs, steps: Sequence[Step]) -> str:
    """Draw each run of the ladder: who came, who was served, who was turned away and why."""
    columns = 2
    wide, high = 420, 232
    rows = math.ceil(len(steps) / columns)
    drawing = Drawing(_WIDTH, 84 + rows * high, "A campaign's peak, one limit moved after the other")
    drawing.text(20, 30, "How visits end, people a second", "t")
    seen = [end for end in COLOURS if any(end in step.result.ended for step in steps)]
    drawing.legend(20, 56, [(end.value, COLOURS[end]) for end in seen])
    for index, step in enumerate(steps):
        x, y = 10 + (index % columns) * wide, 76 + (index // columns) * high
        _panel(drawing, inputs, step, index + 1, (x, y))
    return drawing.write()


def _panel(drawing: Drawing, inputs: Inputs, step: Step, number: int, at: tuple[float, float]) -> None:
    campaign = inputs.traffic.campaign
    left, top = at[0] + 46, at[1] + 30
    width, height = 340.0, 150.0
    across = Scale(0, campaign.seconds, left, left + width)
    up = Scale(0, campaign.peak_per_second * 1.12, top + height, top)
    part = step.result.ended[End.SERVED] / step.result.arrived
    drawing.text(at[0] + 10, at[1] + 14, f"Run {number}: {part:.1%} served")
    for tick in ticks(campaign.peak_per_second):
        drawing.line(left, up(tick), left + width, up(tick), "grid")
        drawing.text(left - 6, up(tick) + 4, f"{tick:.0f}", "s", "end")
    seconds = step.result.seconds[: int(campaign.seconds)]
    below = [0.0] * len(seconds)
    for end, colour in COLOURS.items():
        above = [base + second.ended[end] for base, second in zip(below, seconds, strict=True)]
        if above != below:
            forth = [(across(index + 0.5), up(value)) for index, value in enumerate(above)]
            back = [(across(index + 0.5), up(value)) for index, value in enumerate(below)]
            drawing.area([*forth, *reversed(back)], colour)
        below = above
    drawing.dashed(
        (across(tick / 2), up(rate_at(campaign, tick / 2))) for tick in range(int(campaign.seconds) * 2 + 1)
    )
    drawing.line(left, top + height, left + width, top + height, "axis")
    for tick in ticks(campaign.seconds):
        drawing.text(across(tick), top + height + 16, f"{tick:.0f} s", "s", "middle")


def environments_plot(inputs: Inputs, runs: Mapping[str, Result]) -> str:
    """Draw how many environments the campaign wants at once, for every latency of the platform."""
    campaign = inputs.traffic.campaign
    drawing = Drawing(_WIDTH, 380, "Execution environments at work at once")
    drawing.text(20, 30, "Execution environments that the same campaign wants at once", "t")
    latencies = inputs.traffic.platform_milliseconds
    names = [(f"platform {name}, {latencies[name]:g} ms", colour) for colour, name in enumerate(runs)]
    drawing.legend(20, 56, names)
    highest = max(second.busy for result in runs.values() for second in result.seconds)
    across = Scale(0, campaign.seconds, 70, _WIDTH - 30)
    up = Scale(0, highest * 1.05, 340, 80)
    for tick in ticks(highest, 6):
        drawing.line(70, up(tick), _WIDTH - 30, up(tick), "grid")
        drawing.text(62, up(tick) + 4, f"{tick:,.0f}", "s", "end")
    for tick in ticks(campaign.seconds, 9):
        drawing.text(across(tick), 360, f"{tick:.0f} s", "s", "middle")
    quota = inputs.quotas.lambda_concurrency
    drawing.line(70, up(quota), _WIDTH - 30, up(quota), "mark")
    drawing.text(_WIDTH - 34, up(quota) - 6, f"default quota {quota:,.0f}", "s", "end")
    for colour, result in enumerate(runs.values()):
        seconds = result.seconds[: int(campaign.seconds)]
        drawing.curve(
            ((across(index + 0.5), up(second.busy)) for index, second in enumerate(seconds)), colour
        )
    return drawing.write()
