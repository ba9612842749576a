"""The platform simulator fails as it is told to; its SDK stand-in is real JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import Client, TestResponse

from local.simulator import Customer, Simulator

if TYPE_CHECKING:
    from pathlib import Path

VERIFY = "/NumberAbility/h5/verifyVmMobileApi.htm"
GET_TOKEN = "/NumberAbility/h5/getToken.htm"
GET_MOBILE = "/NumberAbility/h5/getMobile.htm"
SDK = "/NumberAbility/jssdk/jssdk.min.js"
# Refused for its missing fields: enough to see what becomes of an answer.
REQUEST = {"header": {"msgId": "61237890345", "appId": "000001"}}


@pytest.fixture
def simulator() -> Simulator:
    customer = Customer("000001", "key", "", frozenset(), frozenset())
    return Simulator(customer, key_bits=1024)


@pytest.fixture
def client(simulator: Simulator) -> Client:
    return Client(simulator)


def arm(client: Client, fault: str, **parameters: Any) -> list[dict[str, Any]]:
    response = client.post("/simulator/faults", json={"fault": fault, **parameters})
    assert response.status_code == 200
    faults = response.get_json()["faults"]
    assert isinstance(faults, list)
    return faults


def verify(client: Client, **options: Any) -> TestResponse:
    return client.post(VERIFY, json=REQUEST, **options)


def code(response: TestResponse) -> str | None:
    header = json.loads(response.get_data())["header"]
    return header.get("resultCode") if isinstance(header, dict) else None


# ---- how faults are asked for


def test_a_fault_is_met_once_unless_told_otherwise(client: Client) -> None:
    arm(client, "resultCode", resultCode="130018")

    assert [code(verify(client)), code(verify(client))] == ["130018", "130010"]


def test_a_fault_is_met_the_next_n_times(client: Client) -> None:
    arm(client, "resultCode", resultCode="130018", times=2)

    assert [code(verify(client)) for _ in range(3)] == ["130018", "130018", "130010"]


def test_a_fault_can_last_until_it_is_cleared(client: Client) -> None:
    arm(client, "resultCode", resultCode="130018", times=0)
    assert {code(verify(client)) for _ in range(5)} == {"130018"}

    client.delete("/simulator/faults")

    assert code(verify(client)) == "130010"


def test_faults_are_met_in_the_order_they_were_armed(client: Client) -> None:
    arm(client, "resultCode", resultCode="110027")
    arm(client, "resultCode", resultCode="999999")

    assert [code(verify(client)) for _ in range(2)] == ["110027", "999999"]


def test_a_fault_is_met_by_its_own_endpoint_alone(client: Client) -> None:
    arm(client, "resultCode", on="getToken", resultCode="170001")

    assert code(verify(client)) == "130010"
    assert code(client.post(GET_TOKEN, json=REQUEST)) == "170001"


@pytest.mark.parametrize("place", ["headers", "query_string"])
def test_one_request_can_ask_for_a_fault_of_its_own(client: Client, place: str) -> None:
    wanted = {"X-Simulator-Fault": "resultCode; resultCode=110025"}

    assert code(verify(client, **{place: wanted})) == "110025"
    assert code(verify(client)) == "130010"


def test_armed_faults_are_listed_as_they_were_asked_for(client: Client) -> None:
    listed = [{"fault": "reset", "when": "before", "on": "verify", "times": 3}]

    assert arm(client, "reset", when="before", times=3) == listed
    assert client.get("/simulator/faults").get_json() == {"faults": listed}


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"fault": "explode"},
        {"fault": "delay", "on": "moon"},
        {"fault": "delay", "seconds": "soon"},
        {"fault": "delay", "seconds": -1},
        {"fault": "delay", "resultCode": "000"},
        {"fault": "status", "status": 99},
        {"fault": "reset", "when": "later"},
        {"fault": "oversized", "on": "getMobile"},
        {"fault": "noGetConnection", "on": "verify"},
        {"fault": "html", "times": -1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(client: Client, wanted: dict[str, Any]) -> None:
    response = client.post("/simulator/faults", json=wanted)

    assert response.status_code == 400
    assert client.get("/simulator/faults").get_json() == {"faults": []}


def test_a_request_that_asks_for_an_unknown_fault_is_refused(client: Client) -> None:
    assert verify(client, headers={"X-Simulator-Fault": "explode"}).status_code == 400


def test_a_developers_page_at_another_origin_may_arm_faults(client: Client) -> None:
    preflight = client.options("/simulator/faults")

    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, POST, DELETE"


def test_the_journal_names_the_fault(client: Client, simulator: Simulator) -> None:
    arm(client, "resultCode", resultCode="110027")
    verify(client)

    entry = simulator.journal.entries()[-1]
    assert entry["fault"] == {"fault": "resultCode", "resultCode": "110027"}
    assert entry["resultCode"] == "110027"


# ---- what faults do


def test_a_forced_code_answers_in_the_guides_form(client: Client) -> None:
    arm(client, "resultCode", resultCode="110027")

    answer = json.loads(verify(client).get_data())

    assert (answer["header"]["msgId"], answer["body"]["resultDesc"]) == ("61237890345", "能力不可用")


@pytest.mark.parametrize("status", [302, 404, 500, 503])
def test_any_status_can_be_answered(client: Client, status: int) -> None:
    arm(client, "status", status=status)

    assert verify(client).status_code == status


def test_a_redirection_shows_in_the_journal_if_it_is_followed(client: Client, simulator: Simulator) -> None:
    arm(client, "status", status=307)

    assert verify(client).headers["Location"] == f"{VERIFY}?redirected=1"
    assert len(simulator.journal.entries()) == 1


def test_an_html_page_can_come_with_status_200(client: Client) -> None:
    arm(client, "html")

    response = verify(client)

    assert (response.status_code, response.mimetype) == (200, "text/html")


def test_text_can_come_in_the_name_of_json(client: Client) -> None:
    arm(client, "notJson")

    response = verify(client)

    assert response.mimetype == "application/json"
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(response.get_data())


@pytest.mark.parametrize(("fault", "name"), [("wrongMsgId", "msgId"), ("wrongAppId", "appId")])
def test_an_answer_can_belong_to_another_request(client: Client, fault: str, name: str) -> None:
    arm(client, fault)

    answer = json.loads(verify(client).get_data())

    assert answer["header"][name] not in {"", REQUEST["header"][name]}
    assert answer["header"]["resultCode"] == "130010"


def test_the_result_code_can_be_missing(client: Client) -> None:
    arm(client, "missingResultCode")

    assert code(verify(client)) is None


def test_an_answer_can_be_larger_than_anybody_wants(client: Client) -> None:
    arm(client, "oversized", bytes=200_000)

    response = verify(client)

    assert "Content-Length" not in response.headers
    assert len(response.get_data()) > 200_000
    assert code(response) == "130010"


def test_json_can_end_in_the_middle(client: Client) -> None:
    arm(client, "truncated")

    response = verify(client)

    assert response.content_length == len(response.get_data())
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(response.get_data())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reset_is_a_reset_for_a_caller_in_process_too(
    client: Client, simulator: Simulator, when: str
) -> None:
    arm(client, "reset", when=when)

    with pytest.raises(ConnectionResetError):
        verify(client)

    body = simulator.journal.entries()[-1]["request"]["body"]
    assert (body is None) == (when == "before")


def test_an_image_can_fail(client: Client) -> None:
    arm(client, "status", on="getMobile", status=502)

    assert client.get(GET_MOBILE).status_code == 502


# ---- the SDK stand-in


@pytest.mark.parametrize("path", [SDK, "/NumberAbility/jssdk_vlm/jssdk.min.js"])
def test_the_sdk_is_served_from_both_paths(client: Client, simulator: Simulator, path: str) -> None:
    response = client.get(path)

    assert (response.status_code, response.mimetype) == (200, "text/javascript")
    assert (simulator.journal.entries()[-1]["step"], simulator.journal.entries()[-1]["name"]) == (2, "sdk")


def test_the_sdk_needs_no_eval(client: Client) -> None:
    script = client.get(SDK).get_data(as_text=True)

    assert "eval(" not in script
    assert "Function(" not in script.replace("(function (", "")


def test_the_sdk_can_be_unavailable(client: Client) -> None:
    arm(client, "unavailable", on="sdk")

    assert client.get(SDK).status_code == 503


def test_the_sdk_can_lack_get_connection(client: Client) -> None:
    arm(client, "noGetConnection", on="sdk")

    assert client.get(SDK).get_data(as_text=True).rstrip().endswith("delete window.YDRZ.getConnection;")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("fault", ["none", "noGetConnection"])
def test_the_sdk_is_valid_javascript(client: Client, tmp_path: Path, fault: str) -> None:
    if fault != "none":
        arm(client, fault, on="sdk")
    script = tmp_path / "jssdk.js"
    script.write_bytes(client.get(SDK).get_data())

    subprocess.run(["node", "--check", script], check=True)
