"""The formulas of the capacity and cost model."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scaling.inputs import DIRECTORY, Inputs, Prices, Settings
from benchmarks.scaling.measure import item_bytes
from benchmarks.scaling.model import (
    attempt_item_bytes,
    cold_extra_ms,
    cost,
    cpu_share,
    environments,
    limits,
    load,
    total,
    warm_ms,
    write_units,
    writes_per_verification,
)

DAY = 86_400


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return Inputs.read()


def test_settings_are_the_templates_own() -> None:
    settings = Settings.read(parameters={"ThrottleRate": "321", "MemorySize": "512"})
    assert (settings.throttle_rate, settings.memory) == (321, 512)
    assert settings.largest_throttle_rate >= settings.throttle_rate


@pytest.mark.parametrize(("size", "units"), [(1, 1), (1024, 1), (1025, 2), (36_100, 36)])
def test_a_write_costs_a_unit_for_each_kibibyte_begun(size: int, units: int) -> None:
    assert write_units(size) == units


def test_an_attempts_item_grows_by_one_identifier(inputs: Inputs) -> None:
    sizes = [attempt_item_bytes(inputs, used) for used in range(4)]
    assert {later - earlier for earlier, later in pairwise(sizes)} == {36}


def test_a_budget_near_a_thousand_makes_an_attempt_cost_36_units(inputs: Inputs) -> None:
    assert write_units(attempt_item_bytes(inputs, 1000)) == 36


def test_a_verification_claims_reserves_and_settles(inputs: Inputs) -> None:
    without_refunds = replace(inputs, traffic=replace(inputs.traffic, given_back_share=0))
    assert writes_per_verification(without_refunds) == inputs.measured.verify.writes


def test_a_budget_per_client_address_costs_one_unit_more(inputs: Inputs) -> None:
    limited = replace(inputs, settings=replace(inputs.settings, client_hourly_limit=1000))
    assert writes_per_verification(limited) - writes_per_verification(inputs) == pytest.approx(1)


def test_items_are_sized_as_dynamodb_bills_them() -> None:
    attempts = {"SS": ["abc", "de"]}
    item: dict[str, dict[str, Any]] = {"id": {"S": "é" * 10}, "attempts": attempts}
    item["expiration"] = {"N": "1234567890"}
    assert item_bytes(item) == 2 + 20 + 8 + 5 + 10 + 7


def test_concurrency_is_rate_times_duration(inputs: Inputs) -> None:
    assert environments(inputs, per_second=100, milliseconds=350) == 35


def test_short_invocations_are_bound_by_requests_for_each_environment(inputs: Inputs) -> None:
    assert environments(inputs, per_second=100, milliseconds=1) == 10


def test_half_the_processor_doubles_own_time_and_no_other(inputs: Inputs) -> None:
    half = replace(inputs, settings=replace(inputs.settings, memory=inputs.settings.memory // 2))
    handler = inputs.measured.verify
    own = handler.warm_own_ms / cpu_share(inputs)
    assert warm_ms(half, handler, 300) - warm_ms(inputs, handler, 300) == pytest.approx(own)
    assert cold_extra_ms(half, handler) > cold_extra_ms(inputs, handler)


def test_memory_above_one_processor_makes_nothing_faster(inputs: Inputs) -> None:
    large = replace(inputs, settings=replace(inputs.settings, memory=10_240))
    assert cpu_share(large) == 1


def test_the_busiest_hour_has_its_share_of_the_day(inputs: Inputs) -> None:
    day = load(inputs, 3600, 300)
    assert day.peak_verifications == pytest.approx(inputs.traffic.peak_hour_share)


def test_secrets_are_read_once_in_their_age_by_each_environment(inputs: Inputs) -> None:
    day = load(inputs, 1_000_000, 300)
    ages = DAY / inputs.settings.secret_max_age
    assert day.secret_reads == pytest.approx(ages * (3 * day.verify_environments + day.presign_environments))


def test_few_requests_never_read_more_secrets_than_requests_could(inputs: Inputs) -> None:
    day = load(inputs, 10, 300)
    assert day.secret_reads <= 10 * 3 + 13
    assert day.cold_starts <= 23


def test_limits_come_nearest_first(inputs: Inputs) -> None:
    found = [limit.per_second for limit in limits(inputs, 300)]
    assert found == sorted(found)


def test_the_throttle_is_shared_by_the_presigns_of_a_verification(inputs: Inputs) -> None:
    first = limits(inputs, 300)[0]
    assert first.name == "API, each route"
    assert first.per_second * inputs.traffic.presigns_per_verification == inputs.settings.throttle_rate


def test_at_its_limit_concurrency_is_the_quota(inputs: Inputs) -> None:
    limit = next(limit for limit in limits(inputs, 2000) if limit.name == "Lambda concurrency")
    day = load(inputs, limit.per_second * 3600 / inputs.traffic.peak_hour_share, 2000)
    assert day.environments == pytest.approx(inputs.quotas.lambda_concurrency, abs=2)


def test_a_slow_platform_lowers_lambdas_limit_and_not_dynamodbs(inputs: Inputs) -> None:
    fast = {limit.name: limit.per_second for limit in limits(inputs, 80)}
    slow = {limit.name: limit.per_second for limit in limits(inputs, 2000)}
    assert slow["Lambda concurrency"] < fast["Lambda concurrency"]
    assert slow["DynamoDB, new table"] == fast["DynamoDB, new table"]


def test_what_is_paid_by_use_grows_with_use(inputs: Inputs) -> None:
    region = inputs.prices.regions["eu-central-1"]
    one, ten = (cost(inputs, region, size, 300) for size in (1_000_000, 10_000_000))
    assert ten["DynamoDB writes"] == pytest.approx(10 * one["DynamoDB writes"])
    assert ten["Logs"] == pytest.approx(10 * one["Logs"])
    assert ten["Metrics"] == one["Metrics"]


def test_the_apis_second_price_holds_beyond_300_million(inputs: Inputs) -> None:
    region = inputs.prices.regions["ap-southeast-1"]
    traffic = replace(inputs.traffic, presigns_per_verification=0, preflights_per_verification=0, days=1)
    bare = replace(inputs, traffic=traffic)
    first, second = (region.price(item) * 100 for item in ("http_api_million", "http_api_million_beyond"))
    assert cost(bare, region, 300e6, 300)["HTTP API"] == pytest.approx(3 * first)
    assert cost(bare, region, 400e6, 300)["HTTP API"] == pytest.approx(3 * first + second)


def test_a_month_is_the_sum_of_its_items(inputs: Inputs) -> None:
    month = cost(inputs, inputs.prices.regions["cn-north-1"], 1_000_000, 300)
    assert total(month) == pytest.approx(sum(month.values()))
    assert min(month.values()) >= 0


def test_no_nat_gateway_costs_nothing(inputs: Inputs) -> None:
    without = replace(inputs, traffic=replace(inputs.traffic, nat_zones=0))
    assert cost(without, inputs.prices.regions["cn-north-1"], 1_000_000, 300)["NAT gateway"] == 0


def test_china_has_no_traces_to_pay(inputs: Inputs) -> None:
    assert cost(inputs, inputs.prices.regions["cn-northwest-1"], 1e8, 300)["X-Ray"] == 0


def test_every_region_has_every_price(inputs: Inputs) -> None:
    regions = inputs.prices.regions
    assert len({tuple(region.prices) for region in regions.values()}) == 1
    assert {source.status for source in inputs.prices.sources.values()} == {"checked", "assumed"}


def test_a_price_without_a_source_is_refused(tmp_path: Path) -> None:
    content = json.loads((DIRECTORY / "prices.json").read_text(encoding="utf-8"))
    content["regions"]["cn-north-1"]["prices"]["logs_gb"]["source"] = "hearsay"
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="cn-north-1: logs_gb has the source hearsay"):
        Prices.read(path)
