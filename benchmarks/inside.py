"""Measures a warm handler from inside its process: `inside.py WHAT ARGUMENTS.json RESULT.json`.

Run by Lambda's Python with the bundle's code roots: it imports what verify has anyway. Standard output is the
function's own, as on Lambda.
"""

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

import boto3
import urllib3
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import MD5
from cryptography.hazmat.primitives.serialization import load_pem_private_key

Clock = Callable[[], int]
OK = 200


def main(what: str, arguments: Mapping[str, Any]) -> Any:
    """Measure one thing; nanoseconds and kilobytes."""
    handler = importlib.import_module(arguments["module"]).handler
    events = iter(arguments["events"])

    def invoke() -> None:
        answer = handler(next(events), None)
        if answer["statusCode"] != OK:
            raise SystemExit(f"the handler answers {answer}")

    if what == "peak":
        for _ in arguments["events"]:
            invoke()
        return peak_memory()
    if what == "each":
        return time_each(invoke, len(arguments["events"]))
    invoke()
    parts = {"ours": invoke, **PARTS[what](arguments)}
    return take_turns(parts, arguments["rounds"], arguments["block"], CLOCKS[what])


def time_each(invoke: Callable[[], None], amount: int) -> list[int]:
    """Give the processor time of each call but the first, begun when the parent says so, in nanoseconds."""
    invoke()
    sys.stderr.write("ready\n")
    sys.stdin.readline()
    times = []
    for _ in range(amount - 1):
        began = time.process_time_ns()
        invoke()
        times.append(time.process_time_ns() - began)
    return times


def take_turns(
    parts: Mapping[str, Callable[[], None]], rounds: int, block: int, clock: Clock
) -> dict[str, float]:
    """Give the median time of one call of each part, measured in blocks by turns."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(rounds):
        for name, part in parts.items():
            began = clock()
            for _ in range(block):
                part()
            if turn:  # the first warms up
                times[name].append((clock() - began) / block)
    return {name: median(values) for name, values in times.items()}


def presign_parts(arguments: Mapping[str, Any]) -> dict[str, Callable[[], None]]:
    """Give one raw signature."""
    return {"signature": raw_signature(arguments)}


def verify_parts(arguments: Mapping[str, Any]) -> dict[str, Callable[[], None]]:
    """Give what a verification cannot do without, one after the other as there, and each of it alone.

    That is one raw signature and encryption, the function's own AWS calls made bare, and one bare POST.
    """
    dynamodb = boto3.client("dynamodb")
    calls = [(getattr(dynamodb, snake(target)), message) for target, message in arguments["calls"]]
    http = urllib3.PoolManager()
    header = dict.fromkeys(("msgId", "timestamp", "appId"), "0" * 32)
    message = json.dumps({"header": header, "body": {"sign": "0" * 1024}}).encode()
    sign, encrypt = raw_signature(arguments), raw_encryption(arguments)

    def aws(which: slice = slice(None)) -> None:
        for call, parameters in calls[which]:
            call(**parameters)

    def post() -> None:
        http.request("POST", os.environ["PLATFORM_URL"], body=message)

    def bare() -> None:
        aws(slice(0, 2))
        encrypt()
        sign()
        post()
        aws(slice(2, None))

    return {"bare": bare, "signature": sign, "encryption": encrypt, "aws": aws, "post": post}


def raw_signature(arguments: Mapping[str, Any]) -> Callable[[], None]:
    """Give RSASSA-PKCS1-v1_5 with MD5, by cryptography and nothing else."""
    key: Any = load_pem_private_key(arguments["key"].encode(), None)
    message, padding, digest = os.urandom(90), PKCS1v15(), MD5()  # noqa: S303 - the platform's
    return lambda: key.sign(message, padding, digest)


def raw_encryption(arguments: Mapping[str, Any]) -> Callable[[], None]:
    """Give RSAES-PKCS1-v1_5, by cryptography and nothing else."""
    key: Any = load_pem_private_key(arguments["key"].encode(), None)
    public, message, padding = key.public_key(), os.urandom(60), PKCS1v15()
    return lambda: public.encrypt(message, padding)


def peak_memory() -> int:
    """Give the most memory that this process has had in RAM, in kB; Linux keeps it."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line)


def snake(target: str) -> str:
    """Give boto3's name of an operation, as in `DynamoDB_20120810.PutItem`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", target.partition(".")[2]).lower()


PARTS = {"presign": presign_parts, "verify": verify_parts}
CLOCKS: Mapping[str, Clock] = {"presign": time.process_time_ns, "verify": time.process_time_ns}

if __name__ == "__main__":
    result = main(sys.argv[1], json.loads(Path(sys.argv[2]).read_bytes()))
    Path(sys.argv[3]).write_text(json.dumps(result))
