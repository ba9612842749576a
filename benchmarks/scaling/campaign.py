"""The ladder: a campaign against the defaults, then with the limit moved that was hit first, and so on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.scaling.inputs import Inputs
from benchmarks.scaling.model import writes_per_verification
from benchmarks.scaling.simulation import Bounds, End, Result, Simulation

_SPARE: Final = 1.3
"""How far above the campaign's own peak a limit is moved."""
_MOST_STEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One run of the ladder.

    Attributes
    ----------
    moved
        What was changed against the run before, in an operator's words.
    bounds
        What the run was made against.
    result
        How it went.
    """

    moved: str
    bounds: Bounds
    result: Result


def ladder(inputs: Inputs, platform_ms: float, free: Result) -> list[Step]:
    """Run the campaign until nobody is turned away for a limit that can be moved.

    Parameters
    ----------
    inputs
        Everything that the simulation needs.
    platform_ms
        Median of the platform's latency.
    free
        The same campaign with nothing in the way, which says how many environments it wants.
    """
    wanted = max(second.busy for second in free.seconds)
    moved, bounds = "the template's defaults, AWS's default quotas", Bounds.of(inputs)
    steps: list[Step] = []
    while len(steps) < _MOST_STEPS:
        result = Simulation(inputs, bounds, platform_ms).run()
        steps.append(Step(moved, bounds, result))
        refused = {end for end in result.ended if end in _REMEDIES}
        first = result.first_refusal
        if first is None or not refused:
            break
        reason = first[1] if first[1] in refused else next(end for end in End if end in refused)
        moved, bounds = _REMEDIES[reason](inputs, bounds, wanted)
    return steps


def demand(inputs: Inputs, platform_ms: float) -> Result:
    """Run the campaign with nothing in the way: how many environments it wants."""
    endless = Bounds.of(inputs)
    endless = replace(endless, throttle_rate=1e6, throttle_burst=1e6, concurrency=10**6, writes=1e6)
    return Simulation(inputs, replace(endless, scaling_per_second=1e6, scaling_burst=1e6), platform_ms).run()


def _rounded(value: float) -> int:
    """Round up to two digits, as one would write it into a form."""
    size = 10 ** max(0, len(str(int(value))) - 2)
    return int(-(-value // size) * size)


def _throttle(inputs: Inputs, bounds: Bounds, _: int) -> tuple[str, Bounds]:
    rate = _rounded(inputs.traffic.campaign.peak_per_second * _SPARE)
    return (
        f"`ThrottleRate={rate}`, `ThrottleBurst={rate}`",
        replace(bounds, throttle_rate=rate, throttle_burst=rate),
    )


def _concurrency(_: Inputs, bounds: Bounds, wanted: int) -> tuple[str, Bounds]:
    concurrency = max(_rounded(wanted * _SPARE), bounds.concurrency * 2)
    return f"quota for concurrent executions {concurrency}", replace(bounds, concurrency=concurrency)


def _scaling(_: Inputs, bounds: Bounds, wanted: int) -> tuple[str, Bounds]:
    provisioned = _rounded(max(bounds.provisioned * 1.5, wanted - bounds.scaling_burst))
    return f"{provisioned} provisioned environments of VerifyFunction", replace(
        bounds, provisioned=provisioned
    )


def _table(inputs: Inputs, bounds: Bounds, _: int) -> tuple[str, Bounds]:
    units = writes_per_verification(inputs)
    writes = max(_rounded(inputs.traffic.campaign.peak_per_second * units * _SPARE), int(bounds.writes * 1.5))
    return f"warm throughput of AttemptsTable {writes} write units a second", replace(bounds, writes=writes)


_REMEDIES: Final[Mapping[End, Callable[[Inputs, Bounds, int], tuple[str, Bounds]]]] = {
    End.API: _throttle,
    End.REQUEST_RATE: _concurrency,
    End.CONCURRENCY: _concurrency,
    End.SCALING: _scaling,
    End.TABLE: _table,
}
