"""The Python code of docs/receipts.md, on receipts that the product signed and on forged ones."""

from types import ModuleType
from typing import Any

import jwt
import pytest

from local.stack import Stack
from tests.support.attacks import ATTACKS, REPLAYS, Attack
from tests.support.receipt_secrets import HASH_KEY
from tests.support.receipts import NONCE, NUMBER, Issuer, snippet
from tests.support.stacks import phone_of


class BackEnd:
    """The page's code, with a store of used receipts."""

    def __init__(self, issuer: str, **addresses: str) -> None:
        code: Any = ModuleType("receipts")
        compiled = compile(snippet("python", issuer, **addresses), "docs/receipts.md", "exec")
        exec(compiled, code.__dict__)  # noqa: S102 - the page's code
        self.is_of = code.is_of
        self._check = code.check
        self._used: set[str] = set()

    def check(self, receipt: str, nonce: str = NONCE) -> dict[str, Any]:
        """Return the claims; raise PyJWTError where the code refuses."""
        claims: dict[str, Any] = self._check(receipt, nonce, self._first_use)
        return claims

    def _first_use(self, jti: str) -> bool:
        first = jti not in self._used
        self._used.add(jti)
        return first


@pytest.fixture(scope="module")
def back_end(issuer: Issuer) -> BackEnd:
    return BackEnd(issuer.address)


def test_a_receipt_logs_in_once_in_any_spelling(issuer: Issuer, back_end: BackEnd) -> None:
    good = issuer.genuine()

    claims = back_end.check(good.receipt)

    assert back_end.is_of(claims, NUMBER, HASH_KEY)
    assert not back_end.is_of(claims, NUMBER[:-1] + "0", HASH_KEY)
    assert not back_end.is_of(claims, NUMBER, HASH_KEY.upper())
    with pytest.raises(jwt.InvalidTokenError, match="jti"):
        back_end.check(good.receipt)
    for replay in REPLAYS.values():
        with pytest.raises(jwt.PyJWTError):
            back_end.check(replay(good))


def test_keys_that_cannot_be_fetched_are_told_from_a_refusal(issuer: Issuer) -> None:
    with pytest.raises(jwt.PyJWKClientConnectionError):
        BackEnd("http://127.0.0.1:9").check(issuer.genuine().receipt)


def test_forgers_do_not_have_the_keys_fetched_for_each_forgery(issuer: Issuer, back_end: BackEnd) -> None:
    fetched = issuer.fetched

    for kid in map(str, range(50)):
        with pytest.raises(jwt.PyJWTError, match="signing key"):
            back_end.check(issuer.genuine().changed(header={"kid": kid}))

    assert issuer.fetched <= fetched + 1


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_an_attack_is_refused_and_uses_nothing_up(issuer: Issuer, back_end: BackEnd, attack: Attack) -> None:
    good = issuer.genuine()

    with pytest.raises(jwt.PyJWTError):
        back_end.check(attack(good))

    assert back_end.check(good.receipt)


@pytest.mark.parametrize("nonce", ["another", ""])
def test_a_receipt_for_another_login_is_refused(issuer: Issuer, back_end: BackEnd, nonce: str) -> None:
    for claims in ({}, {"nonce": ""}):
        with pytest.raises(jwt.InvalidTokenError, match="nonce"):
            back_end.check(issuer.genuine().changed(claims=claims), nonce)


def test_a_receipt_of_a_running_api_logs_in_once_and_for_its_login_alone(stack: Stack) -> None:
    phone = phone_of(stack, sim="13700000005")
    back_end = BackEnd(stack.api, audience=stack.page)
    ticket = phone.ticket()
    receipts = [phone.verify(phone.sim, ticket, nonce=NONCE).json["receipt"] for _ in range(2)]
    taken_elsewhere = phone.verify(phone.sim, ticket, nonce="another")
    of_another_number = phone.verify("13600000000", phone.ticket(), nonce=NONCE)

    assert back_end.check(receipts[0])["phoneNumJwe"]
    with pytest.raises(jwt.InvalidTokenError, match="jti"):
        back_end.check(receipts[1])
    assert (taken_elsewhere.status, taken_elsewhere.json["code"]) == (409, "token_reused")
    assert "receipt" not in of_another_number.json
