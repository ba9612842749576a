"""What the template watches is what the code counts: metrics, dimensions and descriptions, both ways."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from cmpassport.problems import Problem
from cmpassport.telemetry import _REFUSALS, Metric
from local import ROOT
from local.template import FUNCTION, Deployment, Pseudo, Template

ALARM: Final = "AWS::CloudWatch::Alarm"
NAMESPACE: Final = "NumberVerification"
SECRET: Final = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:any-a1B2c3"
EVERYTHING: Final = {
    "AppId": "000340",
    "AllowedOrigins": "https://www.abc.com",
    "SigningSecretArn": SECRET,
    "VerificationSecretArn": SECRET,
    "Release": "2026-11-24",
    "Receipts": "on",
    "ReceiptSecretArn": SECRET,
    "AlarmEmail": "operator@abc.com",
}
# What AWS counts by itself, and by which dimensions (its documentation of each service's metrics).
OF_AWS: Final = {
    "AWS/Lambda": (
        {"Errors", "Throttles", "Invocations", "Duration", "ConcurrentExecutions"},
        {frozenset({"FunctionName"}), frozenset({"FunctionName", "Resource", "ExecutedVersion"})},
    ),
    "AWS/DynamoDB": (
        {"ConsumedWriteCapacityUnits", "WriteThrottleEvents", "ReadThrottleEvents"},
        {frozenset({"TableName"})},
    ),
    "AWS/ApiGateway": ({"Count", "4xx", "5xx"}, {frozenset({"ApiId"})}),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A metric that an alarm or the dashboard looks at."""

    where: str
    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


def deployed() -> Deployment:
    """Evaluate the template with everything on; resources are called by their logical ids."""
    template = Template.read(ROOT / "template.yaml")
    deployment = template.deploy(EVERYTHING, Pseudo("eu-west-1", "123456789012", "demo"))
    for name in deployment.document["Resources"]:
        deployment.created(name, name, Arn=f"arn:{name}", Version="7")
    return deployment


DEPLOYMENT: Final = deployed()
ALARMS: Final = list(DEPLOYMENT.resources(ALARM))


def stats(alarm: str) -> list[dict[str, Any]]:
    """Give an alarm's metrics in one form, those of a single one included."""
    properties = DEPLOYMENT.properties(alarm)
    own = {name: properties.get(name) for name in ("Namespace", "MetricName", "Dimensions")}
    return [{"MetricStat": {"Metric": own}}] if own["MetricName"] else properties.require("Metrics")


def watched() -> Iterator[Watched]:
    for alarm in ALARMS:
        for stat in stats(alarm):
            if "MetricStat" in stat:
                metric = stat["MetricStat"]["Metric"]
                pairs = frozenset((each["Name"], each["Value"]) for each in metric["Dimensions"])
                yield Watched(alarm, metric["Namespace"], metric["MetricName"], pairs)
    for widget in dashboard():
        before: list[str] = []
        for written in widget["properties"].get("metrics", ()):
            row = [text for text in written if isinstance(text, str)]
            row = [before[place] if text == "." else text for place, text in enumerate(row)]
            before = row
            pairs = frozenset(zip(row[2::2], row[3::2], strict=True))
            yield Watched(widget["properties"]["title"], row[0], row[1], pairs)


def dashboard() -> list[dict[str, Any]]:
    body = json.loads(DEPLOYMENT.properties("Watching").require("DashboardBody"))
    widgets: list[dict[str, Any]] = body["widgets"]
    return widgets


def services() -> dict[str, str]:
    """Give the code package behind each value of the dimension `service`."""
    found = {}
    for function in DEPLOYMENT.resources(FUNCTION):
        properties = DEPLOYMENT.properties(function)
        variables = properties.require("Environment")["Variables"]
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE
        found[variables["POWERTOOLS_SERVICE_NAME"]] = properties.require("Handler").partition(".")[0]
    return found


def counted_by(package: str) -> set[str]:
    """Give what a function's own code and the shared code count, as both name it."""
    folders = ROOT / "functions" / package, ROOT / "layers" / "crypto" / "cmpassport"
    code = "\n".join(path.read_text() for folder in folders for path in sorted(folder.glob("*.py")))
    metrics = {Metric[name].value for name in re.findall(r"\bMetric\.([A-Z_]+)\b", code)}
    refusals = {_REFUSALS[Problem[name]] for name in re.findall(r"\bProblem\.([A-Z_]+)\b", code)}
    return metrics | refusals


WATCHED: Final = list(watched())


def test_every_metric_that_is_watched_is_counted_by_the_function_that_is_named() -> None:
    packages = services()

    for each in WATCHED:
        if each.namespace == NAMESPACE:
            ((dimension, service),) = each.dimensions
            assert dimension == "service", each
            assert each.name in counted_by(packages[service]), each


def test_every_metric_of_awss_is_one_that_it_has() -> None:
    for each in WATCHED:
        if each.namespace != NAMESPACE:
            names, dimensions = OF_AWS[each.namespace]
            assert each.name in names, each
            assert frozenset(name for name, _ in each.dimensions) in dimensions, each
            assert all(value in DEPLOYMENT.document["Resources"] for _, value in each.dimensions) or any(
                name == "ExecutedVersion" for name, _ in each.dimensions
            ), each


def test_everything_that_is_counted_is_watched() -> None:
    seen = {each.name for each in WATCHED if each.namespace == NAMESPACE}

    assert {metric.value for metric in Metric} - seen == set()
    assert set(_REFUSALS.values()) - seen == set()


def test_the_release_alarms_look_at_the_version_that_the_alias_calls() -> None:
    for name in ("PreSign", "Verify"):
        (errors,) = (
            each for each in WATCHED if each.where == f"{name}ReleaseAlarm" and each.name == "Errors"
        )
        assert errors.dimensions == {
            ("FunctionName", f"{name}Function"),
            ("Resource", f"{name}Function:{DEPLOYMENT.properties(f'{name}Alias').require('Name')}"),
            ("ExecutedVersion", DEPLOYMENT.properties(f"{name}Alias").require("FunctionVersion")),
        }


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_says_what_it_means_and_where_to_read_on(alarm: str) -> None:
    description = DEPLOYMENT.properties(alarm).require("AlarmDescription")
    sentences, _, place = description.rpartition(" docs/")

    assert place == f"runbook.md, {alarm}."
    assert sentences.endswith(".")
    assert 1 <= len(re.findall(r"\.(?: |$)", sentences)) <= 3
    assert len(description) <= 1024


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_tells_whoever_is_to_be_told_and_is_quiet_while_nobody_calls(alarm: str) -> None:
    properties = DEPLOYMENT.properties(alarm)

    assert properties.require("AlarmActions") == properties.require("OKActions") == ["AlarmEmailTopic"]
    assert properties.require("TreatMissingData") == "notBreaching"


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarms_sum_has_its_parts_and_one_result(alarm: str) -> None:
    parts = stats(alarm)
    shown = [each for each in parts if each.get("ReturnData", True)]
    ids = [each.get("Id", "") for each in parts]

    assert len(shown) == 1
    assert len(ids) == len(set(ids))
    assert "Expression" in shown[0] or len(parts) == 1
    for each in parts:
        named = set(re.findall(r"\b[a-z][A-Za-z]*\b", each.get("Expression", "")))
        assert named <= set(ids), each
    whole = " ".join(each.get("Expression", "") for each in parts)
    assert "METRICS()" in whole or set(ids) - {shown[0].get("Id", "")} <= set(re.findall(r"\w+", whole))


def test_a_rate_of_the_api_is_the_operators_own() -> None:
    (share,) = (each["Expression"] for each in stats("RefusedByApiAlarm") if "Expression" in each)

    assert share == f"100 * MAX(FILL(METRICS(), 0)) / (60 * {DEPLOYMENT.ref('ThrottleRate')})"


def test_the_dashboard_shows_every_alarm() -> None:
    (alarms,) = (widget for widget in dashboard() if widget["type"] == "alarm")

    assert sorted(alarms["properties"]["alarms"]) == sorted(f"arn:{alarm}" for alarm in ALARMS)


def test_the_dashboards_widgets_lie_beside_one_another() -> None:
    places = [
        (x, y)
        for widget in dashboard()
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
