"""The formulae of the capacity and cost model, and what docs/scaling.md prints of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scaling import Model
from local import ROOT
from local.template import Template

PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
MODEL = Model.read()
DAYS = MODEL.traffic["day"].values()
SPEEDS = MODEL.latency["platform"].values()


def changed(table: str, **values: Any) -> Model:
    return replace(MODEL, **{table: {**getattr(MODEL, table), **values}})


def test_the_templates_defaults_are_the_models() -> None:
    parameters = Template.read(Path(ROOT, "template.yaml")).document["Parameters"]
    declared = {name: parameters[name]["Default"] for name in MODEL.template if name in parameters}
    assert declared == {name: MODEL.template[name] for name in declared}
    assert {"ThrottleRate", "ThrottleBurst"} <= declared.keys()


def test_concurrency_is_rate_times_duration_and_short_calls_are_bound_by_requests() -> None:
    duration = MODEL.warm_ms("verify", 2000)
    assert changed("traffic", presigns=0).environments(1000, 2000) == pytest.approx(duration, abs=2)
    assert changed("traffic", presigns=1e6).environments(0.001, 0) == 1 + 100


def test_half_the_processor_doubles_own_time_and_no_other() -> None:
    whole, half = (changed("template", MemorySize=MODEL.quotas["vcpu_memory"] / part) for part in (1, 2))
    added = half.warm_ms("verify", 300) - whole.warm_ms("verify", 300)
    assert added == pytest.approx(MODEL.functions["verify"]["own_ms"])


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
def test_a_limit_grows_with_what_moves_it_and_no_other_does(table: str, name: str, limit: str) -> None:
    before = MODEL.limits(300)
    after = changed(table, **{name: 2 * getattr(MODEL, table)[name]}).limits(300)
    assert after == pytest.approx({**before, limit: 2 * before[limit]})


@pytest.mark.parametrize("region", MODEL.regions)
def test_a_price_moves_its_own_items_in_proportion(region: str) -> None:
    for name, price in MODEL.regions[region].items():
        if isinstance(price, str):
            continue
        dearer = changed("regions", **{region: {**MODEL.regions[region], name: price + 1}})
        before, after = (x.cost(region, 1e8, 300) for x in (MODEL, dearer))
        assert len([item for item in before if before[item] != after[item]]) == 1, name


def test_requests_beyond_the_first_tier_have_the_second_price() -> None:
    calls = 1e8 * 30 * (1 + 1.3 + 2)
    expected = 300 * 8.27 + (calls / 1e6 - 300) * 7.44
    assert MODEL.cost("cn-north-1", 1e8, 300)["HTTP API"] == pytest.approx(expected)


def test_the_page_has_the_models_months_limits_and_loads() -> None:
    months = [sum(MODEL.cost(region, per_day, 300).values()) for region in MODEL.regions for per_day in DAYS]
    limits = [limit for speed in SPEEDS for limit in MODEL.limits(speed).values()]
    peaks = [MODEL.per_second(per_day) * MODEL.traffic["headroom"] for per_day in DAYS]
    loads = [MODEL.environments(peak, speed) for peak in peaks for speed in (300, 2000)]
    loads += [MODEL.environments(MODEL.traffic["campaign"], speed) for speed in SPEEDS]

    shown = [*(f"**{month:,.0f}** |" for month in months), *(f" {x:,.0f} |" for x in (*limits, *loads))]
    assert [text for text in shown if text not in PAGE] == []
