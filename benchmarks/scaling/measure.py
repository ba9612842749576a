"""Takes from the running product what the model stands on: own time, AWS calls, log lines, items, bytes.

The local stack gives AWS and platform; each handler runs in a process of its own. What is taken is the
handler's own processor time, which does not depend on how fast those two are here: their latency on the real
network is an input of the model.
"""

import json
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3

from benchmarks.scaling.worker import MARK
from local.stack import Options, Stack
from local.template import Template

WORKER: Final = Path(__file__).with_name("worker.py")
EVENTS: Final = 60
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_INHERITED: Final = ("PATH", "LANG", "LD_LIBRARY_PATH")

_ACCESS: Final = {
    "requestId": "aBcDeFgHIjKlMnO=",
    "requestTime": "24/Nov/2026:12:00:00 +0000",
    "routeKey": "POST /verify",
    "status": "200",
    "responseLatency": "345",
    "integrationLatency": "341",
    "error.message": "-",
    "integrationErrorMessage": "-",
}
"""What the API puts in the place of each variable of its log's format, in the usual length."""

_LAMBDA_ID: Final = "8a7b6c5d-4e3f-4a2b-9c1d-0e9f8a7b6c5d"
_LAMBDA_LINES: Final = (
    {"type": "platform.start", "record": {"requestId": _LAMBDA_ID, "version": "$LATEST"}},
    {
        "type": "platform.report",
        "record": {
            "requestId": _LAMBDA_ID,
            "metrics": {
                "durationMs": 341.123,
                "billedDurationMs": 342,
                "memorySizeMB": 1024,
                "maxMemoryUsedMB": 104,
            },
            "tracing": {
                "spanId": "0123456789abcdef",
                "type": "X-Amzn-Trace-Id",
                "value": "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0",
            },
            "status": "success",
        },
    },
)
"""The lines that Lambda itself writes for each invocation where LogFormat is JSON."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one handler did: the figures of its events, and the lines it printed for each."""

    init_ms: float
    figures: Sequence[Mapping[str, Any]]
    lines: Sequence[Sequence[str]]


def measure(template: Path) -> dict[str, Any]:
    """Start the local stack, run both handlers, give the figures."""
    options = Options(
        api_port=0, web_port=0, platform_port=0, aws_port=0, warm=frozenset(), template=template
    )
    with Stack(options) as stack:
        presign = _run(stack, "PreSignFunction", [_presign(stack) for _ in range(EVENTS)])
        verify = _run(stack, "VerifyFunction", [_verify(stack, index) for index in range(EVENTS)])
        port = str(urlsplit(stack.platform).port)
        items = _items(stack)
    runs = {"presign": presign, "verify": verify}
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{_processor()}, Python {platform.python_version()}",
        "presign": _summary(presign, port),
        "verify": _summary(verify, port),
        "items": items,
        "metrics": sum(len(_metrics(run)) for run in runs.values()),
        "access_log_bytes": _access_log_bytes(Template.read(template)),
        "lambda_log_bytes": [len(_compact({"time": "2026-11-24T12:00:00.000Z", **x})) for x in _LAMBDA_LINES],
    }


def _run(stack: Stack, logical_id: str, events: Sequence[Mapping[str, Any]]) -> Run:
    function = stack.functions[logical_id].function
    variables = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    variables.update(function.variables)
    variables["PYTHONPATH"] = os.pathsep.join(map(str, function.roots))
    with tempfile.TemporaryDirectory() as directory:
        task, result = Path(directory, "task.json"), Path(directory, "result.json")
        task.write_text(json.dumps({"handler": function.handler, "events": events}))
        command = [sys.executable, "-P", str(WORKER), str(task), str(result)]
        output = subprocess.run(  # noqa: S603 - this Python, on a file of ours
            command, env=variables, check=True, capture_output=True, text=True
        ).stdout
        written = json.loads(result.read_text())
    statuses = Counter(figure["status"] for figure in written["events"])
    if set(statuses) != {200}:
        raise RuntimeError(f"{logical_id} answered {dict(statuses)}; every event should give 200")
    return Run(
        written["init_ms"], written["events"], [part.splitlines()[1:] for part in output.split(MARK)[1:]]
    )


def _event(stack: Stack, path: str, body: Mapping[str, str]) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": f"POST {path}",
        "headers": {"origin": stack.page, "content-type": "application/json"},
        "requestContext": {"http": {"sourceIp": "192.0.2.1"}, "requestId": secrets.token_urlsafe(12)},
        "body": _compact(body),
        "isBase64Encoded": False,
    }


def _presign(stack: Stack) -> dict[str, Any]:
    now = datetime.now(UTC) + timedelta(hours=8)
    message, unique = ("".join(secrets.choice(_ALPHABET) for _ in range(32)) for _ in range(2))
    pre_sign = f"{stack.app_id}{message}{now:%Y%m%d%H%M%S}{now.microsecond // 1000:03d}{unique}1.2"
    return _event(stack, "/presign", {"preSign": pre_sign})


def _verify(stack: Stack, index: int) -> dict[str, Any]:
    """Make a verification that the simulator judges: a sample token never grows old, each number is new."""
    body = {
        "phoneNum": f"139{index:08d}",
        "token": f"VM_SAMPLE{secrets.token_hex(16)}",
        "userInformation": "sample%2Bfingerprint%3D%3D",
    }
    return _event(stack, "/verify", body)


def _summary(run: Run, platform_port: str) -> dict[str, Any]:
    """Take the first event for itself and the medians of the others."""
    first, warm = run.figures[0], run.figures[1:]
    last = warm[-1]
    lines = run.lines[-1]
    metric = [line for line in lines if '"_aws"' in line]
    return {
        "init_own_ms": round(run.init_ms, 1),
        "first_own_ms": round(first["own_ms"], 1),
        "first_wall_ms": round(first["wall_ms"], 1),
        "warm_own_ms": round(statistics.median(figure["own_ms"] for figure in warm), 2),
        "warm_wall_ms": round(statistics.median(figure["wall_ms"] for figure in warm), 2),
        "first_calls": first["calls"],
        "warm_calls": last["calls"],
        "response_bytes": last["response_bytes"],
        "platform_sent_bytes": last["sent"].get(platform_port, 0),
        "platform_received_bytes": last["received"].get(platform_port, 0),
        "log_lines": len(lines) - len(metric),
        "log_bytes": sum(len(line) for line in lines if line not in metric),
        "metric_lines": len(metric),
        "metric_bytes": sum(map(len, metric)),
    }


def _metrics(run: Run) -> set[str]:
    """Name the metrics that this function has written."""
    names: set[str] = set()
    for lines in run.lines:
        for line in lines:
            if '"_aws"' in line:
                for directive in json.loads(line)["_aws"]["CloudWatchMetrics"]:
                    names.update(metric["Name"] for metric in directive["Metrics"])
    return names


def _items(stack: Stack) -> dict[str, int]:
    """Size what the verifications have left in the table."""
    session = boto3.Session("local", "local", region_name="cn-north-1")
    items = session.client("dynamodb", endpoint_url=stack.aws).scan(TableName=stack.table_name)["Items"]
    attempts = [item for item in items if len(item.get("attempts", {}).get("SS", [])) == 1]
    identifier = len(attempts[0]["attempts"]["SS"][0])
    outcomes = [item_bytes(item) for item in items if "status" in item]
    return {
        "attempt_bytes": max(map(item_bytes, attempts)) - identifier,
        "attempt_id_bytes": identifier,
        "outcome_bytes": max(outcomes),
    }


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Size an item as DynamoDB bills it: names and texts in UTF-8, numbers at half a byte a digit."""
    size = 0
    for name, typed in item.items():
        size += len(name.encode())
        for kind, value in typed.items():
            if kind == "N":
                size += len(str(value)) // 2 + 2
            elif kind == "SS":
                size += sum(len(text.encode()) for text in value)
            elif kind == "S":
                size += len(value.encode())
            else:
                raise ValueError(f"no item of the table has an attribute of type {kind}")
    return size


def _access_log_bytes(template: Template) -> int:
    api = template.document["Resources"]["NumberVerificationApi"]["Properties"]
    line: str = api["AccessLogSettings"]["Format"]
    for name in sorted(_ACCESS, key=len, reverse=True):
        line = line.replace(f"$context.{name}", _ACCESS[name])
    return len(line)


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
