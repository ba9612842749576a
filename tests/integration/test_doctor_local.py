"""The doctor on a running local stack: all green, and each planted mistake found with its remedy.

Mistakes are planted where they happen: in the stack's secrets, in the variables, in what the simulator's
customer has entered in the open platform. Whatever is printed is searched for every secret.
"""

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest

from local import ROOT, state
from local.keys import CustomerKeys, ReceiptNumber
from local.simulator import Customer, Simulator
from local.stack import VERIFY_PATH, Options, Stack
from tests.support.planted import leaks
from tests.support.stacks import client_of, start
from tools.__main__ import main

PROBE_NUMBER = "13800138000"
OTHER = CustomerKeys.fresh()


@dataclass(frozen=True)
class Said:
    """What a run of the doctor printed, and how it ended."""

    status: int
    document: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, str]]:
        return [finding for group in self.document["groups"] for finding in group["findings"]]

    @property
    def faults(self) -> list[str]:
        return self.codes("fault")

    def codes(self, severity: str) -> list[str]:
        return [finding["code"] for finding in self.findings if finding["severity"] == severity]

    def remedy(self, code: str) -> str:
        return " ".join(finding["remedy"] for finding in self.findings if finding["code"] == code)

    def what(self, code: str) -> str:
        return " ".join(finding["what"] for finding in self.findings if finding["code"] == code)


Doctor = Callable[..., Said]


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """A stack of this module's own, for its secrets and its customer are tampered with."""
    with start(Options()) as stack:
        yield stack


@pytest.fixture(scope="module")
def state_file(running: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("doctor") / "stack.json"
    state.write(path, running)
    return path


PUBLIC_KEY: Final = OTHER.public_key[:20]
"""How every public key of 2048 bits begins."""
SECRETS: Final = {OTHER.private_key, OTHER.private_key[:64], OTHER.app_key, PROBE_NUMBER}
"""What no output may hold; every text that a test puts into a secret is added."""


@pytest.fixture
def doctor(running: Stack, state_file: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Give what runs the command line, by default on the running stack, and searches what it printed."""
    SECRETS.update(secret_parts(running))

    def run(*arguments: object, state: Path | None = state_file) -> Said:
        command = ["doctor", "--json", *map(str, arguments), *([f"--state={state}"] if state else [])]
        status = main(command)
        out, error = capsys.readouterr()
        assert error == ""
        assert not leaks(out, SECRETS)
        return Said(status, json.loads(out))

    return run


@pytest.fixture
def customer(running: Stack) -> Iterator[Callable[..., None]]:
    """Give what changes the customer's entries in the open platform, until the test ends."""
    simulator = simulator_of(running)
    entered: Customer = simulator.customer

    def change(**entries: Any) -> None:
        simulator.customer = replace(simulator.customer, **entries)

    yield change
    simulator.customer = entered
    simulator.faults.clear()


@pytest.fixture
def put(running: Stack) -> Iterator[Callable[..., None]]:
    """Give what overwrites a secret until the test ends, by the variable that names it."""
    client = client_of(running, "secretsmanager")
    before: dict[str, str] = {}

    def change(variable: str, text: str | bytes) -> None:
        arn = running.secret_ids[variable]
        before.setdefault(arn, client.get_secret_value(SecretId=arn).get("SecretString", ""))
        if isinstance(text, str):
            parts = re.findall(r"[^\s\"{}:,]{16,}", text)  # but for the fields' names, which have no digit
            secret = (part for part in parts if not part.startswith(PUBLIC_KEY))
            SECRETS.update(part for part in secret if any(map(str.isdigit, part)))
            client.put_secret_value(SecretId=arn, SecretString=text)
        else:
            client.put_secret_value(SecretId=arn, SecretBinary=text)

    yield change
    for arn, text in before.items():
        client.put_secret_value(SecretId=arn, SecretString=text)


@pytest.fixture
def env(running: Stack, tmp_path: Path) -> Callable[..., Path]:
    """Give what writes the functions' variables into a file, some changed, those of None left out."""

    def write(**changes: str | None) -> Path:
        functions = running.variables
        merged = {**functions["PreSignFunction"], **functions["VerifyFunction"], **changes}
        lines = [f"{name}={value}" for name, value in merged.items() if value is not None]
        path = tmp_path / "functions.env"
        path.write_text("\n".join(["# as the functions get them", "", *lines]))
        return path

    return write


def simulator_of(stack: Stack) -> Simulator:
    assert stack.simulator is not None
    return stack.simulator


def secret_parts(stack: Stack) -> set[str]:
    """Give every text in the stack's secrets, and each one's beginning."""
    client = client_of(stack, "secretsmanager")
    texts = [client.get_secret_value(SecretId=arn)["SecretString"] for arn in stack.secret_ids.values()]
    parts: set[str] = set()
    for text in texts:
        content = json.loads(text) if text.startswith("{") else {"": text}
        content.pop("platformPublicKey", None)  # public
        parts |= {*content.values(), *(value[:64] for value in content.values())}
    return parts


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server on loopback that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


# --- All green -------------------------------------------------------------------------------------------


def test_a_running_stack_is_all_green_and_the_probe_too(doctor: Doctor, running: Stack) -> None:
    said = doctor("--probe")

    assert said.status == 0
    assert said.document["ok"] is True
    assert {finding["severity"] for finding in said.findings} == {"ok"}
    assert "120020" in said.what("probe")
    assert said.document["toReport"] == {
        "集成页面地址 (referer)": f"{running.page}/",
        "请求来源 (origin)": running.page,
    }


def test_a_file_of_variables_is_as_green(doctor: Doctor, env: Callable[..., Path]) -> None:
    said = doctor("--env", env(), "--probe", state=None)

    assert (said.status, said.codes("warning")) == (0, [])
    assert sorted(said.codes("not checked")) == ["page", "pair"]


def test_the_probe_spends_no_attempt_and_reaches_the_platform_once(doctor: Doctor, running: Stack) -> None:
    table, journal = client_of(running, "dynamodb"), simulator_of(running).journal
    before = table.scan(TableName=running.table_name)["Count"]
    asked = [entry for entry in journal.entries() if entry["name"] == "verify"]

    doctor("--probe")

    assert table.scan(TableName=running.table_name)["Count"] == before
    after = [entry for entry in journal.entries() if entry["name"] == "verify"]
    assert [entry["resultCode"] for entry in after[len(asked) :]] == ["120020"]
    assert after[-1]["phoneNum"] == PROBE_NUMBER
    assert after[-1]["verdict"] is None


def test_without_probe_the_platforms_verification_is_not_asked(doctor: Doctor, running: Stack) -> None:
    journal = simulator_of(running).journal
    asked = [entry["id"] for entry in journal.entries()]

    said = doctor()

    assert "probe" in said.codes("not checked")
    new = [entry for entry in journal.entries() if entry["id"] not in asked]
    assert "verify" not in {entry["name"] for entry in new}


# --- What the open platform has ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "code", "remedy"),
    [
        ({"addresses": frozenset({"10.9.9.9"})}, "probe-110004", "EgressAddresses"),
        ({"app_id": "000002"}, "probe-110022", "Copy AppId from the open platform"),
        ({"app_key": "0" * 32}, "probe-130016", "keys check"),
        ({"public_key": OTHER.public_key}, "probe-130018", "keys check --public FILE"),
        ({"public_key": ""}, "probe-103605", "is not live yet"),
    ],
    ids=["white list", "appId", "appKey", "public key", "not live"],
)
def test_what_the_open_platform_has_wrong_is_what_the_probe_finds(
    doctor: Doctor, customer: Callable[..., None], entries: dict[str, Any], code: str, remedy: str
) -> None:
    customer(**entries)

    said = doctor("--probe")

    assert (said.status, said.faults) == (1, [code])
    assert remedy in said.remedy(code)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [("110023", "assigned"), ("110025", "end date"), ("110027", "contract"), ("111075", "uses")],
)
def test_what_the_contract_lacks_is_what_the_probe_finds(
    doctor: Doctor, running: Stack, customer: Callable[..., None], code: str, remedy: str
) -> None:
    customer()
    simulator_of(running).faults.arm({"fault": "resultCode", "resultCode": code, "times": 1})

    said = doctor("--probe")

    assert (said.status, said.faults) == (1, [f"probe-{code}"])
    assert remedy in said.remedy(f"probe-{code}")


@pytest.mark.parametrize(
    ("fault", "code", "remedy"),
    [
        ({"fault": "resultCode", "resultCode": "000"}, "probe-verdict", "PLATFORM_URL"),
        ({"fault": "resultCode", "resultCode": "424242"}, "probe-424242", "424242"),
        ({"fault": "html"}, "probe-platform-error", "msgId"),
        ({"fault": "wrongMsgId"}, "probe-platform-error", "msgId"),
    ],
    ids=["verdict", "unknown code", "no JSON", "another's answer"],
)
def test_what_is_no_answer_to_the_probe_is_said(
    doctor: Doctor,
    running: Stack,
    customer: Callable[..., None],
    fault: dict[str, Any],
    code: str,
    remedy: str,
) -> None:
    customer()
    simulator_of(running).faults.arm({**fault, "times": 1})

    said = doctor("--probe")

    assert (said.status, said.faults) == (1, [code])
    assert remedy in said.remedy(code)


def test_a_used_up_number_is_a_warning(doctor: Doctor, running: Stack, customer: Callable[..., None]) -> None:
    customer()
    simulator_of(running).faults.arm({"fault": "resultCode", "resultCode": "121011", "times": 1})

    said = doctor("--probe")

    assert (said.status, said.codes("warning")) == (0, ["probe-121011"])


# --- Secrets and keys -------------------------------------------------------------------------------------


def pem_of(bare: str) -> str:
    lines = "\n".join(re.findall(".{1,64}", bare))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("variable", "text", "code", "remedy"),
    [
        ("SIGNING_SECRET_ID", json.dumps({"privateKey": OTHER.private_key}), "no-pair", "keys rotate"),
        ("SIGNING_SECRET_ID", json.dumps({"privateKey": OTHER.public_key}), "public-for-private", "swapped"),
        (
            "SIGNING_SECRET_ID",
            json.dumps({"privateKey": OTHER.private_key[:800]}),
            "truncated",
            "Copy all of it",
        ),
        ("SIGNING_SECRET_ID", json.dumps({"key": OTHER.private_key}), "field-missing", "privateKey"),
        ("SIGNING_SECRET_ID", OTHER.private_key, "bare-key", "privateKey"),
        ("SIGNING_SECRET_ID", '{"privateKey": "planted-0123456789', "json-broken", "keys put signing"),
        ("SIGNING_SECRET_ID", b"\x30\x82planted", "secret-binary", "put-secret-value"),
        ("VERIFICATION_SECRET_ID", json.dumps({"appKey": "A" * 32}), "field-missing", "platformPublicKey"),
        ("PEPPER_SECRET_ID", "planted-pepper-0123456789", "pepper-short", "64"),
    ],
    ids=[
        *("another key", "public half", "cut off", "another field", "bare key", "no JSON", "binary"),
        *("no platform key", "short pepper"),
    ],
)
def test_a_wrong_secret_is_found(
    doctor: Doctor, put: Callable[..., None], variable: str, text: str | bytes, code: str, remedy: str
) -> None:
    put(variable, text)

    said = doctor()

    assert (said.status, said.faults) == (1, [code])
    assert remedy in said.remedy(code)


def test_our_own_key_in_the_platforms_place_is_found_and_its_consequence_is_none_of_its_own(
    doctor: Doctor, running: Stack, put: Callable[..., None]
) -> None:
    mixed_up = {"appKey": running.keys.app_key, "platformPublicKey": running.keys.public_key}
    put("VERIFICATION_SECRET_ID", json.dumps(mixed_up))

    said = doctor("--probe")

    assert (said.status, said.faults) == (1, ["own-key-as-platforms"])
    assert "平台公钥" in said.remedy("own-key-as-platforms")
    assert "130016" in said.what("probe")


def test_a_function_that_still_signs_with_the_former_key_is_found(
    doctor: Doctor, put: Callable[..., None], customer: Callable[..., None], tmp_path: Path
) -> None:
    doctor("--probe")  # the function has the former key now
    put("SIGNING_SECRET_ID", json.dumps({"privateKey": OTHER.private_key}))
    customer(public_key=OTHER.public_key)
    reported = tmp_path / "customer.txt"
    reported.write_text(OTHER.public_key)

    said = doctor("--probe", "--public-key", reported)

    assert (said.status, said.faults) == (1, ["presign-signature"])
    assert "wait that long" in said.remedy("presign-signature")
    assert "120020" in said.what("probe")


@pytest.mark.parametrize(
    ("content", "code", "remedy"),
    [
        (OTHER.public_key, "no-pair", "Paste this into the open platform"),
        (pem_of(OTHER.public_key), "reported-form", "paste this line instead"),
        (OTHER.private_key, "private-for-public", "replace it"),
    ],
    ids=["another", "PEM", "the private half"],
)
def test_a_reported_key_that_is_not_right_is_found(
    doctor: Doctor, tmp_path: Path, content: str, code: str, remedy: str
) -> None:
    file = tmp_path / "customer.txt"
    file.write_text(content)

    said = doctor("--public-key", file)

    assert said.status == 1
    assert code in said.faults
    assert remedy in said.remedy(code)


AWS_REFUSALS: Final = {
    "secret-denied": ("AccessDeniedException", "User is not authorized to perform GetSecretValue"),
    "secret-kms-denied": ("AccessDeniedException", "Access to KMS is not allowed"),
    "secret-deleted": ("InvalidRequestException", "it was marked for deletion"),
    "secret-empty": ("ResourceNotFoundException", "can't find the value for staging label: AWSCURRENT"),
    "secret-credentials-refused": ("UnrecognizedClientException", "The security token is invalid"),
    "secret-clock": ("InvalidSignatureException", "Signature expired: 1 is now earlier than 2"),
    "secret-refused": ("LimitExceededException", "planted-in-the-text"),
}
REMEDIES: Final = {
    "secret-denied": "secretsmanager:GetSecretValue",
    "secret-kms-denied": "SecretsKmsKeyArn",
    "secret-deleted": "restore-secret",
    "secret-empty": "put-secret-value",
    "secret-credentials-refused": "--profile",
    "secret-clock": "clock",
    "secret-refused": "describe-secret",
}


@pytest.mark.parametrize("code", AWS_REFUSALS)
def test_each_way_in_which_aws_refuses_a_secret_is_told_apart(
    doctor: Doctor, env: Callable[..., Path], code: str
) -> None:
    name, text = AWS_REFUSALS[code]
    SECRETS.add(text)
    body = json.dumps({"__type": name, "message": text}).encode()

    with answering(400, body, {"Content-Type": "application/x-amz-json-1.1"}) as address:
        said = doctor("--env", env(AWS_ENDPOINT_URL_SECRETS_MANAGER=address), "--probe", state=None)

    everywhere = code in {"secret-credentials-refused", "secret-clock"}
    assert (said.status, said.faults) == (1, [code] if everywhere else [code] * 3)
    assert REMEDIES[code] in said.remedy(code)
    assert {"keys", "probe"} <= {*said.codes("not checked")}


def test_an_endpoint_of_aws_that_is_not_there_is_one_fault(doctor: Doctor, env: Callable[..., Path]) -> None:
    said = doctor("--env", env(AWS_ENDPOINT_URL_SECRETS_MANAGER="http://127.0.0.1:1"), state=None)

    assert (said.status, said.faults) == (1, ["secret-unreachable"])
    assert "AWS_ENDPOINT_URL" in said.remedy("secret-unreachable")
    assert "clock" in said.codes("not checked")


def test_a_key_in_the_place_of_a_secrets_name_is_neither_sent_nor_shown(
    doctor: Doctor, env: Callable[..., Path]
) -> None:
    with answering(400, b"{}") as address:
        path = env(SIGNING_SECRET_ID=OTHER.private_key, AWS_ENDPOINT_URL_SECRETS_MANAGER=address)
        said = doctor("--env", path, state=None)

    assert said.status == 1
    assert said.faults[0] == "secret-no-name"
    assert "keys rotate" in said.remedy("secret-no-name")


def test_a_secret_that_is_not_there_or_elsewhere_is_found(
    doctor: Doctor, running: Stack, env: Callable[..., Path]
) -> None:
    here = running.secret_ids["VERIFICATION_SECRET_ID"]
    path = env(
        SIGNING_SECRET_ID="number-verification/sining",
        VERIFICATION_SECRET_ID=here.replace("cn-north-1", "cn-northwest-1"),
    )

    said = doctor("--env", path, state=None)

    assert (said.status, said.faults) == (1, ["secret-not-found", "secret-wrong-region"])
    assert "list-secrets" in said.remedy("secret-not-found")
    assert "cn-northwest-1" in said.what("secret-wrong-region")
    assert "Replicate" in said.remedy("secret-wrong-region")


# --- The table --------------------------------------------------------------------------------------------


def make_table(stack: Stack, name: str, *keys: tuple[str, str]) -> None:
    client_of(stack, "dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": role} for key, role in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )


def test_a_table_that_is_not_there_is_found(doctor: Doctor, env: Callable[..., Path]) -> None:
    said = doctor("--env", env(TABLE_NAME="no-such-table"), state=None)

    assert (said.status, said.faults) == (1, ["table-not-found"])
    assert "TABLE_NAME" in said.remedy("table-not-found")


def test_a_table_with_another_key_is_found(doctor: Doctor, running: Stack, env: Callable[..., Path]) -> None:
    make_table(running, "two-keys", ("id", "HASH"), ("day", "RANGE"))

    said = doctor("--env", env(TABLE_NAME="two-keys"), state=None)

    assert (said.status, said.faults) == (1, ["table-key"])
    assert "template.yaml" in said.remedy("table-key")


def test_a_table_that_keeps_everything_is_a_warning(
    doctor: Doctor, running: Stack, env: Callable[..., Path]
) -> None:
    make_table(running, "no-expiry", ("id", "HASH"))

    said = doctor("--env", env(TABLE_NAME="no-expiry"), state=None)

    assert (said.status, said.faults, said.codes("warning")) == (0, [], ["table-expiry"])
    assert "update-time-to-live --table-name no-expiry" in said.remedy("table-expiry")


# --- Settings, line, origins ------------------------------------------------------------------------------


def test_every_wrong_variable_is_named_with_its_parameter(doctor: Doctor, env: Callable[..., Path]) -> None:
    path = env(
        APP_ID="planted-appid-77",
        SIGNATURE_ALGORITHM="SHA512withRSA",
        PRESIGN_WINDOW_HOURS="a-day",
        DAILY_ATTEMPT_LIMIT="0",
        PLATFORM_DEADLINE="99",
        TABLE_NAME=None,
    )
    SECRETS.add("planted-appid-77")

    said = doctor("--env", path, state=None)

    wrong = [finding for finding in said.findings if finding["code"] == "setting-wrong"]
    assert said.status == 1
    assert [re.findall(r": ([A-Z_]+) ", finding["what"])[0] for finding in wrong] == [
        "PRESIGN_WINDOW_HOURS",
        "APP_ID",
        "SIGNATURE_ALGORITHM",
        "TABLE_NAME",
        "DAILY_ATTEMPT_LIMIT",
        "PLATFORM_DEADLINE",
    ]
    assert "parameter PreSignWindowHours" in wrong[0]["remedy"]
    assert "parameter DailyAttemptLimit" in wrong[4]["remedy"]
    assert str(path) in wrong[0]["remedy"]
    assert {"setting-wrong"} == {*said.faults}


@pytest.mark.parametrize(
    ("origin", "code", "right"),
    [
        ("https://www.abc.com/", "origin-trailing-slash", "`https://www.abc.com`"),
        ("https://www.abc.com/a/mobile.html", "origin-path", "`https://www.abc.com`"),
        ("https://*.abc.com", "origin-wildcard", "https://www.abc.com,https://m.abc.com"),
        ("https://WWW.abc.com", "origin-upper-case", "`https://www.abc.com`"),
        ("https://www.abc.com:443", "origin-default-port", "`https://www.abc.com`"),
        ("www.abc.com-planted-77", "origin-form", "looks like https://www.abc.com"),
        ("https://user:planted-77@abc.com", "origin-form", "looks like https://www.abc.com"),
    ],
)
def test_an_origin_that_no_browser_sends_is_found_with_the_right_one(
    doctor: Doctor, running: Stack, env: Callable[..., Path], origin: str, code: str, right: str
) -> None:
    SECRETS.add("planted-77")

    said = doctor("--env", env(ALLOWED_ORIGINS=f"{running.page},{origin}"), state=None)

    assert (said.status, said.faults) == (1, [code])
    assert right in said.remedy(code)
    assert "AllowedOrigins" in said.remedy(code)
    assert said.document["toReport"]["请求来源 (origin)"] == running.page


def test_an_appid_of_another_length_is_found(doctor: Doctor, env: Callable[..., Path]) -> None:
    said = doctor("--env", env(APP_ID="30001111222"), state=None)

    assert (said.status, said.faults) == (1, ["app-id-form"])
    assert "open platform" in said.remedy("app-id-form")


# --- Pages ------------------------------------------------------------------------------------------------

META = b'<!doctype html><html><head><META CONTENT="always" name="referrer"></head></html>'


def test_pages_are_reported_without_query_and_fragment(doctor: Doctor, running: Stack) -> None:
    pages = (f"{running.page}/index.html?from=sms", f"{running.page}/#/login", f"{running.page}/index.html")

    said = doctor(*(f"--page={page}" for page in pages))

    assert said.status == 0
    reported = said.document["toReport"]["集成页面地址 (referer)"]
    assert reported == f"{running.page}/index.html,{running.page}/"


def test_a_page_of_an_origin_that_is_not_allowed_is_found(doctor: Doctor) -> None:
    with answering(200, META) as elsewhere:
        said = doctor(f"--page={elsewhere}/a/mobile.html")

    assert (said.status, said.faults) == (1, ["page-origin-not-allowed"])
    assert elsewhere in said.remedy("page-origin-not-allowed")


@pytest.mark.parametrize(
    ("status", "body", "code", "remedy"),
    [
        (200, b"<html><head></head></html>", "page-no-referrer", '<meta content="always" name="referrer">'),
        (200, META + b"<meta name=referrer content=no-referrer>", "page-no-referrer", "always"),
        (302, b"", "page-redirects", "--page"),
        (404, b"", "page-unreachable", "address"),
    ],
    ids=["no policy", "another policy", "elsewhere", "not there"],
)
def test_a_plain_page_that_sends_no_whole_referer_is_a_warning(
    doctor: Doctor, env: Callable[..., Path], status: int, body: bytes, code: str, remedy: str
) -> None:
    with answering(status, body) as page:
        said = doctor("--env", env(ALLOWED_ORIGINS=page), f"--page={page}/", state=None)

    assert (said.status, said.codes("warning")) == (0, [code])
    assert remedy in said.remedy(code)


# --- The platform's end of the wire -----------------------------------------------------------------------


def test_a_platform_that_takes_no_connection_is_found(doctor: Doctor, env: Callable[..., Path]) -> None:
    said = doctor("--env", env(PLATFORM_URL=f"http://127.0.0.1:1{VERIFY_PATH}"), "--probe", state=None)

    assert (said.status, said.faults) == (1, ["platform-connection"])
    assert "firewall" in said.remedy("platform-connection")
    assert "probe" in said.codes("not checked")


def test_a_platform_that_speaks_no_tls_is_found(
    doctor: Doctor, running: Stack, env: Callable[..., Path]
) -> None:
    address = running.platform.replace("http:", "https:")

    said = doctor("--env", env(PLATFORM_URL=f"{address}{VERIFY_PATH}"), state=None)

    assert (said.status, said.faults) == (1, ["platform-tls"])
    assert "Never switch verification off" in said.remedy("platform-tls")


def test_what_is_no_http_is_found(doctor: Doctor, env: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=greet, args=(listener,))
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"

        said = doctor("--env", env(PLATFORM_URL=f"{address}{VERIFY_PATH}"), state=None)
        thread.join(60)

    assert (said.status, said.faults) == (1, ["platform-http"])
    assert "PLATFORM_URL" in said.remedy("platform-http")


def greet(listener: socket.socket) -> None:
    """Greet as an SSH server does: whoever asks for the time, and whoever tries the connection."""
    listener.settimeout(50)
    with suppress(OSError):
        for _ in range(2):
            connection, _address = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-planted\r\n")
                connection.recv(4096)


def test_a_clock_that_is_hours_off_is_found(doctor: Doctor, env: Callable[..., Path]) -> None:
    with answering(405, b"", {"Date": "Mon, 23 Nov 2020 04:00:00 GMT"}) as platform:
        said = doctor("--env", env(PLATFORM_URL=f"{platform}{VERIFY_PATH}"), state=None)

    assert said.status == 1
    assert "clock-wrong" in said.faults
    assert "ahead of that of the platform" in said.what("clock-wrong")
    assert "NTP" in said.remedy("clock-wrong")


def test_the_outgoing_address_is_asked_of_whom_is_named_alone(
    doctor: Doctor, env: Callable[..., Path]
) -> None:
    # Not one of this machine's own addresses by its form, so that the outgoing one matters; nothing is there.
    path = env(PLATFORM_URL=f"http://0.0.0.0:1{VERIFY_PATH}")

    with answering(200, b'{"ip": "8.8.4.4"}') as service:
        silent = doctor("--env", path, state=None)
        said = doctor("--env", path, f"--address-service={service}", state=None)

    assert "egress" in silent.codes("not checked")
    assert "8.8.4.4" in said.what("egress")
    assert said.document["toReport"]["出口 IP (white list)"] == "8.8.4.4"


# --- Receipts ---------------------------------------------------------------------------------------------


def receipt_secret(stack: Stack, name: str, content: Any) -> str:
    text = json.dumps(content)
    SECRETS.update(re.findall(r"[^\s\"{}:,]{30,}", text))
    arn: str = client_of(stack, "secretsmanager").create_secret(Name=name, SecretString=text)["ARN"]
    return arn


def p256_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - for these tests alone
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as above
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = ec.generate_private_key(ec.SECP256R1())
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


@pytest.mark.parametrize(
    ("sign_from", "hash_key", "faults"),
    [
        ("2026-01-01T00:00:00Z", "h" * 40, []),
        ("2999-01-01T00:00:00Z", "h" * 40, ["receipt-secret-form"]),
        ("2026-01-01T00:00:00Z", None, ["receipt-secret-form"]),
        ("yesterday", "h" * 40, ["receipt-secret-form"]),
    ],
    ids=["right", "none signs yet", "no hashKey", "no time"],
)
def test_a_receipt_secret_is_held_against_what_the_function_does(
    doctor: Doctor,
    running: Stack,
    env: Callable[..., Path],
    sign_from: str,
    hash_key: str | None,
    faults: list[str],
) -> None:
    content = {"keys": [{"privateKey": p256_key(), "signFrom": sign_from}], "hashKey": hash_key}
    arn = receipt_secret(running, f"receipts-{os.urandom(4).hex()}", content)

    said = doctor("--env", env(RECEIPTS="on", RECEIPT_SECRET_ID=arn), state=None)

    assert said.faults == faults
    if faults:
        assert "keys receipts" in said.remedy(faults[0])
    else:
        assert "1 keys" in said.what("receipt-secret")


def test_a_stack_with_receipts_is_all_green_and_another_secret_is_found(
    doctor: Doctor, tmp_path: Path
) -> None:
    with start(Options(receipts=ReceiptNumber.HASH)) as stack:
        path = tmp_path / "receipts.json"
        state.write(path, stack)
        green = doctor(f"--state={path}", state=None)
        client = client_of(stack, "secretsmanager")
        arn = stack.secret_ids["RECEIPT_SECRET_ID"]
        SECRETS.update(
            re.findall(r"[A-Za-z0-9+/=]{40,}", client.get_secret_value(SecretId=arn)["SecretString"])
        )
        other = {
            "keys": [{"privateKey": p256_key(), "signFrom": "2026-01-01T00:00:00Z"}],
            "hashKey": "h" * 40,
        }
        client.put_secret_value(SecretId=arn, SecretString=json.dumps(other))
        said = doctor(f"--state={path}", state=None)

    assert (green.status, green.codes("warning")) == (0, [])
    assert "has the key that signs" in green.what("receipt-keys")
    assert (said.status, said.faults) == (1, ["receipt-keys-other"])
    assert "ReceiptKeysFunction" in said.remedy("receipt-keys-other")


# --- The command line itself ------------------------------------------------------------------------------


def command(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools", "doctor", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_the_command_is_green_for_people(running: Stack, state_file: Path) -> None:
    done = command(f"--state={state_file}", "--probe")

    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ The platform refuses the made-up token alone (120020)" in done.stdout
    assert f"请求来源 (origin):\n    {running.page}\n" in done.stdout
    assert not set("✗!\x1b") & set(done.stdout)
    assert not leaks(done.stdout, {*SECRETS, *secret_parts(running)})


def test_the_command_fails_with_finding_and_remedy(
    running: Stack, state_file: Path, customer: Callable[..., None]
) -> None:
    customer(addresses=frozenset({"10.9.9.9"}))

    done = command(f"--state={state_file}", "--probe")

    assert (done.returncode, done.stderr) == (1, "")
    assert "✗ The platform answers 110004" in done.stdout
    assert "→ From here it is this machine's address that is to be reported" in done.stdout
    assert "1 fault" in done.stdout
    assert not leaks(done.stdout, {*SECRETS, *secret_parts(running)})


def test_a_terminal_that_knows_ascii_alone_gets_its_marks(state_file: Path) -> None:
    done = command(f"--state={state_file}", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert done.returncode == 0
    assert "  + PreSignFunction takes all of its variables." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stack=a", "--env=b"], "not allowed with argument"),
        (["--env=/no/such/file"], "cannot be read"),
        (["--state=/no/such/file"], "python -m local up"),
        (["--page=www.abc.com"], "https://www.abc.com/a/mobile.html"),
        (["--page=https://*.abc.com/"], "without wildcards"),
        (["--public-key=/no/such/file"], "客户公钥"),
        (["--stack="], "the name given with --stack is empty"),
        (["--stack", "two words"], "no stack's name"),
    ],
)
def test_wrong_use_is_exit_status_2_and_says_what_to_do(arguments: list[str], says: str) -> None:
    done = command(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


@pytest.mark.parametrize(
    "key", [OTHER.private_key, pem_of(OTHER.private_key).replace("PUBLIC", "PRIVATE")], ids=["bare", "PEM"]
)
@pytest.mark.parametrize("option", ["--public-key", "--env", "--state", "--stack"])
def test_a_key_in_the_place_of_a_name_is_wrong_use_and_is_not_repeated(option: str, key: str) -> None:
    done = command(option, key)

    assert (done.returncode, done.stdout) == (2, "")
    assert not leaks(done.stderr.replace("\n", ""), {OTHER.private_key[:64], OTHER.private_key[64:128]})


def test_a_line_that_is_no_variable_is_wrong_use_and_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "desk.env"
    path.write_text("APP_ID=000001\nplanted 0123456789\n")

    done = command(f"--env={path}")

    assert done.returncode == 2
    assert "line 2 is no KEY=VALUE" in " ".join(done.stderr.split())
    assert "planted" not in done.stderr


def test_the_search_finds_what_is_planted(doctor: Doctor, running: Stack) -> None:
    document = json.dumps(doctor().document)

    assert leaks(document + running.keys.private_key, SECRETS)
