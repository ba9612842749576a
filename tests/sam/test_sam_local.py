"""The built bundle in containers under the SAM CLI: its gateway, and every sample event."""

import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
import urllib3

from local import ROOT
from local.keys import ReceiptNumber, ReceiptSecrets
from local.stack import Stack
from tests.support.openssl import verifies
from tests.support.phone import Phone, new_pre_sign
from tests.support.stacks import client_of

EVENTS: Final = ROOT / "events"
_ROW: Final = re.compile(r"^\| ([a-z-]+\.json) \| (\w+) \| (\d{3}) \| (\w*) ?\|", re.MULTILINE)
DOCUMENTED: Final = _ROW.findall((EVENTS / "README.md").read_text())

SIM: Final = "13999994444"
ANOTHER: Final = "13700000001"


@pytest.fixture
def phone(api: str, stack: Stack) -> Phone:
    """A phone whose page calls the API through SAM's gateway."""
    return Phone(api=api, page=stack.page, platform=stack.platform, app_id=stack.app_id, sim=SIM)


def test_a_presign_is_signed(phone: Phone, stack: Stack, tmp_path: Path) -> None:
    *_, pre_sign = new_pre_sign(stack.app_id)

    reply = phone.presign(pre_sign)

    assert reply.status == 200
    assert verifies(tmp_path, stack.keys.public_key, pre_sign, reply.json["sign"])


def test_a_forged_presign_is_refused(phone: Phone, stack: Stack) -> None:
    *_, pre_sign = new_pre_sign(stack.app_id)

    reply = phone.presign(f"{pre_sign}0")

    assert (reply.status, reply.json["code"]) == (400, "presign_rejected")
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_page_of_another_origin_is_refused(phone: Phone, stack: Stack) -> None:
    *_, pre_sign = new_pre_sign(stack.app_id)

    reply = phone.post("/presign", {"preSign": pre_sign}, headers={"Origin": "https://www.example.net"})

    assert (reply.status, reply.json["code"]) == (403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (SIM, {"verified": True, "resultCode": "000", "action": "login"}),
        (ANOTHER, {"verified": False, "resultCode": "001", "action": "refuse"}),
    ],
)
def test_a_number_is_verified_through_the_whole_flow(
    phone: Phone, number: str, verdict: dict[str, object]
) -> None:
    reply = phone.verify(number, phone.ticket())

    assert reply.status == 200
    assert reply.json.items() >= verdict.items()


def test_a_lost_answer_is_given_again_without_asking_the_platform(phone: Phone) -> None:
    ticket = phone.ticket()
    first = phone.verify(SIM, ticket)
    asked = len(phone.journal())

    again = phone.verify(SIM, ticket)

    assert again.json == first.json
    assert len(phone.journal()) == asked


def test_the_gateway_answers_the_preflight_of_a_configured_origin(api: str, stack: Stack) -> None:
    headers = {"Origin": stack.page, "Access-Control-Request-Method": "POST"}

    response = urllib3.request("OPTIONS", f"{api}/verify", headers=headers, retries=False)

    assert response.status == 200
    assert stack.page in response.headers["Access-Control-Allow-Origin"]
    assert response.headers["Access-Control-Allow-Headers"] == "content-type"


@pytest.fixture(scope="session")
def receipts(stack: Stack) -> str:
    """The parameters of samconfig.toml for receipts, and the secret that the env file names."""
    secret = ReceiptSecrets.fresh(ReceiptNumber.MASKED).text
    client_of(stack, "secretsmanager").create_secret(
        Name="number-verification-local-receipts", SecretString=secret
    )
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["local_invoke"]["parameters"]
    return " ".join(text for text in settings["parameter_overrides"].split() if text.startswith("Receipt"))


@pytest.fixture(scope="session")
def variables(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's env file for `sam local`, on the ports of this run's stack."""
    text = (EVENTS / "env.json").read_text()
    for usual, here in ((4566, stack.aws), (8090, stack.platform)):
        port = here.rpartition(":")[2]
        text = re.sub(rf"//[a-z0-9.]+:{usual}\b", f"//host.docker.internal:{port}", text)
    path = tmp_path_factory.mktemp("events") / "env.json"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("event", "function", "status", "code"), DOCUMENTED)
def test_a_sample_event_gives_its_documented_result(
    sam_command: Callable[..., list[str]],
    sam_environment: Mapping[str, str],
    variables: Path,
    receipts: str,
    event: str,
    function: str,
    status: str,
    code: str,
) -> None:
    command = sam_command("invoke", variables, function, f"--event={EVENTS / event}", more=receipts)

    run = subprocess.run(command, env=sam_environment, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    response = json.loads(run.stdout)
    body = json.loads(response["body"])
    assert response["statusCode"] == int(status)
    assert body.get("code", body.get("resultCode", "")) == code
