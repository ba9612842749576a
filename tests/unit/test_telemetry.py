"""Lines of the log and the metrics that they carry."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from cmpassport.telemetry import Metric, count, flush_metrics, logger, record_milliseconds, take_metrics

Log = Callable[[], list[dict[str, Any]]]


def test_a_line_is_the_one_that_powertools_writes(
    logged: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    logger.append_keys(requestId="request-1")
    logger.warning("没有答复", extra={"frames": ["a.py:1 f"], "hint": None}, left=0)

    (line,), (record,) = logged(), caplog.records
    powertools = LambdaPowertoolsFormatter(use_rfc3339=True, **logger.get_current_keys())
    assert line == json.loads(powertools.format(record))
    assert line["level"] == "WARNING"
    # Lambda takes a line with any other timestamp for one of information.
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
    assert "T" in line["timestamp"]


@pytest.mark.parametrize(("level", "apart"), [("INFO", 0), ("WARNING", 1)])
def test_metrics_are_in_one_line_of_the_log_or_in_one_of_their_own(
    logged: Log,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    level: str,
    apart: int,
) -> None:
    caplog.set_level(level, logger.service)
    writer = AmazonCloudWatchEMFProvider(namespace="Space", service="verify", default_dimensions={})
    monkeypatch.setattr("cmpassport.telemetry._metrics", writer)
    count(Metric.NUMBER_VERIFIED)
    record_milliseconds(Metric.PLATFORM_LATENCY, 12.5)
    logger.info("the platform answered", extra={"msgId": "message-1", **take_metrics()})
    flush_metrics()

    lines = [*logged(), *map(json.loads, capsys.readouterr().out.splitlines())]
    (line,) = lines
    assert ("message" not in line) is bool(apart)
    assert line["NumberVerified"] == [1.0]
    assert line["PlatformLatency"] == [12.5]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Space", [["service"]])
    assert line["service"] == "verify"
    assert [(metric["Name"], metric["Unit"]) for metric in directive["Metrics"]] == [
        ("NumberVerified", "Count"),
        ("PlatformLatency", "Milliseconds"),
    ]
