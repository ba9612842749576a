"""Receipts, where they are on: their secret, the key that signs now, and the keys as they are published."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

from cmpassport.keys import KeyFormatError
from cmpassport.receipt_keys import PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.secret_cache import SecretFormatError
from tools.doctor.facts import Facts, World
from tools.doctor.steps.step import Step
from tools.doctor.steps.stored import RECEIPTS, judge, look, name_of
from tools.findings import Finding, fault, fine, unknown, warning
from verify.receipt import parse_keys
from verify.settings import ReceiptSettings

JWKS_PATH: Final = "/.well-known/jwks.json"

_VARIABLES: Final = ("RECEIPTS", "RECEIPT_SECRET_ID", "RECEIPT_NUMBER", "RECEIPT_LIFE_SECONDS")
_TOOL: Final = "`python -m tools keys receipts"


def _settings(facts: Facts) -> ReceiptSettings | None:
    verify = facts.settings.verify
    return verify.receipts if verify is not None and facts.settings.has(*_VARIABLES) else None


def _look(facts: Facts, world: World) -> Facts:
    if _settings(facts) is None:
        return facts
    facts = look(facts, world, (RECEIPTS,))
    if facts.place.api is None:
        return facts
    return replace(facts, published=world.get(f"{facts.place.api}{JWKS_PATH}"))


def _keys(facts: Facts) -> ReceiptKeys | SecretFormatError | KeyFormatError | None:
    settings, reading = _settings(facts), facts.secrets.get(RECEIPTS.variable)
    if settings is None or reading is None or reading.text is None:
        return None
    try:
        return parse_keys(reading.text, settings.number_form, facts.now)
    except (SecretFormatError, KeyFormatError) as error:
        return error


def the_receipt_secret_serves(facts: Facts) -> Iterator[Finding]:
    """Have the receipt secret parsed as the function does, for the number's form that is set."""
    settings = _settings(facts)
    if settings is None:
        return
    keys = _keys(facts)
    if keys is None:
        yield from judge(facts, RECEIPTS)
    elif not isinstance(keys, ReceiptKeys):
        yield fault(
            "receipt-secret-form",
            f"Receipt secret ({name_of(facts.place, RECEIPTS)}): {keys}; every verdict would be refused.",
            f"{_TOOL} check` says more; {_TOOL} new` makes one.",
        )
    else:
        now = keys.signing_at(facts.now)
        yield fine(
            "receipt-secret",
            f"Receipt secret ({name_of(facts.place, RECEIPTS)}): {len(keys.signing)} keys, the one of "
            f"{now.sign_from:%Y-%m-%d %H:%M} UTC signs; the number goes as {settings.number_form.value}.",
        )


def rotations_leave_time(facts: Facts) -> Iterator[Finding]:
    """Look whether a key that takes over soon will be known everywhere by then."""
    keys, verify = _keys(facts), facts.settings.verify
    if not isinstance(keys, ReceiptKeys) or verify is None:
        return
    lead = timedelta(seconds=verify.common.secret_max_age + PUBLISHED_MAX_AGE)
    for key in keys.signing:
        if facts.now < key.sign_from < facts.now + lead and not _is_published(facts, key.kid):
            yield warning(
                "receipt-key-early",
                f"A key signs receipts from {key.sign_from:%H:%M} UTC on, before all back ends know it.",
                f"Put its signFrom off by an hour: {_TOOL} rotate` keeps to that.",
            )


def keys_are_published(facts: Facts) -> Iterator[Finding]:
    """Look whether back ends find the key that signs."""
    keys = _keys(facts)
    if not isinstance(keys, ReceiptKeys):
        return
    answer = facts.published
    if answer is None:
        yield unknown("receipt-keys", "No API is known, so the published keys were not looked at.", "")
    elif _kids(facts) is None:
        yield fault(
            "receipt-keys-missing",
            f"{facts.place.api}{JWKS_PATH} gives no keys ({answer.error or f'HTTP status {answer.status}'}).",
            "Deploy template.yaml with Receipts=on; the log of ReceiptKeysFunction says what else is wrong.",
        )
    elif not _is_published(facts, keys.signing_at(facts.now).kid):
        yield fault(
            "receipt-keys-other",
            f"{facts.place.api}{JWKS_PATH} does not have the key that signs: back ends refuse receipts.",
            "Functions keep a secret for SECRET_MAX_AGE_SECONDS: wait that long. If it stays, see that "
            "ReceiptKeysFunction and VerifyFunction read the same secret.",
        )
    else:
        yield fine("receipt-keys", f"{facts.place.api}{JWKS_PATH} has the key that signs.")


def _kids(facts: Facts) -> frozenset[str] | None:
    if facts.published is None:
        return None
    try:
        return frozenset(key["kid"] for key in json.loads(facts.published.body)["keys"])
    except (ValueError, KeyError, TypeError):
        return None


def _is_published(facts: Facts, kid: str) -> bool:
    return kid in (_kids(facts) or ())


STEP: Final = Step("Receipts", _look, (the_receipt_secret_serves, rotations_leave_time, keys_are_published))
