"""Measures a warm handler from inside its process: `inside.py ARGUMENTS.json RESULT.json`.

Run by Lambda's Python with the bundle's code roots. Standard output is the function's own, as on Lambda.
"""

import base64
import importlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import botocore.session
import urllib3
from botocore import xform_name
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import MD5
from cryptography.hazmat.primitives.serialization import load_der_private_key

OK = 200


def main(arguments: Mapping[str, Any]) -> dict[str, float]:
    """Measure; nanoseconds, kilobytes of peak memory, calls of AWS."""
    handler = importlib.import_module(arguments["module"]).handler
    events = iter(arguments["events"])

    def invoke() -> None:
        answer = handler(next(events), None)
        if answer["statusCode"] != OK:
            raise SystemExit(f"the handler answers {answer}")

    for _ in range(arguments["before"]):  # the first fetches the secrets
        invoke()
    peak = peak_memory()
    drain_calls()
    invoke()
    calls = drain_calls()
    parts = {"ours": invoke, **bare_parts(arguments["key"], calls)}
    times = take_turns(parts, arguments["rounds"])
    return {**times, "AWS calls": len(calls), "peak memory": peak}


def take_turns(parts: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Return the median processor time of each part, one call of each by turns.

    A disturbance of the machine then touches all of them, and none has the processor's caches to itself, as
    it would in a loop of its own.
    """
    times: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(rounds):
        for name, part in parts.items():
            began = time.process_time_ns()
            part()
            if turn:  # the first warms up
                times[name].append(time.process_time_ns() - began)
    return {name: median(values) for name, values in times.items()}


def drain_calls() -> list[tuple[str, Any]]:
    """Take the AWS calls that the stand-in has noted since it was last asked: operation and message."""
    headers = {"X-Amz-Target": "calls"}
    request = urllib3.request("POST", os.environ["AWS_ENDPOINT_URL"], headers=headers, body="{}")
    calls: list[tuple[str, Any]] = request.json()
    return calls


def bare_parts(private_key: str, noted: list[tuple[str, Any]]) -> dict[str, Callable[[], None]]:
    """Return what the handler cannot do without, each by itself.

    That is one raw signature; where it calls DynamoDB, which verify does, also one raw encryption, its own
    calls made bare with boto3's client, and one bare POST.
    """
    key: Any = load_der_private_key(base64.b64decode(private_key), None)
    public, padding, digest = key.public_key(), PKCS1v15(), MD5()  # noqa: S303 - the platform's
    parts: dict[str, Callable[[], None]] = {"signature": lambda: key.sign(b"0" * 90, padding, digest)}
    if not noted:
        return parts
    dynamodb: Any = botocore.session.get_session().create_client("dynamodb")  # what boto3.client returns
    # A target is such as DynamoDB_20120810.PutItem.
    calls = [(getattr(dynamodb, xform_name(target.partition(".")[2])), message) for target, message in noted]
    http = urllib3.PoolManager()
    header = dict.fromkeys(("msgId", "timestamp", "appId"), "0" * 32)
    message = json.dumps({"header": header, "body": {"sign": "0" * 1024}}).encode()

    def aws() -> None:
        for call, parameters in calls:
            call(**parameters)

    def post() -> None:
        http.request("POST", os.environ["PLATFORM_URL"], body=message)

    return {**parts, "encryption": lambda: public.encrypt(b"0" * 60, padding), "aws": aws, "post": post}


def peak_memory() -> int:
    """Return the most memory that this process has had in RAM, in kB; Linux keeps it."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(Path(sys.argv[1]).read_bytes()))))
