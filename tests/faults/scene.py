"""A stage for faults: a verify function of its own, whose calls to AWS may fail, before the platform."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

from cmpassport.aws import session
from local.environment import BusyError, FunctionError, Pool, Runtime
from local.simulator import Simulator
from local.stack import VERIFY_FUNCTION, VERIFY_PATH, Stack
from tests.faults.aws import SLOW_SECONDS, AwsFaults, Step
from tests.faults.table import Again, Attempt, Cause, Effect, Moment
from tests.support.in_process import InProcess
from tests.support.phone import Phone, Reply, Ticket
from tests.support.stacks import addresses_of, client_of
from verify import verification
from verify.budget import day_key
from verify.hashing import Salt, keyed_hash

BRIEF: Final = {"PLATFORM_READ_TIMEOUT": "0.8", "PLATFORM_DEADLINE": "1.2"}
"""Limits of an exchange with the platform that a test can wait for."""


class ScenePhone(Phone):
    """A phone whose page calls a scene's function from an address, `network`, without a gateway."""

    network = "203.0.113.7"

    def __init__(self, stack: Stack, pool: Pool, sim: str) -> None:
        super().__init__(**addresses_of(stack), sim=sim)
        self._pool = pool

    def post(
        self, path: str, body: Any = None, *, data: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a verification to the function, all else to the stack's API."""
        if path != "/verify":
            return super().post(path, body, data=data, headers=headers)
        event = {
            "headers": {"origin": self.page, "content-type": "application/json", **(headers or {})},
            "requestContext": {
                "domainName": "api.example.com",
                "http": {"sourceIp": self.network},
                "requestId": os.urandom(8).hex(),
            },
            "body": data.decode() or json.dumps(body),
        }
        try:
            answer = self._pool.invoke(event, "id")
        except (FunctionError, BusyError):
            return Reply(500, {}, '{"message":"Internal Server Error"}')
        return Reply(answer["statusCode"], answer["headers"], answer["body"])


@dataclass(frozen=True, slots=True)
class Sent:
    """One request and what it left behind."""

    reply: Reply
    calls: int
    steps: tuple[Step, ...]
    log: tuple[str, ...]
    metrics: frozenset[str]


class Scene:
    """A running scene, and what its stack's table holds of numbers' attempts; `scene` makes one."""

    def __init__(self, stack: Stack, aws: AwsFaults, pool: Pool, log: Path) -> None:
        self.stack = stack
        self.aws = aws
        self._pool = pool
        self._log = log
        self._dynamodb = client_of(stack, "dynamodb")
        secrets = client_of(stack, "secretsmanager")
        self._pepper = secrets.get_secret_value(SecretId=stack.secret_ids["PEPPER_SECRET_ID"])["SecretString"]

    @property
    def simulator(self) -> Simulator:
        assert self.stack.simulator is not None
        return self.stack.simulator

    def phone(self, sim: str) -> ScenePhone:
        return ScenePhone(self.stack, self._pool, sim)

    def send(self, phone: Phone, ticket: Ticket) -> Sent:
        calls, steps, read = len(self.codes(ticket)), len(self.aws.seen), self._log.stat().st_size
        reply = phone.verify(phone.sim, ticket)
        with self._log.open(encoding="utf-8") as file:
            file.seek(read)
            lines = file.read().splitlines()
        log, metrics = _read_output(lines)
        return Sent(reply, len(self.codes(ticket)) - calls, tuple(self.aws.seen[steps:]), log, metrics)

    def attempt(self, number: str) -> Attempt:
        """Tell what became of the one attempt that a number can have had."""
        key = day_key(keyed_hash(self._pepper.encode(), Salt.NUMBER, number), datetime.now(UTC))
        item = self._dynamodb.get_item(TableName=self.stack.table_name, Key={"id": {"S": key}}).get("Item")
        if item is None:
            return Attempt.NOT_RESERVED
        attempts, unjudged = (item.get(name, {"SS": []})["SS"] for name in ("attempts", "unjudged"))
        assert len(attempts) + len(unjudged) <= 1
        if any(name.startswith("flight ") for name in item):
            return Attempt.IN_FLIGHT
        if unjudged:
            return Attempt.UNJUDGED
        return Attempt.SPENT if attempts else Attempt.GIVEN_BACK

    def codes(self, ticket: Ticket) -> list[str]:
        """Return what the platform made of a token, and of requests that were reset before it had any."""
        return [
            entry["resultCode"]
            for entry in self.simulator.journal.entries()
            if entry["step"] == 14 and ticket.token in (entry["request"]["body"] or ticket.token)
        ]

    def end_holds(self) -> None:
        """Let the time of every claimed token pass: each claim says when it ends."""
        table, claims = self.stack.table_name, "attribute_exists(budget)"
        for item in self._dynamodb.scan(TableName=table, FilterExpression=claims)["Items"]:
            self._dynamodb.put_item(TableName=table, Item={**item, "expiration": {"N": "1"}})


def _read_output(lines: list[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    log, metrics, asked = [], set(), "the platform is asked"
    for line in lines:
        content = json.loads(line)
        if "_aws" in content:
            listed = content["_aws"]["CloudWatchMetrics"][0]["Metrics"]
            metrics |= {metric["Name"] for metric in listed} - {"ColdStart"}
        if content.get("message", asked) != asked:  # said before each call; metrics may stand alone
            log.append(_line(content))
    return tuple(sorted(set(log))), frozenset(metrics)


def _line(content: Mapping[str, Any]) -> str:
    why = content.get("reason") or content.get("error") or content.get("resultCode")
    return f"{content['level']} {content['message']}" + (f" ({why})" if why else "")


@contextmanager
def scene(
    stack: Stack,
    folder: Path,
    address: str | None = None,
    variables: Mapping[str, str] = BRIEF,
    *,
    runtime: Runtime = InProcess,
    timeout: float = 20,
) -> Iterator[Scene]:
    """Run a scene on a stack, whose simulator, secrets and table it uses.

    The function's output goes into the folder. It looks for the platform at the address, else at the
    simulator's; variables are those that have another value than in the template. In a runtime of its own it
    may die; the timeout is in seconds.
    """
    log, aws = folder / "verify.log", AwsFaults()
    log.touch()
    function = stack.functions[VERIFY_FUNCTION].function
    own = {
        **function.variables,
        "RECEIPT_SECRET_ID": "",  # the table is of a deployment without receipts
        **variables,
        "PLATFORM_URL": (address or stack.platform) + VERIFY_PATH,
    }
    session().register("before-send", aws)
    pool = Pool(replace(function, variables=own, timeout=timeout), 1, log, runtime)
    try:
        yield Scene(stack, aws, pool, log)
    finally:
        pool.stop()
        session().unregister("before-send", aws)


def provoke(stage: Scene, cause: Cause, sim: str) -> Effect:
    """Have the fault happen to one request, and see what follows."""
    has_its_secrets = cause.moment not in {Moment.COLD, Moment.LATE}
    if cause.moment is Moment.REFRESH or (has_its_secrets and not stage.aws.seen):
        if cause.moment is Moment.REFRESH:
            stage.simulator.faults.arm({"fault": "resultCode", "resultCode": "130018"})
        other = f"137{sim[3:]}"
        stage.phone(other).verify(other, Ticket(f"VM_warm{sim}", "warm"))
    phone = stage.phone(sim)
    ticket = phone.ticket()
    if cause.platform is not None:
        stage.simulator.faults.arm(cause.platform)
    if cause.aws is not None:
        stage.aws.fail(cause.aws)
    barely = verification.SETTLE_SECONDS + float(BRIEF["PLATFORM_DEADLINE"]) + SLOW_SECONDS
    hurry = mock.patch.object(verification, "REQUEST_SECONDS", barely)
    try:
        with hurry if cause.moment is Moment.LATE else nullcontext():
            sent = stage.send(phone, ticket)
    finally:
        stage.aws.clear()
        stage.simulator.faults.clear()
    content = sent.reply.json
    code = content.get("code") or content.get("resultCode") or "none"
    answer = f"{sent.reply.status} {code} {content.get('action', 'none')}"
    attempt = stage.attempt(sim)
    late = stage.aws.last[cause.duplicate] if cause.duplicate else None
    again = _again(stage, phone, ticket, sent, late)
    return Effect(answer, attempt, sent.calls, again, sent.metrics, sent.log)


def _again(stage: Scene, phone: ScenePhone, ticket: Ticket, first: Sent, duplicate: Any) -> Again:
    second = stage.send(phone, ticket)
    if duplicate is not None:
        attempt = stage.attempt(phone.sim)
        stage.aws.repeat(duplicate)
        third = stage.send(phone, ticket)
        assert (third.reply.status, third.calls) == (second.reply.status, 0)
        assert stage.attempt(phone.sim) == attempt
    if second.reply.json.get("code") == "in_progress":
        assert (second.reply.status, second.reply.json["action"]) == (409, "wait")
        assert second.reply.headers["Retry-After"] == "1"
        # When the claim is over, what was sent is dead at the platform, and what was not may be sent.
        stage.end_holds()
        phone.network = "203.0.113.8"
        assert stage.send(phone, ticket).reply.status != second.reply.status
        assert sum(code in {"000", "001"} for code in stage.codes(ticket)) <= 1
        return Again.HELD
    if Step.RESERVATION in second.steps:
        return Again.ANEW
    assert second.calls == 0
    told = [{**sent.reply.json, "requestId": ""} for sent in (first, second)]
    assert told[0] == told[1]
    return Again.SAME
