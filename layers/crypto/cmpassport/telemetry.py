"""Logger and metrics: the one place for log fields and metric names.

Logs are JSON lines, metrics are embedded in them (CloudWatch's embedded metric format). Neither carries a
number, token, userInformation, key, preSign or signature: a number is logged as digits of its keyed hash.
"""

import json
import logging
import os
import sys
import traceback
from enum import StrEnum
from typing import Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cmpassport.errors import CmpassportError, error_name
from cmpassport.problems import Problem

logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # which no line here has
# Made once: json.dumps would make an encoder for each line.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
logger: Final = Logger(json_serializer=_encode)
metrics: Final = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or "NumberVerification")


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
    metrics.add_metric(name=metric.value, unit=MetricUnit.Count, value=1)


def count_refusal(problem: Problem) -> None:
    """Add one to the metric of a refusal."""
    metrics.add_metric(name=_REFUSALS[problem], unit=MetricUnit.Count, value=1)


def record_milliseconds(metric: Metric, milliseconds: float) -> None:
    """Add a duration to a metric of this invocation."""
    metrics.add_metric(name=metric.value, unit=MetricUnit.Milliseconds, value=milliseconds)


def flush_metrics() -> None:
    """Write this invocation's metrics, if it has any.

    In one piece: Powertools prints them, which is two, and Lambda's runtime flushes each piece by itself.
    """
    if metrics.metric_set:  # a repeated outcome counts nothing
        sys.stdout.write(_encode(metrics.serialize_metric_set()) + "\n")
        metrics.clear_metrics()


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
