"""Receipts: what they say, for how long, and in which of the three forms they name the number."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwe, jws
from joserfc.jwk import KeySet, RSAKey

from cmpassport.receipt_keys import ReceiptKeys
from cmpassport.secret_cache import SecretFormatError
from cmpassport.settings import SettingsError
from cmpassport.telemetry import counted
from tests.support.fakes import FakeClock
from tests.support.receipt_secrets import LONG_AGO, new_key, part, public_pem, secret
from verify.outcome import Outcome
from verify.receipt import Login, Receipts, parse_keys
from verify.settings import NumberForm, ReceiptSettings

NUMBER: Final = "13912345678"
ISSUER: Final = "https://api.example.com"
AUDIENCE: Final = "https://www.example.com"
LIFE: Final = 120
SETTINGS: Final = ReceiptSettings("receipts", NumberForm.MASKED, LIFE, "")


def verdict(clock: FakeClock, task_id: str = "task-1") -> Outcome:
    return Outcome(None, "000", "", "message-1", task_id, 4, int(clock.now().timestamp()))


def make(
    clock: FakeClock, text: str | None = None, settings: ReceiptSettings = SETTINGS
) -> tuple[Receipts, ReceiptKeys]:
    keys = parse_keys(text or secret((new_key(), LONG_AGO)), settings.number_form, clock.now())
    return Receipts(settings, "000340", lambda: keys, clock.now), keys


def prepare(receipts: Receipts, nonce: str | None = None, domain_name: str = "api.example.com") -> Login:
    return receipts.prepare(NUMBER, domain_name=domain_name, audience=AUDIENCE, nonce=nonce)


def issue(receipts: Receipts, outcome: Outcome, nonce: str | None = None) -> str:
    receipt = receipts.issue(outcome, prepare(receipts, nonce))
    assert receipt is not None
    return receipt


def test_a_receipt_says_who_what_for_whom_and_how_long(clock: FakeClock) -> None:
    receipts, keys = make(clock)
    outcome = verdict(clock)

    receipt = issue(receipts, outcome, nonce="n-1")

    assert counted.keys() == {"ReceiptIssued"}
    assert part(receipt, 0) == {"alg": "ES256", "typ": "number-verification+jwt", "kid": keys.signing[0].kid}
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": outcome.verified_at,
        "exp": outcome.verified_at + LIFE,
        "jti": "message-1",
        "appId": "000340",
        "phoneNumMasked": "139****5678",
    }
    assert part(receipt, 1) == {**claims, "taskId": "task-1", "nonce": "n-1"}
    assert part(issue(receipts, verdict(clock, task_id="")), 1) == claims
    published: Any = keys.public_set()
    jws.deserialize_compact(receipt, KeySet.import_key_set(published), algorithms=["ES256"])


def test_a_verdict_that_is_given_again_has_the_same_receipt_until_its_end_and_none_after(
    clock: FakeClock,
) -> None:
    receipts, _ = make(clock)
    outcome = verdict(clock)
    first = part(issue(receipts, outcome), 1)

    clock.advance(LIFE - 1)
    assert part(issue(receipts, outcome), 1) == first
    assert receipts.issue(replace(outcome, result_code="001"), prepare(receipts)) is None
    clock.advance(1)
    assert receipts.issue(outcome, prepare(receipts)) is None


def test_a_hash_is_one_that_the_business_can_make(clock: FakeClock) -> None:
    hash_key = "k" * 32
    text = secret((new_key(), LONG_AGO), hashKey=hash_key)
    receipts, _ = make(clock, text, replace(SETTINGS, number_form=NumberForm.HASH))

    claims = part(issue(receipts, verdict(clock)), 1)

    assert claims["phoneNumHash"] == hmac.new(hash_key.encode(), NUMBER.encode(), hashlib.sha256).hexdigest()
    assert not {"phoneNumMasked", "phoneNumJwe"} & set(claims)
    assert NUMBER not in str(claims)


def test_an_encrypted_number_is_for_the_business_alone(
    clock: FakeClock, rsa_key: Callable[[int], RSAPrivateKey]
) -> None:
    text = secret((new_key(), LONG_AGO), encryptionKey=public_pem(rsa_key(2048)))
    receipts, _ = make(clock, text, replace(SETTINGS, number_form=NumberForm.ENCRYPTED))

    claims = part(issue(receipts, verdict(clock)), 1)

    business = RSAKey.import_key(rsa_key(2048))
    header = part(claims["phoneNumJwe"], 0)
    assert header == {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": business.thumbprint()}
    algorithms = ["RSA-OAEP-256", "A256GCM"]
    assert jwe.decrypt_compact(claims["phoneNumJwe"], business, algorithms).plaintext == NUMBER.encode()
    assert NUMBER not in str(claims)


@pytest.mark.parametrize(
    ("form", "later", "reason"),
    [
        (NumberForm.HASH, 0, "no hashKey, which RECEIPT_NUMBER=hash takes"),
        (NumberForm.ENCRYPTED, 0, "no encryptionKey, which RECEIPT_NUMBER=encrypted takes"),
        (NumberForm.MASKED, 1, "signs yet"),
    ],
)
def test_a_secret_that_makes_no_receipt_is_refused_before_a_verdict(
    clock: FakeClock, form: NumberForm, later: int, reason: str
) -> None:
    with pytest.raises(SecretFormatError, match=reason):
        parse_keys(secret((new_key(), clock.now() + timedelta(seconds=later))), form, clock.now())


def test_the_issuer_is_the_configured_address_or_else_the_name_that_was_called(clock: FakeClock) -> None:
    named, _ = make(clock, settings=replace(SETTINGS, issuer="http://127.0.0.1:3000"))
    unnamed, _ = make(clock)

    assert prepare(unnamed).issuer == ISSUER
    assert prepare(named).issuer == "http://127.0.0.1:3000"
    with pytest.raises(SettingsError, match="RECEIPT_ISSUER"):
        prepare(unnamed, domain_name="")


@pytest.mark.parametrize(
    ("audience", "nonce"), [("https://m.example.com", "n"), (AUDIENCE, "m"), (AUDIENCE, None)]
)
def test_each_login_is_another_binding(clock: FakeClock, audience: str, nonce: str | None) -> None:
    login = prepare(make(clock)[0], nonce="n")

    assert replace(login, audience=audience, nonce=nonce).binding != login.binding


def test_whatever_happens_to_the_secret_a_prepared_receipt_is_given(clock: FakeClock) -> None:
    login = prepare(make(clock)[0])
    lost = Receipts(SETTINGS, "000340", lambda: pytest.fail("the keys are asked for again"), clock.now)

    assert lost.issue(verdict(clock), login)
    assert "5678" not in repr(login)
