"""`keys receipts`: the secret of signed receipts, whose keys take over one from another without a gap.

A key is published as soon as it is in the secret and signs from its signFrom on, so a new one is given a
lead, in which every function has read the secret anew and after it every back end the published keys. The
secret is read by the product's own reader, `cmpassport.receipt_keys`.
"""

import argparse
import base64
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cmpassport.errors import CmpassportError
from cmpassport.receipt_keys import MAX_KEYS, PUBLISHED_MAX_AGE, ReceiptKeys, SigningKey
from cmpassport.settings import MAX_SECRET_AGE
from tools.findings import (
    FOUND,
    Finding,
    Severity,
    ToolError,
    UseError,
    failed,
    fault,
    fine,
    unknown,
    warning,
)
from tools.given import SecretKind
from tools.key_text import examine_public
from tools.keys.new import show_parameter
from tools.keys.store import CURRENT, Store
from tools.output import Output
from tools.prompts import name_of, read_file
from tools.secret_text import refuse_foreign

SKEW: Final = timedelta(minutes=5)
"""How far this machine's clock may be from the functions': AWS takes nothing from one that is further off."""
LEAD: Final = timedelta(seconds=MAX_SECRET_AGE + PUBLISHED_MAX_AGE) + SKEW
"""Between a key's write and its first signature: an hour."""
KEPT: Final = timedelta(days=1)
"""How long a key is still published after another took over; receipts live ten minutes at most."""

_DESCRIPTION: Final = "Signs the receipts of H5 number verification; not the platform's key."
_HASH_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key as the secret holds it, and as the product reads it."""

    member: dict[str, Any] = field(repr=False)
    key: SigningKey


@dataclass(frozen=True, slots=True)
class _Held:
    """What the secret holds: its JSON, its keys in the order in which they sign, and which version it is."""

    content: dict[str, Any] = field(repr=False)
    entries: list[_Entry]
    version: str


def new(options: argparse.Namespace, output: Output) -> int:
    """Make the secret."""
    name = _name(options)
    # The first key has nobody to take over from: it signs at once, whatever this machine's clock says.
    content: dict[str, Any] = {
        "keys": [_new_key(options.clock() - SKEW)],
        "hashKey": secrets.token_urlsafe(_HASH_KEY_BYTES),
    }
    if options.encryption_key is not None:
        content["encryptionKey"] = _read_encryption_key(options.encryption_key, output)
    store = Store.reach(options)
    arn = store.create(name, _written(content, name), _DESCRIPTION, options.kms_key, "receipts-taken")
    output.show("receipts-made", kid=_parsed(content).signing[0].kid)
    print()
    show_parameter("ReceiptSecretArn", arn, options.kms_key, output)
    output.steps("next-deploy-receipts", "next-hash-key", "next-rotate-receipts", secret=name)
    return 0


def rotate(options: argparse.Namespace, output: Output) -> int:
    """Add a key, and drop what is no longer needed."""
    store, name, now = Store.reach(options), _name(options), options.clock()
    held = _read(store, name, at_all=options.now)
    kept = [] if options.now else _still_needed(held.entries, now)
    if not options.now:
        _refuse_too_soon(name, held.entries, kept, now)
    added = _new_key(now - SKEW if options.now else now + LEAD)
    held.content["keys"] = [*(entry.member for entry in kept), added]
    store.replace(name, _written(held.content, name), former=held.version)
    made = _parsed(held.content).signing[-1]
    if options.now:
        output.show("receipts-signs-now", kid=made.kid)
        output.tell("receipts-now-costs", seconds=PUBLISHED_MAX_AGE)
    else:
        output.show("receipts-signs-later", kid=made.kid, since=_shown(made.sign_from))
    output.show("receipts-dropped", dropped=len(held.entries) - len(kept), kept=len(kept))
    return 0


def encryption_key(options: argparse.Namespace, output: Output) -> int:
    """Set or replace encryptionKey."""
    key = _read_encryption_key(options.file, output)
    store, name = Store.reach(options), _name(options)
    held = _read(store, name)
    store.replace(name, _written({**held.content, "encryptionKey": key}, name), former=held.version)
    output.show("encryption-key-stored")
    return 0


def check(options: argparse.Namespace, output: Output) -> int:
    """Show the keys, and what is wrong."""
    store, name, now = Store.reach(options), _name(options), options.clock()
    content = store.read(name)
    try:
        findings: Iterator[Finding] = _judge(ReceiptKeys.parse(content), now)
    except CmpassportError as error:
        findings = iter([fault("receipts-broken", secret=name, reason=error)])
    found = output.group("secret-of-RECEIPT_SECRET_ID", findings)
    output.summary()
    return FOUND if failed(found) else 0


def _name(options: argparse.Namespace) -> str:
    return str(options.secret or SecretKind.RECEIPTS.value)


def _judge(keys: ReceiptKeys, now: datetime) -> Iterator[Finding]:
    begun = [key for key in keys.signing if key.sign_from <= now]
    for key in keys.signing:
        role = "next" if key.sign_from > now else "now" if key is begun[-1] else "former"
        yield fine("receipt-key", f"receipt-key-{role}", kid=key.kid, since=_shown(key.sign_from))
    if not begun:
        yield fault("no-key-signs", since=_shown(keys.signing[0].sign_from))
    yield fine("hash-key") if keys.hash_key else warning("hash-key-missing")
    if keys.encryption_key is None:
        yield unknown("encryption-key", "encryption-key-none")
    else:
        yield fine("encryption-key", print=keys.encryption_key.thumbprint())


def _refuse_too_soon(name: str, entries: Sequence[_Entry], kept: Sequence[_Entry], now: datetime) -> None:
    last = entries[-1].key.sign_from
    if last > now:
        raise ToolError("next-key-waits", secret=name, since=_shown(last))
    if len(kept) >= MAX_KEYS:
        raise ToolError(
            "keys-all-needed", secret=name, count=len(kept), until=_shown(kept[1].key.sign_from + KEPT)
        )


def _still_needed(entries: Sequence[_Entry], now: datetime) -> list[_Entry]:
    """Return the keys but those that the one after them took over from long ago."""
    successors = [*(entry.key.sign_from for entry in entries[1:]), None]
    return [
        entry
        for entry, taken_over in zip(entries, successors, strict=True)
        if taken_over is None or taken_over > now - KEPT
    ]


def _read(store: Store, name: str, *, at_all: bool = False) -> _Held:
    """Read the secret; `at_all` where its keys are to be made anew, so that they need not be good."""
    version = store.describe(name).versions.get(CURRENT, "")
    content = store.read(name)
    refuse_foreign(content, name, SecretKind.RECEIPTS)
    try:
        document = json.loads(content)
        if not at_all:
            ReceiptKeys.parse(content)
    except (CmpassportError, ValueError) as error:
        reason = error if isinstance(error, CmpassportError) else "the secret is not JSON"
        raise ToolError("receipts-broken", secret=name, reason=reason) from None
    if not isinstance(document, dict):
        raise ToolError("receipts-broken", secret=name, reason="the secret is not a JSON object")
    try:
        return _Held(document, _entries(document), version)
    except CmpassportError:
        return _Held(document, [], version)


def _entries(content: dict[str, Any]) -> list[_Entry]:
    _parsed(content)  # that keys are a list of objects
    entries = [_Entry(member, _parsed({"keys": [member]}).signing[0]) for member in content["keys"]]
    return sorted(entries, key=lambda entry: entry.key.sign_from)


def _parsed(content: dict[str, Any]) -> ReceiptKeys:
    return ReceiptKeys.parse(json.dumps(content))


def _written(content: dict[str, Any], name: str) -> str:
    """Write the secret's text, which the product has to be able to read."""
    try:
        _parsed(content)
    except CmpassportError as error:
        raise ToolError("receipts-broken", secret=name, reason=error) from None
    return json.dumps(content)


def _new_key(sign_from: datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {"privateKey": base64.b64encode(der).decode(), "signFrom": _shown(sign_from)}


def _read_encryption_key(path: Path, output: Output) -> str:
    content = read_file(path).strip()
    examined = examine_public(content, name_of(path), "business")
    if examined.key is None or examined.findings[0].severity is Severity.WARNING:
        output.group("what-you-gave", examined.findings)
        raise UseError("no-encryption-key")
    return content


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
