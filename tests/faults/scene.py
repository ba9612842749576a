"""A stage for faults: a verify function of its own, whose AWS is behind a proxy, before the platform."""

import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from local.aws import ACCOUNT_ID
from local.environment import Pool, WorkerEnvironment
from local.gateway import Api, Gateway
from local.keys import CustomerKeys
from local.server import Server
from local.stack import VERIFY_FUNCTION, VERIFY_PATH, Stack
from tests.faults.proxy import AwsProxy, Step
from tests.faults.table import Address, Again, Attempt, Cause, Effect, Moment, Receipts, Rotation, Token
from tests.support.phone import Phone, Reply, Ticket
from tests.support.receipt_secrets import LONG_AGO, new_key, secret
from tests.support.stacks import client_of
from verify.hashing import Salt, keyed_hash

PRESIGN_FUNCTION: Final = "PreSignFunction"
_ROUTES: Final = {"POST /presign": PRESIGN_FUNCTION, "POST /verify": VERIFY_FUNCTION}
_NO_NAME: Final = "http://" + "no." * 85 + "name"
"""Longer than a name may be (RFC 1035 section 2.3.4), so that no resolver is asked."""

BRIEF: Final = {"PLATFORM_READ_TIMEOUT": "0.8", "PLATFORM_DEADLINE": "1.2"}
"""Limits of an exchange with the platform that a test can wait for."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request and what it left behind."""

    reply: Reply
    calls: int
    steps: tuple[Step, ...]
    log: tuple[str, ...]
    metrics: frozenset[str]


class Scene:
    """A running scene; `scene` makes one."""

    def __init__(self, ledger: "Ledger", proxy: AwsProxy, pool: Pool, api: str, log: Path) -> None:
        stack = ledger.stack
        assert stack.simulator is not None
        self.stack = stack
        self.simulator = stack.simulator
        self.proxy = proxy
        self.pool = pool
        self._api = api
        self._log = log
        self.ledger = ledger

    def phone(self, sim: str) -> Phone:
        """Make a phone whose page calls this scene's function."""
        stack = self.stack
        return Phone(api=self._api, page=stack.page, platform=stack.platform, app_id=stack.app_id, sim=sim)

    def send(self, phone: Phone, ticket: Ticket) -> Sent:
        """Send a verification; give what moved."""
        arrived, steps, read = self._arrived(ticket), len(self.proxy.seen), self._log.stat().st_size
        reply = phone.verify(phone.sim, ticket)
        with self._log.open(encoding="utf-8") as file:
            file.seek(read)
            lines = file.read().splitlines()
        log, metrics = _read_output(lines)
        return Sent(reply, self._arrived(ticket) - arrived, tuple(self.proxy.seen[steps:]), log, metrics)

    def attempt(self, number: str) -> Attempt:
        """Tell what became of the one attempt that a number can have had."""
        items = self.ledger.attempts(number)
        assert len(items) <= 1
        if not items:
            return Attempt.NOT_RESERVED
        assert len(items[0]) <= 1
        return Attempt.SPENT if items[0] else Attempt.GIVEN_BACK

    def die(self) -> None:
        """Kill the function's newest process, as the machine under it would."""
        running = processes(self.pool)
        if running:
            with suppress(ProcessLookupError):  # it may have died by itself
                os.kill(max(running), signal.SIGKILL)

    def calls(self, ticket: Ticket) -> int:
        """Count the requests with a token that the platform has read."""
        return sum(ticket.token in (body or "") for body in self._bodies())

    def _arrived(self, ticket: Ticket) -> int:
        """Count these and all that it has reset unread, whose token nobody knows."""
        return sum(ticket.token in (body or ticket.token) for body in self._bodies())

    def _bodies(self) -> list[str | None]:
        entries = self.simulator.journal.entries()
        return [entry["request"]["body"] for entry in entries if entry["step"] == 14]


def processes(pool: Pool) -> frozenset[int]:
    """Give the ids of the processes of a function's environments."""
    environments = list(pool._all)  # noqa: SLF001 - nobody but these tests has business with it
    return frozenset(each._process.pid for each in environments if isinstance(each, WorkerEnvironment))  # noqa: SLF001


class Ledger:
    """What a stack's table holds of numbers' attempts."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        secrets = client_of(stack, "secretsmanager")
        pepper = secrets.get_secret_value(SecretId=stack.secret_ids["PEPPER_SECRET_ID"])["SecretString"]
        self._pepper = pepper.encode()
        self._table = stack.table_name
        self._client = client_of(stack, "dynamodb")

    def attempts(self, number: str) -> list[set[str]]:
        """Give a number's attempts, a set for each day that it has an item of."""
        found = self._client.scan(
            TableName=self._table,
            FilterExpression="begins_with(id, :number)",
            ExpressionAttributeValues={":number": {"S": f"{keyed_hash(self._pepper, Salt.NUMBER, number)}#"}},
        )["Items"]
        return [set(item.get("attempts", {"SS": []})["SS"]) for item in found]

    def all_attempts(self, numbers: Iterable[str]) -> dict[str, set[str]]:
        """Give every number's attempts of all days."""
        attempts: dict[str, set[str]] = {}
        for page in self._client.get_paginator("scan").paginate(TableName=self._table):
            for item in page["Items"]:
                if "attempts" in item:
                    attempts.setdefault(item["id"]["S"].partition("#")[0], set()).update(
                        item["attempts"]["SS"]
                    )
        hashes = {number: keyed_hash(self._pepper, Salt.NUMBER, number) for number in numbers}
        return {number: attempts.get(digest, set()) for number, digest in hashes.items()}

    def end_holds(self) -> None:
        """Let the time of every held token pass: each record says when its hold ends."""
        held = self._client.scan(
            TableName=self._table,
            FilterExpression="#status = :held",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":held": {"S": "INPROGRESS"}},
        )["Items"]
        for item in held:
            self._client.put_item(TableName=self._table, Item={**item, "in_progress_expiration": {"N": "1"}})


def _read_output(lines: list[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    log, metrics = [], set()
    for line in lines:
        content = json.loads(line)
        if "_aws" in content:
            listed = content["_aws"]["CloudWatchMetrics"][0]["Metrics"]
            metrics |= {metric["Name"] for metric in listed} - {"ColdStart"}
        else:
            log.append(_line(content))
    return tuple(sorted(set(log))), frozenset(metrics)


def _line(content: Mapping[str, Any]) -> str:
    why = content.get("reason") or content.get("error") or content.get("resultCode")
    return f"{content['level']} {content['message']}" + (f" ({why})" if why else "")


@contextmanager
def scene(
    ledger: Ledger,
    folder: Path,
    address: str | None = None,
    limits: Mapping[str, str] = BRIEF,
    environments: int = 1,
    receipts: Receipts = Receipts.OFF,
) -> Iterator[Scene]:
    """Run a scene on a stack.

    Parameters
    ----------
    ledger
        The table of the stack whose simulator, secrets and table are used.
    folder
        Where the function's output goes.
    address
        Where the function looks for the platform; None for the simulator.
    limits
        Variables that bound the exchange with the platform; none for the template's.
    environments
        Execution environments at most.
    receipts
        Whether the function gives receipts.
    """
    stack, log = ledger.stack, folder / "verify.log"
    log.touch()
    with AwsProxy(stack.aws) as proxy:
        template = stack.functions[VERIFY_FUNCTION].function
        variables = {
            **template.variables,
            **limits,
            **(_receipt_variables(stack) if receipts is Receipts.ON else {}),
            "AWS_ENDPOINT_URL": proxy.address,
            "PLATFORM_URL": (address or stack.platform) + VERIFY_PATH,
        }
        pool = Pool(replace(template, variables=variables), environments, log)
        pools = {VERIFY_FUNCTION: pool, PRESIGN_FUNCTION: stack.functions[PRESIGN_FUNCTION]}

        def invoke(logical_id: str, event: Any, request_id: str) -> Any:
            return pools[logical_id].invoke(event, request_id)

        api = Api("NumberVerificationApi", "local00001", ACCOUNT_ID, None, _ROUTES)
        server = Server(Gateway(api, invoke, lambda: datetime.now(UTC)))
        try:
            yield Scene(ledger, proxy, pool, server.url, log)
        finally:
            server.close()
            pool.stop()


def _receipt_variables(stack: Stack) -> dict[str, str]:
    """Store a receipt secret; give the variables that switch receipts on."""
    client, name = client_of(stack, "secretsmanager"), "faults-receipts"
    with suppress(client.exceptions.ResourceExistsException):
        client.create_secret(Name=name, SecretString=secret((new_key(), LONG_AGO)))
    return {
        "RECEIPT_SECRET_ID": client.describe_secret(SecretId=name)["ARN"],
        "RECEIPT_NUMBER": "masked",
    }


def address_of_platform(where: Address, stack: Stack, stranger: str) -> str | None:
    """Give what stands in PLATFORM_URL before the path; None for the simulator."""
    return {
        Address.PLATFORM: None,
        Address.REFUSED: "http://127.0.0.1:1",
        Address.NO_NAME: _NO_NAME,
        Address.NO_TLS: stack.platform.replace("http:", "https:"),
        Address.STRANGER: stranger,
    }[where]


def prepare(stage: Scene, cause: Cause, sim: str) -> Ticket:
    """Bring the function to the moment before the fault; give the ticket for it."""
    phone = stage.phone(sim)
    if cause.moment is not Moment.COLD:
        warm = Ticket(f"VM_warm{sim}", "warm")
        if cause.moment is Moment.REFRESH:
            phone.fault("resultCode", resultCode="130018")
        stage.phone(f"137{sim[3:]}").verify(f"137{sim[3:]}", warm)
    return Ticket(f"VM_madeup{sim}", "made%2Bup") if cause.token is Token.MADE_UP else phone.ticket()


def provoke(stage: Scene, cause: Cause, sim: str, ticket: Ticket) -> Effect:
    """Have the fault happen to one request, and see what follows."""
    phone = stage.phone(sim)
    customer = stage.simulator.customer
    if cause.platform is not None:
        phone.fault(cause.platform.name, **cause.platform.parameters)
    if cause.aws is not None:
        stage.proxy.fail(cause.aws)
    if cause.rotation is Rotation.PLATFORM_FIRST:
        stage.simulator.customer = replace(customer, public_key=CustomerKeys.fresh().public_key)
    try:
        sent = stage.send(phone, ticket)
    finally:
        stage.proxy.clear()
        if cause.platform is not None:
            phone.clear_faults()
        stage.simulator.customer = customer
    attempt = stage.attempt(sim)
    content = sent.reply.json
    return Effect(
        status=sent.reply.status,
        code=str(content["code"] if "code" in content else content["resultCode"]),
        action=content["action"],
        attempt=attempt,
        calls=sent.calls,
        metrics=sent.metrics,
        log=sent.log,
        again=_again(stage, phone, ticket, sent),
    )


def _again(stage: Scene, phone: Phone, ticket: Ticket, first: Sent) -> Again:
    second = stage.send(phone, ticket)
    if second.reply.json.get("code") == "in_progress":
        return Again.HELD
    if Step.RESERVATION in second.steps:
        return Again.ANEW
    assert second.calls == 0
    told = [{**sent.reply.json, "requestId": ""} for sent in (first, second)]
    assert told[0] == told[1]
    return Again.SAME
