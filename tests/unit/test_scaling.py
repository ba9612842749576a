"""The formulae of the capacity and cost model, and what docs/scaling.md prints of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scaling import Model
from local import ROOT
from local.template import Template

PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.read()


def changed(model: Model, table: str, **values: Any) -> Model:
    return replace(model, **{table: {**getattr(model, table), **values}})


def test_the_templates_defaults_are_the_models(model: Model) -> None:
    parameters = Template.read(Path(ROOT, "template.yaml")).document["Parameters"]
    declared = {name: parameters[name]["Default"] for name in model.template if name in parameters}
    assert declared == {name: model.template[name] for name in declared}
    assert {"ThrottleRate", "ThrottleBurst"} <= declared.keys()


def test_concurrency_is_rate_times_duration(model: Model) -> None:
    instant = changed(model, "traffic", presigns=0)
    duration = model.warm_ms(model.verify, 2000)
    assert instant.load_at(1000, 0, 2000).environments == pytest.approx(duration, abs=2)


def test_short_calls_are_bound_by_requests_for_each_environment(model: Model) -> None:
    only_presigns = changed(model, "traffic", presigns=1e6)
    assert only_presigns.load_at(0.001, 0, 0).environments == 1 + 100


def test_half_the_processor_doubles_own_time_and_no_other(model: Model) -> None:
    whole = changed(model, "template", MemorySize=model.quotas["vcpu_memory"])
    half = changed(model, "template", MemorySize=model.quotas["vcpu_memory"] / 2)
    added = half.warm_ms(half.verify, 300) - whole.warm_ms(whole.verify, 300)
    assert added == pytest.approx(model.verify.own_ms)


@pytest.mark.parametrize(
    ("table", "name", "limit"),
    [
        ("template", "ThrottleRate", "API, each route"),
        ("quotas", "api_rate", "API, whole account"),
        ("quotas", "lambda_concurrency", "Lambda concurrency"),
        ("quotas", "lambda_gain", "Lambda scaling, from nothing"),
        ("quotas", "dynamodb_new_table", "DynamoDB, new table"),
        ("quotas", "dynamodb_table", "DynamoDB, any table"),
        ("quotas", "secrets_rate", "Secrets Manager, all starts cold"),
        ("quotas", "nat_connections", "NAT gateway, one address"),
    ],
)
def test_a_limit_grows_with_what_moves_it_and_no_other_does(
    model: Model, table: str, name: str, limit: str
) -> None:
    before = {found.name: found.per_second for found in model.limits(300)}
    moved = changed(model, table, **{name: 2 * getattr(model, table)[name]})
    after = {found.name: found.per_second for found in moved.limits(300)}
    assert after == pytest.approx({**before, limit: 2 * before[limit]})


def test_a_slow_platform_costs_concurrency_and_leaves_the_table_alone(model: Model) -> None:
    usual, slow = ({x.name: x.per_second for x in model.limits(ms)} for ms in (300, 2000))
    assert slow["Lambda concurrency"] < usual["Lambda concurrency"] / 4
    assert slow["DynamoDB, new table"] == usual["DynamoDB, new table"]


@pytest.mark.parametrize("region", ["cn-north-1", "ap-southeast-1"])
def test_a_price_moves_its_own_items_in_proportion(model: Model, region: str) -> None:
    for name, price in model.regions[region].items():
        if isinstance(price, str):
            continue
        dearer = changed(model, "regions", **{region: {**model.regions[region], name: price + 1}})
        before, after = (x.cost(region, 1e8, 300) for x in (model, dearer))
        assert len([item for item in before if before[item] != after[item]]) == 1, name


def test_requests_beyond_the_first_tier_have_the_second_price(model: Model) -> None:
    calls = 1e8 * 30 * (1 + 1.3 + 2)
    expected = 300 * 8.27 + (calls / 1e6 - 300) * 7.44
    assert model.cost("cn-north-1", 1e8, 300)["HTTP API"] == pytest.approx(expected)


def test_the_page_has_the_models_months(model: Model) -> None:
    for region in model.regions:
        for per_day in model.traffic["day"].values():
            assert f"{sum(model.cost(region, per_day, 300).values()):,.0f}" in PAGE


def test_the_page_has_the_models_limits_and_loads(model: Model) -> None:
    for milliseconds in model.latency["platform"].values():
        for limit in model.limits(milliseconds):
            assert f" {limit.per_second:,.0f} |" in PAGE, limit
    for per_day in model.traffic["day"].values():
        peak = model.load(per_day, 300).per_second * model.traffic["headroom"]
        for milliseconds in (300, 2000):
            assert f" {model.load_at(peak, per_day, milliseconds).environments:,} |" in PAGE
