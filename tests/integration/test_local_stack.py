"""The stack as a whole: the template's settings, keys, other pages and platforms; then the product's own."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from local import ROOT
from local.environment import Pool
from local.invoke import overlaid, read_overlay
from local.keys import CustomerKeys, ReceiptNumber
from local.stack import Options, Stack, StackError
from tests.support.planted import leaks, plant
from tests.support.stacks import client_of, phone_of, start

SIM: Final = "13999993333"
plant(SIM)

HANDLER: Final = """
import json, os

def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({"event": event, "environ": dict(os.environ)})}
"""

TEMPLATE: Final = """
Parameters:
  AppId: {Type: String, AllowedPattern: "[0-9]{6}", ConstraintDescription: six digits are wanted}
  Line: {Type: String}
  AllowedOrigins: {Type: CommaDelimitedList}
  SigningSecretArn: {Type: String}
  VerificationSecretArn: {Type: String}
  Greeting: {Type: String, Default: hello}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration: {AllowOrigins: !Ref AllowedOrigins, AllowMethods: [POST]}
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: echo.handler
      Runtime: python3.13
      MemorySize: 512
      Environment:
        Variables:
          GREETING: !Ref Greeting
          PLATFORM_URL: http://platform.example
          VERIFICATION_SECRET_ID: !Ref VerificationSecretArn
          SIGNING_SECRET_ID: !Ref SigningSecretArn
      Events:
        Post: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: POST, Path: /echo}}
"""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """Options of a stack of one function that says what it got."""
    folder = tmp_path_factory.mktemp("echo")
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "functions").mkdir()
    (folder / "functions" / "echo.py").write_text(HANDLER)
    return Options(
        parameters={"Greeting": "good day"},
        pages=("http://localhost:5173/login?a#b", "https://own.example"),
        template=folder / "template.yaml",
        roots=(folder / "functions",),
        log=folder / "functions.log",
    )


@pytest.fixture(scope="module")
def echoing(options: Options) -> Iterator[Stack]:
    with Stack(options) as stack:
        yield stack


@pytest.fixture
def broken(options: Options, tmp_path: Path) -> Options:
    """Options of a stack whose function does not start."""
    (tmp_path / "echo.py").write_text("raise KeyError('APP_ID')")
    return replace(options, roots=(tmp_path,), log=tmp_path / "functions.log")


OWN: Final = CustomerKeys.fresh()
PLATFORM_KEY: Final = CustomerKeys.fresh().public_key


@pytest.fixture
def secrets_file(tmp_path: Path) -> Path:
    file = tmp_path / "secrets.json"
    content = {"privateKey": OWN.private_key, "platformPublicKey": PLATFORM_KEY, "appKey": OWN.app_key}
    file.write_text(json.dumps(content))
    return file


def echo(stack: Stack) -> dict[str, Any]:
    response = urllib3.request("POST", f"{stack.api}/echo?a=1", headers={"Origin": stack.page}, retries=False)
    assert response.headers["access-control-allow-origin"] == stack.page
    answer: dict[str, Any] = response.json()
    return answer


def secret(stack: Stack, variable: str, function: str = "Echo") -> dict[str, str]:
    secret_id = stack.variables[function][variable]
    text = client_of(stack, "secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]
    content: dict[str, str] = json.loads(text)
    return content


def test_a_request_reaches_the_handler_with_the_templates_settings(echoing: Stack) -> None:
    got = echo(echoing)

    assert got["event"]["queryStringParameters"] == {"a": "1"}
    expected = {
        "GREETING": "good day",
        "AWS_ENDPOINT_URL": echoing.aws,
        "AWS_REGION": "cn-north-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "PLATFORM_URL": f"{echoing.platform}/NumberAbility/h5/verifyVmMobileApi.htm",
    }
    assert {name: got["environ"][name] for name in expected} == expected


def test_keys_from_a_file_serve_the_simulator_which_keeps_its_own_pair(
    options: Options, echoing: Stack, secrets_file: Path
) -> None:
    with Stack(replace(options, secrets=secrets_file)) as stack:
        assert stack.simulator is not None
        assert stack.simulator.customer.public_key == OWN.public_key
        assert secret(stack, "SIGNING_SECRET_ID") == {"privateKey": OWN.private_key}
        assert secret(stack, "VERIFICATION_SECRET_ID") == {
            "appKey": OWN.app_key,
            "platformPublicKey": stack.simulator.public_key,
        }
        stranger = boto3.client("secretsmanager", region_name="cn-north-1", endpoint_url=stack.aws)
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            stranger.get_secret_value(SecretId=stack.variables["Echo"]["SIGNING_SECRET_ID"])
        assert OWN.private_key not in json.dumps(stack.variables)
        shared = set(echoing.addresses().values()) & set(stack.addresses().values())
    assert shared == {echoing.app_id}
    for part in ("api", "page", "platform", "aws"):
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(stack.addresses()[part], timeout=30)  # noqa: S310 - loopback


def test_another_platform_takes_the_simulators_place(options: Options, secrets_file: Path) -> None:
    with Stack(replace(options, platform_url="http://p.example:81/", secrets=secrets_file)) as stack:
        assert stack.simulator is None
        assert stack.platform == "http://p.example:81"
        url = echo(stack)["environ"]["PLATFORM_URL"]
        assert url == "http://p.example:81/NumberAbility/h5/verifyVmMobileApi.htm"
        assert "/panel/" not in urllib3.request("GET", stack.page, retries=False).data.decode()
        control = f"{stack.page}/panel/attempts"
        assert urllib3.request("DELETE", control, headers={"Origin": stack.page}, retries=False).status == 405
        assert secret(stack, "VERIFICATION_SECRET_ID")["platformPublicKey"] == PLATFORM_KEY


def test_pages_of_ones_own_are_allowed_and_reported(echoing: Stack) -> None:
    assert echoing.simulator is not None
    customer, vite, own = echoing.simulator.customer, "http://localhost:5173", "https://own.example"

    for origin in (vite, own):
        answer = urllib3.request("OPTIONS", f"{echoing.api}/echo", headers={"Origin": origin}, retries=False)
        assert "access-control-allow-origin" in answer.headers

    page = echoing.page
    assert customer.origins == {page, vite, own}
    assert customer.referers == {
        f"{page}/",
        f"{page}/index.html",
        f"{vite}/login",
        f"{vite}/",
        own,
        f"{own}/",
    }


def test_a_function_that_does_not_start_is_said_at_once_or_when_it_is_asked(broken: Options) -> None:
    with pytest.raises(StackError, match=r"^Echo: KeyError: 'APP_ID'$"), Stack(broken):
        pass

    with Stack(replace(broken, warm=frozenset())) as stack:
        assert echo(stack) == {"message": "Internal Server Error"}
    assert broken.log is not None
    assert broken.log.read_text() == "local: Echo: KeyError: 'APP_ID'\n"


# --- The product's own --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo's stack; what its functions wrote is searched."""
    log = tmp_path_factory.mktemp("receipts") / "functions.log"
    with start(Options(receipts=ReceiptNumber.ENCRYPTED, log=log)) as stack:
        yield stack
    assert not leaks(log.read_text())


def test_a_receipt_logs_in_at_the_back_end_and_the_page_may_read_the_keys(receipts: Stack) -> None:
    headers = {"Origin": receipts.page}
    given = urllib3.request("POST", f"{receipts.business}/nonce", headers=headers, retries=False)
    headers["Cookie"] = given.headers["set-cookie"].partition(";")[0]
    phone = phone_of(receipts, SIM)
    receipt = phone.verify(SIM, phone.ticket(), nonce=given.json()["nonce"]).json["receipt"]
    plant(receipt)

    body = {"receipt": receipt}
    login = urllib3.request("POST", f"{receipts.business}/login", json=body, headers=headers, retries=False)

    assert (login.status, login.json()) == (200, {"phoneNum": SIM})
    keys = urllib3.request("GET", f"{receipts.api}/.well-known/jwks.json", headers=headers, retries=False)
    assert (keys.status, keys.headers["access-control-allow-origin"]) == (200, receipts.page)
    assert set(secret(receipts, "RECEIPT_SECRET_ID", "VerifyFunction")) == {"keys", "encryptionKey"}
    assert receipts.variables["VerifyFunction"]["RECEIPT_ISSUER"] == receipts.api


# --- Sample events ------------------------------------------------------------------------------------------

EVENTS: Final = ROOT / "events"
_ROW: Final = re.compile(r"^\| ([a-z-]+\.json) \| (\w+) \| (\d{3}) \|\s*(\w*) *\|", re.MULTILINE)
DOCUMENTED: Final = _ROW.findall((EVENTS / "README.md").read_text())


@pytest.fixture(scope="module")
def pools(receipts: Stack) -> Iterator[dict[str, Pool]]:
    """The functions with the settings of events/env.json, as `python -m local invoke` runs them."""
    assert {name for name, *_ in DOCUMENTED} == {path.name for path in EVENTS.glob("*.json")} - {"env.json"}
    overlay = read_overlay(EVENTS / "env.json")
    functions = {name: overlaid(pool.function, overlay) for name, pool in receipts.functions.items()}
    pools = {name: Pool(function, 1, Path(os.devnull)) for name, function in functions.items()}
    yield pools
    for pool in pools.values():
        pool.stop()


@pytest.mark.parametrize(("event", "function", "status", "code"), DOCUMENTED)
def test_a_sample_event_gives_its_documented_result(
    pools: dict[str, Pool], event: str, function: str, status: str, code: str
) -> None:
    response = pools[function].invoke(json.loads((EVENTS / event).read_text()), "sample")

    body = json.loads(response["body"])
    assert response["statusCode"] == int(status)
    assert body.get("code", body.get("resultCode", "")) == code
    assert ("sign" in body) is (event == "presign-good.json")
    assert "receipt" not in body
