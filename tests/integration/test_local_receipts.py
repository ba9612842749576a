"""The local stack with receipts: signed by the API, published, and gone by in the business back end alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from joserfc import jwe
from joserfc.jwk import RSAKey

from local.keys import ReceiptNumber
from local.stack import Options, Stack
from recipes.python.number_verification_receipts import is_number
from tests.support.planted import leaks, plant
from tests.support.stacks import client_of, phone_of, start

SIM = "13999995555"


@pytest.fixture(scope="module", params=list(ReceiptNumber), ids=lambda form: form.value)
def receipts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with receipts, once for each form of the number; what its functions wrote is searched."""
    log = tmp_path_factory.mktemp("receipts") / "functions.log"
    with start(Options(receipts=request.param, log=log)) as stack:
        yield stack
    assert not leaks(log.read_text())


@dataclass
class Visitor:
    """A browser with the page open, without the browser: its cookie and its requests to the back end."""

    stack: Stack
    cookie: str = ""

    def __post_init__(self) -> None:
        self._http = urllib3.PoolManager(retries=False)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        response = self._http.request(
            "POST",
            f"{self.stack.business}{path}",
            json=body,
            headers={"Origin": self.stack.page, "Cookie": self.cookie},
        )
        self.cookie = response.headers.get("set-cookie", self.cookie).partition(";")[0]
        return response.status, response.json()

    def nonce(self) -> str:
        status, answer = self.post("/nonce", {})
        assert status == 200
        nonce: str = answer["nonce"]
        return nonce

    def receipt(self, nonce: str) -> str:
        phone = phone_of(self.stack, SIM)
        reply = phone.verify(SIM, phone.ticket(), nonce=nonce)
        assert reply.json["resultCode"] == "000", reply.text
        receipt: str = reply.json["receipt"]
        plant(receipt)
        return receipt


def secret(stack: Stack) -> dict[str, Any]:
    client = client_of(stack, "secretsmanager")
    text = client.get_secret_value(SecretId=stack.secret_ids["RECEIPT_SECRET_ID"])["SecretString"]
    content: dict[str, Any] = json.loads(text)
    return content


def test_a_receipt_logs_in_under_the_number_in_its_form_and_once(receipts: Stack) -> None:
    visitor = Visitor(receipts)
    receipt = visitor.receipt(visitor.nonce())
    status, account = visitor.post("/login", {"receipt": receipt})

    assert status == 200, account
    assert receipts.receipt_secrets is not None
    match receipts.receipt_secrets.number:
        case ReceiptNumber.HASH:
            assert is_number(account.pop("phoneNumHash"), SIM, secret(receipts)["hashKey"])
        case ReceiptNumber.MASKED:
            assert account.pop("phoneNumMasked") == "139****5555"
        case ReceiptNumber.ENCRYPTED:
            assert account.pop("phoneNum") == SIM
    assert account == {}
    assert visitor.post("/login", {"receipt": receipt})[0] == 401


def test_a_receipt_for_one_visitor_is_none_for_another(receipts: Stack) -> None:
    victim, thief = Visitor(receipts), Visitor(receipts)
    receipt = victim.receipt(victim.nonce())
    thief.nonce()

    assert thief.post("/login", {"receipt": receipt})[1]["code"] == "wrong_nonce"


def test_the_keys_are_published_to_whoever_asks(receipts: Stack) -> None:
    response = urllib3.request("GET", f"{receipts.api}/.well-known/jwks.json", retries=False)

    assert (response.status, response.headers["content-type"]) == (200, "application/jwk-set+json")
    assert response.headers["cache-control"] == "public, max-age=300"
    (key,) = response.json()["keys"]
    assert (key["kty"], key["crv"], key["use"]) == ("EC", "P-256", "sig")
    assert "d" not in key
    assert "access-control-allow-origin" not in response.headers


def test_the_page_may_read_the_keys_and_a_strangers_page_may_not(receipts: Stack) -> None:
    for origin, allowed in ((receipts.page, receipts.page), ("http://stranger.example", None)):
        response = urllib3.request(
            "GET", f"{receipts.api}/.well-known/jwks.json", headers={"Origin": origin}, retries=False
        )
        assert response.status == 200
        assert response.headers.get("access-control-allow-origin") == allowed


def test_the_secret_holds_what_its_form_needs_and_no_more(receipts: Stack) -> None:
    assert receipts.receipt_secrets is not None
    members = {
        ReceiptNumber.HASH: {"keys", "hashKey"},
        ReceiptNumber.MASKED: {"keys"},
        ReceiptNumber.ENCRYPTED: {"keys", "encryptionKey"},
    }

    assert set(secret(receipts)) == members[receipts.receipt_secrets.number]


def test_the_business_alone_can_read_an_encrypted_number() -> None:
    with start(Options(receipts=ReceiptNumber.ENCRYPTED, log=Path("/dev/null"))) as stack:
        assert stack.receipt_secrets is not None
        own, published = stack.receipt_secrets.business_key, secret(stack)["encryptionKey"]

    assert own is not None
    assert own.splitlines()[1] not in stack.receipt_secrets.text
    pem = f"-----BEGIN PUBLIC KEY-----\n{published}\n-----END PUBLIC KEY-----\n"
    sealed = jwe.encrypt_compact(
        {"alg": "RSA-OAEP-256", "enc": "A256GCM"},
        b"1",
        RSAKey.import_key(pem),
        algorithms=["RSA-OAEP-256", "A256GCM"],
    )
    opened = jwe.decrypt_compact(sealed, RSAKey.import_key(own), algorithms=["RSA-OAEP-256", "A256GCM"])
    assert opened.plaintext == b"1"


def test_without_receipts_there_is_neither_key_nor_back_end(stack: Stack) -> None:
    assert stack.business is None
    assert "business" not in stack.addresses()
    assert "ReceiptKeysFunction" not in stack.functions
    assert not [name for name in stack.variables["VerifyFunction"] if name.startswith("RECEIPT")]
    for address in (f"{stack.api}/.well-known/jwks.json", f"{stack.page}/business/session"):
        assert urllib3.request("GET", address, retries=False).status == 404
    phone = phone_of(stack, SIM)
    assert "receipt" not in phone.verify(SIM, phone.ticket(), nonce="n").json
