"""The platform simulator fails as it is told to; its SDK stand-in is real JavaScript."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from local.simulator import Customer, Simulator

VERIFY = "/NumberAbility/h5/verifyVmMobileApi.htm"
GET_TOKEN = "/NumberAbility/h5/getToken.htm"
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


@pytest.mark.parametrize(
    ("times", "met"), [({}, 1), ({"times": 2}, 2), ({"times": "2"}, 2), ({"times": 0}, 4)]
)
def test_a_fault_is_met_as_often_as_told_and_until_it_is_cleared(
    client: Client, times: dict[str, Any], met: int
) -> None:
    arm(client, "resultCode", resultCode="130018", **times)

    codes = [code(verify(client)) for _ in range(4)]
    assert codes == ["130018"] * met + ["130010"] * (4 - met)

    client.delete("/simulator/faults")
    assert code(verify(client)) == "130010"


def test_faults_are_met_in_their_order_by_their_own_endpoint_alone(
    client: Client, simulator: Simulator
) -> None:
    arm(client, "resultCode", on="getToken", resultCode="170001")
    arm(client, "resultCode", resultCode="110027")
    listed = arm(client, "resultCode", times=1)

    assert client.get("/simulator/faults").get_json() == {"faults": listed}
    assert listed[1] == {"fault": "resultCode", "resultCode": "110027", "on": "verify", "times": 1}
    assert client.options("/simulator/faults").headers["Access-Control-Allow-Origin"] == "*"
    assert [code(verify(client)) for _ in range(3)] == ["110027", "999999", "130010"]
    assert code(client.post(GET_TOKEN, json=REQUEST)) == "170001"
    entry = simulator.journal.entries()[-1]
    assert entry["fault"] == {"fault": "resultCode", "resultCode": "170001"}
    assert entry["resultCode"] == "170001"


@pytest.mark.parametrize("place", ["headers", "query_string"])
def test_one_request_can_ask_for_a_fault_of_its_own(client: Client, place: str) -> None:
    wanted = {"X-Simulator-Fault": "resultCode; resultCode=110025"}

    assert code(verify(client, **{place: wanted})) == "110025"
    assert code(verify(client)) == "130010"
    assert verify(client, headers={"X-Simulator-Fault": "explode"}).status_code == 400


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"fault": "explode"},
        {"fault": "delay", "on": "moon"},
        {"fault": "delay", "seconds": -1},
        {"fault": "delay", "resultCode": "000"},
        {"fault": "reset", "when": "later"},
        {"fault": "noGetConnection", "on": "verify"},
        {"fault": "html", "times": -1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(client: Client, wanted: Any) -> None:
    response = client.post("/simulator/faults", json=wanted)

    assert response.status_code == 400
    assert client.get("/simulator/faults").get_json() == {"faults": []}


# ---- what faults do


def test_an_answer_can_be_packed_or_hold_what_json_and_utf_8_forbid(client: Client) -> None:
    def spoiled(fault: str, **parameters: Any) -> bytes:
        arm(client, fault, **parameters)
        response = verify(client)
        assert response.headers.get("Content-Encoding") == parameters.get("encoding")
        assert response.content_length == len(response.get_data())
        return response.get_data()

    assert b'"resultCode": "130010"' in gzip.decompress(spoiled("contentEncoding", encoding="gzip"))
    assert b'"resultCode": "130010"' in zlib.decompress(spoiled("contentEncoding", encoding="deflate"))
    assert b'"resultCode ": "130010"' in spoiled("trailingSpace")
    assert b'"resultDesc": "\t\n' in spoiled("controlCharacter")
    assert json.loads(spoiled("gbk").decode("gbk"))["body"]["resultDesc"] == "参数为空"


# ---- the SDK stand-in


@pytest.mark.parametrize("path", [SDK, "/NumberAbility/jssdk_vlm/jssdk.min.js"])
def test_the_sdk_is_served_from_both_paths_and_needs_no_eval(
    client: Client, simulator: Simulator, path: str
) -> None:
    response = client.get(path)

    assert (response.status_code, response.mimetype) == (200, "text/javascript")
    entry = simulator.journal.entries()[-1]
    assert (entry["step"], entry["name"]) == (2, "sdk")
    assert "eval(" not in response.text
    assert "Function(" not in response.text.replace("(function (", "")


def test_the_sdk_can_be_unavailable_or_lack_get_connection(client: Client) -> None:
    arm(client, "unavailable", on="sdk")
    arm(client, "noGetConnection", on="sdk")

    assert client.get(SDK).status_code == 503
    assert client.get(SDK).text.rstrip().endswith("delete window.YDRZ.getConnection;")
