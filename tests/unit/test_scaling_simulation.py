"""The simulation of a campaign: nobody appears or vanishes, and no limit is ever exceeded."""

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scaling.campaign import demand, ladder
from benchmarks.scaling.inputs import Inputs
from benchmarks.scaling.simulation import Bounds, Bucket, End, Result, Simulation, arrivals, rate_at

ALL = Inputs.read()
SMALL = replace(
    ALL,
    traffic=replace(
        ALL.traffic, campaign=replace(ALL.traffic.campaign, peak_per_second=200, seconds=60, begins=5)
    ),
)
OPEN = replace(Bounds.of(SMALL), throttle_rate=1e6, throttle_burst=1e6)
BOUNDS = {
    End.API: Bounds.of(SMALL),
    End.CONCURRENCY: replace(OPEN, concurrency=30),
    End.REQUEST_RATE: replace(OPEN, requests_per_environment=0.05),
    End.SCALING: replace(OPEN, scaling_per_second=1, scaling_burst=10),
    End.TABLE: replace(OPEN, writes=150),
}


def run(bounds: Bounds, platform_ms: float = 300) -> Result:
    return Simulation(SMALL, bounds, platform_ms).run()


@pytest.mark.parametrize("reason", list(BOUNDS))
def test_everybody_who_comes_is_served_or_turned_away_once(reason: End) -> None:
    result = run(BOUNDS[reason])
    assert sum(result.ended.values()) == result.arrived
    assert len(result.waited) == result.ended[End.SERVED]


@pytest.mark.parametrize("reason", list(BOUNDS))
def test_each_limit_turns_people_away_when_it_is_the_tight_one(reason: End) -> None:
    ended = run(BOUNDS[reason]).ended
    assert ended[reason] > 0
    assert max((count, end) for end, count in ended.items() if end is not End.SERVED)[1] is reason


def test_every_environment_is_free_again_in_the_end() -> None:
    simulation = Simulation(SMALL, OPEN, 300)
    simulation.run()
    assert simulation.busy == 0
    assert simulation.environments > 0


def test_environments_are_those_at_the_start_and_those_that_started_cold() -> None:
    simulation = Simulation(SMALL, OPEN, 300)
    result = simulation.run()
    warm = simulation.environments - sum(second.cold for second in result.seconds)
    assert 0 <= warm < 30


def test_the_concurrency_is_never_exceeded() -> None:
    result = run(BOUNDS[End.CONCURRENCY])
    assert max(second.busy for second in result.seconds) == 30


def test_the_table_never_takes_more_than_its_capacity() -> None:
    bounds = BOUNDS[End.TABLE]
    writes = [second.writes for second in run(bounds).seconds]
    for start in range(len(writes)):
        for end in range(start + 1, len(writes) + 1):
            # A second's worth may have been saved up; retries are booked where they happen.
            assert sum(writes[start:end]) <= bounds.writes * (end - start + 1) + 1e-6


def test_with_nothing_in_the_way_everybody_is_served() -> None:
    result = demand(SMALL, 80)
    assert result.ended == {End.SERVED: result.arrived}
    assert result.first_refusal is None


def test_busy_environments_follow_littles_law() -> None:
    steady = replace(SMALL.traffic.campaign, quiet_per_second=100, peak_per_second=100, seconds=120)
    inputs = replace(SMALL, traffic=replace(SMALL.traffic, campaign=steady))
    busy = [second.busy for second in demand(inputs, 300).seconds[40:110]]
    expected = 100 * (0.3 * math.exp(steady.platform_spread**2 / 2) + 0.0216)
    # The highest of each second lies above the mean, by about two standard deviations of a Poisson number.
    assert expected <= sum(busy) / len(busy) <= expected + 3 * math.sqrt(expected)


def test_a_campaign_is_the_same_every_time_and_for_every_limit() -> None:
    first, second = run(OPEN), run(OPEN)
    assert first == second
    assert {run(bounds).arrived for bounds in BOUNDS.values()} == {first.arrived}


def test_a_platform_above_its_time_out_gives_no_verdict() -> None:
    ended = run(replace(OPEN, concurrency=10**6), platform_ms=60_000).ended
    assert set(ended) == {End.TIMEOUT}


def test_people_come_at_the_rate_of_the_moment() -> None:
    campaign = SMALL.traffic.campaign
    times = list(arrivals(campaign, Random(1)))  # noqa: S311 - a simulation
    assert times == sorted(times)
    expected = sum(rate_at(campaign, at / 100) for at in range(int(campaign.seconds * 100))) / 100
    assert len(times) == pytest.approx(expected, abs=4 * math.sqrt(expected))


def test_the_rate_rises_holds_and_fades() -> None:
    campaign = SMALL.traffic.campaign
    top = campaign.begins + campaign.rises
    assert rate_at(campaign, 0) == campaign.quiet_per_second
    assert rate_at(campaign, top) == rate_at(campaign, top + campaign.holds) == campaign.peak_per_second
    assert rate_at(campaign, 1e4) == pytest.approx(campaign.quiet_per_second)


def test_the_ladder_ends_when_all_that_can_be_moved_is_moved() -> None:
    steps = ladder(SMALL, 2000, demand(SMALL, 2000))
    assert steps[0].bounds == Bounds.of(SMALL)
    assert set(steps[-1].result.ended) <= {End.SERVED, End.TIMEOUT}
    assert len({step.moved for step in steps}) == len(steps)


def test_capacity_doubles_only_after_the_whole_period() -> None:
    soon = replace(BOUNDS[End.TABLE], doubling_seconds=10)
    assert run(soon).ended[End.TABLE] < run(BOUNDS[End.TABLE]).ended[End.TABLE]


@given(
    rate=st.floats(0.1, 1000),
    size=st.floats(1, 1000),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=200),
)
def test_a_bucket_gives_no_more_than_its_size_and_its_rate(
    rate: float, size: float, gaps: list[float]
) -> None:
    bucket = Bucket(rate, size)
    now, taken = 0.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now)
        assert 0 <= bucket.level <= size
        assert taken <= size + rate * now + 1e-6
