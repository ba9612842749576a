"""The stack as a whole: keys from a file, other pages and platforms, what does not start; the demo's own."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from local import ROOT
from local.environment import Pool
from local.invoke import overlaid, read_overlay
from local.keys import CustomerKeys
from local.stack import Options, Stack, StackError
from tests.support.planted import plant
from tests.support.stacks import client_of, phone_of

SIM: Final = "13999993333"

OWN: Final = CustomerKeys.fresh()
PLATFORM_KEY: Final = CustomerKeys.fresh().public_key


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    file = tmp_path / "secrets.json"
    content = {"privateKey": OWN.private_key, "platformPublicKey": PLATFORM_KEY, "appKey": OWN.app_key}
    file.write_text(json.dumps(content))
    return file


def secret(stack: Stack, variable: str) -> dict[str, str]:
    text = client_of(stack, "secretsmanager").get_secret_value(SecretId=stack.secret_ids[variable])
    content: dict[str, str] = json.loads(text["SecretString"])
    return content


def test_keys_from_a_file_serve_the_simulator_which_keeps_its_own_pair_and_pages_of_ones_own(
    secrets: Path,
) -> None:
    vite, own = "http://localhost:5173", "https://own.example"
    with Stack(Options(secrets=secrets, pages=(f"{vite}/login?a#b", own), warm=frozenset())) as stack:
        assert stack.simulator is not None
        customer, page = stack.simulator.customer, stack.page
        assert secret(stack, "SIGNING_SECRET_ID") == {"privateKey": OWN.private_key}
        assert secret(stack, "VERIFICATION_SECRET_ID") == {
            "appKey": OWN.app_key,
            "platformPublicKey": stack.simulator.public_key,
        }
        stranger = boto3.client("secretsmanager", region_name="cn-north-1", endpoint_url=stack.aws)
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            stranger.get_secret_value(SecretId=stack.secret_ids["SIGNING_SECRET_ID"])
        for origin in (vite, own):
            preflight = f"{stack.api}/presign"
            answer = urllib3.request("OPTIONS", preflight, headers={"Origin": origin}, retries=False)
            assert "access-control-allow-origin" in answer.headers
    assert OWN.private_key not in json.dumps(stack.variables)
    assert customer.public_key == OWN.public_key
    assert customer.origins == {page, vite, own}
    pages = (f"{page}/", f"{page}/index.html", f"{vite}/login", f"{vite}/", own, f"{own}/")
    assert customer.referers == {*pages}
    for part in ("api", "page", "platform", "aws"):
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(stack.addresses()[part], timeout=30)  # noqa: S310 - loopback


def test_another_platform_takes_the_simulators_place(secrets: Path) -> None:
    other = "http://p.example:81"
    with Stack(Options(platform_url=f"{other}/", secrets=secrets, warm=frozenset())) as stack:
        assert (stack.simulator, stack.platform) == (None, other)
        url = stack.variables["VerifyFunction"]["PLATFORM_URL"]
        assert url == f"{other}/NumberAbility/h5/verifyVmMobileApi.htm"
        assert "/panel/" not in urllib3.request("GET", stack.page, retries=False).data.decode()
        control = f"{stack.page}/panel/attempts"
        assert urllib3.request("DELETE", control, headers={"Origin": stack.page}, retries=False).status == 405
        assert secret(stack, "VERIFICATION_SECRET_ID")["platformPublicKey"] == PLATFORM_KEY


def test_a_function_that_does_not_start_is_said_at_once_or_when_it_is_asked(tmp_path: Path) -> None:
    log, wrong, said = tmp_path / "functions.log", {"APP_ID": "x"}, "PreSignFunction: SettingsError: APP_ID"
    with pytest.raises(StackError, match=f"^{said}"), Stack(Options(variables=wrong, log=log)):
        pass

    with Stack(Options(variables=wrong, log=log, warm=frozenset())) as stack:
        answer = urllib3.request("POST", f"{stack.api}/presign", json={}, retries=False)
    assert (answer.status, answer.json()) == (500, {"message": "Internal Server Error"})
    assert log.read_text().startswith(f"local: {said}")


def test_every_region_sees_what_the_stack_has_and_a_name_that_the_web_has_led_here_sees_nothing(
    stack: Stack,
) -> None:
    elsewhere = boto3.client("dynamodb", region_name="us-east-1", endpoint_url=stack.aws)
    assert elsewhere.describe_table(TableName=stack.table_name)["Table"]["TableArn"].startswith("arn:aws-cn:")

    host = "127.0.0.1.evil.example:4566"
    headers = {"X-Amz-Target": "secretsmanager.ListSecrets", "Host": host, "Origin": "https://evil.example"}
    response = urllib3.request("POST", stack.aws, body=b"{}", headers=headers, retries=False)
    assert response.status == 403
    assert "access-control-allow-origin" not in response.headers


def test_a_receipt_logs_in_at_the_back_end_and_the_page_may_read_the_keys(stack: Stack) -> None:
    headers = {"Origin": stack.page}
    given = urllib3.request("POST", f"{stack.business}/nonce", headers=headers, retries=False)
    headers["Cookie"] = given.headers["set-cookie"].partition(";")[0]
    phone = phone_of(stack, SIM)
    receipt = phone.verify(SIM, phone.ticket(), nonce=given.json()["nonce"]).json["receipt"]
    plant(receipt)

    body = {"receipt": receipt}
    login = urllib3.request("POST", f"{stack.business}/login", json=body, headers=headers, retries=False)

    assert (login.status, login.json()) == (200, {"phoneNum": SIM})
    keys = urllib3.request("GET", f"{stack.api}/.well-known/jwks.json", headers=headers, retries=False)
    assert (keys.status, keys.headers["access-control-allow-origin"]) == (200, stack.page)
    assert set(secret(stack, "RECEIPT_SECRET_ID")) == {"keys", "encryptionKey"}
    assert stack.variables["VerifyFunction"]["RECEIPT_ISSUER"] == stack.api


EVENTS: Final = ROOT / "events"
_ROW: Final = re.compile(r"^\| ([a-z-]+\.json) \| (\w+) \| (\d{3}) \|\s*(\w*) *\|", re.MULTILINE)
DOCUMENTED: Final = _ROW.findall((EVENTS / "README.md").read_text())


@pytest.fixture(scope="module")
def pools(stack: Stack) -> Iterator[dict[str, Pool]]:
    """The functions with the settings of events/env.json, as `python -m local invoke` runs them."""
    assert {name for name, *_ in DOCUMENTED} == {path.name for path in EVENTS.glob("*.json")} - {"env.json"}
    overlay = read_overlay(EVENTS / "env.json")
    functions = {name: overlaid(pool.function, overlay) for name, pool in stack.functions.items()}
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
