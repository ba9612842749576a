"""Logger and metrics: the one place for log fields and metric names.

Logs are JSON lines, metrics are embedded in them (CloudWatch's embedded metric format). Neither carries a
number, token, userInformation, key, preSign or signature: a number is logged as digits of its keyed hash.
"""

import json
import logging
import sys
import traceback
from enum import StrEnum
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit

from cmpassport.errors import CmpassportError, error_name
from cmpassport.problems import Problem

# No line here names its thread, process or place in the source: Python's logging HOWTO, Optimization.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None  # noqa: SLF001 - as the HOWTO has it
# Made once: json.dumps would make an encoder for each line.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
CARRIES_METRICS: Final = "carries_metrics"
"""A line with this field carries this invocation's metrics so far: one line costs less than two."""
_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({})))


class _Formatter(LambdaPowertoolsFormatter):
    """Writes a line as Powertools does, in half the time, and has it carry metrics where it says so."""

    def format(self, record: logging.LogRecord) -> str:
        if record.args or record.exc_info:
            return super().format(record)
        extra = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        carried = _take_metrics() if extra.pop(CARRIES_METRICS, False) else {}
        own = {"level": record.levelname, "message": record.msg, "timestamp": self.formatTime(record)}
        trace = self._get_latest_trace_id()
        line = {**self.log_format, **extra, **own, "xray_trace_id": trace, **carried}
        return self.serialize({name: value for name, value in line.items() if value is not None})


# Lambda takes a line whose timestamp does not follow RFC 3339 for INFO, whatever its level.
logger: Final = Logger(logger_formatter=_Formatter(json_serializer=_encode, use_rfc3339=True), location=None)
_metrics: Final = Metrics(namespace="NumberVerification")
counted: Final[dict[str, dict[str, Any]]] = {}
"""This invocation's metrics by name, in the form that Powertools serializes; its `add_metric` costs more."""


class Metric(StrEnum):
    """Metric names; beside these, each refusal is counted under its code's name, as in `TokenRejected`.

    A preSign that is signed counts nowhere: Lambda counts the calls, and a line for each would cost as much
    processor time as all that is checked of it.

    A repeated request that gets a refusal again counts that again. Once for each call to the platform count
    its latency, verdicts, the four that end in `_CODE` (other answers, by who can fix them), no answer in
    time, and answers that are not the protocol's.
    """

    COLD_START = "ColdStart"
    NUMBER_VERIFIED = "NumberVerified"
    NUMBER_REFUSED = "NumberRefused"
    OPERATOR_CODE = "OperatorCode"
    PAGE_CODE = "PageCode"
    USER_CODE = "UserCode"
    PLATFORM_CODE = "PlatformCode"
    NO_ANSWER = "NoAnswer"
    BAD_ANSWER = "BadAnswer"
    PLATFORM_LATENCY = "PlatformLatency"
    PLATFORM_LIMIT_REACHED = "PlatformLimitReached"
    BUDGET_REFUSED = "BudgetRefused"
    RECEIPT_ISSUED = "ReceiptIssued"
    RECEIPT_KEYS_SERVED = "ReceiptKeysServed"
    SECRET_STALE = "SecretStale"  # noqa: S105 - a metric's name
    ATTEMPT_NOT_SETTLED = "AttemptNotSettled"


_REFUSALS: Final = {problem: problem.code.title().replace("_", "") for problem in Problem}
_FRAMES = 12


def count(metric: Metric) -> None:
    """Add one to a metric of this invocation."""
    _add(metric.value, MetricUnit.Count, 1)


def count_refusal(problem: Problem) -> None:
    """Add one to the metric of a refusal."""
    _add(_REFUSALS[problem], MetricUnit.Count, 1)


def record_milliseconds(metric: Metric, milliseconds: float) -> None:
    """Add a duration to a metric of this invocation."""
    _add(metric.value, MetricUnit.Milliseconds, round(milliseconds, 3))  # else a line has sixteen digits


def _add(name: str, unit: MetricUnit, value: float) -> None:
    counted.setdefault(name, {"Unit": unit.value, "Value": []})["Value"].append(float(value))


def flush_metrics() -> None:
    """Write this invocation's metrics, if it has any that no line has carried.

    In one piece: Powertools prints them, which is two, and Lambda's runtime flushes each piece by itself.
    """
    if metrics := _take_metrics():
        sys.stdout.write(_encode(metrics) + "\n")


def _take_metrics() -> dict[str, Any]:
    if not counted:  # a repeated outcome counts nothing
        return {}
    taken: dict[str, Any] = {**_metrics.serialize_metric_set(counted)}
    counted.clear()
    return taken


def secret_is_stale(error: Exception) -> None:
    """Warn that a secret's refresh failed and the last good one stays in use."""
    count(Metric.SECRET_STALE)
    logger.warning("a secret could not be refreshed; the last good one is used", error=error_name(error))


def describe(error: BaseException) -> dict[str, object]:
    """Describe an unexpected error for the log: its type and where it came from.

    Its text is logged if it is this project's own, which quotes nothing; any other text might.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    description: dict[str, object] = {
        "error": error_name(error),
        "frames": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, CmpassportError):
        description["reason"] = str(error)
    return description
