"""The Python code of docs/receipts.md, on receipts that the product signed and on forged ones."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import jwt
import pytest

from local import ROOT
from local.keys import ReceiptNumber
from local.stack import Options
from tests.support.attacks import ATTACKS, REPLAYS, Attack
from tests.support.receipt_secrets import HASH_KEY
from tests.support.receipts import NONCE, NUMBER, Genuine, Issuer, publishing_issuer, snippet
from tests.support.stacks import client_of, phone_of, start

PAGES: Final = [ROOT / "docs" / name for name in ("receipts.md", "receipts.zh-CN.md")]


class BackEnd:
    """The page's code, with a store of used receipts."""

    def __init__(self, issuer: str, **addresses: str) -> None:
        code: Any = ModuleType("receipts")
        exec(compile(snippet("python", issuer, **addresses), "docs/receipts.md", "exec"), code.__dict__)
        self.is_of: Callable[[dict[str, Any], str, str], bool] = code.is_of
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
def issuer() -> Iterator[Issuer]:
    with publishing_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def back_end(issuer: Issuer) -> BackEnd:
    return BackEnd(issuer.address)


def test_a_receipt_logs_in_once(issuer: Issuer, back_end: BackEnd) -> None:
    good = issuer.genuine()

    claims = back_end.check(good.receipt)

    assert back_end.is_of(claims, NUMBER, HASH_KEY)
    assert not back_end.is_of(claims, NUMBER[:-1] + "0", HASH_KEY)
    assert not back_end.is_of(claims, NUMBER, HASH_KEY.upper())
    with pytest.raises(jwt.InvalidTokenError, match="jti"):
        back_end.check(good.receipt)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_an_attack_is_refused_and_uses_nothing_up(issuer: Issuer, back_end: BackEnd, attack: Attack) -> None:
    good = issuer.genuine()

    with pytest.raises(jwt.PyJWTError):
        back_end.check(attack(good))

    assert back_end.check(good.receipt)


@pytest.mark.parametrize("replay", REPLAYS.values(), ids=list(REPLAYS))
def test_a_used_receipt_is_refused_in_any_spelling(issuer: Issuer, back_end: BackEnd, replay: Attack) -> None:
    good = issuer.genuine()
    back_end.check(good.receipt)

    with pytest.raises(jwt.PyJWTError):
        back_end.check(replay(good))


@pytest.mark.parametrize("nonce", ["another", ""])
def test_a_receipt_for_another_login_is_refused(issuer: Issuer, back_end: BackEnd, nonce: str) -> None:
    for claims in ({}, {"nonce": ""}):
        with pytest.raises(jwt.InvalidTokenError, match="nonce"):
            back_end.check(issuer.genuine().changed(claims=claims), nonce)
