"""What docs/scaling.md prints is what the capacity and cost model gives."""

from pathlib import Path

from benchmarks.scaling import Model
from local import ROOT
from local.template import Template

PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
MODEL = Model.read()
DAYS = MODEL.traffic["day"].values()
SPEEDS = MODEL.latency["platform"].values()


def test_the_templates_defaults_are_the_models() -> None:
    parameters = Template.read(Path(ROOT, "template.yaml")).document["Parameters"]
    declared = {name: parameters[name]["Default"] for name in MODEL.template if name in parameters}
    assert declared == {name: MODEL.template[name] for name in declared}
    assert {"ThrottleRate", "ThrottleBurst"} <= declared.keys()


def test_the_page_has_the_models_months_limits_and_loads() -> None:
    months = [sum(MODEL.cost(region, per_day, 300).values()) for region in MODEL.regions for per_day in DAYS]
    limits = [limit for speed in SPEEDS for limit in MODEL.limits(speed).values()]
    peaks = [MODEL.per_second(per_day) * MODEL.traffic["headroom"] for per_day in DAYS]
    loads = [MODEL.environments(peak, speed) for peak in peaks for speed in (300, 2000)]
    loads += [MODEL.environments(MODEL.traffic["campaign"], speed) for speed in SPEEDS]

    shown = [*(f"**{month:,.0f}** |" for month in months), *(f" {x:,.0f} |" for x in (*limits, *loads))]
    assert [text for text in shown if text not in PAGE] == []
