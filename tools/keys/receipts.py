"""`keys receipts`: the secret of signed receipts, whose keys take over one from another without a gap.

A key is published as soon as it is in the secret and signs from its signFrom on, so a new one is given a
lead, in which every function has read the secret anew and after it every back end the published keys. The
secret is read by the product's own reader, `cmpassport.receipt_keys`.
"""

import argparse
import base64
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cmpassport.errors import CmpassportError
from cmpassport.receipt_keys import MAX_KEYS, PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.secret_cache import read_object
from cmpassport.settings import MAX_SECRET_AGE
from tools.findings import FOUND, Finding, ToolError, UseError, failed, fault, fine, warning
from tools.given import SecretKind, name_of, read_file
from tools.key_text import examine_public
from tools.keys.pair import show_parameter
from tools.output import Output
from tools.secret_text import refuse_foreign
from tools.store import Store

SKEW: Final = timedelta(minutes=5)
"""How far this machine's clock may be from the functions': AWS takes nothing from one that is further off."""
LEAD: Final = timedelta(seconds=MAX_SECRET_AGE + PUBLISHED_MAX_AGE) + SKEW
"""Between a key's write and its first signature: an hour."""
KEPT: Final = timedelta(days=1)
"""How long a key is still published after another took over; receipts live ten minutes at most."""

_DESCRIPTION: Final = "Signs the receipts of H5 number verification; not the platform's key."
_HASH_KEY_BYTES: Final = 32


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
    made = _parsed(json.dumps(content), name).signing[0]
    store = Store.reach(options)
    arn = store.create(name, json.dumps(content), _DESCRIPTION, options.kms_key, "receipts-taken")
    output.show("receipts-signs-now", kid=made.kid)
    show_parameter("ReceiptSecretArn", arn, options.kms_key)
    output.steps("next-deploy", "next-hash-key", secret=name)
    return 0


def rotate(options: argparse.Namespace, output: Output) -> int:
    """Add a key, and drop what is no longer needed."""
    store, name, now = Store.reach(options), _name(options), options.clock()
    content = _read(store, name)
    if options.now:  # whatever the keys are
        content["keys"] = [_new_key(now - SKEW)]
        made = _replace(store, name, content)
        output.show("receipts-signs-now", kid=made.signing[0].kid)
        output.tell("receipts-now-costs", seconds=PUBLISHED_MAX_AGE)
        return 0
    _parsed(json.dumps(content), name)
    members: list[dict[str, str]] = sorted(content["keys"], key=_begins)
    successors = [*map(_begins, members[1:]), None]
    kept = [
        member
        for member, taken_over in zip(members, successors, strict=True)
        if taken_over is None or taken_over > now - KEPT
    ]
    last = _begins(members[-1])
    if last > now or len(kept) >= MAX_KEYS:
        until = last if last > now else _begins(kept[1]) + KEPT
        raise ToolError("too-soon", secret=name, until=_shown(until))
    content["keys"] = [*kept, _new_key(now + LEAD)]
    made = _replace(store, name, content)
    following, dropped = made.signing[-1], len(members) - len(kept)
    since = _shown(following.sign_from)
    output.show("receipts-signs-later", kid=following.kid, since=since, dropped=dropped, kept=len(kept))
    return 0


def encryption_key(options: argparse.Namespace, output: Output) -> int:
    """Set or replace encryptionKey."""
    key = _read_encryption_key(options.file, output)
    store, name = Store.reach(options), _name(options)
    _replace(store, name, {**_read(store, name), "encryptionKey": key})
    output.show("encryption-key-stored")
    return 0


def check(options: argparse.Namespace, output: Output) -> int:
    """Show the keys, and what is wrong."""
    name = _name(options)
    keys = _parsed(Store.reach(options).read(name), name)
    found = output.group("step-receipts", _judge(keys, options.clock()))
    output.summary()
    return FOUND if failed(found) else 0


def _name(options: argparse.Namespace) -> str:
    return str(options.secret or SecretKind.RECEIPTS.value)


def _judge(keys: ReceiptKeys, now: datetime) -> Iterator[Finding]:
    begun = [key for key in keys.signing if key.sign_from <= now]
    for key in keys.signing:
        role = "next" if key.sign_from > now else "now" if key is begun[-1] else "former"
        yield fine(f"receipt-key-{role}", kid=key.kid, since=_shown(key.sign_from))
    if not begun:
        yield fault("no-key-signs", since=_shown(keys.signing[0].sign_from))
    if keys.hash_key is None:
        yield warning("hash-key-missing")
    if keys.encryption_key is not None:
        yield fine("encryption-key", print=keys.encryption_key.thumbprint())


def _read(store: Store, name: str) -> dict[str, Any]:
    """Return what the secret holds, whether its keys are good or not."""
    content = store.read(name)
    refuse_foreign(content, name, SecretKind.RECEIPTS)
    try:
        return read_object(content)
    except CmpassportError as error:
        raise ToolError("receipts-broken", secret=name, reason=error) from None


def _parsed(content: str, name: str) -> ReceiptKeys:
    try:
        return ReceiptKeys.parse(content)
    except CmpassportError as error:
        raise ToolError("receipts-broken", secret=name, reason=error) from None


def _replace(store: Store, name: str, content: dict[str, Any]) -> ReceiptKeys:
    """Write what the product is able to read."""
    written = json.dumps(content)
    keys = _parsed(written, name)
    store.put(name, written)
    return keys


def _begins(member: dict[str, str]) -> datetime:
    return datetime.fromisoformat(member["signFrom"].strip())


def _new_key(sign_from: datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {"privateKey": base64.b64encode(der).decode(), "signFrom": _shown(sign_from)}


def _read_encryption_key(path: Path, output: Output) -> str:
    content = read_file(path).strip()
    examined = examine_public(content, name_of(path), "business")
    if examined.key is None or examined.findings[0].text.key == "key-small-business":
        output.group("what-you-gave", examined.findings)
        raise UseError("no-encryption-key")
    return content


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
