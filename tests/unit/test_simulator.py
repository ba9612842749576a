"""The platform simulator keeps the platform's rules: getMobile.htm, getToken.htm, verifyVmMobileApi.htm."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from werkzeug.test import Client, TestResponse

from cmpassport.keys import load_public_key
from cmpassport.signing import SignatureAlgorithm, SignatureEncoding, SignatureScheme
from local.simulator import Algorithm, Customer, Encoding, SignatureForm, Simulator
from local.simulator.customer import LimitRule
from tests.support.fakes import FakeClock
from tests.support.operator import APP_KEY
from tests.support.operator import OTHER_SMALL as OTHER_KEY
from tests.support.operator import SMALL as KEY
from tools.key_text import bare_public
from verify.message import encrypt

APP_ID = "000001"
ORIGIN, PAGE = "https://www.example.com", "https://www.example.com/login.html"
SIM = "13999994444"
GET_MOBILE, GET_TOKEN, VERIFY = (
    f"/NumberAbility/h5/{name}.htm" for name in ("getMobile", "getToken", "verifyVmMobileApi")
)
PUBLIC, OTHER_PUBLIC = bare_public(KEY.public_key()), bare_public(OTHER_KEY.public_key())
MSG_ID, UUID = "QD7VK2M0T9B5H1N8R3C6J4P0G7U2L5E9", "T4A8N1F6S0V3K7D2M9B5H8R1C4J6P0G3"
SIGNED = ("appId", "msgId", "phoneNum", "timestamp", "token", "version")
HEX_UUID = "0a0a0a0a-1b1b-1b1b-1b1b-0a0a0a0a0a0a"
STAMP, NOON = "20261123115500123", "20261123120000000"
IN_TOKEN_REQUEST = {"version": "1.2", "msgId": MSG_ID, "timestamp": STAMP, "appId": APP_ID}
OF_ANOTHER_UUID = SignatureScheme().sign(KEY, f"{APP_ID}{MSG_ID}{STAMP}{MSG_ID}1.2")
TOKEN_REQUEST = {**IN_TOKEN_REQUEST, "uuid": UUID, "expandParams": "", "origin": ORIGIN, "referer": PAGE}
CUSTOMER = Customer(APP_ID, APP_KEY, PUBLIC, frozenset({ORIGIN}), frozenset({PAGE}))


class World:
    """A simulator with a phone that fetches tokens and a business that has numbers verified."""

    def __init__(self, clock: FakeClock, scheme: SignatureScheme, **options: Any) -> None:
        self.clock, self.scheme = clock, scheme
        self.simulator = Simulator(CUSTOMER, clock=clock.now, key_bits=1024, **options)
        self.client = Client(self.simulator)

    def encrypt(self, text: str) -> str:
        return encrypt(load_public_key(self.simulator.public_key), text)

    def get_mobile(self, sim: str = SIM, network: str = "cellular", **query: str) -> TestResponse:
        of_gateway = {"simulator.sim": sim, "simulator.network": network}
        query = {"appId": APP_ID, "msgId": MSG_ID, **of_gateway, **query}
        return self.client.get(GET_MOBILE, query_string=query)

    def get_token(self, **changes: Any) -> dict[str, Any]:
        wanted = TOKEN_REQUEST | changes
        headers = {"Origin": wanted.pop("origin"), "Referer": wanted.pop("referer")}
        pre_sign = "".join(str(wanted[name]) for name in ("appId", "msgId", "timestamp", "uuid", "version"))
        body = {name: wanted[name] for name in ("uuid", "expandParams")}
        body["sign"] = wanted.get("sign", self.scheme.sign(KEY, pre_sign))
        header = {name: wanted[name] for name in IN_TOKEN_REQUEST}
        return read(self.client.post(GET_TOKEN, json={"header": header, "body": body}, headers=headers))

    def token(self, sim: str = SIM) -> tuple[str, str]:
        self.get_mobile(sim)
        body = self.get_token()["body"]
        return body["token"], body["userInformation"]

    def message(self, number: str = SIM, *, key: RSAPrivateKey = KEY, **changes: Any) -> dict[str, Any]:
        """Build a good verification request; changes replace values before it is signed."""
        if "token" not in changes:
            changes["token"], issued = self.token()
            changes.setdefault("userInformation", issued)
        values = {"version": "1.0", "msgId": "61237890345", "timestamp": NOON, "appId": APP_ID}
        values |= {"phoneNum": self.encrypt(number + APP_KEY + NOON), "expandParams": "", **changes}
        values.setdefault("sign", self.scheme.sign(key, "".join(values[name] for name in SIGNED)))
        header = {name: values.pop(name) for name in IN_TOKEN_REQUEST}
        return {"header": header, "body": values}

    def post(self, message: object, **options: Any) -> dict[str, Any]:
        return read(self.client.post(VERIFY, json=message, **options))

    def verify(self, number: str = SIM, **changes: Any) -> str:
        return code(self.post(self.message(number, **changes)))

    @property
    def last(self) -> dict[str, Any]:
        return self.simulator.journal.entries()[-1]


def read(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json;charset=utf-8"
    answer = json.loads(response.get_data())
    assert isinstance(answer, dict)
    return answer


def code(answer: dict[str, Any]) -> str:
    return str(answer["header"]["resultCode"])


@pytest.fixture
def world(clock: FakeClock) -> World:
    return World(clock, SignatureScheme())


@pytest.mark.parametrize(
    ("number", "code_", "verdict"), [(SIM, "000", "match"), ("13800000000", "001", "mismatch")]
)
def test_a_number_is_judged_and_the_journal_tells_what_the_platform_saw(
    world: World, number: str, code_: str, verdict: str
) -> None:
    message = world.message(number)
    answer = world.post(message)

    named = {"msgId": "61237890345", "timestamp": NOON, "appId": APP_ID}
    assert answer["header"] == {**named, "resultCode": code_}
    assert answer["body"].keys() == {"taskId", "resultDesc", "expandParams"}
    entry = world.last
    assert json.loads(entry["request"]["body"]) == message
    assert json.loads(entry["response"]["body"]) == answer
    noted = {"step": 14, "name": "verify", "resultCode": code_, "phoneNum": number, "verdict": verdict}
    noted |= {"signatureVerified": True, "fault": None}
    assert {name: entry[name] for name in noted} == noted


# ---- step 14, check by check


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'{"header": NaN}', b"[" * 60_000])
def test_what_is_not_a_standard_json_object_cannot_be_parsed(world: World, body: bytes) -> None:
    assert code(read(world.client.post(VERIFY, data=body, content_type="application/json"))) == "130032"
    assert code(read(world.client.post(VERIFY, data=json.dumps(world.message())))) == "130032"  # of no type


@pytest.mark.parametrize("value", ["", None])
def test_each_required_field_must_be_there_and_not_be_empty(world: World, value: str | None) -> None:
    message = world.message()
    for section in ("header", "body"):
        for name in message[section].keys() - {"expandParams"}:
            spoiled = {**message, section: {**message[section], name: value}}
            assert (code(world.post(spoiled)), name in world.last["reason"]) == ("130010", True)
    del message["body"]["expandParams"]
    assert code(world.post(message)) == "000"


def cipher(plain: str) -> Callable[[World], dict[str, str]]:
    return lambda world: {"phoneNum": world.encrypt(plain)}


def mistaken(mistake: Callable[[str], str]) -> Callable[[World], dict[str, str]]:
    def change(world: World) -> dict[str, str]:
        token, issued = world.token()
        return {"token": token, "userInformation": mistake(issued)}

    return change


WRONG: list[tuple[Any, str, str]] = [
    ({"timestamp": "2026112312000000"}, "105112", "17 digits"),
    ({"timestamp": "20261323120000000"}, "105112", "calendar"),
    ({"key": OTHER_KEY}, "130018", "customer's key"),
    ({"sign": "AA\nAA"}, "130018", "on one line"),
    ({"phoneNum": SIM}, "130016", "Base64"),
    ({"phoneNum": encrypt(OTHER_KEY.public_key(), SIM + APP_KEY + NOON)}, "130016", "phoneNum"),
    (cipher(SIM + APP_KEY + "20261123120000001"), "130016", "timestamp"),
    (cipher("not a number"), "130016", "number"),
    (mistaken(unquote), "120020", "decoded"),
    (mistaken(quote), "120020", "second time"),
    (mistaken(str.lower), "120020", "not the one"),
]


@pytest.mark.parametrize(("change", "expected", "reason"), WRONG)
def test_a_request_that_is_wrong_is_refused_with_its_reason(
    world: World, change: Any, expected: str, reason: str
) -> None:
    changes = change(world) if callable(change) else change

    assert world.verify(**changes) == expected

    assert reason in world.last["reason"]
    assert world.last["signatureVerified"] is not (expected == "130018")


def test_the_checks_come_in_the_guides_order(world: World) -> None:
    """Everything is wrong at first, and each mistake that is mended shows the next."""
    entered: dict[str, Any] = {"app_id": "000002", "addresses": frozenset({"127.0.0.1"}), "daily_limit": 0}
    sent: dict[str, Any] = {"token": "", "sign": "AAAA", "phoneNum": world.encrypt(SIM + "B" * 32)}
    codes = []
    for mended in ("token", "app_id", "addresses", "daily_limit", "sign", "phoneNum", "nothing"):
        world.simulator.customer = replace(CUSTOMER, **{"addresses": frozenset({"172.16.0.0/12"}), **entered})
        message = world.message(**{"userInformation": "x", "token": "VM_made_up", **sent})
        codes.append(code(world.post(message, environ_overrides={"REMOTE_ADDR": "172.17.0.2"})))
        sent.pop(mended, None)
        entered.pop(mended, None)

    assert codes == ["130010", "110022", "110004", "121011", "130018", "130016", "120020"]


@pytest.mark.parametrize("encoding", SignatureEncoding)
def test_algorithm_and_encoding_of_signatures_are_the_customers_choice(
    clock: FakeClock, encoding: SignatureEncoding
) -> None:
    form = SignatureForm(Algorithm.SHA256_WITH_RSA, Encoding.UPPER_HEX)
    world = World(clock, SignatureScheme(SignatureAlgorithm.SHA256_WITH_RSA, encoding), signature_form=form)

    answered = world.verify(token="VM_SAMPLE", userInformation="sample%2Bfingerprint%3D%3D")

    assert answered == ("000" if encoding is SignatureEncoding.HEX_UPPER else "130018")


# ---- the limit


def test_the_eleventh_verdict_of_a_number_on_one_day_is_refused(world: World) -> None:
    messages = [world.message("13800000000") for _ in range(24)]

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda message: code(world.post(message)), messages))

    assert sorted(codes) == ["001"] * 10 + ["121011"] * 14
    assert world.verify("13800000001") == "001"
    world.client.delete("/simulator/attempts")
    assert world.verify("13800000000") == "001"


@pytest.mark.parametrize(("rule", "hours"), [(LimitRule.DAY, 12), (LimitRule.HOURS_24, 24)])
def test_a_numbers_verdicts_are_forgotten_at_midnight_in_shanghai_or_a_day_after_the_first(
    world: World, rule: LimitRule, hours: int
) -> None:
    world.simulator.customer = replace(CUSTOMER, daily_limit=2, limit_rule=rule)
    no_verdicts = (world.verify(sign="AAAA"), world.verify(token="VM_made_up", userInformation="x"))
    assert no_verdicts == ("130018", "120020")
    assert world.verify() == "000"  # at noon

    for seconds, expected in ((1, "000"), (hours * 3600 - 2, "121011"), (1, "000")):
        world.clock.advance(seconds)
        assert world.verify() == expected


def test_a_token_works_once_and_for_just_under_a_minute(world: World) -> None:
    young, old = world.message(), world.message()
    refused = []
    for message, seconds in ((young, 59.999), (young, 0), (old, 0.001)):
        world.clock.advance(seconds)
        refused.append((code(world.post(message)), world.last["reason"]))

    assert refused == [
        ("000", None),
        ("120020", "the token was used before"),
        ("120020", "the token is older than a minute"),
    ]


# ---- fetching the number


def test_a_token_is_for_the_number_that_the_gateway_inserted_or_expand_params_names(world: World) -> None:
    response = world.get_mobile(userInformation="a+b/c==")
    assert (response.headers["Content-Type"], world.last["insertedNumber"]) == ("image/gif", SIM)
    assert response.get_data().startswith(b"GIF89a\x01\x00\x01\x00")

    body = world.get_token(expandParams="a%3Db%7CphoneNum%3D13711112222")["body"]

    assert (world.last["step"], world.last["name"]) == (11, "getToken")
    sent = {"token": body["token"], "userInformation": "a%2Bb%2Fc%3D%3D"}
    assert world.verify("13711112222", **sent) == "000"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"sim": "12345"}, "111002"),
        ({"network": "vpn"}, "103111"),
        ({"seconds": 61}, "111002"),
        ({"msgId": ""}, "130010"),
        ({"uuid": "x"}, "130032"),
        ({"version": "latest"}, "130032"),
        ({"timestamp": "20261123"}, "105112"),
        ({"appId": "000002"}, "110022"),
        ({"origin": ORIGIN + "/"}, "170001"),
        ({"referer": ""}, "170001"),
        ({"referer": ORIGIN + "/"}, "170001"),
        ({"sign": "AAAA"}, "130018"),
        ({"sign": OF_ANOTHER_UUID}, "130018"),
        ({"msgId": "5.9e-7", "uuid": HEX_UUID}, "000000"),  # the legacy SDK's forms
        ({"msgId": "0.8345", "uuid": f"cms-{HEX_UUID}", "version": "1.0"}, "000000"),
    ],
)
def test_a_token_is_given_for_a_number_to_a_reported_page_with_a_signed_presign_alone(
    world: World, change: dict[str, Any], expected: str
) -> None:
    asked = {"sim": SIM, "network": "cellular", "seconds": 0, **change}
    world.get_mobile(asked.pop("sim"), asked.pop("network"), msgId=change.get("msgId") or MSG_ID)
    world.clock.advance(asked.pop("seconds"))
    answer = world.get_token(**asked)

    assert code(answer) == expected
    assert bool(answer["body"]["token"]) is (expected == "000000")
    assert bool(world.last["reason"]) is (expected != "000000")


def test_keys_and_what_was_entered_are_shown_but_the_app_key_and_can_be_changed(world: World) -> None:
    assert world.client.get("/simulator/public-key").get_json() == {"publicKey": world.simulator.public_key}
    there = world.client.get("/simulator/customer").get_json()
    pages = {"appId": APP_ID, "publicKey": PUBLIC, "origins": [ORIGIN], "referers": [PAGE]}
    assert there == {**pages, "addresses": ["127.0.0.1"], "dailyLimit": 10, "limitRule": "day"}

    entered = {"publicKey": OTHER_PUBLIC, "origins": ["https://other.example"]}
    assert world.client.post("/simulator/customer", json=entered).get_json() == there | entered
    origins = frozenset(entered["origins"])
    assert world.simulator.customer == replace(CUSTOMER, public_key=OTHER_PUBLIC, origins=origins)
    for wrong in ({"appKey": "x"}, {"limitRule": "week"}, {"addresses": ["my.host"]}, {"dailyLimit": "x"}):
        assert world.client.post("/simulator/customer", json=wrong).status_code == 400


# ---- faults on demand

# Refused for its missing fields: enough to see what becomes of an answer.
REQUEST = {"header": {"msgId": "61237890345", "appId": APP_ID}}


def test_faults_are_met_in_their_order_as_often_as_told_by_their_own_endpoint_alone(world: World) -> None:
    def asked(path: str = VERIFY) -> str:
        return code(read(world.client.post(path, json=REQUEST)))

    def arm(**wanted: Any) -> Any:
        wanted["fault"] = "resultCode"
        return world.client.post("/simulator/faults", json=wanted).get_json()["faults"]

    arm(on="getToken", resultCode="170001")
    arm(resultCode="110027", times="2")
    listed = arm(times=0)

    assert world.client.get("/simulator/faults").get_json() == {"faults": listed}
    assert listed[1] == {"fault": "resultCode", "resultCode": "110027", "on": "verify", "times": 2}
    assert [asked() for _ in range(5)] == ["110027"] * 2 + ["999999"] * 3
    assert asked(GET_TOKEN) == world.last["resultCode"] == "170001"
    assert world.last["fault"] == {"fault": "resultCode", "resultCode": "170001"}
    world.client.delete("/simulator/faults")
    assert asked() == "130010"


def test_a_fault_that_makes_no_sense_is_refused(world: World) -> None:
    strange: list[dict[str, Any]] = [{"on": "moon"}, {"seconds": -1}, {"resultCode": "000"}]
    for wanted in (*strange, {"fault": "explode"}, {"fault": "noGetConnection"}):
        asked_for = {"fault": "delay", **wanted}
        assert world.client.post("/simulator/faults", json=asked_for).status_code == 400
    assert not world.simulator.faults.describe()


def test_the_sdk_is_served_from_both_paths(world: World) -> None:
    for folder in ("jssdk", "jssdk_vlm"):
        response = world.client.get(f"/NumberAbility/{folder}/jssdk.min.js")
        assert (response.status_code, response.mimetype) == (200, "text/javascript")
        assert (world.last["step"], world.last["name"]) == (2, "sdk")
