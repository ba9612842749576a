"""`keys receipts`: the secret of signed receipts, whose keys take over one from another without a gap.

A key is published as soon as it is in the secret and signs from its signFrom on, so a new one is given a
lead, in which every function has read the secret anew and after it every back end the published keys. The
secret is read by the product's own reader, `cmpassport.receipt_keys`.
"""

import argparse
import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from cmpassport.errors import CmpassportError
from cmpassport.receipt_keys import MAX_KEYS, PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.secret_cache import read_object
from cmpassport.settings import MAX_SECRET_AGE
from tools.findings import Finding, ToolError, fault, fine, warning
from tools.given import SecretKind, name_of, read_file
from tools.key_text import bare_private, examine_public
from tools.keys.pair import show_parameter
from tools.output import Output
from tools.secret_text import read_own
from tools.store import Secret

SKEW: Final = timedelta(minutes=5)
"""How far this machine's clock may be from the functions': AWS takes nothing from one that is further off."""
LEAD: Final = timedelta(seconds=MAX_SECRET_AGE + PUBLISHED_MAX_AGE) + SKEW
"""Between a key's write and its first signature: an hour."""
KEPT: Final = timedelta(days=1)
"""How long a key is still published after another took over; receipts live ten minutes at most."""

_HASH_KEY_BYTES: Final = 32
_T = TypeVar("_T")


def new(options: argparse.Namespace, output: Output) -> int:
    """Make the secret."""
    # The first key has nobody to take over from: it signs at once, whatever this machine's clock says.
    content: dict[str, Any] = {
        "keys": [_new_key(options.clock() - SKEW)],
        "hashKey": secrets.token_urlsafe(_HASH_KEY_BYTES),
    }
    if options.encryption_key is not None:
        content["encryptionKey"] = _read_encryption_key(options.encryption_key, output)
    secret, written = Secret.of(options), json.dumps(content)
    made = _parsed(ReceiptKeys.parse, written, secret).signing[0]
    secret.create(written, SecretKind.RECEIPTS, options.kms_key)
    output.show("receipts-signs-now", kid=made.kid)
    show_parameter("ReceiptSecretArn", secret, options.kms_key)
    output.steps("next-deploy", "next-hash-key", secret=secret.name)
    return 0


def rotate(options: argparse.Namespace, output: Output) -> int:
    """Add a key, and drop what is no longer needed."""
    secret, now = Secret.of(options), options.clock()
    content = _read(secret)
    if options.now:  # whatever the keys are
        made = _replace(secret, {**content, "keys": [_new_key(now - SKEW)]})
        output.show("receipts-signs-now", kid=made.signing[0].kid)
        output.tell("receipts-now-costs", seconds=PUBLISHED_MAX_AGE)
        return 0
    _parsed(ReceiptKeys.parse, json.dumps(content), secret)
    *former, last = sorted(content["keys"], key=_begins)
    taken_over = pairwise([*former, last])
    kept = [member for member, successor in taken_over if _begins(successor) > now - KEPT]
    kept.append(last)
    if _begins(last) > now or len(kept) >= MAX_KEYS:
        until = _begins(last) if _begins(last) > now else _begins(kept[1]) + KEPT
        raise ToolError("too-soon", secret=secret.name, until=_shown(until))
    made = _replace(secret, {**content, "keys": [*kept, _new_key(now + LEAD)]})
    following, dropped = made.signing[-1], len(former) + 1 - len(kept)
    since = _shown(following.sign_from)
    output.show("receipts-signs-later", kid=following.kid, since=since, dropped=dropped, kept=len(kept))
    return 0


def encryption_key(options: argparse.Namespace, output: Output) -> int:
    """Set or replace encryptionKey."""
    key, secret = _read_encryption_key(options.file, output), Secret.of(options)
    _replace(secret, {**_read(secret), "encryptionKey": key})
    output.show("encryption-key-stored")
    return 0


def check(options: argparse.Namespace, output: Output) -> int:
    """Show the keys, and what is wrong."""
    secret = Secret.of(options)
    keys = _parsed(ReceiptKeys.parse, secret.read(), secret)
    output.group("step-receipts", _judge(keys, options.clock()))
    return output.summary()


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


def _read(secret: Secret) -> dict[str, Any]:
    """Return what the secret holds, whether its keys are good or not."""
    return _parsed(read_object, read_own(secret, SecretKind.RECEIPTS), secret)


def _parsed(parse: Callable[[str], _T], content: str, secret: Secret) -> _T:
    try:
        return parse(content)
    except CmpassportError as error:
        raise ToolError("receipts-broken", secret=secret.name, reason=error) from None


def _replace(secret: Secret, content: dict[str, Any]) -> ReceiptKeys:
    """Write what the product is able to read."""
    written = json.dumps(content)
    keys = _parsed(ReceiptKeys.parse, written, secret)
    secret.put(written)
    return keys


def _begins(member: dict[str, str]) -> datetime:
    return datetime.fromisoformat(member["signFrom"].strip())


def _new_key(sign_from: datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    return {"privateKey": bare_private(key), "signFrom": _shown(sign_from)}


def _read_encryption_key(path: Path, output: Output) -> str:
    content = read_file(path).strip()
    examined = examine_public(content, name_of(path), "business")
    if examined.key is None or examined.findings[0].text.key == "key-small-business":
        output.group("what-you-gave", examined.findings)
        raise ToolError("nothing-stored")
    return content


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
